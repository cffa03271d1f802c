"""A server with secure links, what a stranger asks it for, and what its lines are made of."""

from dataclasses import dataclass

GATE, URL = "include {links}/gate.conf;", "include {links}/gate-url.conf;"
SIGNED = 'secure_link $rn_cookie; secure_link_md5 "$rn_key|S|$rn_scope|$rn_kid|$rn_sub|$rn_exp|$rn_key";'
PASSWORD = "auth_basic who; auth_basic_user_file {files}/none;"
PROXY = "proxy_pass http://127.0.0.1:{back};"
LIMITED = f"{GATE} limit_except GET {{{{ allow 127.0.0.1; deny all; }}}} {PROXY}"


ROOT = "root {files}; add_header X-Reached 1;"
HIDDEN = f"location /in/ {{ internal; {PROXY} }}"
REST = f"location / {{ {GATE} {PROXY} }}"
APP = f"location @app {{ {PROXY} }}"
"""What nothing but an `error_page`, a `try_files` or a `rewrite` leads to."""

MADE = (
    "map $rn_verdict $shut { default 1; ok 0; }"
    ' map $arg_x $realm { default off; "" who; }'
    " geo $lan { default 0; 10.0.0.0/8 1; }"
    " map $http_x_word $worded { default 0; ~. 1; }"
    " limit_req_zone $server_name zone=tight:1m rate=1r/m;"
    " map $host $wayto { default /in/x; }"
    " map $request_id $nobody_knows { default FR; }"
)
"""The variables of these servers."""


@dataclass(frozen=True)
class Case:
    """A server's lines, what a stranger asks it for, and the locations that are then open, by their names.

    `doubt` is what the directive is called that `check` does not understand. `raw` is sent in place of `ask`.
    """

    lines: str
    ask: str = "GET /"
    open: tuple[str, ...] = ()
    doubt: str = ""
    raw: str = ""

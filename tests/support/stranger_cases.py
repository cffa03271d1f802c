"""Servers with secure links, and what a stranger gets from each: for `check`, and for a real nginx."""

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


OPEN = {
    "a location within a guarded one": Case(
        rf"location / {{ {GATE} {PROXY} location ~ \.php$ {{ {PROXY} }} }}",
        "GET /a.php",
        (r"location ~ \.php$",),
    ),
    "two levels within": Case(
        f"location / {{ {GATE} {PROXY} location /a/ {{ {GATE} location /a/b/ {{ {PROXY} }} }} }}",
        "GET /a/b/",
        ("location /a/b/",),
    ),
    "an exact one beside": Case(
        f"location / {{ {GATE} {PROXY} }} location = /x {{ {PROXY} }}", "GET /x", ("location = /x",)
    ),
    "a regular expression beside": Case(
        f"location / {{ {GATE} {PROXY} }} location ~* ^/api {{ {PROXY} }}", "GET /API", ("location ~* ^/api",)
    ),
    "files beside": Case(
        f"location / {{ {GATE} {PROXY} }} location /public/ {{ root {{files}}; add_header X-Reached 1; }}",
        "GET /public/a",
        ("location /public/",),
    ),
    "other methods than those of limit_except": Case(
        f"location / {{ {LIMITED} }}", "POST /", ("limit_except GET",)
    ),
    "a break before the gate": Case(
        f"location / {{ rewrite ^/(.*)$ /x/$1 break; {GATE} {PROXY} }}", "GET /", ("location /",)
    ),
    "a break in an if before the gate": Case(
        f"location / {{ if ($arg_x) {{ break; }} {GATE} {PROXY} }}", "GET /?x=1", ("location /",)
    ),
    "a break before a return": Case(
        f"location / {{ {GATE} {PROXY} }} location /a {{ if ($arg_x) {{ break; }} return 404; {PROXY} }}",
        "GET /a?x=1",
        ("location /a",),
    ),
    "whoever is refused is led on": Case(
        f"location / {{ {GATE} error_page 403 = @app; {PROXY} }} location @app {{ {PROXY} }}",
        "GET /",
        ("location @app",),
    ),
    "the server leads whoever is refused on": Case(
        f"error_page 403 404 = @app; location / {{ {GATE} {PROXY} }} location @app {{ {PROXY} }}",
        "GET /",
        ("location @app",),
    ),
    "what is too large is led on": Case(
        f"location / {{ {GATE} error_page 413 = @app; client_max_body_size 1; {PROXY} }}"
        f" location @app {{ {PROXY} }}",
        "POST /",
        ("location @app",),
    ),
    "a return leads on": Case(
        f"location / {{ {GATE} {PROXY} }} location /a {{ error_page 418 = @app; return 418; }}"
        f" location @app {{ {PROXY} }}",
        "GET /a",
        ("location @app",),
    ),
    "an internal one that the refused are led to": Case(
        f"location / {{ {GATE} error_page 403 = /in/x; {PROXY} }} location /in/ {{ internal; {PROXY} }}",
        "GET /",
        ("location /in/",),
    ),
    "led on and on": Case(
        f"location / {{ {GATE} error_page 403 = @one; {PROXY} }}"
        f" location @one {{ root {{files}}; try_files /no @two; }} location @two {{ {PROXY} }}",
        "GET /",
        ("location @two",),
    ),
    "try_files of what is open": Case(
        f"location / {{ {GATE} {PROXY} }} location /a {{ try_files /no @app; }} location @app {{ {PROXY} }}",
        "GET /a",
        ("location @app",),
    ),
    "the server's own gate does not cover where it leads": Case(
        f"{GATE} error_page 403 = @app; location / {{ {PROXY} }} location @app {{ {PROXY} }}",
        "GET /",
        ("location @app",),
    ),
    "files of the server itself": Case(
        f"root {{files}}; add_header X-Reached 1; location /b {{ {GATE} {PROXY} }}",
        "GET /public/a",
        ("root",),
    ),
    "addresses that let everybody in": Case(
        f"location / {{ {GATE} {PROXY} }} location /a {{ deny 10.0.0.1; {PROXY} }}",
        "GET /a",
        ("location /a",),
    ),
    "a condition on something else": Case(
        f"location / {{ if ($arg_a = 1) {{ return 403; }} {PROXY} }}", "GET /", ("location /",)
    ),
    "the origin alone": Case(
        f"location / {{ if ($rn_badorigin) {{ return 403; }} {PROXY} }}", "GET /", ("location /",)
    ),
    "a login switched off": Case(
        f"auth_request /.renewer/check; location / {{ {PROXY} }} location /a {{ auth_request off; {PROXY} }}",
        "GET /a",
        ("location /a",),
    ),
}

SHUT = {
    "the gate": Case(f"location / {{ {GATE} {PROXY} }}"),
    "the gate for URLs": Case(f"location / {{ {URL} {PROXY} }}"),
    "the gate in each": Case(f"location / {{ {GATE} {PROXY} location /a {{ {GATE} {PROXY} }} }}", "GET /a"),
    "the gate of the server": Case(f"{GATE} location / {{ {PROXY} location ~ a {{ {PROXY} }} }}", "GET /a"),
    "the gate before a break": Case(f"location / {{ {GATE} rewrite ^ /x break; {PROXY} }}"),
    "the gate before an if that goes on elsewhere": Case(
        f"location / {{ {GATE} if ($arg_x) {{ {PROXY} }} {PROXY} }}", "GET /?x=1"
    ),
    "the gate after an if that goes on elsewhere": Case(
        f"location / {{ if ($arg_x) {{ {PROXY} }} {GATE} {PROXY} }}", "GET /?x=1"
    ),
    "a return": Case(f"location / {{ {GATE} {PROXY} }} location = /sw.js {{ return 404; }}", "GET /sw.js"),
    "a return after an if": Case(
        f"location / {{ {GATE} {PROXY} }} location /a {{ if ($arg_x) {{ {PROXY} }} return 404; }}",
        "GET /a?x=1",
    ),
    "internal": Case(
        f"location / {{ {GATE} {PROXY} }} location /in/ {{ internal; {PROXY} location /in/a {{ {PROXY} }} }}",
        "GET /in/a",
    ),
    "nobody": Case(f"location / {{ {GATE} {PROXY} }} location /a {{ deny all; {PROXY} }}", "GET /a"),
    "addresses": Case(
        f"location / {{ {GATE} {PROXY} }} location /a {{ allow 10.0.0.1; deny all; {PROXY} }}", "GET /a"
    ),
    "addresses around": Case(
        f"{REST} location /a {{ allow 10.0.0.1; deny all; {PROXY} location /a/b {{ {PROXY} }} }}", "GET /a/b"
    ),
    "address or link": Case(
        f"location / {{ satisfy any; allow 10.0.0.1; deny all; auth_request /.renewer/check; {PROXY}"
        f" location /a {{ {PROXY} }} }}",
        "GET /a",
    ),
    "no other method for anybody": Case(
        f"location / {{ {GATE} limit_except GET {{ deny all; }} {PROXY} }}", "POST /"
    ),
    "try_files behind the gate": Case(
        f"location / {{ {GATE} root {{files}}; try_files /no @app; }} location @app {{ {PROXY} }}"
    ),
    "what is not found behind the gate": Case(
        f"location / {{ {GATE} root {{files}}; error_page 404 502 = @app; }} location @app {{ {PROXY} }}"
    ),
    "led to something guarded": Case(
        f"location / {{ {GATE} error_page 403 = @app; {PROXY} }} location @app {{ {GATE} {PROXY} }}"
    ),
    "a gate of one's own": Case(f"location / {{ {SIGNED} if ($shut) {{ return 403; }} {PROXY} }}"),
    "a gate of one's own in steps": Case(
        f'location / {{ {SIGNED} set $bad ""; if ($rn_verdict != ok) {{ set $bad 1; }}'
        f" if ($bad) {{ return 403; }} {PROXY} }}"
    ),
    "a password": Case(f"location / {{ auth_basic who; auth_basic_user_file {{files}}/none; {PROXY} }}"),
}


OPEN |= {
    # The server's own rewrites, which end before its gate.
    "a rewrite of the server that ends before its gate": Case(
        f"rewrite ^/x /y last; {GATE} location / {{ {PROXY} }}", "GET /x", ("location /",)
    ),
    "the same in an if": Case(
        f"if ($arg_x) {{ rewrite ^ /y last; }} {GATE} location / {{ {PROXY} }}", "GET /?x=1", ("location /",)
    ),
    "a break of the server in an if before its gate": Case(
        f"if ($request_method = POST) {{ break; }} {GATE} location / {{ {PROXY} }}", "POST /", ("location /",)
    ),
    # What no location is for.
    "a gate for the first page alone": Case(
        f"{ROOT} location = / {{ {GATE} {PROXY} }}", "GET /public/a", ("root",)
    ),
    "a gate for a folder, and nothing said of the rest": Case(
        f"add_header X-Reached 1; location /a {{ {GATE} {PROXY} }}", "GET /index.html", ("root",)
    ),
    # A status that is answered before the gate, and led on.
    "a status before the gate": Case(
        f"location / {{ if ($arg_x) {{ return 405; }} {GATE} error_page 405 = @app; {PROXY} }} {APP}",
        "GET /?x=1",
        ("location @app",),
    ),
    "a status of being busy before the gate": Case(
        f"location / {{ if ($arg_x) {{ return 503; }} {GATE} error_page 503 = @app; {PROXY} }} {APP}",
        "GET /?x=1",
        ("location @app",),
    ),
    "a status before the server's gate": Case(
        f"error_page 405 = @app; if ($request_method = DELETE) {{ return 405; }} {GATE} {APP}"
        f" location / {{ {PROXY} }}",
        "DELETE /",
        ("location @app",),
    ),
    "a location that is out of order is led on": Case(
        f"{REST} location /a {{ return 502; error_page 502 = @app; }} {APP}", "GET /a", ("location @app",)
    ),
    "a password that an answer comes before": Case(
        f"location / {{ {PASSWORD} if ($arg_x) {{ return 418; }} error_page 418 = @app; {PROXY} }} {APP}",
        "GET /?x=1",
        ("location @app",),
    ),
    "a method that nginx refuses by itself": Case(
        f"{GATE} error_page 405 = @app; location / {{ {PROXY} }} {APP}", "TRACE /", ("location @app",)
    ),
    "a request that nginx refuses by itself": Case(
        f"{GATE} error_page 400 = @app; location / {{ {PROXY} }} {APP}",
        open=("location @app",),
        raw="GET / HTTP/1.1\r\nHost: {name}\r\nContent-Length: x\r\n\r\n",
    ),
    "what is internal is led on when it is asked for": Case(
        f"error_page 404 = @app; {REST} {APP} {HIDDEN}", "GET /in/", ("location @app",)
    ),
    "renewer's own internal location is led on": Case(
        f"error_page 404 = @app; {REST} {APP}", "GET /.renewer/check", ("location @app",)
    ),
    "an error page within an if": Case(
        f"location / {{ {SIGNED} if ($rn_verdict != ok) {{ error_page 403 = @app; return 403; }} {PROXY} }}"
        f" {APP}",
        "GET /",
        ("location @app",),
    ),
    "whoever is refused is led on by a variable": Case(
        f"location / {{ set $to /in/x; {GATE} error_page 403 = $to; {PROXY} }} {HIDDEN}",
        "GET /",
        ("location /in/",),
    ),
    "whoever is refused is led on by the path": Case(
        f"location / {{ {GATE} error_page 403 = /in$uri; {PROXY} }} {HIDDEN}", "GET /", ("location /in/",)
    ),
    "an internal regular expression that the refused are led to": Case(
        f"location / {{ {GATE} error_page 403 = /a.php; {PROXY} }}"
        f" location ~ \\.php$ {{ internal; {PROXY} }}",
        "GET /",
        (r"location ~ \.php$",),
    ),
    "internal files that the refused are led to": Case(
        f"location / {{ {GATE} error_page 403 = /public$uri; {PROXY} }}"
        f" location /public/ {{ internal; {ROOT} }}",
        "GET /a",
        ("location /public/",),
    ),
    "files by a name that the refused are led to": Case(
        f"location / {{ {GATE} error_page 403 = @files; {PROXY} }} location @files {{ {ROOT} }}",
        "GET /public/a",
        ("location @files",),
    ),
    # Internal locations, and how one gets there.
    "a rewrite to what is internal": Case(
        f"{REST} location /a {{ rewrite ^ /in/x last; }} {HIDDEN}", "GET /a", ("location /in/",)
    ),
    "a rewrite that goes on": Case(
        f"{REST} location /a {{ rewrite ^/a(.*) /in$1; }} {HIDDEN}", "GET /a/x", ("location /in/",)
    ),
    "a rewrite of the server to what is internal": Case(
        f"rewrite ^/a$ /in/x; {REST} {HIDDEN}", "GET /a", ("location /in/",)
    ),
    "an index that is internal": Case(
        f"location / {{ {GATE} {PROXY} }} location = /public/ {{ allow all; root {{files}}; index a; }}"
        f" location ~ /a$ {{ internal; {PROXY} }}",
        "GET /public/",
        ("location ~ /a$",),
    ),
    "what is tried is internal": Case(
        f"{REST} location /a {{ root {{files}}; try_files /nothing /in/x; }} {HIDDEN}",
        "GET /a",
        ("location /in/",),
    ),
    # What only looks like a refusal.
    "an if that refuses those with a session": Case(
        f"location / {{ {SIGNED} if ($rn_verdict = ok) {{ return 403; }} {PROXY} }}", "GET /", ("location /",)
    ),
    "an if that refuses some without a session": Case(
        f"location / {{ {SIGNED} if ($rn_verdict = expired) {{ return 403; }} {PROXY} }}",
        "GET /",
        ("location /",),
    ),
    "an if about who it is that refuses nobody": Case(
        f'location / {{ {SIGNED} if ($rn_user = "x") {{ return 403; }} {PROXY} }}', "GET /", ("location /",)
    ),
    "a verdict of one's own": Case(
        f"location / {{ set $rn_verdict ok; {GATE} {PROXY} }}", "GET /", ("location /",)
    ),
    "every address, in another way": Case(
        f"{REST} location /a {{ allow 0.0.0.0/0; deny all; {PROXY} }}", "GET /a", ("location /a",)
    ),
    "every address, or a login": Case(
        f"{REST} location /a {{ satisfy any; allow 0.0.0.0/0; deny all; {PASSWORD} {PROXY} }}",
        "GET /a",
        ("location /a",),
    ),
    "either of two that refuse nobody": Case(
        f"{REST} location /a {{ satisfy any; deny 10.0.0.1; auth_request /yes; {PROXY} }}"
        " location = /yes { internal; return 204; }",
        "GET /a",
        ("location /a",),
    ),
    "a certificate that nobody asks for without TLS": Case(
        f"ssl_verify_client on; ssl_client_certificate {{ca}}; location / {{ {PROXY} }}",
        "GET /",
        ("location /",),
    ),
    "somebody who says yes to everybody": Case(
        f"location / {{ auth_request /yes; {PROXY} }} location = /yes {{ internal; return 204; }}",
        "GET /",
        ("location /",),
    ),
    "somebody whose no becomes a yes": Case(
        f"location / {{ auth_request /yes; {PROXY} }}"
        " location = /yes { internal; error_page 403 =204 /good; return 403; }"
        " location = /good { internal; return 204; }",
        "GET /",
        ("location /",),
    ),
    "somebody who is asked, and whose rules nginx does not apply then": Case(
        f"location / {{ auth_request /yes; {PROXY} }} location = /yes {{ internal; deny all; return 204; }}",
        "GET /",
        ("location /",),
    ),
    "a password without a file": Case(f"location / {{ auth_basic who; {PROXY} }}", "GET /", ("location /",)),
    "a password that a variable switches off": Case(
        f"location / {{ auth_basic $realm; auth_basic_user_file {{files}}/none; {PROXY} }}",
        "GET /?x=1",
        ("location /",),
    ),
}

SHUT |= {
    "an error page within an if that is not the last one": Case(
        f"location / {{ if ($arg_x) {{ error_page 403 = @app; }} {GATE} {PROXY} }} {APP}", "GET /?x=1"
    ),
    "a condition on a client certificate": Case(
        f"{REST} location /a {{ if ($ssl_client_verify != SUCCESS) {{ return 403; }} {PROXY} }}", "GET /a"
    ),
    "a condition on a network": Case(
        f"{REST} location /a {{ if ($lan = 0) {{ return 403; }} {PROXY} }}", "GET /a"
    ),
    "a lasting redirect": Case(f"{REST} location /a {{ rewrite ^ /new permanent; {PROXY} }}", "GET /a"),
    "a redirect of all that is below": Case(
        f"{REST} location /a/ {{ rewrite ^/a/(.*) /new/$1 permanent; {PROXY} }}", "GET /a/b"
    ),
    "a rewrite to what is guarded": Case(
        f"location /a {{ rewrite ^ /b last; {PROXY} }} location / {{ {GATE} {PROXY} }}", "GET /a"
    ),
    "a redirect of whoever has no session": Case(
        f"location / {{ {SIGNED} if ($rn_verdict != ok) {{ rewrite ^ /login redirect; }} {PROXY} }}"
    ),
    "nothing is tried but what is not there": Case(
        f"{REST} location /a {{ try_files /nothing =404; }}", "GET /a"
    ),
    "every address of both kinds": Case(
        f"{REST} location /a {{ deny 0.0.0.0/0; deny ::/0; {PROXY} }}", "GET /a"
    ),
    "the server's gate again where the refused are led": Case(
        f"{GATE} error_page 403 = /in/x; location / {{ {PROXY} }} {HIDDEN}"
    ),
    "a page for the refused": Case(
        f"error_page 403 /public/a; {REST} location /public/ {{ internal; root {{files}}; }}"
    ),
    "an answer of text for the refused": Case(
        f"location / {{ {GATE} error_page 403 = @no; {PROXY} }} location @no {{ return 401 no; }}"
    ),
    "the method is looked at before the gate": Case(
        f"location / {{ if ($request_method = DELETE) {{ return 405; }} {GATE} {PROXY} }}", "DELETE /"
    ),
    "the host is looked at before the gate": Case(
        f"location / {{ if ($host != $server_name) {{ return 403; }} {GATE} {PROXY} }}"
    ),
    "whoever is asked says no": Case(
        f"location / {{ auth_request /no; {PROXY} }} location = /no {{ internal; return 401; }}"
    ),
    "both are asked for": Case(
        f"location / {{ satisfy all; allow all; auth_request /.renewer/check; {PROXY} }}"
    ),
    "a server that answers by itself": Case(
        "if ($host = x.example.com) { return 301 https://$host$request_uri; } return 404;"
    ),
    "the refused go elsewhere": Case(
        f"location / {{ {GATE} error_page 403 =302 https://login.example.com/; {PROXY} }}"
    ),
    "files behind the server's gate": Case(f"{GATE} {ROOT} location /a {{ {PROXY} }}", "GET /public/a"),
    "an expired session is refused too": Case(
        f'location / {{ {SIGNED} if ($rn_verdict ~ "^(denied|expired)$") {{ return 403; }} {PROXY} }}'
    ),
}

UNCLEAR = {
    "a country": Case(
        f"{REST} location /a {{ if ($nobody_knows != DE) {{ return 403; }} {PROXY} }}", "GET /a", doubt="if"
    ),
    "a word that a client may know": Case(
        f"{REST} location /a {{ if ($http_x_word != open-sesame) {{ return 403; }} {PROXY} }}",
        "GET /a",
        doubt="if",
    ),
    "a key of one's own": Case(
        f"location / {{ secure_link $rn_cookie; secure_link_md5 x; if ($rn_verdict != ok) {{ return 403; }}"
        f" {PROXY} }}",
        doubt="if",
    ),
    "half of all addresses": Case(
        f"{REST} location /a {{ allow 0.0.0.0/1; allow 128.0.0.0/1; deny all; {PROXY} }}",
        "GET /a",
        doubt="allow",
    ),
    "addresses that a client may claim": Case(
        f"{REST} location /a {{ set_real_ip_from 0.0.0.0/0; allow 10.0.0.1; deny all; {PROXY} }}",
        "GET /a",
        doubt="set_real_ip_from",
    ),
    "a request that is copied": Case(
        f"location / {{ {GATE} mirror /in/x; {PROXY} }} {HIDDEN}", doubt="mirror"
    ),
    "a part that is put before an answer": Case(
        f"{REST} location /a {{ add_before_body /in/x; add_header X-Reached 1; return 200 a; }} {HIDDEN}",
        "GET /a",
        doubt="add_before_body",
    ),
}

ON_PURPOSE = Case(f"location / {{ {GATE} {PROXY} }} location /a {{ allow all; {PROXY} }}", "GET /a")
CASES = OPEN | SHUT | UNCLEAR | {"open on purpose": ON_PURPOSE}

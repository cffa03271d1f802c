"""Servers with secure links, and what a stranger gets from each: for `check`, and for a real nginx."""

from support.stranger_case import APP, GATE, HIDDEN, PROXY, REST, ROOT, SIGNED, URL, Case
from support.stranger_open import OPEN

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
        f"{REST} location /a {{ root {{files}}; try_files /nothing =404; }}", "GET /a"
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

SHUT |= {
    "an error page of an error page, where nginx heeds one": Case(
        f"location / {{ {GATE} error_page 403 = @no; {PROXY} }}"
        f" location @no {{ error_page 404 = @app; return 404; }} {APP}"
    ),
    "a method that nginx refuses before it finds the location": Case(
        f"location / {{ {GATE} error_page 405 = @app; {PROXY} }} {APP}", "TRACE /"
    ),
    "a pattern takes all of a location": Case(
        f"location ~ ^/a {{ {GATE} {PROXY} }} location /a {{ {PROXY} }} location / {{ return 404; }}",
        "GET /a",
    ),
    "a location that no pattern may take from": Case(
        f"location / {{ {GATE} error_page 403 /a/b; {PROXY} }} location ^~ /a {{ {GATE} {PROXY} }}"
        f" location ~ b {{ internal; {PROXY} }}"
    ),
    "a rewrite within the location": Case(
        f"{REST} location /a {{ {GATE} rewrite ^/a(.*) /in$1; break; {PROXY} }} {HIDDEN}", "GET /a/x"
    ),
    "a page while it is out of order": Case(
        f"location / {{ if (-f {{files}}/none) {{ return 503; }} {GATE} {PROXY} }} error_page 503 @down;"
        f" location @down {{ return 503 later; }}"
    ),
    "files, or one page for all, behind the gate": Case(
        f"root {{files}}; location / {{ {GATE} try_files $uri /index.html; }}"
    ),
    "the gate where one is asked": Case(
        f"location / {{ auth_request /ask; {PROXY} }} location = /ask {{ internal; {GATE} return 204; }}"
    ),
    "whoever is asked is not there": Case(
        f"location / {{ auth_request /ask; {PROXY} }} location = /ask {{ internal; return 404; }}"
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
    "a service that is asked, and is what is guarded": Case(
        f"location / {{ auth_request /ask; {PROXY} }}", doubt="auth_request"
    ),
    "a file that may be there": Case(
        f"{REST} location /a {{ try_files /nothing =404; }}", "GET /a", doubt="try_files"
    ),
    "an action after the answer": Case(
        f"location / {{ {GATE} post_action /in/x; {PROXY} }} {HIDDEN}", doubt="post_action"
    ),
    "more ways than can be followed": Case(
        "location / { "
        + "".join(f"if ($arg_x{number}) {{ set $y{number} 1; }} " for number in range(30))
        + f"{GATE} {PROXY} }}",
        doubt="if",
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

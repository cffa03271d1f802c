"""Servers that let a stranger in, each in a way of its own."""

from support.stranger_case import APP, GATE, HIDDEN, LIMITED, PASSWORD, PROXY, REST, ROOT, SIGNED, Case

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
        f"{REST} location /a {{ root {{files}}; try_files /no @app; }} {APP}",
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

OPEN |= {
    # Found by trying what else nginx can be told.
    "a line break, which a pattern does not meet": Case(
        f"{REST} location /a/ {{ rewrite ^/a/(.*)$ /new/$1 permanent; {PROXY} }}",
        "GET /a/x%0Ay",
        ("location /a/",),
    ),
    "a long way": Case(
        f"{REST} {HIDDEN} location /r9 {{ rewrite ^ /in/x last; }}"
        + "".join(f"location /r{number} {{{{ rewrite ^ /r{number + 1} last; }}}}" for number in range(1, 9)),
        "GET /r1",
        ("location /in/",),
    ),
    "a path of the client's own": Case(
        f"{REST} location /a {{ rewrite ^ $arg_to last; }} {HIDDEN}", "GET /a?to=/in/x", ("location /in/",)
    ),
    "a name in capitals": Case(
        f"location / {{ set $RN_Verdict ok; {GATE} {PROXY} }}", "GET /", ("location /",)
    ),
    "what is open on purpose leads on what it has not": Case(
        f"{REST} location /public/ {{ allow all; root {{files}}; error_page 404 = /in/x; }} {HIDDEN}",
        "GET /public/none",
        ("location /in/",),
    ),
    "what is open on purpose leads on a method": Case(
        f"{REST} location /public/ {{ allow all; root {{files}}; error_page 405 = /in/x; }} {HIDDEN}",
        "POST /public/a",
        ("location /in/",),
    ),
    "renewer's own location for links leads on": Case(
        f"error_page 405 = @app; {REST} {APP}", "GET /.renewer/enter-js", ("location @app",)
    ),
    "a header that is too large": Case(
        f"{GATE} error_page 494 = @app; location / {{ {PROXY} }} {APP}",
        open=("location @app",),
        raw="GET / HTTP/1.1\r\nHost: {name}\r\nX: " + "x" * 9000 + "\r\n\r\n",
    ),
    "a coding that nginx does not know": Case(
        f"{GATE} error_page 501 = @app; location / {{ {PROXY} }} {APP}",
        open=("location @app",),
        raw="GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\nTransfer-Encoding: x\r\n\r\n",
    ),
    "a rewrite that leaves nothing of the path": Case(
        f"location / {{ rewrite ^/x(.*)$ $1 last; {GATE} error_page 500 /in/x; {PROXY} }} {HIDDEN}",
        "GET /x",
        ("location /in/",),
    ),
    "an error page of an error page": Case(
        f"recursive_error_pages on; location / {{ {GATE} error_page 403 = @no; {PROXY} }}"
        f" location @no {{ error_page 404 = @app; return 404; }} {APP}",
        "GET /",
        ("location @app",),
    ),
    "whoever is asked has an error": Case(
        f"location / {{ auth_request /ask; error_page 500 = @app; {PROXY} }}"
        f" location = /ask {{ internal; return 404; }} {APP}",
        "GET /",
        ("location @app",),
    ),
    "any address will do, as the server says": Case(
        f"satisfy any; allow all; location / {{ {PASSWORD} {PROXY} }}", "GET /", ("location /",)
    ),
    "an if takes try_files away": Case(
        f"{REST} location /public/ {{ if ($arg_x) {{ set $y 1; }} {ROOT} try_files /nothing =410; }}",
        "GET /public/a?x=1",
        ("location /public/",),
    ),
    "one file for everybody": Case(
        f"{REST} location /secret {{ {ROOT} try_files /public/a =404; }}",
        "GET /secret",
        ("location /secret",),
    ),
    "a pattern within what is internal": Case(
        f"location / {{ {GATE} error_page 403 = /in/a.php; {PROXY} }}"
        f" location /in/ {{ internal; return 403; location ~ php {{ {PROXY} }} }}",
        "GET /",
        ("location ~ php",),
    ),
    "an address that the client's words make": Case(
        f"location / {{ if ($cookie_a != $http_x_a) {{ return 403; }} {PROXY} }}", "GET /", ("location /",)
    ),
}

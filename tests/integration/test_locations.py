"""Which locations of a guarded server are open: what `check` says, and what a real nginx does."""

import http.client
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.nginx_master import Nginx, free_port

from renewer.core.site import Guard
from renewer.nginx.configuration import tree
from renewer.nginx.locations import Guarded, guarded
from renewer.nginx.secure_link import gates

GATE, URL = "include {links}/gate.conf;", "include {links}/gate-url.conf;"
PROXY = "proxy_pass http://127.0.0.1:{back};"
LIMITED = f"{GATE} limit_except GET {{{{ allow 127.0.0.1; deny all; }}}} {PROXY}"


@dataclass(frozen=True)
class Case:
    """A server's lines, what a stranger asks it for, and the locations that are then open, by their names."""

    lines: str
    ask: str = "GET /"
    open: tuple[str, ...] = ()


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
        ("location @one", "location @two"),
    ),
    "try_files of what is open": Case(
        f"location / {{ {GATE} {PROXY} }} location /a {{ try_files /no @app; }} location @app {{ {PROXY} }}",
        "GET /a",
        ("location /a", "location @app"),
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
        f"location /a {{ allow 10.0.0.1; deny all; {PROXY} location /a/b {{ {PROXY} }} }}", "GET /a/b"
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
    "a gate of one's own": Case(
        "location / { secure_link $rn_cookie; secure_link_md5 x; if ($shut) { return 403; }" + f" {PROXY} }}"
    ),
    "a gate of one's own in steps": Case(
        'location / { set $bad ""; if ($rn_verdict != ok) { set $bad 1; } if ($bad) { return 403; }'
        f" {PROXY} }}"
    ),
    "a password": Case(f"location / {{ auth_basic who; auth_basic_user_file {{files}}/none; {PROXY} }}"),
}

ON_PURPOSE = Case(f"location / {{ {GATE} {PROXY} }} location /a {{ allow all; {PROXY} }}", "GET /a")
CASES = OPEN | SHUT | {"open on purpose": ON_PURPOSE}
NAMES = {name: f"n{number}.example.com" for number, name in enumerate(CASES)}


@dataclass(frozen=True)
class Front:
    """An nginx with a server for each case."""

    port: int
    servers: dict[str, Guarded]

    def reached(self, name: str) -> bool:
        """Return whether a stranger gets to what is behind nginx, or to a file."""
        method, _, path = CASES[name].ask.partition(" ")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            body = b"12345" if method == "POST" else None
            connection.request(method, path, body, headers={"Host": NAMES[name]})
            return connection.getresponse().headers["X-Reached"] is not None
        finally:
            connection.close()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    (folder / "files" / "public").mkdir(parents=True)
    (folder / "files" / "public" / "a").write_text("a")
    paths = {name: folder / name for name in gates.texts(Guard(()), "ab" * 32)}
    for name, text in gates.texts(Guard(()), "ab" * 32).items():
        paths[name].write_text(text)
    port, back = free_port(), free_port()
    places = {"{links}": str(folder), "{back}": str(back), "{files}": f"{folder}/files"}

    def fitted(lines: str) -> str:
        for place, value in places.items():
            lines = lines.replace(place, value)
        return lines.replace("{{", "{").replace("}}", "}")

    servers = "".join(
        f"server {{ listen 127.0.0.1:{port}; server_name {NAMES[name]}; set $rn_scope a;"
        f" include {folder}/enter.conf; {fitted(case.lines)} }}\n"
        for name, case in CASES.items()
    )
    with Nginx(folder) as nginx:
        nginx.configure(
            f"include {folder}/http.conf; map $rn_verdict $shut {{ default 1; ok 0; }}\n{servers}"
            f"server {{ listen 127.0.0.1:{back}; add_header X-Reached 1; return 204; }}",
            "user root;" if os.geteuid() == 0 else "",
        )
        nginx.start()
        found = guarded(tree(str(nginx.config)), {os.path.realpath(path) for path in paths.values()})
        yield Front(port, {one.name: one for one in found})


@pytest.mark.parametrize("name", CASES)
def test_nginx_lets_a_stranger_in_just_where_it_is_open(front: Front, name: str) -> None:
    assert front.reached(name) == (name not in SHUT)
    found = front.servers[NAMES[name]]
    assert {one.name for one in found.open} == set(CASES[name].open)


def test_what_is_open_is_named_with_its_line_and_why(front: Front) -> None:
    for name in OPEN:
        for one in front.servers[NAMES[name]].open:
            file, _, line = one.place.rpartition(":")
            text = Path(file).read_text().splitlines()[int(line) - 1]
            assert one.name == "root" or one.name.rpartition(" ")[2] in text
            assert one.why


def test_what_is_open_on_purpose_says_so_itself(front: Front) -> None:
    found = {name: front.servers[NAMES[name]].on_purpose for name in CASES}
    assert {name: one for name, one in found.items() if one} == {"open on purpose": ("location /a",)}

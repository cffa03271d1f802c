"""What a stranger gets where it depends on the sockets of a server: TLS, and the kinds of addresses."""

from pathlib import Path

import pytest

from renewer.nginx.configuration import tree
from renewer.nginx.locations import Guarded, guarded

PROXY = "proxy_pass http://127.0.0.1:1;"
CERTIFICATE = f"ssl_verify_client on; location / {{ {PROXY} }}"
NO_V4 = f"location / {{ deny 0.0.0.0/0; {PROXY} }}"


def read(folder: Path, lines: str, others: str = "") -> Guarded:
    """Return the server with these lines, of a site."""
    config = folder / "nginx.conf"
    config.write_text(f"events {{}} http {{ server {{ set $rn_scope a; {lines} }} {others} }}")
    (found,) = guarded(tree(str(config)), set())
    return found


@pytest.mark.parametrize(
    ("lines", "others", "open_"),
    [
        (f"listen 443 ssl; {CERTIFICATE}", "", ()),
        (f"listen 443; {CERTIFICATE}", "server { listen 443 ssl; }", ()),
        (f"listen 443 ssl; listen 80; {CERTIFICATE}", "", ("location /",)),
        (CERTIFICATE, "", ("location /",)),
        (f"listen 443 ssl; {CERTIFICATE.replace(' on', ' optional')}", "", ("location /",)),
        (
            f"listen 443 ssl; error_page 496 = @app; {CERTIFICATE} location @app {{ {PROXY} }}",
            "",
            ("location @app",),
        ),
        (f"listen 80; {NO_V4}", "", ()),
        (f"listen 80; listen [::]:80; {NO_V4}", "", ("location /",)),
        (f"listen 80; listen unix:/run/a; {NO_V4}", "", ("location /",)),
    ],
)
def test_sockets_count(tmp_path: Path, lines: str, others: str, open_: tuple[str, ...]) -> None:
    found = read(tmp_path, lines, others)
    assert tuple(one.name for one in found.open) == open_
    assert found.unclear == ()


@pytest.mark.parametrize(
    "directive",
    ["auth_pam on", "content_by_lua_file /x", "js_content main.handle", "auth_jwt realm", "ssi on"],
)
def test_what_is_not_known_is_named_with_its_line(tmp_path: Path, directive: str) -> None:
    found = read(tmp_path, f"location / {{ return 403; }}\n{directive};")
    assert [(one.name, one.place) for one in found.unclear] == [(directive, f"{tmp_path}/nginx.conf:2")]
    assert found.open == ()


def test_many_conditions_end_in_a_finding_and_not_in_a_crash(tmp_path: Path) -> None:
    lines = "".join(f"if ($arg_a{number} = x) {{ set $b 1; }}\n" for number in range(2000))
    found = read(tmp_path, f"location / {{ {lines} {PROXY} }}")
    assert [one.name.split()[0] for one in found.unclear] == ["if"]

"""Which locations of a guarded server are open: what `check` says, and what a real nginx does."""

import http.client
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest
from support.certs import CA
from support.nginx_master import Nginx, free_port
from support.stranger_case import MADE, SIGNED
from support.stranger_cases import CASES, OPEN, SHUT, UNCLEAR

from renewer.core.site import Guard
from renewer.nginx.configuration import tree
from renewer.nginx.locations import Guarded, guarded
from renewer.nginx.secure_link import gates

NAMES = {name: f"n{number}.example.com" for number, name in enumerate(CASES)}


@dataclass(frozen=True)
class Front:
    """An nginx with a server for each case."""

    port: int
    servers: dict[str, Guarded]

    def reached(self, name: str) -> bool:
        """Return whether a stranger gets to what is behind nginx, or to a file."""
        case = CASES[name]
        body = "12345" if case.ask.startswith("POST") else ""
        head = f"Host: {{name}}\r\nConnection: close\r\nContent-Length: {len(body)}"
        asked = case.raw or f"{case.ask} HTTP/1.1\r\n{head}\r\n\r\n{body}"
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(asked.replace("{name}", NAMES[name]).encode())
            with connection.makefile("rb") as answer:
                return b"\r\nX-Reached: 1\r\n" in answer.read()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    (folder / "files" / "public").mkdir(parents=True)
    (folder / "files" / "public" / "a").write_text("a")
    paths = {name: folder / name for name in gates.texts(Guard(()), "ab" * 32)}
    for name, text in gates.texts(Guard(()), "ab" * 32).items():
        paths[name].write_text(text)
    port, back = free_port(), free_port()
    places = {
        "{links}": str(folder),
        "{back}": str(back),
        "{files}": f"{folder}/files",
        "{ca}": f"{folder}/ca.pem",
    }
    (folder / "ca.pem").write_text(CA.root_pem)

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
            f"include {folder}/http.conf; {MADE}\n{servers}"
            f"server {{ listen 127.0.0.1:{back}; add_header X-Reached 1 always; return 204; }}",
            "user root;" if os.geteuid() == 0 else "",
        )
        nginx.start()
        found = guarded(tree(str(nginx.config)), {os.path.realpath(path) for path in paths.values()})
        yield Front(port, {one.name: one for one in found})


@pytest.mark.parametrize("name", CASES)
def test_nginx_lets_a_stranger_in_just_where_it_is_open(front: Front, name: str) -> None:
    assert name in UNCLEAR or front.reached(name) == (name not in SHUT)
    found = front.servers[NAMES[name]]
    assert {one.name for one in found.open} == set(CASES[name].open)
    assert {one.name.split()[0] for one in found.unclear} == {CASES[name].doubt} - {""}


def test_what_is_open_is_named_with_its_line_and_why(front: Front) -> None:
    for name in OPEN:
        for one in front.servers[NAMES[name]].open:
            file, _, line = one.place.rpartition(":")
            text = Path(file).read_text().splitlines()[int(line) - 1]
            assert one.name == "root" or one.name.rpartition(" ")[2] in text
            assert one.why


def test_what_is_open_on_purpose_says_so_itself(front: Front) -> None:
    found = {name: front.servers[NAMES[name]].on_purpose for name in CASES}
    assert {name: one for name, one in found.items() if one} == {
        "open on purpose": ("location /a",),
        "an index that is internal": ("location = /public/",),
        "what is open on purpose leads on what it has not": ("location /public/",),
        "what is open on purpose leads on a method": ("location /public/",),
    }


def test_a_pattern_may_take_the_verdict_from_every_server(tmp_path: Path) -> None:
    """A capture named like a variable takes its place in every server."""
    own = tmp_path / "own"
    own.mkdir()
    for name, text in gates.texts(Guard(()), "ab" * 32).items():
        (own / name).write_text(text)
    port, back = free_port(), free_port()
    caught = 'if ($arg_v ~ "(?<rn_verdict>.*)") { set $x 1; }'
    with Nginx(tmp_path) as nginx:
        nginx.configure(
            f"include {own}/http.conf;"
            f" server {{ listen 127.0.0.1:{port}; server_name a; location / {{ {caught} return 403; }} }}"
            f" server {{ listen 127.0.0.1:{port}; server_name b; set $rn_scope b; location / {{ {SIGNED}"
            f" if ($rn_verdict ~ denied) {{ return 403; }} proxy_pass http://127.0.0.1:{back}; }} }}"
            f" server {{ listen 127.0.0.1:{back}; return 204; }}"
        )
        nginx.start()
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("GET", "/", headers={"Host": "b"})
            assert connection.getresponse().status == HTTPStatus.NO_CONTENT
        found = guarded(tree(str(nginx.config)), set())
    assert [[seen.name for seen in one.unclear] for one in found] == [["if $rn_verdict ~ denied"]]

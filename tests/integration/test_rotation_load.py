"""Rotations under load: a device that comes back is never refused, whatever nginx is doing to its workers."""

import json
import re
import socket
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from hashlib import md5
from pathlib import Path

import pytest
from support.world import NAME, World, free_port, table

from renewer.core.site import Asked

ROTATIONS, REQUESTS, CONNECTIONS = 60, 50_000, 4
"""How many of each, for each mode."""

PER_CONNECTION = 40
"""Requests after which a client opens a new connection."""

STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
COOKIE = re.compile(rb"Set-Cookie: __Host-rn-nr=([^;]+);")


class Client(threading.Thread):
    """Asks again and again, over one connection after the other; counts the answers by their status."""

    def __init__(self, port: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.stop = stop
        self.answers: dict[str, int] = {}

    def run(self) -> None:
        while not self.stop.is_set():
            with (
                suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection,
            ):
                for _ in range(PER_CONNECTION):
                    connection.sendall(self.request())
                    answer = connection.recv(4096)
                    if not answer:  # nginx closes idle connections when it reloads
                        break
                    self.count(answer)

    def count(self, answer: bytes) -> None:
        found = STATUS.match(answer)
        status = found[1].decode() if found else "none"
        self.answers[status] = self.answers.get(status, 0) + 1

    def request(self) -> bytes:
        raise NotImplementedError


class Device(Client):
    """A browser: takes every cookie that it is given."""

    def __init__(self, port: int, stop: threading.Event, session: bytes) -> None:
        super().__init__(port, stop)
        self.session = session
        self.sessions = 1

    def request(self) -> bytes:
        return b"GET / HTTP/1.1\r\nHost: nr\r\nCookie: __Host-rn-nr=%s\r\n\r\n" % self.session

    def count(self, answer: bytes) -> None:
        super().count(answer)
        if (fresh := COOKIE.search(answer)) and fresh[1] != self.session:
            self.session = fresh[1]
            self.sessions += 1


class Signing(Client):
    """Another program that signs: reads the signer's file for every connection."""

    def __init__(self, port: int, stop: threading.Event, file: Path) -> None:
        super().__init__(port, stop)
        self.file = file

    def request(self) -> bytes:
        told = json.loads(self.file.read_text())
        end = int(time.time()) + 60
        digest = md5(f"{end}/a {told['secret']}".encode(), usedforsecurity=False).digest()
        signature = urlsafe_b64encode(digest).decode().rstrip("=")
        url = f"/a?k={told['k']}&expires={end}&md5={signature}"
        return f"GET {url} HTTP/1.1\r\nHost: files\r\n\r\n".encode()


@pytest.fixture
def port(world: World) -> Iterator[int]:
    """A port without TLS, where two guarded sites answer; their keys are served."""
    number, links = free_port(), world.state / "nginx" / "secure_link"
    world.listen(
        f"include {links}/http.conf; server {{ listen 127.0.0.1:{number}; server_name nr; set $rn_scope nr;"
        f" include {links}/enter.conf; location / {{ include {links}/gate.conf; return 200; }} }}"
        f"server {{ listen 127.0.0.1:{number}; server_name files; set $rn_scope files;"
        f" location / {{ include {links}/gate-url.conf; return 200; }} }}"
    )
    world.write(
        table(NAME),
        '[site.nr]\nhost = "https://nr.example.com"\npeople = ["phone"]\ngrace = "20s"\n'
        '[site.files]\nhost = "https://files.example.com"\nmode = "url"\ngrace = "20s"\n'
        f'signer_file = "{world.folder}/signer.json"\n',
    )
    assert world.renew().code == 0
    return number


def test_sixty_rotations_under_load_refuse_nobody(world: World, port: int) -> None:
    link = world.renewer("link", "nr", "phone").out.strip().partition("example.com")[2]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"GET {link} HTTP/1.1\r\nHost: nr\r\n\r\n".encode())
        opened = COOKIE.search(connection.recv(4096))
    assert opened
    stop = threading.Event()
    devices = [Device(port, stop, opened[1]) for _ in range(CONNECTIONS)]
    signers = [Signing(port, stop, world.folder / "signer.json") for _ in range(CONNECTIONS)]
    engine = world.engine()
    for client in (*devices, *signers):
        client.start()
    rotations = 0
    while rotations < ROTATIONS or min(_answered(devices), _answered(signers)) < REQUESTS:
        for site in ("nr", "files"):
            assert [one.error for one in engine.rotate(Asked(site)).sites] == [None, None]
        rotations += 1
    stop.set()
    for client in (*devices, *signers):
        client.join(60)
        assert set(client.answers) == {"200"}, client.answers
    assert all(device.sessions >= ROTATIONS / 2 for device in devices)
    assert world.nginx.reloads() >= 2 * ROTATIONS


def _answered(clients: "list[Device] | list[Signing]") -> int:
    return sum(client.answers.get("200", 0) for client in clients)

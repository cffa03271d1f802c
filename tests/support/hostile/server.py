"""A server on the loopback that does to its clients what it can: drips, bombs, leads elsewhere."""

import json
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Self

from support.chains import BEGIN, END, Authority

from renewer.system.http_bounds import LARGEST

Answer = Iterator[bytes]
"""What goes out piece by piece, for as long as the client takes it."""

HUGE, LITTLE = 64 * 1024 * 1024, 16 * 1024 * 1024
"""Bytes: what an attack would have its victim hold, and what that may cost."""


def whole(
    body: object = b"", headers: Mapping[str, str] | None = None, status: str = "200 OK", kind: str = "json"
) -> Answer:
    """Yield an answer as it should be."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    yield head({"Content-Length": str(len(data)), **(headers or {})}, status, kind) + data


def head(headers: Mapping[str, str], status: str = "200 OK", kind: str = "json") -> bytes:
    lines = {"Content-Type": f"application/{kind}", "Replay-Nonce": "bm9uY2U", **headers}
    return "\r\n".join([f"HTTP/1.1 {status}", *(f"{k}: {v}" for k, v in lines.items()), "", ""]).encode()


def dripping_body() -> Answer:
    """Yield an answer that has no end, a byte at a time."""
    yield head({"Content-Length": "1000000"})
    yield from _drips(b" ")


def dripping_head() -> Answer:
    """Yield a header that has no end, a byte at a time."""
    yield b"HTTP/1.1 200 OK\r\nX-Long: "
    yield from _drips(b"x")


def continued() -> Answer:
    """Yield one interim answer after the other (RFC 9110, section 15.2.1)."""
    yield from _drips(b"HTTP/1.1 100 Continue\r\n\r\n")


def silence() -> Answer:
    """Yield nothing for long."""
    time.sleep(30)
    yield b""


def bomb() -> Answer:
    """Yield a small answer that unpacks to a huge one."""
    packed = _packed()
    yield head({"Content-Length": str(len(packed)), "Content-Encoding": "gzip"}) + packed


def many_bombs() -> Answer:
    """Yield a small answer that unpacks to more than a GB: gzip may be several files behind each other."""
    packed = _packed() * 20
    yield head({"Content-Length": str(len(packed)), "Content-Encoding": "gzip"}) + packed


def flood() -> Answer:
    """Yield a huge answer, unpacked."""
    yield head({"Content-Length": str(HUGE)})
    yield from [b" " * 65536] * (HUGE // 65536)


def nested() -> Answer:
    """Yield a document that is too deep to be read."""
    return whole(b"[" * 500_000)


def redirect(target: str) -> Answer:
    return whole(b"", {"Location": target}, "302 Found")


def _drips(drop: bytes) -> Answer:
    while True:
        yield drop
        time.sleep(0.02)


@cache
def _packed() -> bytes:
    packer = zlib.compressobj(9, wbits=31)  # gzip
    return b"".join([*(packer.compress(b" " * 65536) for _ in range(HUGE // 65536)), packer.flush()])


LARGE: dict[str, tuple[Callable[[], Answer], str]] = {
    "bomb": (bomb, "compressed"),
    "flood": (flood, f"{LARGEST:,} bytes"),
    "nested": (nested, "no sense"),
}
"""Answers that cost memory, and a word of what is said of them."""

ENDLESS: dict[str, Callable[[], Answer]] = {
    "dripping body": dripping_body,
    "dripping head": dripping_head,
    "interim answers": continued,
    "silence": silence,
}
"""Answers that cost time."""


class Hostile:
    """Listens while in `with`; `answer` makes what is sent for a request, by its method and path.

    `requests` are the heads that came in, `sent` the bytes that were taken.
    """

    def __init__(self, answer: Callable[[str, str], Answer], tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.requests: list[str] = []
        self.sent = 0
        self._tls = tls
        self._over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listening.close()

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://localhost:{self.port}"

    @property
    def headers(self) -> Sequence[Mapping[str, str]]:
        """The headers of each request, names in lower case."""
        return [
            {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            for lines in (request.split("\r\n") for request in self.requests)
        ]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with suppress(OSError), plain:
            if self._tls is None:
                self._talk(plain)
            else:
                with self._tls.wrap_socket(plain, server_side=True) as wrapped:
                    self._talk(wrapped)

    def _talk(self, connection: socket.socket) -> None:
        while request := _request(connection):
            self.requests.append(request)
            method, path, _ = request.split(" ", 2)
            for piece in self.answer(method, path):
                if self._over.is_set():
                    return
                connection.sendall(piece)
                self.sent += len(piece)


def _request(connection: socket.socket) -> str:
    """Return the head of the next request, its body read as well; empty at the end."""
    came = b""
    while b"\r\n\r\n" not in came:
        if not (more := connection.recv(65536)):
            return ""
        came += more
    text, _, body = came.partition(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in text.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += connection.recv(65536)
    return text.decode("latin-1")


def secured(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return what a server on localhost shows, and the file with the root that a client has to trust."""
    authority = Authority()
    key, chain = authority.issue(["localhost"], BEGIN, END)
    for name, text in {"key.pem": key, "chain.pem": chain, "root.pem": authority.root_pem}.items():
        (folder / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    return context, folder / "root.pem"


def netrc(folder: Path) -> dict[str, str]:
    """Return an environment that has credentials of somebody for every host, wherever they are looked for."""
    file = folder / ".netrc"
    file.write_text("default login somebody password elsewhere\n")
    file.chmod(0o600)
    return {"HOME": str(folder), "NETRC": str(file)}

"""Requests that no honest client sends, as the bytes they are, and a back end that keeps what reaches it."""

import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from support.world import careless, eventually

REACHED = b"behind the gate"
"""What nobody may read without a session: the back end's answer, and the content of every file."""

_PATHS = """
    / // ///ui// /./ /../ /ui/.. /ui/../flows /%2e%2e/ /ui/%2e%2e/flows /FLOWS /ui%2f..%2fflows /..%5cflows
    /nodes/..%2fui%2f /ui/..;/flows /flows;x /%66lows /%00 /ui/%00/flows /% /%zz /%c0%af /%c0%ae%c0%ae/flows
    /%252e%252e/flows /index.php /a.php/b /favicon.ico /robots.txt /.well-known/acme-challenge/x /.git/config
    /.renewer/check /.renewer/login /.RENEWER/login //.renewer//check /.renewer/%63heck /.renewer/enter?t=x
    /.renewer/enter-js /.renewer /.renewer/.. /shop/ /Shop/ /shop/../ /?x=/ui/ /#/ui/ /ui/# /dashboard/
    /socket.io/?EIO=4 /plain.txt /secret.txt/../plain.txt
"""
PATHS = [*_PATHS.split(), "/\xa0", "/" + "a" * 3000, "/" + "a" * 40_000]

_METHODS = "HEAD POST PUT DELETE PATCH OPTIONS TRACE PROPFIND MKCOL get GEt FOO"
METHODS = _METHODS.split()

CLAIMED = "boss"
"""Who the client says it is, in each header that a back end may believe."""

_CLAIMS = """
    X-Renewer-User x-renewer-user X_Renewer_User X-RENEWER-USER X-Original-URL X-Original-URI X-Rewrite-URL
    X-Real-IP X-HTTP-Method-Override Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto
    X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Uri X-Forwarded-User X-Forwarded-Method
    Remote-User Remote-Groups Remote-Name Remote-Email Remote_User
"""
CLAIMS = [*_CLAIMS.split(), "X-Renewer-User "]

BODY = b"GET /flows HTTP/1.1\r\nHost: smuggled\r\n\r\n"

SMUGGLED = {
    "length and chunks": ("Content-Length: 4\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + BODY),
    "chunks and length": ("Transfer-Encoding: chunked\r\nContent-Length: 50", b"0\r\n\r\n" + BODY),
    "two lengths": (f"Content-Length: 0\r\nContent-Length: {len(BODY)}", BODY),
    "a list of lengths": (f"Content-Length: 0, {len(BODY)}", BODY),
    "a length with a sign": (f"Content-Length: +{len(BODY)}", BODY),
    "a blank before the colon": ("Content-Length: 0\r\nTransfer-Encoding : chunked", b"0\r\n\r\n" + BODY),
    "chunks by another name": ("Transfer-Encoding: xchunked", b"0\r\n\r\n" + BODY),
    "chunks twice": ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"0\r\n\r\n" + BODY),
    "chunks in a list": ("Transfer-Encoding: identity, chunked", b"0\r\n\r\n" + BODY),
    "a folded header": ("X: y\r\n Transfer-Encoding: chunked", b"0\r\n\r\n" + BODY),
    "a bare line feed": ("X: y\nTransfer-Encoding: chunked", b"0\r\n\r\n" + BODY),
    "a chunk without end": ("Transfer-Encoding: chunked", b"ffffffffffffffffff\r\n" + BODY),
    "an upgrade to h2c": ("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", BODY),
}
"""Two readings of where a request ends: the headers, and what follows them."""


@dataclass(frozen=True)
class Forge:
    """Makes requests for a host; `cookie` and `arguments`, where there are any, are what opens it.

    Where something else than the path is wrong, the path is `home`.
    """

    host: str
    home: str = "/"
    cookie: str = ""
    arguments: str = ""

    def requests(self, others: Iterable[str]) -> dict[str, bytes]:
        """Return all there are, by what is wrong with them; `others` are hosts that are named as well."""
        found = self._plain() | self.named() | self._smuggled() | self._binary()
        for other in others:
            found |= self.misdirected(other)
        return found

    def named(self) -> dict[str, bytes]:
        """Return requests that name the host and no other, in all ways of doing so."""
        get = f"GET {self.home}{self.arguments} HTTP/1.1"
        absolute = f"GET https://{self.host}{self.home}{self.arguments} HTTP/1.1"
        return {
            "its Host": self._text(get),
            "a Host with a port": self._text(get, hosts=[f"{self.host}:1880"]),
            "a Host in upper case": self._text(get, hosts=[self.host.upper()]),
            "a Host with a dot": self._text(get, hosts=[f"{self.host}."]),
            "an absolute URI": self._text(absolute),
            "an absolute URI, no Host": self._text(absolute, hosts=[]),
            "h2": self._frames(),
            "h2 an authority in upper case": self._frames(authority=self.host.upper()),
        }

    def misdirected(self, other: str) -> dict[str, bytes]:
        """Return requests that name another host as well, or instead."""
        own, rest = self.host, f"{self.home}{self.arguments} HTTP/1.1"
        get = f"GET {rest}"
        found = {
            "an absolute URI, another Host": self._text(f"GET https://{own}{rest}", hosts=[other]),
            "an absolute URI of another": self._text(f"GET https://{other}{rest}"),
            "an absolute URI without a path": self._text(f"GET https://{own}?x HTTP/1.1", hosts=[other]),
            "an absolute URI with a user": self._text(f"GET https://{other}@{own}{rest}"),
            "an absolute URI over http": self._text(f"GET http://{own}:80{rest}", hosts=[other]),
            "two Hosts": self._text(get, hosts=[own, other]),
            "two Hosts, the other first": self._text(get, hosts=[other, own]),
            "a Host with a slash": self._text(get, hosts=[f"{other}/{own}"]),
            "a Host with a user": self._text(get, hosts=[f"{other}@{own}"]),
            "a Host that is another's": self._text(get, hosts=[other]),
            "h2 an authority, another Host": self._frames(host=other),
            "h2 another authority, the Host": self._frames(authority=other, host=own),
            "h2 another authority": self._frames(authority=other),
            "h2 an absolute path": self._frames(f"https://{other}/"),
        }
        return {f"{name} ({other})": request for name, request in found.items()}

    def _plain(self) -> dict[str, bytes]:
        get = f"GET {self.home}{self.arguments} HTTP/1.1"
        found = {f"GET {path[:60]}": self._text(f"GET {path}{self.arguments} HTTP/1.1") for path in PATHS}
        found |= {
            method: self._text(f"{method} {self.home}{self.arguments} HTTP/1.1", "Content-Length: 0")
            for method in METHODS
        }
        found |= {f"claim {name}": self._text(get, f"{name}: {CLAIMED}") for name in CLAIMS}
        return found | {
            "no Host": self._text(get, hosts=[]),
            "an empty Host": self._text(get, hosts=[""]),
            "no Host, HTTP/1.0": self._text(get.replace("1.1", "1.0"), hosts=[]),
            "HTTP/1.0": self._text(get.replace("1.1", "1.0")),
            "HTTP/0.9": b"GET /\r\n",
            "HTTP/1.9": self._text(get.replace("1.1", "1.9")),
            "CONNECT": self._text(f"CONNECT {self.host}:443 HTTP/1.1"),
            "OPTIONS *": self._text("OPTIONS * HTTP/1.1"),
            "a path without a slash": self._text("GET flows HTTP/1.1"),
        }

    def _smuggled(self) -> dict[str, bytes]:
        line = f"POST {self.home}{self.arguments} HTTP/1.1"
        return {
            f"smuggled: {name}": self._text(line, headers) + body
            for name, (headers, body) in SMUGGLED.items()
        }

    def _binary(self) -> dict[str, bytes]:
        found = {f"h2 GET {path[:60]}": self._frames(path) for path in PATHS if len(path) < 10_000}
        found |= {f"h2 {method}": self._frames(method=method) for method in METHODS}
        found |= {f"h2 claim {name}": self._frames(**{name.lower().strip(): CLAIMED}) for name in CLAIMS}
        return found | {
            "h2 chunks": self._frames(method="POST", transfer_encoding="chunked"),
            "h2 a length that is none": self._frames(method="POST", content_length="50"),
            "h2 a line feed": self._frames(x=f"y\r\nX-Renewer-User: {CLAIMED}"),
        }

    def _text(self, line: str, *headers: str, hosts: Sequence[str] | None = None) -> bytes:
        """Return a request in HTTP/1."""
        named = [f"Host: {host}" for host in ([self.host] if hosts is None else hosts)]
        known = [f"Cookie: {self.cookie}"] if self.cookie else []
        lines = [line, *named, *headers, *known, "Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def _frames(self, path: str = "", method: str = "GET", authority: str = "", **headers: str) -> bytes:
        """Return a connection of HTTP/2 with one request without a body (RFC 9113; literals of RFC 7541)."""
        authority = authority or self.host
        pseudo = {
            ":method": method,
            ":path": (path or self.home) + self.arguments,
            ":scheme": "https",
            ":authority": authority,
        }
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        known = {"cookie": self.cookie} if self.cookie else {}
        pairs = (pseudo | named | known).items()
        block = b"".join(b"\0" + _literal(name) + _literal(value) for name, value in pairs)
        return _PREFACE + _frame(_SETTINGS, 0, 0, b"") + _frame(_HEADERS, 0x5, 1, block)


@dataclass(frozen=True)
class Caller:
    """A client of nginx; `identity` is a client certificate with its key."""

    port: int
    source: str = "127.0.0.1"
    identity: Path | None = None

    def call(self, host: str, request: bytes) -> bytes:
        """Send bytes to a host, and return all that comes back."""
        context = careless()
        if request.startswith(_PREFACE):
            context.set_alpn_protocols(["h2"])
        if self.identity:
            context.load_cert_chain(self.identity)
        address = ("127.0.0.1", self.port)
        with (
            socket.create_connection(address, timeout=30, source_address=(self.source, 0)) as plain,
            context.wrap_socket(plain, server_hostname=host) as connection,
            suppress(ConnectionError, ssl.SSLError),
        ):
            connection.sendall(request)
            return b"".join(_answered(connection))
        return b""


@dataclass(frozen=True)
class Seen:
    """A request as it reached the back end."""

    line: str
    headers: Sequence[tuple[str, str]]
    rest: bytes

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    def all(self, name: str) -> list[str]:
        """Return every value of a header, whatever a program may take for its name."""
        return [value for found, value in self.headers if found.lower().replace("_", "-") == name]


@dataclass
class Recorder:
    """A back end that keeps what reaches it, whatever it is."""

    port: int
    seen: list[Seen] = field(default_factory=list)
    _open: set[threading.Thread] = field(default_factory=set)

    def settled(self) -> list[Seen]:
        """Return what has reached it since this was last asked for, once nobody sends any more."""
        eventually(lambda: not any(thread.is_alive() for thread in self._open))
        self._open.clear()
        found, self.seen = self.seen, []
        return found

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                thread = threading.Thread(target=self._take, args=[connection], daemon=True)
                self._open.add(thread)
                thread.start()

    def _take(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(30)
            head, rest = b"", b""
            while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
                head += more
            head, _, rest = head.partition(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").split("\r\n")
            parts = (one.partition(":") for one in lines)
            request = Seen(line, [(name, value.strip()) for name, _, value in parts], rest)
            length = int((request.all("content-length") or ["0"])[0])
            while len(rest) < length and (more := connection.recv(65536)):
                rest += more
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(REACHED), REACHED)
            connection.sendall(answer)
            while more := connection.recv(65536):
                rest += more
            self.seen.append(Seen(line, request.headers, rest))


@contextmanager
def recorder() -> Iterator[Recorder]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Recorder(listener.getsockname()[1])
        thread = threading.Thread(target=found.serve, args=[listener])
        thread.start()
        yield found
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS, _HEADERS, _RESET, _AWAY = 4, 1, 3, 7


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + content


def _literal(text: str) -> bytes:
    content = text.encode("latin-1")
    length, coded = len(content), b""
    if length >= 127:
        coded, length = b"\x7f", length - 127
        while length >= 128:
            coded, length = coded + bytes([length % 128 + 128]), length // 128
    return coded + bytes([length]) + content


def _answered(connection: ssl.SSLSocket) -> Iterator[bytes]:
    """Yield what comes back until the other side closes, or the one stream of HTTP/2 has ended."""
    kept = b""
    while more := connection.recv(65536):
        yield more
        kept += more
        if connection.selected_alpn_protocol() == "h2":
            while len(kept) >= 9 and len(kept) >= (size := 9 + int.from_bytes(kept[:3])):
                kind, ended = kept[3], kept[4] & 1
                if kind in {_RESET, _AWAY} or (kind in {0, _HEADERS} and ended):
                    return
                kept = kept[size:]

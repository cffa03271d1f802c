"""The door of the stand-in: HTTP in front of an API, with latency, planned faults and a log of all calls."""

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

BASE = "/client/v4"


@dataclass(frozen=True)
class Request:
    """One call: the path without the base, header names in lower case, the body as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What goes back: a status, a body, and headers beside the usual ones."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One line of the log; `status` is 0 where no answer was sent, `at` is on the monotonic clock."""

    method: str
    path: str
    query: Mapping[str, str]
    status: int
    at: float
    seconds: float


@dataclass
class Fault:
    """Something that goes wrong with the next calls of that method and path.

    `status` None cuts the connection without an answer. With `after_effect` the call does its work first, and
    only the answer is lost. `seconds` lets the caller wait that long before. `body` replaces the envelope.
    `times` may be `math.inf`: until the server is healed; `skip` calls go well before.
    """

    method: str | None = None
    path_suffix: str = ""
    status: int | None = 500
    code: int | None = None
    message: str | None = None
    retry_after: int | None = None
    times: float = 1
    skip: int = 0
    after_effect: bool = False
    seconds: float = 0.0
    body: bytes | None = None

    def meets(self, request: Request) -> bool:
        """Tell whether the fault is still due and meant for this call."""
        return (
            self.times > 0
            and self.method in {None, request.method}
            and request.path.endswith(self.path_suffix)
        )

    def reply(self) -> Reply | None:
        """Return the faulty answer, or None for a cut connection."""
        if self.status is None:
            return None
        code, message = _USUAL.get(self.status, (10000, "Internal server error"))
        refusal = failure(self.status, {"code": self.code or code, "message": self.message or message})
        return Reply(self.status, self.body if self.body is not None else refusal.body, self._headers())

    def _headers(self) -> dict[str, str]:
        if self.retry_after is None:
            return {}
        return {"retry-after": str(self.retry_after), "ratelimit": f'"default";r=0;t={self.retry_after}'}


_USUAL = {
    403: (10000, "Authentication error"),
    429: (971, "Please wait and consider throttling your request speed"),
}


def compact(document: object) -> bytes:
    """Return a document as JSON without a needless blank, as Cloudflare sends it."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def failure(status: int, *errors: Mapping[str, Any]) -> Reply:
    """Return an unhappy envelope."""
    return Reply(status, compact({"result": None, "success": False, "errors": errors, "messages": []}))


class ApiServer:
    """Serves `answer` on a free port of the loopback while in `with`; entered again, on the same port.

    `latency` is how long a call takes, half of it before and half after its effect. `calls` is the log.
    """

    def __init__(self, answer: Callable[[Request], Reply], *, latency: float = 0.0) -> None:
        self.latency = latency
        self.calls: list[Call] = []
        self._answer = answer
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._port = 0
        self._http: _Http | None = None

    @property
    def url(self) -> str:
        """The base URL, as a client is given it."""
        return f"http://127.0.0.1:{self._port}{BASE}"

    def plan(self, *faults: Fault) -> None:
        """Let these faults happen, each to the next calls that it meets; earlier plans go first."""
        with self._lock:
            self._faults.extend(faults)

    def heal(self) -> None:
        """Forget all planned faults."""
        with self._lock:
            self._faults.clear()

    def turn(self, request: Request) -> Reply | None:
        """Serve one call from its arrival to its answer; None is a connection to be cut."""
        began = time.monotonic()
        time.sleep(self.latency / 2)
        reply = self._reply(request)
        time.sleep(self.latency / 2)
        spent = time.monotonic() - began
        status = reply.status if reply else 0
        self.calls.append(Call(request.method, request.path, request.query, status, began, spent))
        return reply

    def __enter__(self) -> Self:
        self._http = _Http(self, self._port)
        self._port = self._http.server_port
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()

    def _reply(self, request: Request) -> Reply | None:
        fault = self._due(request)
        if fault is None:
            return self._answer(request)
        time.sleep(fault.seconds)
        if fault.after_effect:
            self._answer(request)
        return fault.reply()

    def _due(self, request: Request) -> Fault | None:
        with self._lock:
            fault = next((fault for fault in self._faults if fault.meets(request)), None)
            if fault is not None and fault.skip > 0:
                fault.skip -= 1
                return None
            if fault is not None:
                fault.times -= 1
            return fault


class _Http(ThreadingHTTPServer):
    """The sockets; at the end it also shuts the kept-alive ones, or their threads would go on answering."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, front: ApiServer, port: int) -> None:
        self.front = front
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, peer = super().get_request()
        self._open.add(connection)
        return connection, peer

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that has gone away, or was killed, is no error of the server.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """One connection; headers and body leave in one write, and Nagle's algorithm holds nothing back."""

    protocol_version = "HTTP/1.1"
    server_version = "cloudflare"
    sys_version = ""
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Http

    def serve(self) -> None:
        """Take one call in and send its answer."""
        reply = self.server.front.turn(self._request())
        if reply is None:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in self._headers(reply):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815  # the names http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing: `ApiServer.calls` is the log."""

    def _request(self) -> Request:
        target = urlsplit(self.path)
        return Request(
            self.command,
            target.path.removeprefix(BASE),
            dict(parse_qsl(target.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )

    @staticmethod
    def _headers(reply: Reply) -> Iterator[tuple[str, str]]:
        yield "Content-Type", "application/json"
        yield "Content-Length", str(len(reply.body))
        yield from reply.headers.items()

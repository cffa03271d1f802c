"""A proxy in front of pebble: it adds what that version lacks, and goes wrong as it is told.

pebble answers with URLs of the host that it was asked by, so that everything comes by here.
"""

import json
import ssl
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from sandbox.pebble import Pebble

KINDS = {
    "/dir": "directory",
    "/nonce-plz": "newNonce",
    "/sign-me-up": "newAccount",
    "/order-plz": "newOrder",
    "/my-order/": "order",
    "/authZ/": "authorization",
    "/chalZ/": "challenge",
    "/finalize-order/": "finalize",
    "/certZ/": "certificate",
    "/revoke-cert": "revokeCert",
    "/renewal-info/": "renewalInfo",
    "/my-account/": "account",
    "/list-orderz/": "orders",
}
"""pebble's paths, by RFC 8555's names for what is there."""

URN = "urn:ietf:params:acme:error:"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Rule:
    """What goes wrong with requests of a kind: the next `times`.

    Before pebble is asked: `status` answers in its place, `cut` cuts the connection. After: `change` has the
    last word on the answer, `lose` cuts the connection though pebble has done it.
    """

    kind: str
    status: int = 0
    problem: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: bool = False
    lose: bool = False
    change: Callable[[Reply], Reply] | None = None
    when: Callable[[dict[str, Any]], bool] = lambda _: True
    times: int = 1
    met: int = 0


class AcmeProxy:
    """Listens with pebble's own certificate; leaving the `with` ends it.

    `window` are start and end of what renewalInfo suggests, as distances from now; `asked` counts requests.
    """

    def __init__(self, pebble: Pebble) -> None:
        self.pebble = pebble
        self.rules: list[Rule] = []
        self.asked: list[str] = []
        self.replaces: list[str | None] = []
        self.window: tuple[timedelta, timedelta] | None = None
        self.shift = timedelta(0)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pebble.folder / "tls.pem", pebble.folder / "tls.key")
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self._server.server_port}/dir"

    def plan(self, *rules: Rule) -> None:
        with self._lock:
            self.rules.extend(rules)

    def heal(self) -> None:
        with self._lock:
            self.rules.clear()

    def count(self, kind: str) -> int:
        return self.asked.count(kind)

    def turn(self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Reply | None:
        """Serve one request; `None` is a connection to be cut."""
        kind = next((name for begin, name in KINDS.items() if path.startswith(begin)), "other")
        payload = _payload(body)
        with self._lock:
            self.asked.append(kind)
            if kind == "newOrder":
                self.replaces.append(payload.get("replaces"))
            rule = self._rule(kind, payload)
        if rule and (rule.cut or rule.status):
            return None if rule.cut else _refusal(rule)
        reply = self._renewal_info() if kind == "renewalInfo" else self._ask(method, path, headers, body)
        if kind == "directory":
            reply = self._extended(reply)
        reply = replace(
            reply,
            headers={**reply.headers, "Date": format_datetime(datetime.now(UTC) + self.shift, usegmt=True)},
        )
        if rule and rule.change:
            reply = rule.change(reply)
        return None if rule and rule.lose else reply

    def _rule(self, kind: str, payload: dict[str, Any]) -> Rule | None:
        for rule in self.rules:
            if rule.kind in {kind, "any"} and rule.times > 0 and rule.when(payload):
                rule.times -= 1
                rule.met += 1
                return rule
        return None

    def _ask(self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Reply:
        trust = ssl.create_default_context(cafile=str(self.pebble.ca_bundle))
        connection = HTTPSConnection("127.0.0.1", self.pebble.port, context=trust, timeout=30)
        try:
            kept = {
                name: value
                for name, value in headers
                if name.lower() not in {"connection", "accept-encoding"}
            }
            connection.request(method, path, body or None, kept)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def _extended(self, reply: Reply) -> Reply:
        document = json.loads(reply.body)
        base = self.directory.removesuffix("/dir")
        document["meta"]["profiles"] = {"classic": "as ever", "shortlived": "160 hours"}
        if self.window:
            document["renewalInfo"] = f"{base}/renewal-info/"
        return replace(reply, body=json.dumps(document).encode())

    def _renewal_info(self) -> Reply:
        assert self.window
        start, end = (datetime.now(UTC) + edge for edge in self.window)
        window = {"start": start.isoformat(), "end": end.isoformat()}
        body = json.dumps({"suggestedWindow": window, "explanationURL": "https://ca.example/why"}).encode()
        return Reply(200, {"Content-Type": "application/json", "Retry-After": "21600"}, body)


def _payload(body: bytes) -> dict[str, Any]:
    try:
        text = json.loads(body)["payload"]
        found = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _refusal(rule: Rule) -> Reply:
    document = {"type": URN + rule.problem, "detail": f"the CA said {rule.problem or rule.status}"}
    body = json.dumps(document).encode() if rule.body is None else rule.body
    content = "application/problem+json" if rule.body is None else "text/html"
    return Reply(rule.status, {"Content-Type": content, **rule.headers}, body)


def _handler(proxy: AcmeProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reply = proxy.turn(self.command, self.path, self.headers.items(), body)
            if reply is None:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_POST = do_HEAD = _serve  # noqa: N815 - names of the library

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def sleepily(seconds: float) -> Callable[[Reply], Reply]:
    """Return a change that only takes its time."""

    def change(reply: Reply) -> Reply:
        time.sleep(seconds)
        return reply

    return change

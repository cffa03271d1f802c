"""A stand-in for Authelia, written from its documentation.

The endpoint for nginx's `auth_request` goes by the headers of "Proxy Authorization" (AuthRequest): what is
asked for is in `X-Original-Method` and `X-Original-URL`. The first strategy that finds something decides: a
password in a header (answered by 401 with `WWW-Authenticate` and nowhere to go), then the session's cookie.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

from support.world import NAME

PORTAL = f"https://auth.{NAME}"
BOARD, PUBLIC = f"board.{NAME}", f"public.{NAME}"
RULES = {BOARD: "two_factor", PUBLIC: "bypass"}
"""The policy of each host; that of every other is `deny`."""

PEOPLE = {"anna": "family"}
"""Who may pass where two factors are wanted, with the groups; `guest` has a session and may not."""


class Authelia(ThreadingHTTPServer):
    """The server, and what it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: list[str] = []

    def hosts(self) -> set[str]:
        """Return the hosts that it was asked about since this was last asked for."""
        found, self.asked = self.asked, []
        return {str(urlsplit(one.partition(" ")[2]).hostname) for one in found}


class _Answer(BaseHTTPRequestHandler):
    server: Authelia

    def do_GET(self) -> None:
        if self.path != "/api/authz/auth-request":
            self.answer(200, body=b"Authelia's portal")
            return
        url = self.headers["X-Original-URL"] or ""
        self.server.asked.append(f"{self.headers['X-Original-Method']} {url}")
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "https" or not host.endswith(f".{NAME}") or not self.headers["X-Original-Method"]:
            self.answer(400)
        else:
            self.decide(RULES.get(host, "deny"), url)

    do_POST = do_GET  # noqa: N815 - its name is the method's

    def decide(self, policy: str, url: str) -> None:
        who = (self.headers["Cookie"] or "").partition("authelia_session=")[2].partition(";")[0]
        if self.headers["Authorization"] or self.headers["Proxy-Authorization"]:
            self.answer(401, {"WWW-Authenticate": 'Basic realm="Authorization Required"'})
        elif who == "broken":
            self.answer(503)
        elif policy == "bypass":
            self.answer(200)
        elif policy == "deny" or (who and who not in PEOPLE):
            self.answer(403)
        elif who:
            self.answer(200, {"Remote-User": who, "Remote-Groups": PEOPLE[who]})
        else:
            self.answer(401, {"Location": f"{PORTAL}/?rd={url}"})

    def answer(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def authelia() -> Iterator[Authelia]:
    with Authelia() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()

"""A real server that takes notices and pings."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PASSWORD, CHECK = "pa55word-of-the-hook", "0d338dcc-a054-4bec-b909-0242ac120002"
"""What makes the two addresses secrets."""


class Service:
    """Takes notices (POST) and pings (GET); `code` is what it answers, `hangs` whom it never does."""

    def __init__(self) -> None:
        self.notices: list[dict[str, Any]] = []
        self.pings: list[str] = []
        self.code = 200
        self.hangs = ""
        self._released = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(lambda: service.pings.append(self.path.replace(CHECK, "CHECK")))

            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(lambda: service.notices.append(sent))

            def _answer(self, keep: Any) -> None:
                if self.command == service.hangs:
                    service._released.wait()
                    return
                if service.code == 200:
                    keep()
                self.send_response(service.code, f"as for {self.path}")
                self.send_header("Location", f"http://127.0.0.1:1{self.path}")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def urls(self) -> str:
        return f"json://me:{PASSWORD}@{self.host}/hook?rto=60"

    @property
    def ping(self) -> str:
        return f"http://{self.host}/{CHECK}"

    @property
    def titles(self) -> list[str]:
        """What was told, without the name of this machine."""
        return [re.sub(r"^renewer on \S+: ", "", one["title"]) for one in self.notices]

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

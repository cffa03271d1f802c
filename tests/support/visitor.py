"""One request to nginx over TLS, as a browser or another program sends it, and what is answered."""

import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from typing import Any

from support.world import careless

WHO = "X-Renewer-User"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: HTTPMessage
    body: str

    @property
    def cookie(self) -> str:
        """The session that was handed out, empty if there was none."""
        return (self.headers["Set-Cookie"] or "").partition(";")[0].partition("=")[2]

    @property
    def session(self) -> dict[str, str]:
        """The session that was handed out, as a browser sends it back."""
        return {"Cookie": str(self.headers["Set-Cookie"]).partition(";")[0]}

    @property
    def renewed(self) -> bool:
        return "Set-Cookie" in self.headers

    @property
    def who(self) -> str:
        """Who it is, as a back end was told that answers with what reached it."""
        assert self.status == 200, self
        return str(json.loads(self.body)["headers"].get(WHO, ""))


def ask(  # noqa: PLR0913 - as many as a request has parts
    port: int,
    host: str,
    path: str = "/",
    *headers: Mapping[str, str],
    method: str = "GET",
    body: str | None = None,
    source: str = "127.0.0.1",
    roots: Path | None = None,
    identity: Path | None = None,
) -> Answer:
    """Ask nginx; who has no `roots` trusts everybody. `identity` is a client certificate with its key."""
    context = ssl.create_default_context(cafile=str(roots)) if roots else careless()
    if identity:
        context.load_cert_chain(identity)
    plain = socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0))
    connection = HTTPConnection(host)
    connection.sock = context.wrap_socket(plain, server_hostname=host if roots else None)
    sent: dict[str, Any] = {"Host": host}
    for some in headers:
        sent |= some
    with closing(connection):
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read().decode(errors="replace"))

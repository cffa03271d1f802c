"""A CA that asks for time is left alone."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.done import rfc3339
from support.world import NAME, World, table


class Grumpy(ThreadingHTTPServer):
    """A CA that answers everything with one status, a Retry-After and a page for people; counts who asked."""

    def __init__(self, tls: Path, status: int, retry_after: str) -> None:
        self.asked = 0

        class Answer(BaseHTTPRequestHandler):
            server: Grumpy

            def do_GET(self) -> None:
                self.server.asked += 1
                page = b"<html><h1>Not now</h1></html>"
                self.send_response(status)
                self.send_header("Retry-After", retry_after)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            do_HEAD = do_POST = do_GET  # noqa: N815  # the names that http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "tls.pem", tls / "tls.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)


@contextmanager
def grumpy(world: World, status: int, retry_after: str) -> Iterator[Grumpy]:
    with Grumpy(world.box.pebble.folder, status, retry_after) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_ca_that_asks_for_time_is_left_alone(world: World, status: int, form: str) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    header = "3600" if form == "seconds" else format_datetime(until, usegmt=True)
    served = world.glimpse()
    with grumpy(world, status, header) as ca:
        elsewhere = f"https://127.0.0.1:{ca.server_port}/dir"
        world.write(table(NAME), edit=lambda text: text.replace(world.box.directory, elsewhere))
        first = world.renewer("renew")
        assert first.code == 75
        assert (len(first.sentences), len(first.hints)) == (1, 1)
        assert str(status) in first.err
        asked = ca.asked
        assert asked > 0
        for more in ([], ["--force"]):
            again = world.renew(*more)
            assert (again.code, again.one["action"]) == (75, "failed")
            assert "not tried again before" in again.one["error"]
            assert rfc3339(again.one["next"]) > until - timedelta(minutes=1)
        assert ca.asked == asked
    assert (world.glimpse(), world.box.calls()) == (served, [])

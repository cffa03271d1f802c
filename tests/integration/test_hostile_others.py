"""Monitors, services for messages and an nginx that are hostile or broken."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support import hostile
from support.fakes import FakeClock, Notes
from support.hostile import Answer, Hostile, dripping_head, flood, many_bombs, redirect, whole

from renewer.core.errors import Transient
from renewer.core.model import Fingerprint
from renewer.core.notice import Message
from renewer.nginx import handshake, witness
from renewer.nginx.targets import Target
from renewer.notify import healthcheck, messages

MESSAGE = Message("title", "body", good=False)


class TestPing:
    @pytest.mark.parametrize("answer", [dripping_head, hostile.continued, hostile.silence])
    def test_an_answer_without_an_end_has_one(
        self, answer: Callable[[], Answer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(healthcheck, "PATIENCE", 0.5)
        with Hostile(lambda *_: answer()) as server, pytest.raises(Transient, match="could not be pinged"):
            healthcheck.Ping(lambda: server.url).beat(good=True)

    def test_no_redirect_is_followed(self, inside: Hostile) -> None:
        with (
            Hostile(lambda *_: redirect(inside.url)) as server,
            pytest.raises(Transient, match="it answers 302"),
        ):
            healthcheck.Ping(lambda: server.url).beat(good=True)

    @pytest.mark.parametrize("answer", [flood, hostile.bomb])
    def test_what_it_says_is_not_read(self, answer: Callable[[], Answer], peak: Callable[[], int]) -> None:
        with Hostile(lambda *_: answer()) as server:
            healthcheck.Ping(lambda: server.url).beat(good=True)
        assert peak() < hostile.LITTLE
        assert server.sent < hostile.LITTLE


class TestCourier:
    def tell(self, server: Hostile, folder: Path) -> bool:
        """Send a message there; return whether it was taken."""
        file = folder / "urls"
        file.write_text(server.url.replace("http://", "json://"))
        file.chmod(0o600)
        addresses = messages.Addresses(file, "notify.urls_file", Notes())
        (who,) = addresses.known()
        return bool(addresses.deliver({who: MESSAGE}))

    def test_an_answer_that_unpacks_to_any_size_is_no_more_than_an_error(self, tmp_path: Path) -> None:
        hostile.bomb()
        with Hostile(lambda *_: many_bombs()) as server:
            assert not self.tell(server, tmp_path)
            assert len(server.requests) == 1

    def test_a_service_that_works_is_told(self, tmp_path: Path) -> None:
        with Hostile(lambda *_: whole({})) as server:
            assert self.tell(server, tmp_path)

    def test_no_redirect_is_followed(self, inside: Hostile, tmp_path: Path) -> None:
        with Hostile(lambda *_: redirect(inside.url)) as server:
            assert not self.tell(server, tmp_path)

    def test_what_is_in_netrc_is_sent_to_nobody(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in hostile.netrc(tmp_path).items():
            monkeypatch.setenv(name, value)
        with Hostile(lambda *_: whole({})) as server:
            assert self.tell(server, tmp_path)
        assert [sent for sent in server.headers if "authorization" in sent] == []


@pytest.fixture
def nginx() -> Iterator[int]:
    """The port of something that begins a handshake and drips on."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xf0")  # a ServerHello of 16 kB
            while not over.wait(0.02):
                connection.sendall(b"\0")

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=drip, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        over.set()


class TestHandshake:
    def test_one_without_an_end_has_one(self, nginx: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(handshake, "LIMIT", 0.5)
        seen = handshake.handshake(Target("127.0.0.1", nginx, "example.com"))
        assert (seen.fingerprint, "no answer" in seen.reason) == (None, True)

    def test_none_is_begun_again_when_time_is_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock, looked = FakeClock(), list[Target]()

        def slow(target: Target) -> handshake.HandshakeResult:
            looked.append(target)
            clock.sleep(2.0)
            return handshake.HandshakeResult(None, "no answer within 2 s")

        monkeypatch.setattr(witness, "handshake", slow)
        sought = [
            witness.Sought("example.com", Target("127.0.0.1", port, "example.com"), (Fingerprint("0" * 64),))
            for port in range(1, 11)
        ]
        missing = witness.unserved(sought, clock.monotonic() + 25.0, clock)
        assert len(missing) == 10
        assert len(looked) == 13  # each once, and three more in the time that was left

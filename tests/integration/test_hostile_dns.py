"""A DNS that is hostile or broken: few threads, few questions, and each wait ends with its time."""

import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Self

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from renewer.check import name_servers
from renewer.core.errors import Refused, Transient
from renewer.core.journal import TxtRecord
from renewer.dns import resolver
from renewer.dns.propagation import WATCHERS, NameServer
from renewer.dns.resolver import ADDRESSES, HOSTS, AuthoritativeCheck, serial
from renewer.system.clock import SystemClock

NAME = "_acme-challenge.example.com"
RECORD = TxtRecord(NAME, "value")
SOON = timedelta(seconds=2)

Found = tuple[str, Sequence[str]]
"""The type of what is answered, and its data."""


class Dns:
    """A resolver, and all name servers at the same place, while in `with`.

    `know` is what there is for a name and a type; an answer comes after `delay` seconds. Where it `drips`, it
    comes over TCP only, a byte at a time and never to its end.
    """

    def __init__(
        self, know: Callable[[str, str], Sequence[str]], *, delay: float = 0.0, drips: bool = False
    ) -> None:
        self.know, self.delay, self.drips = know, delay, drips
        self.asked: list[tuple[str, str]] = []
        self.over = threading.Event()
        self._udp, self._tcp = self._bound()
        self.port = self._udp.server_address[1]

    def __enter__(self) -> Self:
        for one in (self._udp, self._tcp):
            threading.Thread(target=one.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for one in (self._udp, self._tcp):
            one.shutdown()
            one.server_close()

    def _bound(self) -> "tuple[_Udp, _Tcp]":
        """Return sockets at one port that is free for both."""
        while True:
            tcp = _Tcp(self, 0)
            try:
                return _Udp(self, tcp.server_address[1]), tcp
            except OSError:
                tcp.server_close()

    @property
    def authorities(self) -> AuthoritativeCheck:
        return AuthoritativeCheck(f"127.0.0.1:{self.port}", SystemClock())

    def names(self, kind: str) -> set[str]:
        return {name for name, asked in self.asked if asked == kind}

    def answer(self, wire: bytes, *, over_tcp: bool) -> bytes:
        question = dns.message.from_wire(wire)
        name, kind = question.question[0].name, dns.rdatatype.to_text(question.question[0].rdtype)
        self.asked.append((name.to_text(omit_final_dot=True), kind))
        self.over.wait(self.delay)
        answer = dns.message.make_response(question, recursion_available=True)
        answer.flags |= dns.flags.AA
        if found := self.know(self.asked[-1][0], kind):
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *found))
        if self.drips and not over_tcp:
            answer.flags |= dns.flags.TC
        return answer.to_wire(max_size=65535 if over_tcp else question.payload, prefer_truncation=True)


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True

    def __init__(self, told: Dns, port: int) -> None:
        self.told = told
        super().__init__(("127.0.0.1", port), _Datagram)


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True

    def __init__(self, told: Dns, port: int) -> None:
        self.told = told
        super().__init__(("127.0.0.1", port), _Stream)


class _Datagram(socketserver.BaseRequestHandler):
    server: _Udp

    def handle(self) -> None:
        wire, listening = self.request
        with suppress(OSError):  # it may be over
            listening.sendto(self.server.told.answer(wire, over_tcp=False), self.client_address)


class _Stream(socketserver.StreamRequestHandler):
    server: _Tcp

    def handle(self) -> None:
        told = self.server.told
        with suppress(OSError):
            size = int.from_bytes(self.rfile.read(2))
            answer = told.answer(self.rfile.read(size), over_tcp=True)
            if not told.drips:
                self.wfile.write(len(answer).to_bytes(2) + answer)
                return
            self.wfile.write((65535).to_bytes(2))
            while not told.over.wait(0.02):
                self.wfile.write(b"\0")


def zone(hosts: int) -> Callable[[str, str], Sequence[str]]:
    """Return what there is of example.com with so many name servers, which all show the record."""

    def know(name: str, kind: str) -> Sequence[str]:
        number = int(name.partition(".")[0].removeprefix("ns")) if name.startswith("ns") else 0
        match kind:
            case "NS" if name == "example.com":
                return [f"ns{one}.example.com." for one in range(hosts)]
            case "A" if name.startswith("ns"):
                return ["127.0.0.1"]
            case "TXT":
                return ['"value"']
            case "SOA":
                return [f"ns0.example.com. root.example.com. 1 2 3 4 {number + 5}"]
        return []

    return know


@pytest.fixture
def most() -> Iterator[Callable[[], int]]:
    """The most threads that watch name servers at a time."""
    counts, over = [0], threading.Event()

    def count() -> None:
        while not over.wait(0.005):
            watching = [one for one in threading.enumerate() if "(_work)" in one.name]
            counts.append(len(watching))

    counting = threading.Thread(target=count)
    counting.start()
    yield lambda: max(counts)
    over.set()
    counting.join()


def test_of_six_hundred_name_servers_a_few_are_asked(most: Callable[[], int]) -> None:
    with Dns(zone(600)) as told:
        authorities = told.authorities
        found = authorities.delegation(NAME)
        assert (len(found.hosts), found.more) == (HOSTS, 600 - HOSTS)
        authorities.wait([RECORD], timedelta(seconds=60))
    assert len(told.names("A")) <= HOSTS
    assert 0 < most() <= WATCHERS


@pytest.mark.parametrize(("hosts", "said"), [(HOSTS, []), (HOSTS + 1, ["many"])])
def test_check_says_that_not_all_name_servers_are_asked(
    hosts: int, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_servers, "_asked", lambda *_: [])
    with Dns(zone(hosts)) as told:
        scene: Any = SimpleNamespace(authorities=lambda: told.authorities)
        found = list(name_servers._servers(scene, told.authorities.delegation(NAME)))
    assert [finding.check.rpartition(".")[2] for finding in found] == said


def test_of_a_thousand_addresses_of_one_name_server_a_few_are_asked() -> None:
    with Dns(lambda name, kind: zone(1)(name, kind) if kind != "A" else thousand) as told:
        wanted = told.authorities._wanted([RECORD], time.monotonic() + 60)
    assert len(wanted) == ADDRESSES


thousand = [f"127.0.{number // 250}.{number % 250 + 1}" for number in range(1000)]


def test_slow_answers_of_the_resolver_count_against_the_time_of_the_wait() -> None:
    with Dns(zone(20), delay=0.5) as told:
        with pytest.raises(Transient) as caught:
            told.authorities.wait([RECORD], SOON)
        assert caught.value.hint
        assert len(told.asked) < 8  # of 46


def test_slow_aliases_count_against_the_time_for_all_names_together() -> None:
    with Dns(lambda *_: (), delay=0.5) as told:
        names = [f"_acme-challenge.{number}.example" for number in range(100)]
        with pytest.raises(Transient):
            told.authorities.canonical(names, SOON)
        assert len(told.asked) < 8


def test_aliases_without_an_end_are_refused() -> None:
    def further(name: str, kind: str) -> Sequence[str]:
        deeper = not name.startswith("_renewer")
        return [f"a{name.count('.')}.{name.partition('.')[2]}.a."[:200]] if kind == "CNAME" and deeper else ()

    with Dns(further) as told, pytest.raises(Refused, match="alias"):
        told.authorities.canonical([NAME], timedelta(seconds=60))
    assert len(told.asked) <= 2 * resolver.ALIASES


def test_a_resolver_that_drips_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "LIFETIME", 1.0)
    with Dns(zone(1), drips=True) as told, pytest.raises(Transient):
        told.authorities.delegation("example.com")


def test_a_name_server_that_drips_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "QUESTION", 0.5)
    with Dns(zone(1), drips=True) as told:
        server = NameServer("ns0", "127.0.0.1", (told.port,))
        for tcp in (False, True):
            with pytest.raises(OSError, match="timed out"):
                serial(server, "example.com", tcp=tcp)


def test_check_does_not_wait_for_each_name_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_servers, "PATIENCE", 0.5)
    monkeypatch.setattr(name_servers, "AT_ONCE", 2)
    with Dns(zone(ADDRESSES), delay=1.5) as told:
        servers = [NameServer(f"ns{one}", "127.0.0.1", (told.port,)) for one in range(ADDRESSES)]
        replies = name_servers._asked(servers, "example.com")
        assert [reply.serial for reply in replies] == [None] * len(servers) * 2
        assert all(reply.problem for reply in replies)
        time.sleep(2)  # who was still to be asked is not
        assert len(told.asked) <= 4

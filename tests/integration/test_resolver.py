"""The DNS as the CA will see it, asked of name servers on the loopback."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.facts import missing
from support.fakes import FakeClock

from renewer.core.errors import ConfigError, Refused, Stopped, Transient
from renewer.core.journal import TxtRecord
from renewer.dns import propagation, resolver
from renewer.dns.propagation import Crowd, NameServer, Watch
from renewer.dns.resolver import AuthoritativeCheck
from renewer.system.clock import SystemClock
from sandbox import Sandbox

NAME = "_acme-challenge.example.com"
ONE, TWO = TxtRecord(NAME, "one"), TxtRecord(NAME, "two")
DELAY = 0.2
LONG, SHORT = timedelta(seconds=20), timedelta(seconds=2)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    zones = ("example.com", "example.net")
    with Sandbox(tmp_path_factory.mktemp("sandbox"), zones, ca=False, delays=(0.0, DELAY)) as sandbox:
        yield sandbox


@pytest.fixture
def box(running: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The one sandbox, as if nothing had happened yet, and no patience with a silent server."""
    monkeypatch.setattr(resolver, "QUESTION", 0.1)
    for name, seconds in {"FIRST_PAUSE": 0.02, "CONFIRM": 0.01}.items():
        monkeypatch.setattr(propagation, name, seconds)
    for server in (*running.nameservers, running.recursor):
        server.silent = server.servfail = server.tcp_only = False
        server.hide = 0
        server.questions.clear()
    for zone in running.zones.values():
        del zone._history[1:]
    return running


@pytest.fixture
def authorities(box: Sandbox) -> AuthoritativeCheck:
    return AuthoritativeCheck(box.resolver, SystemClock())


def canonical(authorities: AuthoritativeCheck, name: str) -> str:
    return authorities.canonical([name], LONG)[name]


def show(box: Sandbox, *records: TxtRecord, settled: bool = True) -> None:
    """Put records into their zones; where `settled`, as if every server had them for long."""
    for record in records:
        zone = box.zones[record.name.split(".", record.name.count(".") - 1)[-1]]
        zone.add(record.name, "TXT", f'"{record.value}"')
    if settled:
        settle(box)


def settle(box: Sandbox) -> None:
    for zone in box.zones.values():
        zone._history[:] = [zone._history[0], replace(zone.now, since=0.0)]


def transports(box: Sandbox, server: int) -> list[str]:
    return [question.transport for question in box.nameservers[server].questions if question.type == "TXT"]


class TestWaiting:
    def test_it_lasts_until_the_slowest_server_shows_it(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        show(box, ONE, settled=False)
        authorities.wait([ONE], LONG)
        slowest = box.nameservers[1]
        assert [record.content for record in slowest.shown(box.zones["example.com"], NAME)] == ['"one"']

    def test_both_values_of_a_name_have_to_be_there(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        show(box, ONE)
        with pytest.raises(Transient, match=r"1 of 2 values"):
            authorities.wait([ONE, TWO], SHORT)
        show(box, TWO, settled=False)
        authorities.wait([ONE, TWO], LONG)

    def test_a_server_that_withholds_one_value_is_named(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        show(box, ONE, TWO)
        box.nameservers[1].hide = 1
        with pytest.raises(Transient) as caught:
            authorities.wait([ONE, TWO], SHORT)
        assert missing(str(caught.value), "ns2.sandbox.test (127.0.0.3)", "1 of 2 values") == []
        assert "ns1" not in str(caught.value)
        assert "CA" in caught.value.hint

    def test_a_silent_server_is_named_after_the_time(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        show(box, ONE)
        box.nameservers[0].silent = True
        with pytest.raises(Transient, match="after 2 seconds") as caught:
            authorities.wait([ONE], SHORT)
        assert "ns1.sandbox.test (127.0.0.2)" in str(caught.value)
        assert "ns2" not in str(caught.value)

    def test_a_server_that_fails_is_named_with_its_answer(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        show(box, ONE)
        box.nameservers[1].servfail = True
        with pytest.raises(Transient, match=r"ns2\.sandbox\.test .* SERVFAIL"):
            authorities.wait([ONE], SHORT)

    def test_a_server_that_comes_back_in_time_is_no_failure(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        show(box, ONE)
        box.nameservers[0].servfail = True
        healing = threading.Timer(0.1, lambda: setattr(box.nameservers[0], "servfail", False))
        healing.start()
        authorities.wait([ONE], LONG)
        healing.join()

    def test_a_truncated_answer_is_asked_for_over_tcp(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        show(box, ONE)
        box.nameservers[0].tcp_only = True
        authorities.wait([ONE], LONG)
        assert set(transports(box, 0)) == {"udp", "tcp"}
        assert set(transports(box, 1)) == {"udp"}

    def test_every_server_has_to_show_it_more_than_once(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        show(box, ONE)
        authorities.wait([ONE], LONG)
        assert [len(transports(box, server)) for server in (0, 1)] == [2, 2]

    def test_the_resolver_is_never_asked_for_the_records(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        show(box, ONE)
        authorities.wait([ONE], LONG)
        assert {question.type for question in box.recursor.questions} == {"NS", "A", "AAAA"}

    def test_names_of_two_zones_are_waited_for_together(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        other = TxtRecord("_acme-challenge.example.net", "net")
        show(box, ONE, other)
        authorities.wait([ONE, other], LONG)

    def test_nothing_is_waited_for_without_end(self, authorities: AuthoritativeCheck) -> None:
        authorities.wait([], LONG)

    def test_where_no_more_threads_are_allowed_those_that_watch_already_end(
        self, authorities: AuthoritativeCheck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start, watching = threading.Thread.start, list[threading.Thread]()

        def first_only(thread: threading.Thread) -> None:
            if watching:
                raise RuntimeError("can't start new thread")
            watching.append(thread)
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", first_only)
        with pytest.raises(RuntimeError):
            authorities.wait([ONE], LONG)
        watching[0].join(10)
        assert not watching[0].is_alive()

    def test_it_ends_as_soon_as_the_program_is_asked_to(self, box: Sandbox) -> None:
        clock = FakeClock(sleeps=2)
        with pytest.raises(Stopped):
            AuthoritativeCheck(box.resolver, clock).wait([ONE], LONG)
        assert len(clock.slept) == 2
        time.sleep(0.2)  # whoever is in the middle of a question may end it
        before = sum(len(server.questions) for server in box.nameservers)
        time.sleep(0.2)
        assert sum(len(server.questions) for server in box.nameservers) == before


class TestZones:
    def test_a_name_without_any_name_server_is_refused(self, authorities: AuthoritativeCheck) -> None:
        with pytest.raises(Refused, match=r"no name server.*_acme-challenge\.example\.nowhere") as caught:
            authorities.wait([TxtRecord("_acme-challenge.example.nowhere", "x")], LONG)
        assert "delegated" in caught.value.hint

    def test_a_resolver_that_does_not_answer_may_come_back(
        self, box: Sandbox, authorities: AuthoritativeCheck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(resolver, "LIFETIME", 0.1)
        box.recursor.silent = True
        with pytest.raises(Transient, match=rf"no answer for {NAME} CNAME") as caught:
            canonical(authorities, NAME)
        assert "resolver" in caught.value.hint

    def test_a_resolver_that_fails_may_come_back(self, box: Sandbox, authorities: AuthoritativeCheck) -> None:
        box.recursor.servfail = True
        with pytest.raises(Transient, match="no answer"):
            authorities.wait([ONE], LONG)

    def test_the_zone_cut_may_be_some_labels_above(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        deep = TxtRecord("_acme-challenge.a.b.c.example.com", "deep")
        show(box, deep)
        authorities.wait([deep], LONG)


class TestAliases:
    def test_a_chain_is_followed_to_its_end(self, box: Sandbox, authorities: AuthoritativeCheck) -> None:
        box.zones["example.com"].add(NAME, "CNAME", "hop.example.net")
        box.zones["example.net"].add("hop.example.net", "CNAME", "end.example.net")
        settle(box)
        assert canonical(authorities, NAME) == "end.example.net"

    @pytest.mark.parametrize("name", [NAME, "nobody.example.com", "_acme-challenge.example.nowhere"])
    def test_a_name_without_one_stays(self, authorities: AuthoritativeCheck, name: str) -> None:
        assert canonical(authorities, name) == name

    def test_a_name_with_another_record_stays(self, box: Sandbox, authorities: AuthoritativeCheck) -> None:
        show(box, ONE)
        assert canonical(authorities, NAME) == NAME

    def test_that_of_a_wildcard_ends_with_the_record_to_come(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        box.zones["example.com"].add("*.example.com", "CNAME", "home.example.net")
        settle(box)
        assert canonical(authorities, NAME) == NAME
        show(box, ONE)
        authorities.wait([ONE], LONG)

    def test_one_of_its_own_is_followed_beside_a_wildcard(
        self, box: Sandbox, authorities: AuthoritativeCheck
    ) -> None:
        box.zones["example.com"].add("*.example.com", "CNAME", "home.example.net")
        box.zones["example.com"].add(NAME, "CNAME", "proofs.example.net")
        settle(box)
        assert canonical(authorities, NAME) == "proofs.example.net"

    def test_a_circle_is_refused(self, box: Sandbox, authorities: AuthoritativeCheck) -> None:
        box.zones["example.com"].add(NAME, "CNAME", "other.example.com")
        box.zones["example.com"].add("other.example.com", "CNAME", NAME)
        settle(box)
        with pytest.raises(Refused, match="alias"):
            canonical(authorities, NAME)


class TestWatch:
    """Which servers may be left out, in words of what was seen."""

    FOUR, SIX = NameServer("ns", "192.0.2.1"), NameServer("ns", "2001:db8::1")

    @pytest.mark.parametrize(
        ("answered", "missing", "strict", "lenient"),
        [
            ({4, 6}, [], True, True),
            ({4}, [SIX], False, True),
            ({6}, [FOUR], False, True),
            ({4, 6}, [SIX], False, False),
            ({4}, [FOUR, SIX], False, False),
            (set(), [FOUR, SIX], False, False),
            (set(), [SIX], False, False),
        ],
    )
    def test_a_family_of_addresses_out_of_reach_is_left_out_in_the_end(
        self, answered: set[int], missing: list[NameServer], *, strict: bool, lenient: bool
    ) -> None:
        found = Watch({server: {} for server in missing}, lambda *_: (), FakeClock(), Crowd())
        found._answered = answered
        assert found.satisfied(lenient=False) == strict
        assert found.satisfied(lenient=True) == lenient


class TestEndpoint:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("192.0.2.1", ("192.0.2.1", 53)),
            ("192.0.2.1:8053", ("192.0.2.1", 8053)),
            ("::1", ("::1", 53)),
            ("[::1]", ("::1", 53)),
            ("[2001:db8::1]:8053", ("2001:db8::1", 8053)),
        ],
    )
    def test_an_address_with_or_without_a_port(self, text: str, found: tuple[str, int]) -> None:
        assert resolver._endpoint(text) == found

    def test_the_name_of_a_host_is_looked_up(self) -> None:
        address, port = resolver._endpoint("localhost:8053")
        assert socket.getaddrinfo(address, None)
        assert (address in {"127.0.0.1", "::1"}, port) == (True, 8053)

    @pytest.mark.parametrize("text", ["nobody.invalid", "127.0.0.1:x", "[::1]:x", ""])
    def test_anything_else_is_a_fault_of_the_configuration(self, text: str) -> None:
        with pytest.raises(ConfigError, match="resolver"):
            AuthoritativeCheck(text, FakeClock())


class TestPorts:
    @pytest.mark.parametrize(
        ("resolver_at", "server", "ports"),
        [
            ("127.0.0.1:8053", "127.0.0.2", (8053, 53)),
            ("127.0.0.1:8053", "::1", (8053, 53)),
            ("127.0.0.1:8053", "192.0.2.1", (53,)),
            ("127.0.0.1", "127.0.0.2", (53,)),
        ],
    )
    def test_only_a_name_server_of_the_loopback_may_be_elsewhere_than_at_53(
        self, resolver_at: str, server: str, ports: tuple[int, ...]
    ) -> None:
        assert AuthoritativeCheck(resolver_at, FakeClock())._ports(server) == ports


def test_without_a_resolver_the_system_s_is_asked() -> None:
    if not Path("/etc/resolv.conf").read_text().strip():
        pytest.skip("this machine has no resolver")
    assert AuthoritativeCheck(None, FakeClock())._resolver.nameservers

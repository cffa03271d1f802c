"""How name servers are watched, however many there are; no name server is needed to see that."""

import threading
from collections import Counter

import dns.message
import pytest
from support.fakes import FakeClock

from renewer.dns import propagation, resolver
from renewer.dns.propagation import TWICE, WATCHERS, Crowd, NameServer, Watch
from renewer.system.clock import SystemClock

NAME = "_acme-challenge.example.com"
MANY = [NameServer(f"ns{number}", f"127.0.{number // 250}.{number % 250 + 1}") for number in range(600)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propagation, "CONFIRM", 0.0)
    monkeypatch.setattr(propagation, "FIRST_PAUSE", 0.0)


def test_six_hundred_servers_share_a_few_threads_and_each_is_asked() -> None:
    asked, threads = Counter[NameServer](), set[int]()

    def ask(server: NameServer, _: str) -> list[str]:
        asked[server] += 1
        threads.add(threading.get_ident())
        return ["value"]

    found = Watch({one: {NAME: {"value"}} for one in MANY}, ask, SystemClock(), Crowd())
    before = threading.active_count()
    found.begin()
    assert threading.active_count() - before <= WATCHERS
    assert found.seen.wait(60)
    assert len(threads) <= WATCHERS
    assert asked == dict.fromkeys(MANY, TWICE)


def test_silent_ones_do_not_keep_the_others_from_being_asked() -> None:
    silent, over = set(MANY[:WATCHERS]), threading.Event()

    def ask(server: NameServer, _: str) -> list[str]:
        if server in silent:
            over.wait(0.05)
            raise OSError("timed out")
        return ["value"]

    found = Watch({one: {NAME: {"value"}} for one in MANY[:100]}, ask, SystemClock(), Crowd())
    found.begin()
    while set(found._missing) - silent:
        over.wait(0.01)
    assert set(found._missing) == silent
    found.over.set()


def test_a_server_that_lacked_it_in_between_has_to_show_it_again() -> None:
    shown = iter([["value"], [], ["value"], ["value"]])
    one = MANY[0]
    found = Watch({one: {NAME: {"value"}}}, lambda *_: next(shown), FakeClock(), Crowd())
    found.begin()
    assert found.seen.wait(60)
    assert next(shown, None) is None


def test_once_it_is_over_nobody_is_asked_for_the_rest_of_the_names() -> None:
    names = {f"_acme-challenge.{number}.example": {"value"} for number in range(100)}
    asked: list[str] = []

    def ask(_: NameServer, name: str) -> list[str]:
        asked.append(name)
        found.over.set()
        return ["value"]

    found = Watch({MANY[0]: names}, ask, SystemClock(), Crowd())
    assert found._lack(MANY[0])
    assert len(asked) == 1


@pytest.mark.parametrize("error", [EOFError(), ValueError("odd")])
def test_a_server_that_closes_without_an_answer_gives_none(error: Exception) -> None:
    def send(*_: object, **__: object) -> dns.message.Message:
        raise error

    question = dns.message.make_query(NAME, "TXT")
    with pytest.raises(OSError, match=r"."):
        resolver._answer(question, MANY[0], send)

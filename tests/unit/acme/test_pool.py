"""Who asks a CA over which connection, and how much; no CA is needed to see that."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from support.fakes import FakeClock, MemStore, Notes

from renewer.acme.pool import EACH, MOST, OPENED, PERIOD, Connections, Parallel
from renewer.acme.rate_limiter import Allowance
from renewer.core.errors import Stopped, Transient
from renewer.core.rate_limits import ORDERS, Exemption, Limit
from renewer.store.state import State

SERVER = "https://ca.example/directory"


class Connection:
    """A connection that knows which one it is a twin of, and who is on it."""

    def __init__(self, first: "Connection | None" = None) -> None:
        self.first = first or self
        self.twins = 0
        self.asked: list[int] = []
        self._busy = threading.Lock()

    def twin(self) -> "Connection":
        self.first.twins += 1
        return Connection(self.first)

    def ask(self, number: int) -> int:
        assert self._busy.acquire(blocking=False), "two threads on one connection"
        self.asked.append(number)
        self._busy.release()
        if number < 0:
            raise Transient("gone")
        return number * number


def open_to_many(clock: FakeClock | None = None) -> Connections:
    return Connections(lambda _: Connection(), clock or FakeClock())  # type: ignore[arg-type, return-value]


class TestConnections:
    def test_the_directory_is_fetched_once_however_many_are_at_work(self) -> None:
        opened: list[str] = []
        connections = Connections(lambda server: opened.append(server) or Connection(), FakeClock())  # type: ignore[arg-type, func-returns-value, return-value]
        with ThreadPoolExecutor(8) as pool:
            taken = list(pool.map(connections.take, [SERVER] * 8))
        assert opened == [SERVER]
        assert len(set(map(id, taken))) == 8

    def test_a_ca_that_is_away_costs_all_who_wait_for_it_one_attempt(self) -> None:
        everybody, opened = threading.Barrier(8), []

        def away(server: str) -> Connection:
            opened.append(server)
            time.sleep(0.2)
            raise Transient("away")

        connections = Connections(away, FakeClock())  # type: ignore[arg-type]

        def take(_: int) -> type[Exception] | None:
            everybody.wait(10)
            try:
                connections.take(SERVER)
            except Transient as error:
                return type(error)
            return None

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(take, range(8))) == [Transient] * 8
        assert len(opened) < 8
        before = len(opened)
        with pytest.raises(Transient):
            connections.take(SERVER)
        assert len(opened) == before + 1

    def test_what_is_given_back_is_taken_next(self) -> None:
        connections = open_to_many()
        first, second = connections.take(SERVER), connections.take(SERVER)
        connections.give_back(SERVER, first)
        assert connections.take(SERVER) is first
        assert connections.take(SERVER) is not second

    def test_no_more_are_opened_in_a_second_than_a_ca_takes(self) -> None:
        clock = FakeClock()
        connections = open_to_many(clock)
        for _ in range(OPENED):
            connections.take(SERVER)
        connections.give_back(SERVER, connections.take(SERVER))
        assert clock.slept == [PERIOD]
        connections.take(SERVER)  # one that is open costs nothing
        assert clock.slept == [PERIOD]

    def test_those_for_one_certificate_with_many_names_are_among_them(self) -> None:
        clock = FakeClock()
        connections = open_to_many(clock)
        for _ in range(3):
            parallel = Parallel(connections, connections.take(SERVER), 100)
            parallel.each(lambda ca, one: ca.ask(one), range(100))  # type: ignore[attr-defined]
        assert clock.slept == [PERIOD]

    def test_who_is_asked_to_end_before_the_first_is_open_leaves_nobody_waiting(self) -> None:
        clock = FakeClock(sleeps=0)
        connections = open_to_many(clock)
        for _ in range(OPENED):
            connections.take(SERVER)
        with pytest.raises(Stopped):
            connections.take("https://other.example/")
        clock.ticks += PERIOD
        taken = list[object]()
        later = threading.Thread(target=lambda: taken.append(connections.take("https://other.example/")))
        later.daemon = True
        later.start()
        later.join(10)
        assert taken

    def test_each_ca_has_its_own(self) -> None:
        connections = open_to_many()
        connections.give_back(SERVER, connections.take(SERVER))
        assert connections.take("https://other.example/") is not connections.take(SERVER)


class TestParallel:
    @pytest.mark.parametrize(
        ("names", "twins"), [(1, 0), (2, 0), (2 * EACH - 1, 0), (2 * EACH, 1), (100, MOST - 1)]
    )
    def test_only_many_requests_are_worth_more_connections(self, names: int, twins: int) -> None:
        first = Connection()
        parallel = Parallel(open_to_many(), first, names)  # type: ignore[arg-type]
        for _ in range(2):
            asked = parallel.each(lambda ca, one: ca.ask(one), range(names))  # type: ignore[attr-defined]
            assert asked == [number * number for number in range(names)]
            assert first.twins == twins
        assert len(first.asked) == 2 * -(-names // (twins + 1))

    def test_what_goes_wrong_on_one_of_them_is_told(self) -> None:
        parallel = Parallel(open_to_many(), Connection(), 30)  # type: ignore[arg-type]
        with pytest.raises(Transient, match="gone"):
            parallel.each(lambda ca, one: ca.ask(one), [*range(29), -1])  # type: ignore[attr-defined]

    def test_fewer_than_thought_are_no_matter(self) -> None:
        parallel = Parallel(open_to_many(), Connection(), 30)  # type: ignore[arg-type]
        assert parallel.each(lambda ca, one: ca.ask(one), [3]) == [9]  # type: ignore[attr-defined]


def test_the_last_order_that_fits_is_the_last_that_is_sent_by_however_many_threads() -> None:
    vault = State(MemStore(), Notes())
    limits = (Limit(ORDERS, 5, timedelta(hours=3)),)
    allowance = Allowance(SERVER, limits, vault, FakeClock())
    names = [f"c{number}.example.com" for number in range(20)]
    for name in names:
        allowance.require([name], Exemption.NONE)

    def spent(number: int) -> bool:
        with suppress(Transient):
            allowance.spend([names[number]], Exemption.NONE)
            return True
        return False

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(spent, range(20))) == 5
    assert len(vault.history(SERVER).events) == 5
    with pytest.raises(Transient) as full:
        allowance.require(["one.example"], Exemption.NONE)
    assert full.value.retry_after == timedelta(hours=3)

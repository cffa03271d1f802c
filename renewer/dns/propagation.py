"""Polls name servers until each shows the expected records; a few threads share the queries."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from queue import Empty, PriorityQueue

from renewer.core.errors import Transient
from renewer.core.interfaces import Clock

PORT = 53

WATCHERS = 26
"""The most threads for one watch, whatever the DNS says: the most addresses of one zone."""

FIRST_PAUSE, LAST_PAUSE, PART = 0.1, 2.0, 1 / 20
"""Seconds between two queries to a name server: this fraction of the time waited, within these bounds."""

CONFIRM = 0.05
"""Seconds between the first query that finds everything and the next one."""

LOOKS = 200.0
"""The most queries per second for all certificates together; with many, each is queried less often."""

TWICE = 2
"""How many times in a row a server has to show everything: an anycast address is many machines."""


@dataclass(frozen=True)
class NameServer:
    """One address of one authoritative name server, and the ports to try there."""

    name: str
    address: str
    ports: tuple[int, ...] = (PORT,)

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"

    @property
    def family(self) -> int:
        """4 or 6."""
        return ip_address(self.address).version


Values = Mapping[str, Collection[str]]
"""TXT values by name."""


class Crowd:
    """How many name servers are watched, for all certificates together: the more, the less often each.

    It is not a `RateLimiter`, which would make a server that has just shown everything wait behind all others
    for its second, final query.
    """

    def __init__(self) -> None:
        self.size = 0
        self._guard = threading.Lock()

    @contextmanager
    def joined(self, count: int) -> Iterator[None]:
        """Count this many servers as watched while in the context."""
        with self._guard:
            self.size += count
        try:
            yield
        finally:
            with self._guard:
                self.size -= count


class Watch:
    """The progress so far; `seen` is set when nothing is missing, and `over` ends the threads.

    `wanted` are the values that each server has to show; `ask` returns those that a server shows for a name,
    and raises `OSError` if it does not answer.
    """

    def __init__(
        self,
        wanted: Mapping[NameServer, Values],
        ask: Callable[[NameServer, str], Collection[str]],
        clock: Clock,
        crowd: Crowd,
    ) -> None:
        self.over, self.seen = threading.Event(), threading.Event()
        self._wanted, self._ask, self._clock, self._crowd = wanted, ask, clock, crowd
        self._missing = dict.fromkeys(wanted, "does not answer")
        self._answered: set[int] = set()
        self._rows = dict.fromkeys(wanted, 0)
        self._start = clock.monotonic()
        self._due: PriorityQueue[tuple[float, int, NameServer]] = PriorityQueue()
        for number, server in enumerate(wanted):
            self._due.put((self._start, number, server))

    def begin(self) -> None:
        """Start the threads; nobody joins them, because one may be in the middle of a query."""
        for _ in range(min(len(self._wanted), WATCHERS)):
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        """Query the server that is due next, as long as there is one that no other thread is querying."""
        while not self.over.is_set():
            try:
                due, number, server = self._due.get_nowait()
            except Empty:
                return
            self.over.wait(max(due - self._clock.monotonic(), 0))
            if not self.over.is_set():
                self._look(number, server)

    def _look(self, number: int, server: NameServer) -> None:
        """Query one server; it is due again until it has shown everything often enough."""
        lack = self._lack(server)
        self._rows[server] = 0 if lack else self._rows[server] + 1
        if self._rows[server] == TWICE:
            del self._missing[server]
            if not self._missing:
                self.seen.set()
            return
        if lack:
            self._missing[server] = lack
        now = self._clock.monotonic()
        pause = CONFIRM if self._rows[server] else self._pause(now - self._start)
        self._due.put((now + pause, number, server))

    def _pause(self, waited: float) -> float:
        """Return the seconds until the next query, after this many without success."""
        return max(min(max(waited * PART, FIRST_PAUSE), LAST_PAUSE), self._crowd.size / LOOKS)

    def _lack(self, server: NameServer) -> str:
        """Return a description of what the server lacks, or an empty string."""
        wanted = self._wanted[server]
        lacking = 0
        for name, values in wanted.items():
            if self.over.is_set():
                return "was not asked to the end"
            try:
                lacking += len(set(values) - set(self._ask(server, name)))
            except OSError as error:
                return f"does not answer ({type(error).__name__ if not str(error) else error})"
        self._answered.add(server.family)
        return f"lacks {lacking} of {sum(map(len, wanted.values()))} values" if lacking else ""

    def satisfied(self, *, lenient: bool) -> bool:
        """Whether all servers are done; `lenient` ignores an address family in which no server answers."""
        missing = set(self._missing)
        if not missing or not lenient:
            return not missing
        return bool(self._answered) and not self._answered & {server.family for server in missing}

    def complaint(self, timeout: timedelta) -> Transient:
        """Return the error that names the servers and what they did not show."""
        who = "; ".join(f"{server} {lack}" for server, lack in sorted(self._missing.items(), key=str))
        return Transient(
            f"after {timeout.total_seconds():.0f} seconds not every name server shows the TXT records: {who}",
            hint="the CA was not asked, so nothing counts against its limits;"
            " check these servers, or give them longer with [propagation] timeout",
        )

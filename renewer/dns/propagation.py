"""Watching name servers until each has shown what it has to: a few threads share the looks that are due."""

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
"""Threads of one watch at most, whatever the DNS says: as many as there are addresses of one zone."""

FIRST_PAUSE, LAST_PAUSE, PART = 0.1, 2.0, 1 / 20
"""Seconds between two looks at a name server: this part of the time waited so far, within these bounds."""

CONFIRM = 0.05
"""Seconds from the first look that finds everything to the next."""

LOOKS = 200.0
"""Looks in a second, of all certificates together: where there are many, each is looked for less often."""

TWICE = 2
"""How often in a row a server has to show everything: an anycast address is many machines."""


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
    """How many name servers are watched, those of all certificates together: the more, the less often each.

    It is no `RateLimiter`, which would have a server that has just shown everything wait behind all others
    for the second look that ends its watch.
    """

    def __init__(self) -> None:
        self.size = 0
        self._guard = threading.Lock()

    @contextmanager
    def joined(self, count: int) -> Iterator[None]:
        """Be so many of them."""
        with self._guard:
            self.size += count
        try:
            yield
        finally:
            with self._guard:
                self.size -= count


class Watch:
    """What has been seen so far; `seen` is set when nothing is missing, and `over` ends the threads.

    `wanted` are the values that each server has to show, `ask` returns those that one shows for a name, and
    raises `OSError` where it gives no answer.
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
        """Start the threads; nobody waits for them, since one may be in the middle of a question."""
        for _ in range(min(len(self._wanted), WATCHERS)):
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        """Look at whoever is due next, as long as there is somebody whom no other thread has in hand."""
        while not self.over.is_set():
            try:
                due, number, server = self._due.get_nowait()
            except Empty:
                return
            self.over.wait(max(due - self._clock.monotonic(), 0))
            if not self.over.is_set():
                self._look(number, server)

    def _look(self, number: int, server: NameServer) -> None:
        """Ask one server, which is due again until it has shown everything often enough."""
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
        """Return the seconds until the next look, after so many of them without success."""
        return max(min(max(waited * PART, FIRST_PAUSE), LAST_PAUSE), self._crowd.size / LOOKS)

    def _lack(self, server: NameServer) -> str:
        """Return what the server lacks, in words, or an empty string."""
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
        """Whether nobody is missing; `lenient` leaves out a family of addresses that nobody answers from."""
        missing = set(self._missing)
        if not missing or not lenient:
            return not missing
        return bool(self._answered) and not self._answered & {server.family for server in missing}

    def complaint(self, timeout: timedelta) -> Transient:
        """Return the error that names who did not show what."""
        who = "; ".join(f"{server} {lack}" for server, lack in sorted(self._missing.items(), key=str))
        return Transient(
            f"after {timeout.total_seconds():.0f} seconds not every name server shows the TXT records: {who}",
            hint="the CA was not asked, so nothing counts against its limits;"
            " check these servers, or give them longer with [propagation] timeout",
        )

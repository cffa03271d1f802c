"""The connections of one run, shared by threads; each is used by one thread at a time."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from renewer.acme.client import Connection
from renewer.core.interfaces import Clock
from renewer.system.once import Once
from renewer.system.rate_limiter import RateLimiter

Item = TypeVar("Item")
Result = TypeVar("Result")

OPENED, PERIOD = 15, 1.0
"""The most connections to open in so many seconds: each begins with a request for a nonce, and Let's Encrypt
allows 20 of those per second (letsencrypt.org/docs/rate-limits, overall requests limit)."""

MOST, EACH = 8, 3
"""The most connections for one order, and the number of requests that justifies one more."""


class Connections:
    """Safe to use from threads; `open_` makes the first connection to a CA, which fetches its directory.

    They live only as long as the run, so nonces and directories do not get outdated.
    """

    def __init__(self, open_: Callable[[str], Connection], clock: Clock) -> None:
        self._open = open_
        self._pace = RateLimiter(clock, OPENED, PERIOD)
        self._first: dict[str, Once[Connection]] = {}
        self._idle: defaultdict[str, list[Connection]] = defaultdict(list)

    def take(self, directory_url: str) -> Connection:
        """Return an unused connection; an error of `open_` is raised for all callers waiting for it."""
        if idle := self._reused(directory_url):
            return idle
        first = self._first.setdefault(directory_url, Once(partial(self._begin, directory_url)))()
        return self._reused(directory_url) or self.twin(first)

    def twin(self, connection: Connection) -> Connection:
        """Return another connection for the same account, as soon as one more may be opened."""
        self._pace.wait()
        return connection.twin()

    def give_back(self, directory_url: str, connection: Connection) -> None:
        """Make a connection available to others; discard it instead after an error."""
        self._idle[directory_url].append(connection)

    def _reused(self, directory_url: str) -> Connection | None:
        try:
            return self._idle[directory_url].pop()
        except IndexError:
            return None

    def _begin(self, directory_url: str) -> Connection:
        """Open the first connection to a CA, from which the others are copied."""
        self._pace.wait()
        connection = self._open(directory_url)
        self._idle[directory_url].append(connection)
        return connection


class Parallel:
    """Sends independent requests of one order in parallel, over up to `MOST` connections.

    `ca` is the first connection, and the others are twins of it; `count` is the number of requests.
    """

    def __init__(self, connections: Connections, ca: Connection, count: int) -> None:
        self._connections = connections
        self._own = {0: ca}
        self._most = max(min(MOST, count // EACH), 1)

    def each(self, ask: Callable[[Connection, Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return the results for the items, in their order."""
        if self._most == 1:
            return [ask(self._own[0], item) for item in items]
        found: dict[int, Result] = {}

        def share(thread: int) -> None:
            for place in range(thread, len(items), self._most):
                found[place] = ask(self._of(thread), items[place])

        with ThreadPoolExecutor(self._most) as pool:
            for done in [pool.submit(share, thread) for thread in range(self._most)]:
                done.result()
        return [found[place] for place in range(len(items))]

    def _of(self, thread: int) -> Connection:
        """Return the thread's own connection, opened on first use."""
        if thread not in self._own:
            self._own[thread] = self._connections.twin(self._own[0])
        return self._own[thread]

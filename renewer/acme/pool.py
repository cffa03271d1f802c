"""The connections of one run: each belongs to one thread while it is in use, and then to the next."""

import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from renewer.acme.client import Connection
from renewer.core.interfaces import Clock
from renewer.system.rate_limiter import RateLimiter

OPENED, PERIOD = 15, 1.0
"""Connections that are opened at most in so many seconds: each begins with a request for a nonce, and Let's
Encrypt takes 20 of those in a second (letsencrypt.org/docs/rate-limits, overall requests limit)."""


@dataclass(frozen=True)
class Connections:
    """Safe to use from threads; `open_` makes the first connection to a CA, which fetches its directory.

    They live as long as the run does, so no nonce and no directory gets old in them.
    """

    open_: Callable[[str], Connection]
    clock: Clock
    _pace: RateLimiter = field(init=False)
    _first: dict[str, "Future[Connection]"] = field(default_factory=dict)
    _idle: defaultdict[str, list[Connection]] = field(default_factory=lambda: defaultdict(list))
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Have nobody wait yet."""
        object.__setattr__(self, "_pace", RateLimiter(self.clock, OPENED, PERIOD))

    def take(self, directory_url: str) -> Connection:
        """Return a connection that nobody uses; raises what `open_` does, to all that wait for it at once."""
        with self._guard:
            if self._idle[directory_url]:
                return self._idle[directory_url].pop()
            known = directory_url in self._first
            first = self._first.setdefault(directory_url, Future())
        return self.twin(first.result()) if known else self._open(directory_url, first)

    def twin(self, connection: Connection) -> Connection:
        """Return another connection as the same account, as soon as one more may be opened."""
        self._pace.wait()
        return connection.twin()

    def give_back(self, directory_url: str, connection: Connection) -> None:
        """Let others use it; one that something went wrong with is better thrown away."""
        with self._guard:
            self._idle[directory_url].append(connection)

    def _open(self, directory_url: str, first: "Future[Connection]") -> Connection:
        try:
            self._pace.wait()
            connection = self.open_(directory_url)
        except BaseException as error:  # it goes on from here, and to all that wait for this one
            with self._guard:
                del self._first[directory_url]  # who comes later tries again
            first.set_exception(error)
            raise
        first.set_result(connection)
        return connection

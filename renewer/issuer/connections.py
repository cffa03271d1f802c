"""The connections of one run: each belongs to one thread while it is in use, and then to the next."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from renewer.issuer.client import Connection


@dataclass(frozen=True)
class Connections:
    """Safe to use from threads; `open_` makes the first connection to a CA, which fetches its directory.

    They live as long as the run does, so no nonce and no directory gets old in them.
    """

    open_: Callable[[str], Connection]
    _first: dict[str, Connection] = field(default_factory=dict)
    _idle: defaultdict[str, list[Connection]] = field(default_factory=lambda: defaultdict(list))
    _opening: threading.Lock = field(default_factory=threading.Lock)

    def take(self, server: str) -> Connection:
        """Return a connection that nobody uses."""
        with self._opening:
            if self._idle[server]:
                return self._idle[server].pop()
            if server not in self._first:
                self._first[server] = self.open_(server)
                return self._first[server]
        return self._first[server].twin()

    def give_back(self, server: str, connection: Connection) -> None:
        """Let others use it; one that something went wrong with is better thrown away."""
        with self._opening:
            self._idle[server].append(connection)

"""Requests that need not wait for each other, side by side over a few connections."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from renewer.acme.client import Connection
from renewer.acme.pool import Connections

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST, EACH = 8, 3
"""Connections for one order, and how many requests make one more worth its own handshake and nonce."""


class Ways:
    """The connections for `count` requests at a time, `ca` the first of them, twins of it the others."""

    def __init__(self, connections: Connections, ca: Connection, count: int) -> None:
        self._connections = connections
        self._ways = {0: ca}
        self._most = max(min(MOST, count // EACH), 1)

    def each(self, ask: Callable[[Connection, Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return what is answered for each item, in their order."""
        if self._most == 1:
            return [ask(self._ways[0], item) for item in items]
        found: dict[int, Result] = {}

        def share(way: int) -> None:
            for place in range(way, len(items), self._most):
                found[place] = ask(self._way(way), items[place])

        with ThreadPoolExecutor(self._most) as pool:
            for done in [pool.submit(share, way) for way in range(self._most)]:
                done.result()
        return [found[place] for place in range(len(items))]

    def _way(self, way: int) -> Connection:
        """Return a connection, which is made when it is used: what its turn is for is its first request."""
        if way not in self._ways:
            self._ways[way] = self._connections.twin(self._ways[0])
        return self._ways[way]

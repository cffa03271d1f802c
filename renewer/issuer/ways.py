"""Requests that need not wait for each other, side by side over a few connections."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from renewer.issuer.client import Connection

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST, EACH = 8, 3
"""Connections for one order, and how many requests make one more worth its own handshake and nonce."""


class Ways:
    """The connections for `count` requests at a time, `ca` the first of them."""

    def __init__(self, ca: Connection, count: int) -> None:
        more = min(MOST, count // EACH) - 1
        self._connections = [ca, *(ca.twin() for _ in range(more))]

    def each(self, ask: Callable[[Connection, Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return what is answered for each item, in their order."""
        ways = len(self._connections)
        if ways == 1:
            return [ask(self._connections[0], item) for item in items]
        found: dict[int, Result] = {}

        def share(way: int) -> None:
            for place in range(way, len(items), ways):
                found[place] = ask(self._connections[way], items[place])

        with ThreadPoolExecutor(ways) as pool:
            for done in [pool.submit(share, way) for way in range(ways)]:
                done.result()
        return [found[place] for place in range(len(items))]

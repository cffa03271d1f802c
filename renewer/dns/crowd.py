"""How many name servers are watched at a time: the more they are, the less often each may be asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Crowd:
    """How many name servers are watched, those of all certificates together."""

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

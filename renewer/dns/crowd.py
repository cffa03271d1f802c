"""How many watch the name servers at a time: the more they are, the less often each may ask."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Crowd:
    """How many watchers there are, those of all certificates together."""

    def __init__(self) -> None:
        self.size = 0
        self._guard = threading.Lock()

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Be one of them."""
        with self._guard:
            self.size += 1
        try:
            yield
        finally:
            with self._guard:
                self.size -= 1

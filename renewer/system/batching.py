"""What several threads ask for at once is done in one go."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Wish = TypeVar("Wish")


@dataclass
class _Entry(Generic[Wish]):
    wish: Wish
    done: bool = False
    error: BaseException | None = None


@dataclass
class Batcher(Generic[Wish]):
    """Fulfils wishes, one go after the other; who comes while one is under way is part of the next.

    Nobody waits for company: who comes alone is served at once. What `serve` raises is raised to all of those
    that it was given, an error of each one's own. `fit` tells how many of those that wait, the longest
    waiting first, go together.
    """

    serve: Callable[[Sequence[Wish]], None]
    fit: Callable[[Sequence[Wish]], int] = len
    _waiting: list[_Entry[Wish]] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def waiting(self) -> int:
        """How many wishes no go has been made for yet."""
        return len(self._waiting)

    def fulfil(self, wish: Wish) -> None:
        """Return once the wish is fulfilled, by this thread or another."""
        entry = _Entry(wish)
        with self._guard:
            self._waiting.append(entry)
        while not entry.done:
            with self._turn:
                if not entry.done:
                    self._go()
        if entry.error is not None:
            raise entry.error

    def _go(self) -> None:
        with self._guard:
            count = max(self.fit([entry.wish for entry in self._waiting]), 1)
            group, self._waiting[:count] = self._waiting[:count], []
        try:
            self.serve([entry.wish for entry in group])
        except BaseException as error:  # noqa: BLE001 - each of them raises it
            for entry in group:
                entry.error = error
        finally:
            for entry in group:
                entry.done = True

"""How fast somebody may be asked: who would be one request too many waits for his turn."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from renewer.ports import Clock


@dataclass(frozen=True)
class Pace:
    """Counts the requests of this run, at most `most` in `period` seconds; safe to use from threads.

    `told` is called with the seconds before anybody waits.
    """

    clock: Clock
    most: int
    period: float
    told: Callable[[float], None] = lambda _: None
    _made: deque[float] = field(default_factory=deque)
    _queue: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Return when one more request may be made, first come first served; it counts as made then."""
        with self._queue:
            if len(self._made) >= self.most:
                pause = self._made.popleft() + self.period - self.clock.monotonic()
                if pause > 0:
                    self.told(pause)
                    self.clock.sleep(pause)
            self._made.append(self.clock.monotonic())

"""How fast somebody may be asked: who would be one request too many waits for his turn."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from renewer.core.interfaces import Clock


@dataclass(frozen=True)
class RateLimiter:
    """Counts the requests of this run, at most `most` in `period` seconds; safe to use from threads.

    Beyond `at_once` (1 or more) in a period the rest are spread over what is left of it: those who share
    requests then find company while they wait, where they would use up all of them and then wait for long.
    `told` is called with the seconds before anybody waits because there are none left.
    """

    clock: Clock
    most: int
    period: float
    told: Callable[[float], None] = lambda _: None
    at_once: int | None = None
    _made: deque[float] = field(default_factory=deque)
    _queue: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Return when one more request may be made, first come first served; it counts as made then."""
        with self._queue:
            pause = self._pause()
            if pause > 0:
                self.clock.sleep(pause)
            self._made.append(self.clock.monotonic())

    def _pause(self) -> float:
        """Return the seconds to wait before the next request."""
        now = self.clock.monotonic()
        while self._made and self._made[0] + self.period <= now:
            self._made.popleft()
        count = len(self._made)
        if count < (self.most if self.at_once is None else self.at_once):
            return 0.0
        free = self._made[0] + self.period - now
        if count < self.most:
            return free / (self.most - count)
        self.told(free)
        return free

"""How fast an API may be asked: who would be one call too many waits for its turn."""

import threading
from collections import deque
from dataclasses import dataclass, field

from renewer.ports import Clock, Report

PERIOD = 300.0
"""Seconds for which Cloudflare counts calls (developers.cloudflare.com/fundamentals/api/reference/limits)."""

CALLS = 1000
"""Calls in them; the limit is 1,200, and who crosses it is blocked, with all other programs of that user."""


@dataclass(frozen=True)
class Pace:
    """Counts the calls of this run; safe to use from threads."""

    clock: Clock
    report: Report
    subject: str
    _made: deque[float] = field(default_factory=deque)
    _queue: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Return when one more call may be made, first come first served; it counts as made then."""
        with self._queue:
            now = self.clock.monotonic()
            if len(self._made) >= CALLS:
                pause = self._made.popleft() + PERIOD - now
                if pause > 0:
                    said = (
                        f"waits {pause:.0f} seconds: more than {CALLS:,} calls in 5 minutes would be too many"
                    )
                    self.report.doing(self.subject, said)
                    self.clock.sleep(pause)
            self._made.append(self.clock.monotonic())

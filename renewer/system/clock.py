"""The system clock and random numbers."""

import random
import threading
import time
from datetime import UTC, datetime

from renewer.core.errors import Stopped


class SystemClock:
    """The system clock; `stop` ends every wait at once."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def now(self) -> datetime:
        """Return the wall clock's time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds of a clock that only goes forward."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; raises `Stopped` once the program is asked to stop."""
        if self._stopping.wait(max(seconds, 0)):
            raise Stopped("interrupted", hint="the next run resumes here")

    def fraction(self) -> float:
        """Return a random number in [0, 1)."""
        return random.SystemRandom().random()

    @property
    def stopping(self) -> bool:
        """Whether the program was asked to stop."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """End every wait; not safe in a signal handler, which may interrupt a wait."""
        self._stopping.set()

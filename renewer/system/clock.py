"""The real clock, real chance, and word to systemd."""

import random
import threading
import time
from datetime import UTC, datetime

from renewer.core.errors import Stopped


class SystemClock:
    """The machine's clock; `stop` ends every wait at once."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def now(self) -> datetime:
        """Return the wall clock's time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that only go forward."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; raises `Stopped` once the program is asked to end."""
        if self._stopping.wait(max(seconds, 0)):
            raise Stopped("asked to end", hint="the next run goes on from here")

    def fraction(self) -> float:
        """Return a random number in [0, 1)."""
        return random.SystemRandom().random()

    @property
    def stopping(self) -> bool:
        """Whether the program was asked to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """End every wait; not for a signal's handler, which may have struck in the middle of one."""
        self._stopping.set()

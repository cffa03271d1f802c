"""Receives signals without losing any."""

import os
import select
import signal


class Signals:
    """Signals in the order of their arrival, none of them lost.

    Python runs a handler only in the main thread: never, if that thread is about to wait for a lock. So the
    number of each signal goes through a pipe (signal.set_wakeup_fd), which any thread can read.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self._arrived, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for number in numbers:
            signal.signal(number, _noted)

    def wait(self) -> int:
        """Wait for the next signal; return its number."""
        return os.read(self._arrived, 1)[0]

    def wait_for(self, seconds: float) -> int | None:
        """Return the number of the next signal, or `None` if none arrives within these seconds.

        They are seconds of the monotonic clock.
        """
        ready, _, _ = select.select([self._arrived], [], [], seconds)
        return self.wait() if ready else None


def _noted(*_: object) -> None:
    """Do nothing; having a handler keeps the signal from ending the program."""

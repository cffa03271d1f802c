"""The signals that a process gets, none of them lost."""

import os
import select
import signal


class Signals:
    """Signals in the order of their arrival, none of them lost.

    A handler runs only once the main thread gets to it: never, if that thread is just about to wait for a
    lock. So the number of each signal goes through a pipe (signal.set_wakeup_fd), which any thread can read.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self._arrived, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for number in numbers:
            signal.signal(number, _noted)

    def wait(self) -> int:
        """Return the next signal's number, as soon as there is one."""
        return os.read(self._arrived, 1)[0]

    def wait_for(self, seconds: float) -> int | None:
        """Return the next signal's number, or `None` if none has come when the seconds are over.

        They are those of the monotonic clock, whatever the wall clock is set to.
        """
        ready, _, _ = select.select([self._arrived], [], [], seconds)
        return self.wait() if ready else None


def _noted(*_: object) -> None:
    """Do nothing: what matters is that the signal does not end the program."""

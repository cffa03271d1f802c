"""The real clock, real chance, and word to systemd."""

import os
import random
import resource
import select
import signal
import socket
import threading
import time
from datetime import UTC, datetime

from renewer.errors import Stopped


def never_dump_core() -> None:
    """Let no crash write the keys in the memory of this process, or of one that it starts, to a disk."""
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):  # a service that has it so may not set it
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def watched(usual: float) -> float:
    """Return how often to feed systemd's watchdog, in seconds: twice as often as it asks for, or as usual.

    See sd_watchdog_enabled(3).
    """
    asked = os.environ.get("WATCHDOG_USEC", "")
    return min(usual, int(asked) / 2_000_000) if asked.isdecimal() and int(asked) else usual


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


def notify(*states: str) -> None:
    """Tell systemd of the service's state, if it asked for it (sd_notify(3)); never an error.

    A name that begins with `@` is in the abstract namespace.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
            speaker.connect(target)
            speaker.sendall("\n".join(states).encode())
    except OSError:
        return  # a service runs on when its supervisor does not listen

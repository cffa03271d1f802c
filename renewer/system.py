"""The real clock, real chance, and word to systemd."""

import os
import random
import socket
import threading
import time
from datetime import UTC, datetime

from renewer.errors import Stopped


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

    def stop(self) -> None:
        """End every wait, from a signal's handler too."""
        self._stopping.set()


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

"""Word to systemd: the state of the service, and its watchdog."""

import os
import socket


def watched(usual: float) -> float:
    """Return how often to feed systemd's watchdog, in seconds: twice as often as it asks for, or as usual.

    See sd_watchdog_enabled(3).
    """
    asked = os.environ.get("WATCHDOG_USEC", "")
    return min(usual, int(asked) / 2_000_000) if asked.isdecimal() and int(asked) else usual


def notify(*states: str) -> None:
    """Send the service's state to systemd, if it asked for it (sd_notify(3)); never an error.

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

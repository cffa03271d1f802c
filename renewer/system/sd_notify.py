"""Notifies systemd of the state of the service, and feeds its watchdog."""

import os
import socket


def watched(usual: float) -> float:
    """Return the seconds between two watchdog notifications: half of systemd's interval, at most `usual`.

    See sd_watchdog_enabled(3).
    """
    asked = os.environ.get("WATCHDOG_USEC", "")
    return min(usual, int(asked) / 2_000_000) if asked.isdecimal() and int(asked) else usual


def notify(*states: str) -> None:
    """Send the service's state to systemd, if it wants it (sd_notify(3)); never raises.

    An address that begins with `@` is in the abstract namespace.
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
        return  # the service works without its supervisor

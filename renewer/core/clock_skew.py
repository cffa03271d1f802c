"""Compares this machine's clock with the CA's, and with stored certificates. Pure."""

from datetime import datetime, timedelta

from renewer.core.errors import Refused
from renewer.core.http_headers import behind
from renewer.core.timefmt import at

CLOCKS_DIFFER = timedelta(days=1)
"""How far this machine's clock may be off from the CA's, or behind the time of a stored certificate."""


_SET = "set the clock (timedatectl set-ntp true); nothing is ordered until it is right"


class WrongClock(Refused):
    """The system clock is so wrong that no decision can be based on it."""


def refuse_wrong_clock(date: str, now: datetime) -> None:
    """Raise `WrongClock` if the system clock and the CA's (header Date) disagree.

    With a wrong clock every certificate looks expired, or never due.
    """
    difference = behind(date, now)
    if difference is not None and abs(difference) > CLOCKS_DIFFER:
        raise WrongClock(
            f"this machine's clock is wrong: it shows {at(now)}, the CA {at(now + difference)}",
            hint=_SET,
        )


def refuse_earlier_than(obtained: datetime | None, now: datetime) -> None:
    """Raise `WrongClock` if the certificate was obtained in the future: then nothing would ever be due."""
    if obtained and obtained - now > CLOCKS_DIFFER:
        raise WrongClock(
            f"this machine's clock is wrong: it shows {at(now)},"
            f" but the certificate was obtained at {at(obtained)}",
            hint=_SET,
        )

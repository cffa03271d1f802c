"""Times for a person. Pure."""

from datetime import datetime, timedelta

_UNITS = (
    (timedelta(days=1), timedelta(hours=1), "day"),
    (timedelta(hours=1), timedelta(minutes=1), "hour"),
    (timedelta(minutes=1), timedelta(minutes=1), "minute"),
)
"""Each unit, the finer unit to round to first, and its name."""


def at(when: datetime) -> str:
    """Return a time to the minute."""
    return f"{when:%Y-%m-%d %H:%M} UTC"


def exactly(when: datetime) -> str:
    """Return a time to the second."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def distance(left: timedelta) -> str:
    """Return how long it is until a time, or since it, in the largest fitting unit.

    A moment short of 90 days is called 90 days; an hour short of them, 89.
    """
    for unit, finer, name in _UNITS:
        count = round(abs(left) / finer) * finer // unit
        if count > 1 or (count and unit == finer):
            spoken = f"{count} {name}{'' if count == 1 else 's'}"
            return f"in {spoken}" if left > timedelta() else f"{spoken} ago"
    return "now"

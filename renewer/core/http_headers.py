"""What the HTTP headers Date and Retry-After say (RFC 9110)."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST = timedelta(days=30)
"""A Retry-After beyond this is taken as this: nobody means it."""


def retry_after(header: str, now: datetime) -> timedelta | None:
    """Return what a Retry-After header asks for: seconds or a date (RFC 9110, section 10.2.3)."""
    if header.isascii() and header.isdecimal():
        return min(timedelta(seconds=int(header[:9])), LONGEST)
    try:
        when = parsedate_to_datetime(header)
    except (OverflowError, ValueError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max(when - now, timedelta(0)), LONGEST)


def behind(date: str, now: datetime) -> timedelta | None:
    """Return by how much the clock is behind what a header Date tells (RFC 9110, section 6.6.1).

    Negative if it is ahead, `None` for what is no date.
    """
    try:
        told = parsedate_to_datetime(date)
    except (OverflowError, ValueError):
        return None
    return (told if told.tzinfo else told.replace(tzinfo=UTC)) - now

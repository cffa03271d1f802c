"""Reads the HTTP headers Date and Retry-After (RFC 9110)."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST = timedelta(days=30)
"""A longer Retry-After counts as this: it cannot be meant."""


def retry_after(header: str, now: datetime) -> timedelta | None:
    """Return the wait in a Retry-After header: seconds or a date (RFC 9110, section 10.2.3)."""
    if header.isascii() and header.isdecimal():
        return min(timedelta(seconds=int(header[:9])), LONGEST)
    try:
        when = parsedate_to_datetime(header)
    except (OverflowError, ValueError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max(when - now, timedelta(0)), LONGEST)


def behind(date: str, now: datetime) -> timedelta | None:
    """Return how far the clock is behind the header Date (RFC 9110, section 6.6.1).

    Negative if it is ahead, `None` for an invalid date.
    """
    try:
        told = parsedate_to_datetime(date)
    except (OverflowError, ValueError):
        return None
    return (told if told.tzinfo else told.replace(tzinfo=UTC)) - now

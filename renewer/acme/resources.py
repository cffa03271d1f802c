"""The CA's data on an order, as plain values."""

from dataclasses import dataclass
from datetime import timedelta

from renewer.core.journal import TxtRecord


@dataclass(frozen=True)
class Order:
    """An order as the CA reports it (RFC 8555, section 7.1.3), and how long to wait before the next poll."""

    url: str
    status: str
    domains: frozenset[str]
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str | None = None
    error: str = ""
    retry_after: timedelta | None = None


@dataclass(frozen=True)
class Challenge:
    """A dns-01 challenge (section 8.4): its record, and the URL to answer at; `None`: answered."""

    record: TxtRecord
    url: str | None

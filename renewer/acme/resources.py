"""What a CA says of an order, as plain values."""

from dataclasses import dataclass
from datetime import timedelta

from renewer.core.journal import TxtRecord


@dataclass(frozen=True)
class Order:
    """An order as the CA shows it (RFC 8555, section 7.1.3), and how long it asks to wait for a look."""

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
    """A dns-01 challenge (section 8.4): the record that it asks for and where to answer; `None`: answered."""

    record: TxtRecord
    url: str | None

"""The figures of a cycle, for metrics: frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class CertificateReading:
    """What is known of one certificate; what is not is `None`.

    `failures` is how many attempts in a row have failed, `success` when a cycle last found nothing wrong.
    """

    begin: datetime | None = None
    end: datetime | None = None
    renewal: datetime | None = None
    served: bool | None = None
    failures: int = 0
    success: datetime | None = None


@dataclass(frozen=True)
class Readings:
    """What a cycle that ended at `at` leaves; `keys` is when each site got its current key."""

    at: datetime
    exit_code: int
    certificates: Mapping[str, CertificateReading]
    keys: Mapping[str, datetime]

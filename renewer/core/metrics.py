"""The figures of a cycle, for metrics. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class CertificateReading:
    """The metrics of one certificate; unknown ones are `None`.

    `failures` is the number of failed attempts in a row, `success` the time of the last cycle without an
    error.
    """

    begin: datetime | None = None
    end: datetime | None = None
    renewal: datetime | None = None
    served: bool | None = None
    failures: int = 0
    success: datetime | None = None


@dataclass(frozen=True)
class Readings:
    """The metrics of a cycle that ended at `at`; `keys` is when each site got its current key."""

    at: datetime
    exit_code: int
    certificates: Mapping[str, CertificateReading]
    keys: Mapping[str, datetime]

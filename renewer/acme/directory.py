"""The data that a CA publishes in its directory, no account needed (RFC 8555, section 7.1.1)."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from renewer.acme.client import Connection, translated
from renewer.core.interfaces import Clock


@dataclass(frozen=True)
class Directory:
    """The directory of a CA; `behind` is by how much the system clock is behind the CA's."""

    directory_url: str
    terms: str
    profiles: tuple[str, ...]
    caa_identities: tuple[str, ...]
    customers_only: bool
    behind: timedelta | None


def look(directory_url: str, clock: Clock, ca_bundle: Path | None) -> Directory:
    """Fetch the directory; raises the errors an order would raise."""
    with translated(directory_url):
        ca = Connection(directory_url, clock, ca_bundle)
        return Directory(
            directory_url, ca.terms, ca.profiles, ca.caa_identities, bool(ca.customers_only), ca.behind
        )

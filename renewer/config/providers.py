"""The DNS providers: each has a table of its own in the configuration, whose name chooses it.

A provider is an entry point of the group `renewer.dns`, loaded only if its table is there, so another package
can bring one (packaging.python.org/specifications/entry-points). `renewer/dns/provider.py` says what an entry
point leads to.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import ClassVar, Protocol, cast

from renewer.config.reader import Table
from renewer.core.errors import ConfigError

GROUP = "renewer.dns"

USUAL, _USUAL_MODULE, _ATTRIBUTE = "cloudflare", "renewer.dns.cloudflare", "PROVIDER"
"""The provider of a configuration that has no such table, and where it is.

It is known without a search through all that is installed, which would cost each start 10 ms.
"""


@dataclass(frozen=True)
class Credential:
    """A provider's secret, which systemd hands a service over as `name` (`LoadCredential=`).

    `what` it is in a few words. `file` is where it is by the configuration, at the key `place`; `usual` is
    where a service has it otherwise.
    """

    name: str
    what: str
    place: str
    file: Path | None
    usual: Path


class DnsTable(Table, frozen=True):
    """The table of a DNS provider; its fields are the provider's own."""

    provider: ClassVar[str]
    """The name of the table, and of the entry point."""

    @property
    def credentials(self) -> tuple[Credential, ...]:
        """The secrets that it needs."""
        return ()


class Registered(Protocol):
    """What this package has to know of a provider."""

    @property
    def settings(self) -> type[DnsTable]:
        """The type of its table."""


def find(name: str) -> Registered | None:
    """Return the provider of this name, if there is one; raises `ConfigError` if it cannot be loaded."""
    if name == USUAL:
        return cast("Registered", getattr(import_module(_USUAL_MODULE), _ATTRIBUTE))
    from importlib.metadata import entry_points  # noqa: PLC0415  (slow, and nobody with the usual one needs it)

    entry = next(iter(entry_points(group=GROUP, name=name)), None)
    try:
        return cast("Registered", entry.load()) if entry else None
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"the DNS provider {name} cannot be loaded: {error}", hint="install its package anew"
        ) from error


def table(name: str) -> type[DnsTable] | None:
    """Return the type of the table of this name, if it is one of a DNS provider."""
    found = find(name)
    return found.settings if found else None


def names() -> Iterable[str]:
    """Return the names of all providers."""
    from importlib.metadata import entry_points  # noqa: PLC0415  (as above)

    return {USUAL, *entry_points(group=GROUP).names}


def usual() -> DnsTable:
    """Return the table of the usual provider with nothing in it."""
    found = table(USUAL)
    assert found is not None  # noqa: S101 - it is part of the program
    return found()

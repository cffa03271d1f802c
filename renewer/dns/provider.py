"""The interface of a DNS provider, which is loaded through an entry point of the group `renewer.dns`.

A provider is a folder here, or a third-party package, whose entry point refers to a `Provider`. The name of
the entry point is also that of its table in the configuration:

    [project.entry-points."renewer.dns"]
    cloudflare = "renewer.dns.cloudflare:PROVIDER"

It is loaded to read the configuration, so it should import other modules only when they are needed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from renewer.config import providers
from renewer.config.providers import DnsTable
from renewer.core.finding import Finding, Group
from renewer.core.interfaces import Clock, DnsProvider, Report

if TYPE_CHECKING:
    from renewer.dns.resolver import Delegation
    from renewer.store.state import State

Answer = TypeVar("Answer")


class Scene(Protocol):
    """The values that `renewer check` provides, each computed once; safe to use from threads."""

    @property
    def clock(self) -> Clock:
        """The clock."""

    @property
    def vault(self) -> "State":
        """The program's stored state."""

    @property
    def bases(self) -> Sequence[str]:
        """The domains to validate, each once, without the star of a wildcard."""

    def challenge(self, name: str) -> str:
        """Return the name at which the CA looks for the TXT record of a domain, after CNAMEs."""

    def delegation(self, name: str) -> "Delegation":
        """Return the zone that contains a name according to the DNS, with its name servers."""


Prove = Callable[[DnsProvider, Sequence[str], str], Iterator[Finding]]
"""Creates a TXT record below each of these names, checks that the DNS shows it, and removes it.

The sentence is the hint for a record that appears elsewhere.
"""

Looks = Mapping[Group, Callable[[], Iterator[Finding]]]
"""The checks of a provider by group: its credentials (`TOKEN`), its zones, name servers (`DNS`)."""


class Terminal(Protocol):
    """A person who runs `renewer init`."""

    def say(self, *lines: str) -> None:
        """Print lines of the result."""

    def note(self, *lines: str) -> None:
        """Print lines that are not part of the result."""

    def problem(self, subject: str, what: str, hint: str) -> None:
        """Report the problem with an answer."""

    def ask(self, question: str, read: Callable[[str], Answer], *, hide: bool = False) -> Answer:
        """Ask until `read` accepts the answer, which may be empty; raises `Refused` if the person quits."""

    def report(self) -> AbstractContextManager[Report]:
        """Return the report that shows waiting times."""


class Setup(Protocol):
    """Asks a person for the values a provider needs, and tests them, before anything is written."""

    @property
    def table(self) -> Sequence[str]:
        """The lines of the provider's table in the new configuration, including its header."""

    @property
    def secrets(self) -> Mapping[Path, str]:
        """The secrets that were typed in, by the new file to save each in."""

    def ask(self, terminal: Terminal) -> None:
        """Ask for the values that are missing."""

    def test(self, terminal: Terminal, settings: DnsTable, domains: Sequence[str], clock: Clock) -> None:
        """Test the values and print the result; raises `Refused` or `ConfigError` if they cannot work.

        Asks again for values that were typed in.
        """


@dataclass(frozen=True)
class Option:
    """An option of `renewer init` that belongs to the provider."""

    name: str
    metavar: str
    help: str
    default: str | None = None


@dataclass(frozen=True)
class Provider:
    """A DNS provider. `build` gets its table, whose type is `settings`.

    `title` is its usual name, `status_page` the URL where it reports outages. `diagnose` is its part of
    `renewer check`; without it only a trial record is created. `setup` is its part of `renewer init` and
    `import`: it gets the file of the new configuration, and the values of its `options` by name. `fit`
    returns another client's secret, found at a place, in the form for a file; it raises `ConfigError` if it
    cannot be valid.
    """

    title: str
    settings: type[DnsTable]
    build: "Callable[[Any, State, Clock, Report], DnsProvider]"
    diagnose: Callable[[Any, Scene, Prove], Looks] | None = None
    setup: Callable[[Path, Mapping[str, str | None]], Setup] | None = None
    options: tuple[Option, ...] = ()
    fit: Callable[[str, str], str] | None = None
    status_page: str = ""


def chosen(settings: DnsTable) -> Provider:
    """Return the provider that is selected by its table in the configuration."""
    return cast("Provider", providers.find(settings.provider))


def usual() -> Provider:
    """Return the provider of a configuration that does not select one."""
    return chosen(providers.usual())

"""What a DNS provider is for the program: what an entry point of the group `renewer.dns` leads to.

A provider is a folder here, or a package of somebody else, with a `Provider` to which an entry point leads.
Its name is that of its table in the configuration, and of the entry point:

    [project.entry-points."renewer.dns"]
    cloudflare = "renewer.dns.cloudflare:PROVIDER"

It is loaded to read the configuration, so what it needs for its work is better imported when that begins.
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
    """What `renewer check` knows, each thing found out once; safe to use from threads."""

    @property
    def clock(self) -> Clock:
        """The clock."""

    @property
    def vault(self) -> "State":
        """The program's memory."""

    @property
    def bases(self) -> Sequence[str]:
        """The domains that have to be proved, each once, without the star of a wildcard."""

    def challenge(self, name: str) -> str:
        """Return where the CA looks for the TXT record of a domain, CNAMEs followed."""

    def delegation(self, name: str) -> "Delegation":
        """Return the zone that a name lies in by the DNS, with its name servers."""


Prove = Callable[[DnsProvider, Sequence[str], str], Iterator[Finding]]
"""Creates a TXT record below each of these names, looks for it in the DNS, and removes it.

The sentence says what to do where a record turns up elsewhere.
"""

Looks = Mapping[Group, Callable[[], Iterator[Finding]]]
"""The looks of a provider by what they are at: its credentials (`TOKEN`), its zones, name servers (`DNS`)."""


class Terminal(Protocol):
    """A person who runs `renewer init`."""

    def say(self, *lines: str) -> None:
        """Print lines of the result."""

    def note(self, *lines: str) -> None:
        """Print lines that are not part of the result."""

    def problem(self, what: str, hint: str) -> None:
        """Report what is wrong with an answer."""

    def ask(self, question: str, read: Callable[[str], Answer], *, hide: bool = False) -> Answer:
        """Ask until `read` takes the answer, which may be empty; raises `Refused` for who leaves."""

    def report(self) -> AbstractContextManager[Report]:
        """Return where waiting is reported."""


class Setup(Protocol):
    """Asks a person for what a provider needs, and tries it, before anything is written."""

    @property
    def table(self) -> Sequence[str]:
        """The lines of the provider's table in the new configuration, its head included."""

    @property
    def secrets(self) -> Mapping[Path, str]:
        """What was typed in, by the file that it goes into, which is not there yet."""

    def ask(self, terminal: Terminal) -> None:
        """Ask for what is not there yet."""

    def test(self, terminal: Terminal, settings: DnsTable, domains: Sequence[str], clock: Clock) -> None:
        """Say what the provider makes of it; raises `Refused` or `ConfigError` for what cannot work.

        What was typed in is asked for again.
        """


@dataclass(frozen=True)
class Option:
    """An option of `renewer init` that is the provider's."""

    name: str
    metavar: str
    help: str
    default: str | None = None


@dataclass(frozen=True)
class Provider:
    """A DNS provider. `build` gets its table, which `settings` is the type of.

    `title` is what a person calls it, `status_page` where it tells of its troubles. `diagnose` is its part of
    `renewer check`; without it only a trial record is created. `setup` is its part of `renewer init` and
    `import`: it gets the file of the new configuration, and the values of its `options` by name. `fit`
    returns a secret that another client had, at a place, as it goes into a file; it raises `ConfigError` for
    one that cannot be right.
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
    """Return the provider that the configuration has chosen by its table."""
    return cast("Provider", providers.find(settings.provider))


def usual() -> Provider:
    """Return the provider of a configuration that does not choose one."""
    return chosen(providers.usual())

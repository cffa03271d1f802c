"""What is looked at: the configuration, and what several looks share, each found out once."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from renewer.acme import directory
from renewer.acme.directory import Directory
from renewer.config.schema import Config
from renewer.core.errors import ConfigError
from renewer.core.interfaces import Clock, Follower, Journal
from renewer.core.journal import Progress
from renewer.dns.resolver import AuthoritativeCheck, Delegation
from renewer.service import install, unit_files
from renewer.store.files import FileStore
from renewer.store.following import ALONE
from renewer.store.state import State
from renewer.system import permissions
from renewer.system.console import Silent
from renewer.system.once import Once

FOLLOWED = timedelta(seconds=20)
"""How long the CNAMEs of a name are followed."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Scene:
    """What is looked at; safe to use from threads. `root` is the folder in which this machine's files lie.

    `follower` knows whose the state folder is. What several looks share is found out once; its error is
    raised for each of them.
    """

    config: Config
    file: str
    clock: Clock
    root: Path = Path("/")
    follower: Follower = ALONE
    _found: dict[object, Once[Any]] = field(default_factory=dict, init=False, repr=False)

    def authorities(self) -> AuthoritativeCheck:
        """Return who asks the name servers."""
        resolver = self.config.propagation.resolver
        return self._once("authorities", lambda: AuthoritativeCheck(resolver, self.clock))

    def directory(self, url: str) -> Directory:
        """Return what the CA with this directory tells of itself."""
        bundle = self.config.acme.bundle_at(url)
        return self._once(("directory", url), lambda: directory.look(url, self.clock, bundle))

    def delegation(self, name: str) -> Delegation:
        """Return the zone that a name lies in by the DNS, with its name servers."""
        return self._once(("delegation", name), lambda: self.authorities().delegation(name))

    def challenge(self, name: str) -> str:
        """Return the name at which the CA will look for the TXT record of a domain, CNAMEs followed."""
        challenge = f"_acme-challenge.{name}"
        found = self._once(("challenge", name), lambda: self.authorities().canonical([challenge], FOLLOWED))
        return found[challenge]

    def _once(self, key: object, find: Callable[[], Value]) -> Value:
        once: Once[Value] = self._found.setdefault(key, Once(find, lasting=True))
        return once()

    @property
    def vault(self) -> State:
        """The program's memory."""
        return State(FileStore(self.config.state), Silent())

    @property
    def unit(self) -> str:
        """The unit of systemd that is enabled, and works with this configuration; empty where none is."""
        for unit in unit_files.works_with(Path(self.file).absolute(), self.root):
            starter = install.TIMER if unit == install.ONE_SHOT else unit
            if any(self.root.glob(f"etc/systemd/system/*.wants/{starter}")):
                return unit
        return ""

    @property
    def bases(self) -> tuple[str, ...]:
        """The domains that have to be proved, each once, without the star of a wildcard."""
        all_of_them = (domain.removeprefix("*.") for spec in self.config.specs for domain in spec.domains)
        return tuple(dict.fromkeys(all_of_them))

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """Hold a journal for records in the DNS; in memory where the state folder is not ours to write."""
        try:
            permissions.refuse_unsafe(self.config.state)
            self.follower.refuse_foreign()
            ours = os.access(self.config.state, os.W_OK | os.X_OK)
        except ConfigError:
            ours = False
        if not ours:
            yield Remembered()
            return
        with self.vault.checkup() as ledger:
            yield ledger


class Remembered:
    """A journal that ends with the program."""

    def __init__(self) -> None:
        self._progress = Progress()

    def load(self) -> Progress:
        """Return it."""
        return self._progress

    def save(self, progress: Progress) -> None:
        """Keep it."""
        self._progress = progress

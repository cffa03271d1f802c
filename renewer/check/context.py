"""The configuration under check, and the values that several checks share, each computed once."""

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
"""How long to follow the CNAMEs of a name."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Scene:
    """The subject of all checks; safe to use from threads. `root` is the root of this machine's file system.

    `follower` knows which configuration the state folder belongs to. A value that several checks share is
    computed once; its error is raised for each of them.
    """

    config: Config
    file: str
    clock: Clock
    root: Path = Path("/")
    follower: Follower = ALONE
    _found: dict[object, Once[Any]] = field(default_factory=dict, init=False, repr=False)

    def authorities(self) -> AuthoritativeCheck:
        """Return the client for the name servers."""
        resolver = self.config.propagation.resolver
        return self._once("authorities", lambda: AuthoritativeCheck(resolver, self.clock))

    def directory(self, url: str) -> Directory:
        """Return the directory of the CA at this URL."""
        bundle = self.config.acme.bundle_at(url)
        return self._once(("directory", url), lambda: directory.look(url, self.clock, bundle))

    def delegation(self, name: str) -> Delegation:
        """Return the zone of a name according to the DNS, with its name servers."""
        return self._once(("delegation", name), lambda: self.authorities().delegation(name))

    def challenge(self, name: str) -> str:
        """Return the name at which the CA looks for the TXT record of a domain, after CNAMEs."""
        challenge = f"_acme-challenge.{name}"
        found = self._once(("challenge", name), lambda: self.authorities().canonical([challenge], FOLLOWED))
        return found[challenge]

    def _once(self, key: object, find: Callable[[], Value]) -> Value:
        once: Once[Value] = self._found.setdefault(key, Once(find, lasting=True))
        return once()

    @property
    def vault(self) -> State:
        """The stored state."""
        return State(FileStore(self.config.state), Silent())

    @property
    def unit(self) -> str:
        """The enabled systemd unit that uses this configuration; empty if there is none."""
        for unit in unit_files.works_with(Path(self.file).absolute(), self.root):
            starter = install.TIMER if unit == install.ONE_SHOT else unit
            if any(self.root.glob(f"etc/systemd/system/*.wants/{starter}")):
                return unit
        return ""

    @property
    def bases(self) -> tuple[str, ...]:
        """The domains to validate, each once, without the star of a wildcard."""
        all_of_them = (domain.removeprefix("*.") for spec in self.config.specs for domain in spec.domains)
        return tuple(dict.fromkeys(all_of_them))

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """Open a journal for DNS records; in memory if this user may not write to the state folder."""
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
    """A journal that lives in memory only."""

    def __init__(self) -> None:
        self._progress = Progress()

    def load(self) -> Progress:
        """Return the progress."""
        return self._progress

    def save(self, progress: Progress) -> None:
        """Keep the progress."""
        self._progress = progress

"""The configuration under check, and the values that several checks share, each computed once."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from renewer import app
from renewer.acme import directory
from renewer.acme.directory import Directory
from renewer.config.schema import Config
from renewer.core.errors import ConfigError, Refused, RenewerError
from renewer.core.interfaces import Clock, Follower, Journal
from renewer.core.journal import Progress
from renewer.dns.cloudflare.token import Token, Verdict, Zone
from renewer.dns.resolver import AuthoritativeCheck, Delegation
from renewer.service import install, unit_files
from renewer.store.files import FileStore
from renewer.store.following import ALONE
from renewer.store.state import State
from renewer.system import permissions
from renewer.system.console import Silent

FOLLOWED = timedelta(seconds=20)
"""How long to follow the CNAMEs of a name."""

Value = TypeVar("Value")


class Once(Generic[Value]):
    """A value that several threads need and one computes; its error is raised for each of them."""

    def __init__(self, find: Callable[[], Value]) -> None:
        self._find = find
        self._guard = threading.Lock()
        self._found: list[Value] = []
        self._error: RenewerError | None = None

    def __call__(self) -> Value:
        """Return the value; wait if another thread is computing it."""
        with self._guard:
            if self._error:
                raise self._error
            if not self._found:
                try:
                    self._found.append(self._find())
                except RenewerError as error:
                    self._error = error
                    raise
            return self._found[0]


class Fetched(Generic[Value]):
    """A `Once` for each key."""

    def __init__(self, find: Callable[[str], Value]) -> None:
        self._find = find
        self._guard = threading.Lock()
        self._all: dict[str, Once[Value]] = {}

    def __call__(self, key: str) -> Value:
        """Return the value of the key."""
        with self._guard:
            one = self._all.setdefault(key, Once(partial(self._find, key)))
        return one()


@dataclass(frozen=True)
class Place:
    """The zone that holds the records of a name: its domain, its identifier, and Cloudflare's data on it."""

    zone: str
    id: str
    told: Zone | None = None


@dataclass(frozen=True)
class Scene:
    """The subject of all checks; safe to use from threads. `root` is the root of this machine's file system.

    `follower` knows which configuration the state folder belongs to.
    """

    config: Config
    file: str
    clock: Clock
    root: Path = Path("/")
    follower: Follower = ALONE
    token: Once[Token] = field(init=False)
    verdict: Once[Verdict] = field(init=False)
    zones: Once[tuple[Zone, ...]] = field(init=False)
    authorities: Once[AuthoritativeCheck] = field(init=False)
    directory: Fetched[Directory] = field(init=False)
    delegation: Fetched[Delegation] = field(init=False)
    challenge: Fetched[str] = field(init=False)
    """The name at which the CA looks for the TXT record of a domain, after CNAMEs."""

    def __post_init__(self) -> None:
        """Define how each shared value is computed."""
        ids = self.config.cloudflare.zone_ids
        found: dict[str, object] = {
            "token": Once(lambda: Token(app.dns(self.config, ids, self.vault, self.clock, Silent()))),
            "verdict": Once(lambda: self.token().verdict(ids.values())),
            "zones": Once(self._zones),
            "authorities": Once(lambda: AuthoritativeCheck(self.config.propagation.resolver, self.clock)),
            "directory": Fetched(self._directory),
            "delegation": Fetched(lambda name: self.authorities().delegation(name)),
            "challenge": Fetched(self._challenge),
        }
        for name, one in found.items():
            object.__setattr__(self, name, one)

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

    def place(self, name: str) -> Place | None:
        """Return the zone for records of this name, or `None` if the token can read no zone for it.

        Raises the error that keeps the token from reading zones.
        """
        seen = {zone.name: zone for zone in self.zones()}
        known = {zone.name: zone.id for zone in seen.values()} | dict(self.config.cloudflare.zone_ids)
        around = [zone for zone in known if name == zone or name.endswith(f".{zone}")]
        if not around:
            return None
        zone = max(around, key=len)
        return Place(zone, known[zone], seen.get(zone))

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

    def _zones(self) -> tuple[Zone, ...]:
        """Return the zones the token can read; none for a valid token without Zone:Read."""
        try:
            return self.token().zones()
        except Refused:
            self.verdict()
            return ()

    def _challenge(self, name: str) -> str:
        challenge = f"_acme-challenge.{name}"
        return self.authorities().canonical([challenge], FOLLOWED)[challenge]

    def _directory(self, server: str) -> Directory:
        return directory.look(server, self.clock, self.config.acme.bundle_at(server))


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

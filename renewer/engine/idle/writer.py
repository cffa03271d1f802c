"""Writes the index after a cycle that found nothing to do; `index` reads it."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from renewer.config.schema import Config
from renewer.core.errors import RenewerError
from renewer.core.followed import View
from renewer.core.interfaces import Clock, Deployer
from renewer.core.model import Grounds
from renewer.engine.idle import index
from renewer.store.files import FileStore
from renewer.system import files

AT_MOST = timedelta(hours=1)
"""The longest time without a full check, so that another program in nginx's place is noticed."""

STEADY = 0.1
"""Seconds by which the clock may differ from the elapsed time; after a clock change, times prove nothing."""

LEASE = timedelta(minutes=1)


@dataclass(frozen=True)
class Began:
    """The start of a cycle, by both clocks."""

    now: datetime
    monotonic: float

    @classmethod
    def at(cls, clock: Clock) -> "Began":
        """Return the start of a cycle that begins now."""
        return cls(clock.now(), clock.monotonic())


@dataclass(frozen=True)
class Resting:
    """Maintains the index of one configuration, as it was read."""

    config: Config
    view: View
    clock: Clock

    def keep(self, until: datetime, said: str, deployer: Deployer, began: Began) -> None:
        """Record that nothing is due until then, unless anything has changed since the cycle began.

        The index is only a shortcut: a problem with it, such as a full disk, never fails a cycle.
        """
        index = None
        with suppress(RenewerError):
            index = self._index(until, said, deployer.grounds(), began)
        if index is None:
            self.forget()
            return
        with suppress(RenewerError), FileStore(self.config.state).lease("rest", LEASE):
            files.write(self._path, index.encoded())
            files.sweep(self._path.parent, self._path.name)

    def forget(self) -> None:
        """Remove the index: a cycle found something to do."""
        with suppress(RenewerError):
            files.remove(self._path)

    @property
    def _path(self) -> Path:
        return self.config.state / index.INDEX

    def _index(self, until: datetime, said: str, grounds: Grounds | None, began: Began) -> index.Index | None:
        if grounds is None:
            return None
        files = [*self._files(), *grounds.files]
        text, file = self.view.text.encode(), str(self.view.file or "")
        scope = index.Scope(text, str(self.config.state), files, grounds.pid_file, file)
        seen = scope.witness()
        now, passed = self.clock.now(), self.clock.monotonic() - began.monotonic
        if seen is None or abs((now - began.now).total_seconds() - passed) > STEADY:
            return None
        if not seen.settled(now.timestamp(), passed):
            return None
        end = min(until, now + AT_MOST)
        return index.Index(scope, now.timestamp(), end.astimezone(UTC).timestamp(), seen.text, said.encode())

    def _files(self) -> list[str]:
        """Return the files outside of the state folder that a cycle checks."""
        config, acme = self.config, self.config.acme
        bundles = [acme.ca_bundle, acme.rehearse_ca_bundle, *(one.ca_bundle for one in acme.fallbacks)]
        signers = [site.signer_file for site in config.sites.values()]
        named = [config.nginx.binary, config.nginx.config, *bundles, *signers]
        return [str(path) for path in named if path]

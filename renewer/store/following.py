"""Decides whether a reading of the configuration is the newest one for its state folder.

Two processes may use a state folder at the same time with different readings of its configuration: the daemon
read it an hour ago; since then a person has removed a device and run `renewer renew`. The older reading would
undo that: the device would get access again, a new site would lose its keys. So whatever changes access, or
removes what its reading has no table for, first asks here whether it is still the newest.

The file on disk decides. If it cannot be used (it is gone, faulty, or names another state folder), the text
that the state followed last decides, which is kept in the store.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from renewer.config import load
from renewer.config.schema import Config
from renewer.core.errors import ConfigError, Fault, Outdated, RenewerError
from renewer.core.followed import Followed, View
from renewer.core.interfaces import Clock, Report
from renewer.store.state import State

_AGAIN = "run it again, as the daemon does automatically: it then uses the file as it is now"


class Alone:
    """The `Follower` of a run that no other reading can conflict with."""

    def refuse_foreign(self) -> None:
        """Refuse nothing."""

    def begin(self) -> None:
        """Record nothing."""

    def follow(self, keep: Callable[[Followed], None]) -> None:
        """Record nothing."""

    def outdated(self) -> Outdated | None:
        """Return that no newer reading is known."""
        return None


ALONE = Alone()


@dataclass(frozen=True)
class Following:
    """The `Follower` for one reading; `usable` says whether another configuration could be in force here."""

    vault: State
    state: Path
    view: View
    usable: Callable[[Config], bool]
    clock: Clock
    report: Report

    def refuse_foreign(self) -> None:
        """Raise `ConfigError` if the state folder belongs to another configuration."""
        known, file = self.vault.followed(), self.view.file
        if known is None:
            return
        if file is None:
            if not self._holds(known):
                raise self._refusal(known, "the configuration on standard input")
        elif not _same(known.path, file) and self._stands(known.path):
            raise self._refusal(known, str(file))

    def begin(self) -> None:
        """Record that the state follows this reading, before anything else is done with it.

        Errors such as a busy lease or a full disk are ignored: they occur again, and are reported, when
        access is to be changed.
        """
        if self._noted(self.vault.followed()):
            return
        try:
            with self.vault.sites() as shelf:
                self.follow(shelf.follow)
        except ConfigError:
            raise
        except RenewerError:
            return

    def follow(self, keep: Callable[[Followed], None]) -> None:
        """See `interfaces.Follower`; raises `ConfigError` as `refuse_foreign` does."""
        self.refuse_foreign()
        if outdated := self.outdated():
            raise outdated
        known, file = self.vault.followed(), self.view.file
        if file is None or self._noted(known):
            return
        if known and not _same(known.path, file):
            place = f"the state folder {self.state} belonged to {known.file}"
            self.report.problem("configuration", f"{place}, which is gone; it now belongs to {file}")
        keep(Followed(str(file), self.view.digest, self.view.read))

    def outdated(self) -> Outdated | None:
        """Return why this reading is not the newest, or `None` if it is."""
        known = self.vault.followed()
        file = self.view.file or (known.path if known else None)
        if file is None:
            return None
        found = self._on_disk(file)
        if found is not None:
            changed = Outdated(f"{file} was changed after this run read it", hint=_AGAIN)
            return None if found == self.view.text else changed
        if known is None or known.digest == self.view.digest or not self._since(known):
            return None
        return Outdated(
            f"{file} was changed after this run read it, and now it has faults or is gone",
            hint=f"find out what is wrong with it: renewer -c {file} check",
        )

    def _noted(self, known: Followed | None) -> bool:
        file = self.view.file
        if known is None or file is None:
            return file is None
        return known.digest == self.view.digest and _same(known.path, file)

    def _holds(self, known: Followed) -> bool:
        """Return whether this reading, which is from no file, is the known file's."""
        found = self._on_disk(known.path)
        return known.digest == self.view.digest if found is None else found == self.view.text

    def _on_disk(self, file: Path) -> str | None:
        """Return the text of the file, if it is usable now."""
        with suppress(OSError):
            if not stat.S_ISREG(file.stat().st_mode):
                return None  # reading a pipe would block
        try:
            text = load.read(file)
            if text == self.view.text:
                return text
            found = load.parse(text, str(file))
        except ConfigError:
            return None
        return text if _one_folder(found.state, self.state) and self.usable(found) else None

    def _since(self, known: Followed) -> bool:
        """Return whether the known text was read after this one, unless the clock has been set back since."""
        return self.view.read < known.read <= self.clock.now()

    def _stands(self, file: Path) -> bool:
        """Return whether a file exists and names this state folder; an inaccessible one counts."""
        try:
            plain = stat.S_ISREG(file.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        try:
            return not plain or _one_folder(load.load(file).state, self.state)
        except ConfigError:
            return True

    def _refusal(self, known: Followed, mine: str) -> ConfigError:
        what = f"{self.state} belongs to the configuration {known.file}, not to {mine}"
        hint = f"choose another state folder; or, if this one is to replace {known.file}, rename that file"
        if not _seen(known.path):
            hint = (
                f"{hint} and, because this user cannot see it, remove {self.state}/store/configuration.json"
            )
        return ConfigError([Fault("state", what)], hint=f"{hint}; nothing was touched")


def _one_folder(one: Path, other: Path) -> bool:
    """Return whether both paths lead to the same folder, with any `..` or links."""
    try:
        return one == other or one.samefile(other)
    except OSError:  # one of them does not exist yet, or is inaccessible
        return os.path.realpath(one) == os.path.realpath(other)


def _same(one: Path, other: Path) -> bool:
    """Return whether both paths lead to the same file."""
    if one == other:
        return True
    try:
        return one.samefile(other)
    except OSError:
        return False


def _seen(file: Path) -> bool:
    try:
        file.stat()
    except OSError:
        return False
    return True

"""Which configuration a state folder follows: one, and the newest text of it that is on disk.

Two may work in a state folder at the same time, with different readings of its configuration: the daemon read
it an hour ago, a person has taken a device out since and run `renewer renew`. What the older reading does not
know, it would destroy: a device would get in again, a new site would lose its keys. So whoever is about to
change access, or to take away what his reading has no table for, asks here whether that is still the newest.

What the file holds decides. Where it cannot be taken (it is gone, faulty, or has another state folder), the
text that the state last followed does, which is kept in the store.
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

_AGAIN = "run it again, as the daemon does by itself: what the file says now is then in force"


class Alone:
    """The `Follower` of a run that nobody else's reading can meet."""

    def refuse_foreign(self) -> None:
        """Refuse nothing."""

    def begin(self) -> None:
        """Note nothing."""

    def follow(self, keep: Callable[[Followed], None]) -> None:
        """Note nothing."""

    def outdated(self) -> Outdated | None:
        """Return that no newer one is known."""
        return None


ALONE = Alone()


@dataclass(frozen=True)
class Following:
    """The `Follower` for one reading; `usable` tells of another whether it could be in force here."""

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
                raise self._refusal(known, "what standard input holds")
        elif not _same(known.path, file) and self._stands(known.path):
            raise self._refusal(known, str(file))

    def begin(self) -> None:
        """Note that the state follows this reading, before anything is done with it.

        What stands in the way, such as another process or a full disk, does so again where access is to be
        changed, and is told there.
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
        """See `interfaces.Follower`; raises `ConfigError` as `refuse_foreign` does, too."""
        self.refuse_foreign()
        if outdated := self.outdated():
            raise outdated
        known, file = self.vault.followed(), self.view.file
        if file is None or self._noted(known):
            return
        if known and not _same(known.path, file):
            place = f"the state folder {self.state} followed {known.file}"
            self.report.problem("configuration", f"{place}, which is gone; from now on it follows {file}")
        keep(Followed(str(file), self.view.digest, self.view.read))

    def outdated(self) -> Outdated | None:
        """Return why this reading is not the newest, or `None` if it is."""
        known = self.vault.followed()
        file = self.view.file or (known.path if known else None)
        if file is None:
            return None
        found = self._on_disk(file)
        if found is not None:
            changed = Outdated(f"{file} was changed after this run had read it", hint=_AGAIN)
            return None if found == self.view.text else changed
        if known is None or known.digest == self.view.digest or not self._since(known):
            return None
        return Outdated(
            f"what this run has read of {file} was replaced, and by now the file has faults or is gone",
            hint=f"see what is wrong with it: renewer -c {file} check",
        )

    def _noted(self, known: Followed | None) -> bool:
        file = self.view.file
        if known is None or file is None:
            return file is None
        return known.digest == self.view.digest and _same(known.path, file)

    def _holds(self, known: Followed) -> bool:
        """Return whether this reading, which is from no file, is that of the file known."""
        found = self._on_disk(known.path)
        return known.digest == self.view.digest if found is None else found == self.view.text

    def _on_disk(self, file: Path) -> str | None:
        """Return what the file holds, if that can be taken now."""
        with suppress(OSError):
            if not stat.S_ISREG(file.stat().st_mode):
                return None  # a pipe would be waited for
        try:
            text = load.read(file)
            if text == self.view.text:
                return text
            found = load.parse(text, str(file))
        except ConfigError:
            return None
        return text if _one_folder(found.state, self.state) and self.usable(found) else None

    def _since(self, known: Followed) -> bool:
        """Return whether the text known was read after this one; a clock that was set back orders nothing."""
        return self.view.read < known.read <= self.clock.now()

    def _stands(self, file: Path) -> bool:
        """Return whether a file exists and names this state folder; one that cannot be seen counts as one."""
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
        what = f"{self.state} belongs to the configuration {known.file}, and {mine} is another one"
        hint = (
            f"give it a state folder of its own; or, if it is to take the place of {known.file}, rename that"
        )
        if not _seen(known.path):
            hint = f"{hint} and, since this user cannot see it, remove {self.state}/store/configuration.json"
        return ConfigError([Fault("state", what)], hint=f"{hint}; nothing was touched")


def _one_folder(one: Path, other: Path) -> bool:
    """Return whether both paths lead to one folder, whatever `..` or link they are written with."""
    try:
        return one == other or one.samefile(other)
    except OSError:  # one of them is not there yet, or cannot be seen
        return os.path.realpath(one) == os.path.realpath(other)


def _same(one: Path, other: Path) -> bool:
    """Return whether both are one file, by whatever names."""
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

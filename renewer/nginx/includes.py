"""Where what nginx includes is written: at its place, or where root's helper takes it from.

nginx's master reads it as root, so whoever writes it can have nginx open any file. Where the state folder is
this user's own, that user is trusted with it. A service without rights is not: there only root writes it
(`systemd/reload`), and what shall be in it is laid into the folder `wanted` and asked for. Keys and
certificates are given to nginx as copies there (`Layout.copy`). What is read is always what nginx itself
includes; so what was wanted and never came there is still to be done.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from renewer.core.errors import NotServed
from renewer.nginx.layout import Layout
from renewer.system import files, permissions


@dataclass(frozen=True)
class Includes:
    """The files that nginx includes, by their paths."""

    layout: Layout

    @property
    def direct(self) -> bool:
        """Whether this user writes them itself, which is so in a state folder of its own."""
        return not permissions.shared(self.layout.state)

    def write(self, path: Path, text: bytes, *, anew: bool = False) -> None:
        """Let the file hold this, or ask for it; one that holds it already is left alone.

        But not with `anew`, nor one of a time to come, left by a clock that was ahead: no worker of nginx
        would be younger.
        """
        right = not anew and files.read(path) == text and files.changed(path) <= time.time()
        if self.direct:
            if not right:
                files.folder(path.parent)
                files.write(path, text)
            return
        wanted = self.layout.wanted(path)
        if right:
            files.remove(wanted)
        else:
            files.folder(wanted.parent)
            files.write(wanted, text)

    def remove(self, path: Path) -> None:
        """Take the file out or, where root writes it, want nothing more of it."""
        files.remove(path if self.direct else self.layout.wanted(path))

    @property
    def wanted(self) -> Mapping[Path, bytes]:
        """What root's helper is to put in place, by the paths that nginx includes."""
        return {path: text for path in self._waiting() if (text := files.read(self.layout.wanted(path)))}

    def forget(self) -> None:
        """Want nothing, whatever an earlier run left."""
        for path in self._waiting():
            files.remove(self.layout.wanted(path))

    def settle(self) -> None:
        """Forget what was wanted, as it is in place; raises `NotServed` if something else is there."""
        for path, text in self.wanted.items():
            if files.read(path) != text:
                raise NotServed(
                    f"the reload helper of root did not put in place what nginx is to include as {path}",
                    hint="bring it up to date: renewer install-service, or reinstall the package",
                )
        self.forget()

    def _waiting(self) -> list[Path]:
        if self.direct:
            return []
        rooms = (self.layout.snippet("any").parent, self.layout.secure_link("any").parent)
        return [room / name for room in rooms for name in files.names(self.layout.wanted(room))]

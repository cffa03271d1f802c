"""Writes the files nginx includes: in place, or where the root helper picks them up.

nginx's master reads them as root, so anyone who writes them can make nginx open any file. If the state folder
is this user's own, that user is trusted with it. An unprivileged service is not: only root writes the
includes (`systemd/reload`), and the service puts their new texts into the folder `wanted` and sends a
request. nginx gets keys and certificates as root's copies (`Layout.copy`). Reading always returns what nginx
itself includes, so a new text that was not installed is still to be done.
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
    """The files nginx includes, by path."""

    layout: Layout

    @property
    def direct(self) -> bool:
        """Whether this user writes them itself: in a state folder of its own."""
        return not permissions.shared(self.layout.state)

    def write(self, path: Path, text: bytes, *, anew: bool = False) -> None:
        """Write the file, or request it; a file that has this text already is left alone.

        It is written all the same with `anew`, and if its time is in the future, because of a clock that was
        ahead: no worker of nginx would be newer.
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
        """Remove the file or, if root writes it, the request for it."""
        files.remove(path if self.direct else self.layout.wanted(path))

    @property
    def wanted(self) -> Mapping[Path, bytes]:
        """The new texts for the root helper to install, by the paths nginx includes."""
        return {path: text for path in self._waiting() if (text := files.read(self.layout.wanted(path)))}

    def forget(self) -> None:
        """Withdraw all requests of earlier runs."""
        for path in self._waiting():
            files.remove(self.layout.wanted(path))

    def settle(self) -> None:
        """Withdraw the requests that are installed; raises `NotServed` if one is not."""
        for path, text in self.wanted.items():
            if files.read(path) != text:
                raise NotServed(
                    f"the root reload helper did not install {path}, which nginx includes",
                    hint="it may be outdated: renewer install-service, or reinstall the package",
                )
        self.forget()

    def _waiting(self) -> list[Path]:
        if self.direct:
            return []
        rooms = (self.layout.include("any").parent, self.layout.secure_link("any").parent)
        return [room / name for room in rooms for name in files.names(self.layout.wanted(room))]

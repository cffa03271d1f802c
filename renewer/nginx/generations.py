"""The generations of a certificate: immutable folders `gNNNNNN`, with nginx's include and the link `current`.

The include and the link name one generation. It is on disk before they do, so an interruption at any point
leaves the old or the new one whole.
"""

import re
import ssl
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from renewer.core.errors import DeployFailed
from renewer.core.model import KeyKind, Material
from renewer.core.x509 import read_pair
from renewer.nginx.includes import Includes
from renewer.nginx.layout import (
    FULLCHAIN,
    PRIVKEY,
    Layout,
    files_of,
    folder_named,
    include_text,
    pair_names,
    suffixes,
)
from renewer.system import files as disk

KEPT = 3
"""Generations that are kept, besides those in use."""

_GENERATION = re.compile(r"g([0-9]{6,18})", re.ASCII)


@dataclass(frozen=True)
class InUse:
    """The include's text and the target of `current`, at some time."""

    include: bytes | None
    current: str | None


@dataclass(frozen=True)
class Generations:
    """The files of all certificates, by name."""

    layout: Layout

    def publish(self, name: str, material: Material) -> None:
        """Write the certificate as a generation, unless one holds it already, and switch to it.

        Raises `DeployFailed` if a key does not match, without switching.
        """
        folder = self.hold(name, material)
        self.point_current(name, folder)
        self.point_include(name, folder)

    def hold(self, name: str, material: Material) -> Path:
        """Write the certificate as a generation, unless one holds it already, and return its folder.

        Raises `DeployFailed` if a key does not match.
        """
        files = files_of(material)
        folder = self._holding(name, files) or self._next(name)
        if not folder.exists():
            disk.tree(folder, files)
        if not whole(folder):
            raise DeployFailed(
                f"the key and the certificate of {name} do not match (in {folder})",
                hint=f"order a new one: renewer renew {name} --force",
                ours=True,
            )
        return folder

    def published(self, name: str, material: Material) -> bool:
        """Return whether the include and `current` name one generation that holds exactly this."""
        in_use, files = self.in_use(name), files_of(material)
        if in_use.include is None or not in_use.current:
            return False
        folder = self.layout.home(name) / in_use.current
        given = self._given(folder)
        return (
            in_use.include == include_text(given, files)
            and _holds(folder, files)
            and (given == folder or _holds(given, files))
        )

    def in_use(self, name: str) -> InUse:
        """Return the present include and link."""
        return InUse(disk.read(self.layout.include(name)), disk.target(self.layout.current(name)))

    def restore(self, name: str, in_use: InUse) -> None:
        """Restore an earlier include and link."""
        if in_use.current is not None:
            disk.point(self.layout.current(name), in_use.current)
        if in_use.include is not None:
            self._includes.write(self.layout.include(name), in_use.include)

    def point_current(self, name: str, folder: Path) -> None:
        """Point `current` at the folder, which is one of the certificate's own."""
        if disk.target(self.layout.current(name)) != folder.name:
            disk.point(self.layout.current(name), folder.name)

    def point_include(self, name: str, folder: Path) -> None:
        """Make the include name the folder or, if root writes for nginx, root's copy of it."""
        given, names = self._given(folder), disk.names(folder)
        same = given == folder or _holds(given, {file: disk.read(folder / file) or b"" for file in names})
        self._includes.write(self.layout.include(name), include_text(given, names), anew=not same)

    def folders(self, name: str) -> list[Path]:
        """Return the generations, highest number first."""
        numbers = self._numbers(name)
        found = (self.layout.home(name) / numbers[number] for number in sorted(numbers, reverse=True))
        return [folder for folder in found if folder.is_dir() and not folder.is_symlink()]

    def named(self, name: str) -> Path | None:
        """Return the folder that the include names, whichever it is; for root's copy, the original."""
        folder = folder_named(disk.read(self.layout.include(name)) or b"")
        own = folder and self.layout.original(folder)
        return own if folder is None or own == folder or disk.names(folder) else folder

    def shown(self, name: str) -> Path | None:
        """Return the folder that the include names, if it is one of the certificate's own and whole."""
        return self._own(name, self.named(name))

    def current(self, name: str) -> Path | None:
        """Return the folder that `current` points at, if it is one of the certificate's own and whole."""
        target = disk.target(self.layout.current(name))
        return self._own(name, self.layout.home(name) / target if target else None)

    def newest(self, name: str) -> Path | None:
        """Return the whole generation that expires last; of two, the later one."""
        found = [folder for folder in self.folders(name) if whole(folder)]
        return max(found, key=_end, default=None)  # the first of equals

    def sweep(self, name: str) -> None:
        """Remove generations that are neither in use nor among the newest, and files of killed runs."""
        in_use = self.in_use(name)
        include = folder_named(in_use.include or b"")
        used = {in_use.current, include.name if include else None}
        for folder in self.folders(name)[KEPT:]:
            if folder.name not in used:
                disk.discard(folder)
        disk.sweep(self.layout.home(name))
        if self._includes.direct:
            disk.sweep(self.layout.include(name).parent)
            disk.discard(self.layout.copy(self.layout.home(name)))  # there is no root helper any more

    def _given(self, folder: Path) -> Path:
        """Return the folder for nginx: this one, or root's copy of it if only root writes for nginx."""
        return folder if self._includes.direct else self.layout.copy(folder)

    @cached_property
    def _includes(self) -> Includes:
        return Includes(self.layout)

    def _own(self, name: str, folder: Path | None) -> Path | None:
        if folder is None or folder.parent != self.layout.home(name):
            return None
        ours = _GENERATION.fullmatch(folder.name) or folder == self.layout.placeholder(name)
        return folder if ours and whole(folder) else None

    def _numbers(self, name: str) -> dict[int, str]:
        entries = disk.names(self.layout.home(name))
        return {int(found[1]): entry for entry in entries if (found := _GENERATION.fullmatch(entry))}

    def _holding(self, name: str, files: dict[str, bytes]) -> Path | None:
        return next((folder for folder in self.folders(name) if _holds(folder, files)), None)

    def _next(self, name: str) -> Path:
        return self.layout.home(name) / f"g{max(self._numbers(name), default=0) + 1:06}"


def whole(folder: Path) -> bool:
    """Return whether the folder has all files of its pairs, and each key matches its certificate."""
    if folder.is_symlink():
        return False
    names = disk.names(folder)
    pairs = suffixes(names)
    return "" in pairs and all(
        set(pair_names(suffix)) <= set(names)
        and _fits(folder / f"{FULLCHAIN}{suffix}.pem", folder / f"{PRIVKEY}{suffix}.pem")
        for suffix in pairs
    )


def _fits(fullchain: Path, key: Path) -> bool:
    try:
        # With an empty password, OpenSSL does not prompt for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(fullchain, key, password="")
    except OSError:
        return False
    return True


def _holds(folder: Path, files: dict[str, bytes]) -> bool:
    """Return whether the folder holds exactly these pairs; other files in it are ignored."""
    pairs = suffixes(disk.names(folder)) == suffixes(files)
    return pairs and all(disk.read(folder / name) == text for name, text in files.items())


def _end(folder: Path) -> datetime:
    """Return the earliest expiry of its certificates."""
    names = [f"{FULLCHAIN}{suffix}.pem" for suffix in suffixes(disk.names(folder))]
    chains = [(disk.read(folder / name) or b"").decode("ascii", errors="replace") for name in names]
    return min(read_pair(KeyKind.EC256, "", chain).not_after for chain in chains)

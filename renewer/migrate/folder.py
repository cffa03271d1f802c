"""Reads the folder of another client, safely: nothing in it can block or mislead the reader.

It may belong to another user, who changes it while root reads. So every file is opened by handle, from the
folder down; links may not lead out of the folder, and every file must belong to the folder's owner or to
root.
"""

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from renewer.core.errors import Refused
from renewer.system import permissions, safe_paths

LONGEST = 1024 * 1024
"""Bytes; no key, chain or configuration is longer."""

MOST = 10_000
"""Most entries of a folder that are read."""

ROOT = 0

_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_LINKS = 40


@dataclass
class Budget:
    """How much may be read in total: calls that open a file or folder, and bytes."""

    looks: int = 20 * MOST
    size: int = 256 * LONGEST
    cut: bool = False
    """Whether a folder had more entries than are read."""

    @property
    def spent(self) -> bool:
        """Whether more files or bytes were needed than may be read."""
        return self.looks < 0 or self.size < 0

    def take(self, root: Path, looks: int = 0, size: int = 0) -> None:
        """Count what is read; raises `Refused` if it is too much."""
        self.looks, self.size = self.looks - looks, self.size - size
        if self.spent:
            raise Refused(
                f"{root} holds more files than renewer reads", hint="remove what does not belong there"
            )


@dataclass(frozen=True)
class Folder:
    """The folder at `root`, owned by the user with this number; paths that lead out of it are refused."""

    root: Path
    owner: int
    longest: int = LONGEST
    most: int = MOST
    allowance: Budget = field(default_factory=Budget)

    def names(self, *parts: str) -> list[str]:
        """Return the names in a folder below, sorted; empty if there is no such folder."""
        path = self.root.joinpath(*parts)
        try:
            with self._opened(parts, _READ | os.O_DIRECTORY) as handle, os.scandir(handle) as entries:
                found = sorted(entry.name for entry in islice(entries, self.most))
                self.allowance.cut |= next(entries, None) is not None
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(path, error) from None
        return [name for name in found if name.isprintable()]  # no client creates others

    def has(self, *parts: str) -> bool:
        """Return whether a file or folder exists below."""
        try:
            with self._opened(parts, _PLACE):
                return True
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise _unreadable(self.root.joinpath(*parts), error) from None

    def text(self, *parts: str) -> str:
        """Return the text of a file below."""
        path = self.root.joinpath(*parts)
        try:
            with self._opened(parts, _READ) as handle:
                return self._text(path, handle)
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from None

    def table(self, *parts: str) -> Mapping[str, object]:
        """Return the JSON object in a file below."""
        try:
            found = json.loads(self.text(*parts))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Refused(f"{self.root.joinpath(*parts)} is not a JSON object")
        return found

    def elsewhere(self, path: Path) -> str:
        """Return the text of a file outside, which a file in the folder names."""
        try:
            parent, name = safe_paths.beside(path, follow=True)
            with ExitStack() as stack:
                handle = self._held(os.open(name, _READ, dir_fd=self._held(parent, stack)), stack)
                whose = os.fstat(handle).st_uid
                if (
                    whose != self.owner not in {ROOT, os.geteuid()}
                ):  # root would read it for someone who cannot
                    raise Refused(
                        f"{path} belongs to {permissions.user(whose)}, who does not own {self.root}"
                    )
                return self._text(path, handle)
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from None

    def _text(self, path: Path, handle: int) -> str:
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise Refused(f"{path} is not a regular file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(self.longest + 1)
        self.allowance.take(self.root, size=len(data))
        if len(data) > self.longest:
            raise Refused(f"{path} is too long for a file of this kind")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise Refused(f"{path} is not a text file") from None

    @contextmanager
    def _opened(self, parts: tuple[str, ...], flags: int) -> Iterator[int]:
        """Open a path below; raises OSError, and `Refused` if it leads out or belongs to someone else."""
        self.allowance.take(self.root, looks=1)
        path = self.root.joinpath(*parts)
        with ExitStack() as stack:
            parent, name = self._descend(path, "/".join(parts), stack)
            handle = self._held(os.open(name, flags, dir_fd=parent), stack)
            self._refuse_another(path, os.fstat(handle))
            yield handle

    def _descend(self, path: Path, inner: str, stack: ExitStack) -> tuple[int, str]:
        """Follow links to the last name, and return its folder and that name, which is not a link.

        Folders opened on the way are closed with the stack.
        """
        way = [self._held(safe_paths.enter(self.root, os.O_PATH), stack)]
        if os.fstat(way[0]).st_uid != self.owner or os.path.normpath(inner).startswith(".."):
            raise self._out(path)
        names, links = inner.split("/")[::-1], 0
        while True:
            name = (names.pop() if names else ".") or "."
            if name == "..":
                if not way[1:]:
                    raise self._out(path)
                way.pop()
                continue
            status = os.stat(name, dir_fd=way[-1], follow_symlinks=False)
            self._refuse_another(path, status)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                whole, target = self._target(path, os.readlink(name, dir_fd=way[-1]), links)
                way = way[:1] if whole else way
                names += target.split("/")[::-1]
            elif names:
                way.append(self._held(os.open(name, _PLACE | os.O_DIRECTORY, dir_fd=way[-1]), stack))
            else:
                return way[-1], name

    def _target(self, path: Path, target: str, links: int) -> tuple[bool, str]:
        """Return whether a link's target is absolute, and its path within the folder."""
        if links > _MOST_LINKS:
            raise Refused(f"{path} is a loop of links")
        if not target.startswith("/"):
            return False, target
        if not Path(target).is_relative_to(self.root):
            raise self._out(path)
        return True, str(Path(target).relative_to(self.root))

    def _held(self, handle: int, stack: ExitStack) -> int:
        stack.callback(os.close, handle)
        return handle

    def _out(self, path: Path) -> Refused:
        return Refused(f"{path} leads out of {self.root}", hint="copy the file itself into the folder")

    def _refuse_another(self, path: Path, status: os.stat_result) -> None:
        """Raise `Refused` for a file that belongs neither to the folder's owner nor to root.

        In another user's folder, a file of root's with a hard link is refused: the user may have made the
        link.
        """
        second = stat.S_ISREG(status.st_mode) and status.st_nlink > 1
        if status.st_uid == self.owner or (status.st_uid == ROOT and not second):
            return
        whose = permissions.user(status.st_uid)
        raise Refused(
            f"{path} belongs to {whose}, but {self.root} to {permissions.user(self.owner)}",
            hint="find out where it came from, then give it to the folder's owner (chown), or remove it",
        )


def opened(path: Path, longest: int = LONGEST, most: int = MOST, allowance: Budget | None = None) -> Folder:
    """Return the folder; raises `Refused` where there is none that can be read."""
    try:
        handle = safe_paths.enter(path, follow=True)
    except OSError as error:
        raise _unreadable(path, error) from None
    owner = os.fstat(handle).st_uid
    os.close(handle)
    return Folder(Path(os.path.realpath(path)), owner, longest, most, allowance or Budget())


def settings(text: str) -> dict[str, str]:
    """Return the lines of the form NAME = VALUE, with or without quotes; the last one of a name counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = _unquoted(value.strip())
    return found


def host(url: str) -> str:
    """Return host and port of a URL; empty if it has none."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def _unreadable(path: Path, error: Exception) -> Refused:
    why = (getattr(error, "strerror", None) or str(error)).lower()
    if getattr(error, "errno", 0) == errno.ELOOP:
        why = "it is a link, or another user could put a link in its path"
    hint = "run it as root, or as the owner of the file" if isinstance(error, PermissionError) else ""
    return Refused(f"{path} cannot be read: {why}", hint=hint)

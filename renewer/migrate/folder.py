"""The folder of another client, read with care: nothing in it may hold us up or lead us astray.

It may be another user's, who changes it while root reads. So everything is opened by handle, from the folder
down; a link counts if it stays inside, and nothing counts that is neither the folder's owner's nor root's.
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
"""How many entries of a folder are looked at."""

ROOT = 0

_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_LINKS = 40


@dataclass
class Budget:
    """How much is read at all: looks into folders and at files, and bytes."""

    looks: int = 20 * MOST
    size: int = 256 * LONGEST
    cut: bool = False
    """Whether a folder had more entries than are looked at."""

    @property
    def spent(self) -> bool:
        """Whether there were more files, or more in them, than is read."""
        return self.looks < 0 or self.size < 0

    def take(self, root: Path, looks: int = 0, size: int = 0) -> None:
        """Count what is read; raises `Refused` where that is too much."""
        self.looks, self.size = self.looks - looks, self.size - size
        if self.spent:
            raise Refused(f"{root} holds more than is looked at", hint="take out what does not belong there")


@dataclass(frozen=True)
class Folder:
    """A folder at `root`, whose owner is the user with this number; what leads out of it is refused."""

    root: Path
    owner: int
    longest: int = LONGEST
    most: int = MOST
    allowance: Budget = field(default_factory=Budget)

    def names(self, *parts: str) -> list[str]:
        """Return what lies in a folder below, sorted; nothing where there is no such folder."""
        path = self.root.joinpath(*parts)
        try:
            with self._opened(parts, _READ | os.O_DIRECTORY) as handle, os.scandir(handle) as entries:
                found = sorted(entry.name for entry in islice(entries, self.most))
                self.allowance.cut |= next(entries, None) is not None
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(path, error) from None
        return [name for name in found if name.isprintable()]  # no client makes others

    def has(self, *parts: str) -> bool:
        """Return whether there is a file or folder below."""
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
            raise Refused(f"{self.root.joinpath(*parts)} holds no JSON object")
        return found

    def elsewhere(self, path: Path) -> str:
        """Return the text of a file that the folder names and that lies wherever its owner put it."""
        try:
            parent, name = safe_paths.beside(path, follow=True)
            with ExitStack() as stack:
                handle = self._held(os.open(name, _READ, dir_fd=self._held(parent, stack)), stack)
                whose = os.fstat(handle).st_uid
                if whose != self.owner not in {ROOT, os.geteuid()}:  # he would have us read what he cannot
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
            raise Refused(f"{path} is longer than any file of this kind")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise Refused(f"{path} is not a text") from None

    @contextmanager
    def _opened(self, parts: tuple[str, ...], flags: int) -> Iterator[int]:
        """Open what lies below; raises OSError, and `Refused` for what leads out or is another's."""
        self.allowance.take(self.root, looks=1)
        path = self.root.joinpath(*parts)
        with ExitStack() as stack:
            parent, name = self._descend(path, "/".join(parts), stack)
            handle = self._held(os.open(name, flags, dir_fd=parent), stack)
            self._refuse_another(path, os.fstat(handle))
            yield handle

    def _descend(self, path: Path, inner: str, stack: ExitStack) -> tuple[int, str]:
        """Return the folder that the last name is in, and that name, which is no link's; links are followed.

        What is opened on the way is closed with the stack.
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
        """Return whether a link names its target from the top, and how that is reached within the folder."""
        if links > _MOST_LINKS:
            raise Refused(f"{path} is a circle of links")
        if not target.startswith("/"):
            return False, target
        if not Path(target).is_relative_to(self.root):
            raise self._out(path)
        return True, str(Path(target).relative_to(self.root))

    def _held(self, handle: int, stack: ExitStack) -> int:
        stack.callback(os.close, handle)
        return handle

    def _out(self, path: Path) -> Refused:
        return Refused(f"{path} leads out of {self.root}", hint="copy the file itself there")

    def _refuse_another(self, path: Path, status: os.stat_result) -> None:
        """Raise `Refused` for what is neither the folder's owner's nor root's.

        A file of root's that has a second name counts only in root's folder: others may have given it that.
        """
        second = stat.S_ISREG(status.st_mode) and status.st_nlink > 1
        if status.st_uid == self.owner or (status.st_uid == ROOT and not second):
            return
        whose = permissions.user(status.st_uid)
        raise Refused(
            f"{path} belongs to {whose}, but {self.root} to {permissions.user(self.owner)}",
            hint="find out how it came there, then give it to the folder's owner (chown), or take it out",
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
    """Return lines of the form NAME = VALUE, the value perhaps in quotes; the last one of a name counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = _unquoted(value.strip())
    return found


def host(url: str) -> str:
    """Return host and port of a URL, empty where it has none."""
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
        why = "it is a link, or another user can have put one on the way"
    hint = "run it as root, or as the user to whom it belongs" if isinstance(error, PermissionError) else ""
    return Refused(f"{path} cannot be read: {why}", hint=hint)

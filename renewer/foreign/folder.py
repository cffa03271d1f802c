"""The folder of another client, read with care: nothing in it may hold us up or lead us astray."""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from renewer.errors import Refused

LONGEST = 1024 * 1024
"""Bytes; no key, chain or configuration is longer."""

MOST = 10_000
"""How many entries of a folder are looked at."""


@dataclass(frozen=True)
class Folder:
    """A folder at `root`; what links lead out of it is refused."""

    root: Path

    def names(self, *parts: str) -> list[str]:
        """Return what lies in a folder below, sorted; nothing where there is no such folder."""
        path = self._inside(*parts)
        try:
            found = sorted(os.listdir(path))[:MOST]  # noqa: PTH208 - names are all that is wanted
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(path, error) from None
        return [name for name in found if name.isprintable()]  # no client makes others

    def has(self, *parts: str) -> bool:
        """Tell whether there is a file or folder below."""
        return self._inside(*parts).exists()

    def text(self, *parts: str) -> str:
        """Return the text of a file below."""
        return text(self._inside(*parts))

    def table(self, *parts: str) -> Mapping[str, object]:
        """Return the JSON object in a file below."""
        try:
            found = json.loads(self.text(*parts))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Refused(f"{self.root.joinpath(*parts)} holds no JSON object")
        return found

    def _inside(self, *parts: str) -> Path:
        path = self.root.joinpath(*parts)
        try:
            real = path.resolve()
        except (OSError, RuntimeError):  # a circle of links, by the version of Python
            raise Refused(f"{path} is a circle of links") from None
        if not real.is_relative_to(self.root):
            raise Refused(f"{path} leads out of {self.root}, to {real}", hint="copy the file itself there")
        return path


def opened(path: Path) -> Folder:
    """Return the folder; raises `Refused` where there is none that can be read."""
    root = Path(os.path.realpath(path))
    try:
        os.listdir(root)  # noqa: PTH208 - whether it can be read is all that is wanted
    except OSError as error:
        raise _unreadable(path, error) from None
    return Folder(root)


def text(path: Path) -> str:
    """Return the text of a file; raises `Refused` for what is none, or is too long to be what is meant."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Refused(f"{path} is not a regular file")
            data = file.read(LONGEST + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if len(data) > LONGEST:
        raise Refused(f"{path} is longer than any file of this kind")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused(f"{path} is not a text") from None


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


def _at_once(path: str, flags: int) -> int:
    """Open without waiting: a pipe in the file's place is refused, not read."""
    return os.open(path, flags | os.O_NONBLOCK)


def _unreadable(path: Path, error: Exception) -> Refused:
    why = (getattr(error, "strerror", None) or str(error)).lower()
    hint = "run it as root, or as the user to whom it belongs" if isinstance(error, PermissionError) else ""
    return Refused(f"{path} cannot be read: {why}", hint=hint)

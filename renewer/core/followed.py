"""Readings of a configuration, and which one a state folder follows. Frozen, no I/O, no clock."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class View:
    """One reading of a configuration: its text, when it was read, and its file.

    The path is absolute and as given, because a link may have another target tomorrow. `None` means standard
    input.
    """

    text: str
    read: datetime
    file: Path | None = None

    @property
    def digest(self) -> str:
        """The text's SHA-256, as hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def handed(self) -> str:
        """The description that the daemon hands to a worker with the text; see `from_daemon`."""
        return f"{self.read.isoformat()} {self.file}" if self.file else ""


@dataclass(frozen=True)
class Followed:
    """The configuration that a state folder belongs to: its file, and the text last in force.

    `read` is when that text was first read, to tell which of two texts is newer.
    """

    file: str
    digest: str
    read: datetime

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.file)


def from_daemon(text: str, handed: str) -> View | None:
    """Return the reading that the daemon handed over with a text; `None` if it is not from the daemon."""
    read, _, file = handed.partition(" ")
    try:
        when = datetime.fromisoformat(read)
    except ValueError:
        return None
    return View(text, when, Path(file)) if when.tzinfo and file.startswith("/") else None

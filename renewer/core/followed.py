"""Which configuration a state folder follows, and what a run has read of one: frozen, no I/O, no clock."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class View:
    """One reading of a configuration: its text, when it was read, and the file that it is from.

    The path is absolute, and as it was named: a link may lead elsewhere tomorrow. `None` is a person's
    standard input.
    """

    text: str
    read: datetime
    file: Path | None = None

    @property
    def digest(self) -> str:
        """What the text is known by."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def handed(self) -> str:
        """How the daemon tells a worker, which gets the text alone, what text it is; see `from_daemon`."""
        return f"{self.read.isoformat()} {self.file}" if self.file else ""


@dataclass(frozen=True)
class Followed:
    """The configuration that a state folder belongs to: its file, and the text that was last in force.

    `read` is when that text was first read. It tells of two texts which is the newer one.
    """

    file: str
    digest: str
    read: datetime

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.file)


def from_daemon(text: str, handed: str) -> View | None:
    """Return the view that was handed over with a text; `None` where a person may have given it."""
    read, _, file = handed.partition(" ")
    try:
        when = datetime.fromisoformat(read)
    except ValueError:
        return None
    return View(text, when, Path(file)) if when.tzinfo and file.startswith("/") else None

"""Whether a file holds something else than it did: for the daemon, which loads nothing that reads it."""

import os
import stat
import time

from renewer.engine.idle import stamps

SETTLED = 2.0
"""Seconds after which a file cannot change and keep its stamp: the coarsest times that a file system has."""


class Watched:
    """A file, of which only the stamp is looked at while that stays the same; see `stamps`."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._stamp = b""
        self._content: bytes | None = None
        self.changed()

    def changed(self) -> bool:
        """Return whether the file changed since the last call; that it is gone is a change, too."""
        stamp, newest = stamps.files([self._file])
        if stamp == self._stamp:
            return False
        self._stamp = stamp if abs(time.time() - newest / 1e9) > SETTLED else b""
        before, self._content = self._content, _content(self._file)
        return self._content != before

    def forget(self) -> None:
        """Let what it holds be new when this is asked next."""
        self._stamp, self._content = b"", b"\0"


def _content(file: str) -> bytes | None:
    """Return what the file holds; `None` where it cannot be read, or is no file."""
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:  # noqa: PTH123
            return opened.read() if stat.S_ISREG(os.fstat(opened.fileno()).st_mode) else None
    except OSError:
        return None

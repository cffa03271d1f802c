"""Whether a file has changed; for the daemon, which imports nothing that parses it."""

import os
import stat
import time

from renewer.engine.idle import stamps

SETTLED = 2.0
"""Seconds after which a change is sure to change the stamp: the coarsest timestamps of any file system."""


class Watched:
    """A file whose content is read only if its stamp has changed; see `idle_files`."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._stamp = b""
        self._content: bytes | None = None
        self.changed()

    def changed(self) -> bool:
        """Return whether the file has changed, or vanished, since the last call."""
        stamp, newest = stamps.files([self._file])
        if stamp == self._stamp:
            return False
        self._stamp = stamp if abs(time.time() - newest / 1e9) > SETTLED else b""
        before, self._content = self._content, _content(self._file)
        return self._content != before

    def forget(self) -> None:
        """Report the file as changed at the next call."""
        self._stamp, self._content = b"", b"\0"


def _content(file: str) -> bytes | None:
    """Return the content of the file; `None` if it cannot be read or is not a regular file."""
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:  # noqa: PTH123
            return opened.read() if stat.S_ISREG(os.fstat(opened.fileno()).st_mode) else None
    except OSError:
        return None

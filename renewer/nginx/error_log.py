"""nginx's error log (directive `error_log`), where alone it tells why a reload came to nothing."""

import re
from dataclasses import dataclass
from pathlib import Path

from renewer.system import safe_paths

_MOST = 256 * 1024
_LEVELS = ("emerg", "alert", "crit", "error")
_LINE = re.compile(r"^\S+ \S+ \[(?P<level>\w+)\] \d+#\d+: (?P<text>(?!\*\d+ ).*)$", re.MULTILINE)
"""A line of nginx's own; those with `*NUMBER` after the process belong to a client's connection."""


@dataclass(frozen=True)
class ErrorLog:
    """The file, or `None` where nginx writes elsewhere (stderr, syslog)."""

    path: Path | None

    def mark(self) -> int:
        """Return where the log ends now."""
        try:
            return self.path.stat().st_size if self.path else 0
        except OSError:
            return 0

    def since(self, mark: int) -> str:
        """Return the last of the worst lines after the mark; empty if there is none or it cannot be read."""
        lines = list(_LINE.finditer(self._tail(mark)))
        for level in _LEVELS:
            told = [line["text"] for line in lines if line["level"] == level]
            if told:
                return _last_cause(told)
        return ""

    def _tail(self, mark: int) -> str:
        if self.path is None:
            return ""
        try:
            return safe_paths.end(self.path, _MOST, mark).decode(errors="replace")
        except OSError:  # the folder of logs may be another user's, and this a link of his
            return ""


def _last_cause(lines: list[str]) -> str:
    """Return the last line, but not "still could not bind()": the one before it names the socket."""
    causes = [line for line in lines if not line.startswith("still could not bind")]
    return causes[-1] if causes else lines[-1]

"""nginx's error log (directive `error_log`), the only place where nginx says why a reload failed."""

import re
from dataclasses import dataclass
from pathlib import Path

from renewer.system import safe_paths

_MOST = 256 * 1024
_LEVELS = ("emerg", "alert", "crit", "error")
_LINE = re.compile(r"^\S+ \S+ \[(?P<level>\w+)\] \d+#\d+: (?P<text>(?!\*\d+ ).*)$", re.MULTILINE)
"""A line of nginx itself; lines with `*NUMBER` after the process are about a client's connection."""


@dataclass(frozen=True)
class ErrorLog:
    """The file, or `None` if nginx logs elsewhere (stderr, syslog)."""

    path: Path | None

    def mark(self) -> int:
        """Return where the log ends now."""
        try:
            return self.path.stat().st_size if self.path else 0
        except OSError:
            return 0

    def since(self, mark: int) -> str:
        """Return the last line of the worst level after the mark; empty if there is none, or no access."""
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
        except OSError:  # the log may be a link that another user could have created
            return ""


def _last_cause(lines: list[str]) -> str:
    """Return the last line, except "still could not bind()": the line before it names the socket."""
    causes = [line for line in lines if not line.startswith("still could not bind")]
    return causes[-1] if causes else lines[-1]

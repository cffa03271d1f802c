"""Testing and reloading nginx. Exit codes lie, so whoever calls this looks at what is served afterwards."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from renewer import proc
from renewer.errors import NotServed
from renewer.nginx.processes import Master
from renewer.nginx.request import Helper
from renewer.ports import Clock

LIMIT = 60.0
"""Seconds that a test or a reload may take."""

_SYSTEMD = ("systemctl", "reload", "nginx")
_SAID = re.compile(r"^(?:nginx: |\S+ \S+ )?\[(?P<level>\w+)\] (?:\d+#\d+: )?(?P<text>.*)$", re.MULTILINE)
"""A line of nginx's; one built to log to stderr (Debian's) puts date and process around the level."""

_LEVELS = ("emerg", "alert", "crit", "error")


def words(output: str) -> str:
    """Return what matters in what nginx printed: its first line of the worst level, else the last line."""
    said = list(_SAID.finditer(output))
    worst = (line["text"] for level in _LEVELS for line in said if line["level"] == level)
    last = (line for line in reversed(output.splitlines()) if line.strip())
    return next(worst, "") or next(last, "it said nothing")


START = "start nginx: systemctl start nginx"
"""What to do where it does not run."""


@dataclass(frozen=True)
class Control:
    """nginx's program and configuration, and how it is reloaded (`[nginx] reload`)."""

    binary: str
    config: str
    mode: str | tuple[str, ...]
    clock: Clock
    helper: Helper = field(default_factory=Helper)

    def test(self) -> str:
        """Return why nginx refuses its configuration as it stands (with FILE:LINE), empty if it does not."""
        if self.asks:
            return self._ask()
        tested = proc.run((self.binary, "-t", "-c", self.config), LIMIT)
        return words(tested.output) if tested.code else ""

    def reload(self, master: Master) -> str:
        """Test and then reload; return why nginx refuses, empty if it takes the reload.

        Raises `NotServed` if nginx is not running or cannot be told to reload.
        """
        refused = self.test()
        if refused or self.asks or self.mode == "none":
            return refused
        if master.down and isinstance(self.mode, str):
            raise _down()
        told = proc.run(self._argv(master), LIMIT)
        return self._why(words(told.output)) if told.code else ""

    def built_in(self, option: str) -> str:
        """Return a path that nginx was built with, such as `--pid-path`; empty if it tells none."""
        told = proc.run((self.binary, "-V"), LIMIT)
        found = re.search(rf"{re.escape(option)}=(\S+)", told.output)
        return found[1].strip("'\"") if found else ""

    def resolved(self, written: str, option: str) -> Path | None:
        """Return the path of `pid` or `error_log` as `written` in the configuration, else as built in."""
        path = written or self.built_in(option)
        if not path or path == "stderr":
            return None
        return Path(path) if path.startswith("/") else Path(self.built_in("--prefix"), path)

    @property
    def asks(self) -> bool:
        """Whether root's helper tests and reloads: where it is asked for, or found and this is not root."""
        return self.mode == "request" or (self.mode == "auto" and os.geteuid() != 0 and self.helper.reachable)

    def _argv(self, master: Master) -> tuple[str, ...]:
        if isinstance(self.mode, tuple):
            return self.mode
        by_signal = self.mode == "signal" or (
            self.mode == "auto" and (os.geteuid() == 0 or master.ours_to_signal)
        )
        return (self.binary, "-c", self.config, "-s", "reload") if by_signal else _SYSTEMD

    def _why(self, said: str) -> str:
        """Return why nginx refuses after a reload that failed; raises `NotServed` if it does not refuse."""
        refused = self.test()
        if refused:
            return refused
        raise NotServed(
            f"nginx accepts its configuration but could not be reloaded: {said}",
            hint="reload nginx by hand to see why, or set another reload in [nginx]",
        )

    def _ask(self) -> str:
        """Have the helper test and reload; return why nginx refuses."""
        answer = self.helper.reload(self.clock)
        if answer.status == "test-failed":
            return words(answer.text)
        if answer.status == "nginx-down":
            raise _down()
        if answer.status in ("ok", "not-confirmed"):
            return ""
        raise NotServed(
            f"the reload helper of root could not reload nginx: {words(answer.text) or answer.status}"
            if answer.status
            else "the reload helper of root did not answer",
            hint="see: systemctl status renewer-reload.path renewer-reload.service",
        )


def _down() -> NotServed:
    return NotServed(
        "nginx is not running; what is new is published, and nginx serves it as soon as it runs",
        hint=START,
    )

"""Tests and reloads nginx. Exit codes are unreliable, so callers check afterwards what nginx serves."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from renewer.core.errors import NotServed
from renewer.core.interfaces import Clock
from renewer.nginx.helper import Answer, Helper
from renewer.nginx.processes import Master
from renewer.system import process

LIMIT = 60.0
"""Seconds for a test or a reload."""

_SYSTEMD = ("systemctl", "reload", "nginx")
_SAID = re.compile(r"^(?:nginx: |\S+ \S+ )?\[(?P<level>\w+)\] (?:\d+#\d+: )?(?P<text>.*)$", re.MULTILINE)
"""A line of nginx's output; if built to log to stderr (Debian's), date and process surround the level."""

_LEVELS = ("emerg", "alert", "crit", "error")


def words(output: str) -> str:
    """Return nginx's first message of the worst level, or else the last line of its output."""
    said = list(_SAID.finditer(output))
    worst = (line["text"] for level in _LEVELS for line in said if line["level"] == level)
    last = (line for line in reversed(output.splitlines()) if line.strip())
    return next(worst, "") or next(last, "it printed nothing")


START = "start nginx: systemctl start nginx"
"""The hint if nginx is not running."""


@dataclass(frozen=True)
class Reloaded:
    """The result of a reload: why nginx rejects its configuration, or an empty text.

    `confirmed` is false if new workers were looked for and none was found.
    """

    refused: str = ""
    confirmed: bool = True


@dataclass(frozen=True)
class Control:
    """nginx's program and configuration, and how to reload it (`[nginx] reload`)."""

    binary: str
    config: str
    mode: str | tuple[str, ...]
    clock: Clock
    helper: Helper = field(default_factory=Helper)

    def test(self) -> str:
        """Return why nginx rejects its present configuration (with FILE:LINE), or an empty text."""
        if self.asks:
            return self._ask().refused
        tested = process.run((self.binary, "-t", "-c", self.config), LIMIT)
        return words(tested.output) if tested.code else ""

    def reload(self, master: Master) -> Reloaded:
        """Test, then reload; raises `NotServed` if nginx is not running or cannot be reloaded."""
        if self.asks:
            return self._ask()
        refused = self.test()
        if refused or self.mode == "none":
            return Reloaded(refused)
        if master.down and isinstance(self.mode, str):
            raise _down()
        told = process.run(self._argv(master), LIMIT)
        return Reloaded(self._why(words(told.output)) if told.code else "")

    def place(self) -> None:
        """Have the root reload helper install nginx's includes; raises `NotServed` if it does not."""
        answer = self.helper.place(self.clock)
        if answer.status != "ok":
            raise _undone(answer)

    def built_in(self, option: str) -> str:
        """Return a path that nginx was built with, such as `--pid-path`; empty if it names none."""
        told = process.run((self.binary, "-V"), LIMIT)
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
        """Whether the root helper tests and reloads: if configured, or if it exists and this is not root."""
        return self.mode == "request" or (self.mode == "auto" and os.geteuid() != 0 and self.helper.reachable)

    def _argv(self, master: Master) -> tuple[str, ...]:
        if isinstance(self.mode, tuple):
            return self.mode
        by_signal = self.mode == "signal" or (
            self.mode == "auto" and (os.geteuid() == 0 or master.ours_to_signal)
        )
        return (self.binary, "-c", self.config, "-s", "reload") if by_signal else _SYSTEMD

    def _why(self, said: str) -> str:
        """Return why nginx rejects its configuration after a failed reload, else raise `NotServed`."""
        refused = self.test()
        if refused:
            return refused
        raise NotServed(
            f"nginx accepts its configuration but could not be reloaded: {said}",
            hint="reload nginx by hand to see why, or set another reload in [nginx]",
        )

    def _ask(self) -> Reloaded:
        """Have the helper test and reload."""
        answer = self.helper.reload(self.clock)
        if answer.status in {"ok", "not-confirmed"}:
            return Reloaded(confirmed=answer.status == "ok")
        if answer.status == "test-failed":
            return Reloaded(words(answer.text))
        raise _down() if answer.status == "nginx-down" else _undone(answer)


def _down() -> NotServed:
    return NotServed(
        "nginx is not running; the new files are in place, and nginx serves them once it is started",
        hint=START,
    )


def _undone(answer: Answer) -> NotServed:
    """Return the error for a helper that did not do what it was asked to do."""
    hint = "see: systemctl status renewer-reload.path renewer-reload.service"
    if not answer.status:
        return NotServed("the root reload helper did not answer", hint=hint)
    why = words(answer.text) if answer.text else answer.status
    if answer.status in {"bad-request", "place-failed"}:
        older = "it may be outdated: renewer install-service, or reinstall the package"
        return NotServed(f"the root reload helper refused the request: {why}", hint=f"{older}; {hint}")
    return NotServed(f"the root reload helper could not reload nginx: {why}", hint=hint)

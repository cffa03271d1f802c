"""The client of the small root helper that reloads nginx; request and answer are files.

The request is 16 hex digits, followed by ` place` if nginx's includes are to be installed without a reload.
The answer repeats the digits in its first line; then come the status, the time and, from the fourth line on,
nginx's output or an error.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from renewer.core.interfaces import Clock
from renewer.system import files

LIMIT = 30.0
"""Seconds to wait for the answer."""

UNHEEDED = 3.0
"""Seconds to wait if a request older than `LIMIT` is still there, because several deployments may follow."""

_TICK = 0.05
_TEXT_FROM = 3


@dataclass(frozen=True)
class Answer:
    """The helper's answer, with nginx's output.

    The status is `ok`, `nginx-down`, `test-failed`, `reload-failed`, `not-confirmed`, `bad-request` or
    `place-failed`; empty if there was no answer.
    """

    status: str
    text: str = ""


@dataclass(frozen=True)
class Helper:
    """The helper, given by its two files."""

    request: Path = Path("/run/renewer/reload.request")
    result: Path = Path("/run/renewer-reload/result")

    @property
    def reachable(self) -> bool:
        """Whether the folder for requests exists and this user may write to it."""
        return os.access(self.request.parent, os.W_OK | os.X_OK)

    def reload(self, clock: Clock) -> Answer:
        """Have nginx's includes installed, nginx tested and reloaded; wait for the answer."""
        return self._ask(clock, "")

    def place(self, clock: Clock) -> Answer:
        """Have nginx's includes installed and nothing else, even if nginx is down or broken."""
        return self._ask(clock, " place")

    def _ask(self, clock: Clock, kind: str) -> Answer:
        nonce, patience = secrets.token_hex(8), self._patience(clock)
        files.write(self.request, f"{nonce}{kind}".encode("ascii"))
        deadline = clock.monotonic() + patience
        while clock.monotonic() < deadline:
            answer = self._answer(nonce)
            if answer:
                return answer
            clock.sleep(_TICK)
        return Answer("")

    def _patience(self, clock: Clock) -> float:
        try:
            age = clock.now().timestamp() - self.request.lstat().st_mtime
        except OSError:
            return LIMIT
        return UNHEEDED if age >= LIMIT else LIMIT

    def _answer(self, nonce: str) -> Answer | None:
        lines = (files.read(self.result) or b"").decode(errors="replace").splitlines()
        if len(lines) < _TEXT_FROM or lines[0] != nonce:
            return None
        return Answer(lines[1], "\n".join(lines[_TEXT_FROM:]))

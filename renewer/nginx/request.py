"""A reload through the small helper that root runs: asked for by one file, answered by another.

The request is 16 hex digits. The answer repeats them in its first line, then come the status, the time and,
from the fourth line on, what nginx said.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from renewer import disk
from renewer.ports import Clock

LIMIT = 30.0
"""Seconds to wait for the answer."""

UNHEEDED = 3.0
"""Seconds to wait where nobody took a request that is older than `LIMIT`: several deploys may be due."""

_TICK = 0.05
_TEXT_FROM = 3


@dataclass(frozen=True)
class Answer:
    """What the helper did, and what nginx said of it.

    The status is `ok`, `nginx-down`, `test-failed`, `reload-failed`, `not-confirmed` or `bad-request`, empty
    if there was no answer.
    """

    status: str
    text: str = ""


@dataclass(frozen=True)
class Helper:
    """The helper, by the two files it is spoken to through."""

    request: Path = Path("/run/renewer/reload.request")
    result: Path = Path("/run/renewer-reload/result")

    @property
    def reachable(self) -> bool:
        """Whether there is a folder for requests that this user may write to."""
        return os.access(self.request.parent, os.W_OK | os.X_OK)

    def reload(self, clock: Clock) -> Answer:
        """Ask for a test and a reload, and wait for the answer to this very request."""
        nonce, patience = secrets.token_hex(8), self._patience(clock)
        disk.write(self.request, nonce.encode("ascii"))
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
        lines = (disk.read(self.result) or b"").decode(errors="replace").splitlines()
        if len(lines) < _TEXT_FROM or lines[0] != nonce:
            return None
        return Answer(lines[1], "\n".join(lines[_TEXT_FROM:]))

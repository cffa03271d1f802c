"""What the small helper that root runs is asked for by one file, and answers by another.

The request is 16 hex digits, with ` place` behind them where nginx's includes are to be put in place and
nothing is to be reloaded. The answer repeats the digits in its first line, then come the status, the time
and, from the fourth line on, what nginx said or what was wrong.
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
"""Seconds to wait where nobody took a request that is older than `LIMIT`: several deploys may be due."""

_TICK = 0.05
_TEXT_FROM = 3


@dataclass(frozen=True)
class Answer:
    """What the helper did, and what nginx said of it.

    The status is `ok`, `nginx-down`, `test-failed`, `reload-failed`, `not-confirmed`, `bad-request` or
    `place-failed`, empty if there was no answer.
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
        """Have nginx's includes put in place, nginx tested and reloaded; wait for the answer to just this."""
        return self._ask(clock, "")

    def place(self, clock: Clock) -> Answer:
        """Have nginx's includes put in place and nothing else, also where nginx is down or broken."""
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

"""A run of the program that ended, and what it printed."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Done:
    """A run of the program that ended."""

    code: int
    out: str
    err: str

    @cached_property
    def answer(self) -> dict[str, Any]:
        """What it printed for `--json`."""
        assert self.out, (self.code, self.err)
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def one(self) -> dict[str, Any]:
        """What it printed about the only certificate."""
        (only,) = self.answer["certificates"]
        return dict(only)

    @property
    def sentences(self) -> list[str]:
        """The lines on standard error that say what is wrong."""
        return [line for line in self.err.splitlines() if not line.startswith("  -> ")]

    @property
    def hints(self) -> list[str]:
        """The lines on standard error that say what to do."""
        return [line for line in self.err.splitlines() if line.startswith("  -> ")]


def rfc3339(text: str) -> datetime:
    """Return a time that was printed as RFC 3339 has it, in UTC."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text)
    return datetime.fromisoformat(text)

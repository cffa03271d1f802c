"""What deploy hooks are told of, as values: what nginx works with. Frozen, no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True)
class Deployed:
    """What nginx works with: certificates by their fingerprints, sites by when their key became current."""

    certificates: Mapping[str, str] = field(default_factory=dict)
    sites: Mapping[str, str] = field(default_factory=dict)

    def since(self, told: "Deployed") -> "Deployed":
        """Return the part of it that `told` does not have."""
        return Deployed(
            _other(self.certificates, told.certificates),
            _other(self.sites, told.sites),
        )

    def over(self, told: "Deployed") -> "Deployed":
        """Return `told` with this in place of what it says of the same names."""
        return Deployed({**told.certificates, **self.certificates}, {**told.sites, **self.sites})

    def __bool__(self) -> bool:
        """Return whether it is non-empty."""
        return bool(self.certificates or self.sites)


@dataclass(frozen=True)
class Memory:
    """What is kept of a hook: what it was told of, and how often in a row it failed since, with the last."""

    told: Deployed = Deployed()
    failures: int = 0
    retry: datetime | None = None
    message: str = ""
    hint: str = ""


class HookAction(StrEnum):
    """What a cycle did about a hook."""

    RAN = "ran"
    KEPT = "kept"
    FAILED = "failed"


@dataclass(frozen=True)
class HookOutcome:
    """What became of a hook; `next` is when it is tried again, `None` where nothing is left to tell it.

    `detail` names the program and what it was, or is to be, told of.
    """

    name: str
    action: HookAction
    next: datetime | None = None
    detail: str = ""
    error: str | None = None
    hint: str = ""
    exit_code: int = 0


def _other(now: Mapping[str, str], told: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in now.items() if told.get(name) != value}

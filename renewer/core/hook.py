"""What deploy hooks are told: the certificates and sites nginx works with. Frozen, no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True)
class Deployed:
    """The state of nginx: certificates with their fingerprints, sites with the time of their current key."""

    certificates: Mapping[str, str] = field(default_factory=dict)
    sites: Mapping[str, str] = field(default_factory=dict)

    def since(self, told: "Deployed") -> "Deployed":
        """Return the part that `told` lacks."""
        return Deployed(
            _other(self.certificates, told.certificates),
            _other(self.sites, told.sites),
        )

    def over(self, told: "Deployed") -> "Deployed":
        """Return `told`, updated with this."""
        return Deployed({**told.certificates, **self.certificates}, {**told.sites, **self.sites})

    def __bool__(self) -> bool:
        """Return whether it is non-empty."""
        return bool(self.certificates or self.sites)


@dataclass(frozen=True)
class Memory:
    """The stored state of a hook: what it was told, and its failures in a row since, with the last one."""

    told: Deployed = Deployed()
    failures: int = 0
    retry: datetime | None = None
    message: str = ""
    hint: str = ""


class HookAction(StrEnum):
    """The result for a hook, in the words of the JSON contract."""

    RAN = "ran"
    KEPT = "kept"
    FAILED = "failed"


@dataclass(frozen=True)
class HookOutcome:
    """The result of a hook; `next` is when it is tried again, `None` if it has been told everything.

    `detail` names the program and what it was told, or is to be told.
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

"""What is told after a cycle and what was told before: the values, which `notify.rules` judges."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

Value = TypeVar("Value")

LAST_CALL = 1 / 5
"""The part of the first warning's share of life at which the second comes: 5 % where the first is at 25 %."""

CYCLE = "cycle"
"""The subject that stands for the cycle as a whole."""


class Warned(StrEnum):
    """How near the end of a certificate is, as far as it was told."""

    NOT = ""
    SOON = "soon"
    NEAR = "near"
    OVER = "over"

    @property
    def rank(self) -> int:
        """The later, the greater."""
        return list(Warned).index(self)


class NoticeKind(StrEnum):
    """What a notice is about."""

    FAILED = "failed"
    EXPIRING = "will expire"
    EXPIRED = "has expired"
    RECOVERED = "is well again"


@dataclass(frozen=True)
class Life:
    """Which certificate is kept, and from when to when it is valid."""

    fingerprint: str
    begin: datetime
    end: datetime

    def warned(self, now: datetime, share: float) -> Warned:
        """Return which warning is due; `share` (0 to 1) of the life is left at the first."""
        left = (self.end - now) / max(self.end - self.begin, timedelta(seconds=1))
        steps = ((share, Warned.NOT), (share * LAST_CALL, Warned.SOON), (0, Warned.NEAR))
        return next((step for bound, step in steps if left > bound), Warned.OVER)


@dataclass(frozen=True)
class SubjectStatus:
    """How a subject stood at the end of a cycle; `looked` tells whether the cycle was about it at all."""

    subject: str
    name: str
    error: str | None = None
    hint: str = ""
    exit_code: int = 0
    life: Life | None = None
    looked: bool = True


@dataclass(frozen=True)
class Trouble:
    """That something does not work, since when, and whether it is worth telling."""

    since: datetime
    grave: bool = False


@dataclass(frozen=True)
class Heard:
    """What somebody was last told of a subject: a trouble and since when, or the end of a certificate."""

    trouble: datetime | None = None
    fingerprint: str = ""
    warned: Warned = Warned.NOT

    def of(self, life: Life | None) -> Warned:
        """Return the last warning about this very certificate."""
        return self.warned if life and life.fingerprint == self.fingerprint else Warned.NOT


@dataclass(frozen=True)
class LastSeen:
    """What a cycle last saw of a certificate: whether it was served, and when nothing was wrong with it."""

    served: bool | None = None
    success: datetime | None = None


@dataclass(frozen=True)
class Record:
    """What is kept from cycle to cycle, by subject; what was told (`heard`) by recipient before."""

    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    heard: Mapping[str, Mapping[str, Heard]] = field(default_factory=dict)
    seen: Mapping[str, LastSeen] = field(default_factory=dict)

    def of(self, subjects: Sequence[str], recipients: Sequence[str]) -> "Record":
        """Return it with these recipients, and without what the configuration does not have any more."""
        known = {CYCLE, *subjects}
        return Record(
            _only(known, self.troubles),
            {who: _only(known, self.heard.get(who, {})) for who in recipients},
            _only(known, self.seen),
        )

    @property
    def subjects(self) -> tuple[str, ...]:
        """Everything that anything is kept of."""
        return (*self.troubles, *self.seen, *(subject for one in self.heard.values() for subject in one))

    def told(self, recipient: str, notices: Sequence["Notice"]) -> "Record":
        """Return it with these notices heard."""
        heard = dict(self.heard.get(recipient, {}))
        heard |= {notice.finding.subject: notice.heard for notice in notices}
        return replace(self, heard={**self.heard, recipient: heard})


@dataclass(frozen=True)
class Notice:
    """One thing to tell somebody, and what he has heard once he is told."""

    kind: NoticeKind
    finding: SubjectStatus
    heard: Heard
    since: datetime | None = None


@dataclass(frozen=True)
class Message:
    """What is sent: all that somebody has to be told after one cycle."""

    title: str
    body: str
    good: bool


def _only(known: AbstractSet[str], values: Mapping[str, Value]) -> Mapping[str, Value]:
    return {subject: value for subject, value in values.items() if subject in known}

"""Notices and the record of those sent, as values; `notify.rules` decides on them."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

Value = TypeVar("Value")

LAST_CALL = 1 / 5
"""The second warning's share of life, as a part of the first one's: 5 % if the first comes at 25 %."""

CYCLE = "cycle"
"""The subject of problems with the cycle as a whole."""


class Warned(StrEnum):
    """The last expiry warning that was sent."""

    NOT = ""
    SOON = "soon"
    NEAR = "near"
    OVER = "over"

    @property
    def rank(self) -> int:
        """The order of the warnings, the last one highest."""
        return list(Warned).index(self)


class NoticeKind(StrEnum):
    """The kind of a notice."""

    FAILED = "failed"
    EXPIRING = "will expire"
    EXPIRED = "has expired"
    RECOVERED = "has recovered"


@dataclass(frozen=True)
class Life:
    """The stored certificate, and its validity."""

    fingerprint: str
    begin: datetime
    end: datetime

    def warned(self, now: datetime, share: float) -> Warned:
        """Return the warning that is due; the first comes when `share` (0 to 1) of the life is left."""
        left = (self.end - now) / max(self.end - self.begin, timedelta(seconds=1))
        steps = ((share, Warned.NOT), (share * LAST_CALL, Warned.SOON), (0, Warned.NEAR))
        return next((step for bound, step in steps if left > bound), Warned.OVER)


@dataclass(frozen=True)
class SubjectStatus:
    """The status of a subject after a cycle; `looked`: the cycle checked it."""

    subject: str
    name: str
    error: str | None = None
    hint: str = ""
    exit_code: int = 0
    life: Life | None = None
    looked: bool = True


@dataclass(frozen=True)
class Trouble:
    """A problem: since when, and whether it is worth a notice."""

    since: datetime
    grave: bool = False


@dataclass(frozen=True)
class Heard:
    """What a recipient was last told about a subject: a problem since when, or a certificate's expiry."""

    trouble: datetime | None = None
    fingerprint: str = ""
    warned: Warned = Warned.NOT

    def of(self, life: Life | None) -> Warned:
        """Return the last warning about exactly this certificate."""
        return self.warned if life and life.fingerprint == self.fingerprint else Warned.NOT


@dataclass(frozen=True)
class LastSeen:
    """What cycles last saw of a certificate: whether it was served, and when it had no error."""

    served: bool | None = None
    success: datetime | None = None


@dataclass(frozen=True)
class Record:
    """The record kept from cycle to cycle, by subject; the notices heard, by recipient and subject."""

    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    heard: Mapping[str, Mapping[str, Heard]] = field(default_factory=dict)
    seen: Mapping[str, LastSeen] = field(default_factory=dict)

    def of(self, subjects: Sequence[str], recipients: Sequence[str]) -> "Record":
        """Return the record for these recipients and subjects only."""
        known = {CYCLE, *subjects}
        return Record(
            _only(known, self.troubles),
            {who: _only(known, self.heard.get(who, {})) for who in recipients},
            _only(known, self.seen),
        )

    @property
    def subjects(self) -> tuple[str, ...]:
        """All subjects in the record."""
        return (*self.troubles, *self.seen, *(subject for one in self.heard.values() for subject in one))

    def told(self, recipient: str, notices: Sequence["Notice"]) -> "Record":
        """Return the record with these notices heard."""
        heard = dict(self.heard.get(recipient, {}))
        heard |= {notice.finding.subject: notice.heard for notice in notices}
        return replace(self, heard={**self.heard, recipient: heard})


@dataclass(frozen=True)
class Notice:
    """A notice for a recipient, and what the recipient has heard once it is sent."""

    kind: NoticeKind
    finding: SubjectStatus
    heard: Heard
    since: datetime | None = None


@dataclass(frozen=True)
class Message:
    """All notices for a recipient after one cycle, as one message."""

    title: str
    body: str
    good: bool


def _only(known: AbstractSet[str], values: Mapping[str, Value]) -> Mapping[str, Value]:
    return {subject: value for subject, value in values.items() if subject in known}

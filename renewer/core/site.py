"""Sites behind secure links, as values: frozen, no I/O, no clock. Every `datetime` is aware and in UTC.

A key is first *published* (nginx honours it, nothing is signed with it), then *current*, then *retiring*
(honoured for the grace), then gone. So nginx knows every key before anything is signed with it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from renewer.core.errors import RenewerError

AGAIN = timedelta(minutes=5)
"""When a site is tried again after a failure: that costs a test of nginx's configuration, no more."""


_MASTER = re.compile("[0-9a-f]{64}")


class Mode(StrEnum):
    """How a site is opened: by a link that starts a session, or by URLs that are signed one by one."""

    SESSION = "session"
    URL = "url"


@dataclass(frozen=True)
class Signer:
    """The file that hands the current key to another program that signs: its path, owner and mode.

    `owner` is `user` or `user:group`, or `None` for whoever runs this program.
    """

    path: Path
    owner: str | None = None
    mode: int = 0o600


@dataclass(frozen=True)
class SiteSpec:
    """A site as the configuration wants it.

    `rotate` is `None` for "with every renewed certificate", which are then those named in `follows`.
    """

    name: str
    host: str
    mode: Mode = Mode.SESSION
    home: str = "/"
    people: tuple[str, ...] = ()
    rotate: timedelta | None = None
    follows: tuple[str, ...] = ()
    grace: timedelta = timedelta(days=7)
    session: timedelta = timedelta(days=60)
    sliding: bool = True
    signer: Signer | None = None


@dataclass(frozen=True)
class Key:
    """A site's key: its id, and the 32 random bytes (hex) that the keys of its people are derived from.

    Raises `ValueError` for any other master: what is derived from nothing, everybody can derive.
    """

    kid: str
    master: str = field(repr=False)

    def __post_init__(self) -> None:
        """Check the master."""
        if not _MASTER.fullmatch(self.master):
            raise ValueError("the master of a key is not 64 hexadecimal digits")


@dataclass(frozen=True)
class Retiring:
    """A key that signs no more and is honoured for the grace, from `since` on."""

    key: Key
    since: datetime


@dataclass(frozen=True)
class Ring:
    """A site's keys and what depends on them.

    `since` is when `current` became that; sessions signed with it end at `session_end`. `count` is how many
    keys the site has had. `certificates` are the fingerprints of those that it follows, at the last rotation.
    """

    published: Key
    current: Key
    since: datetime
    session_end: datetime
    count: int
    retiring: tuple[Retiring, ...] = ()
    people: tuple[str, ...] = ()
    certificates: Mapping[str, str] = field(default_factory=dict)

    @property
    def honoured(self) -> tuple[Key, ...]:
        """Every key that nginx takes."""
        return (self.published, self.current, *(one.key for one in self.retiring))


@dataclass(frozen=True)
class Kept:
    """What is kept of a site: the keys that nginx was seen to work with, and those that it shall have."""

    served: Ring | None = None
    wanted: Ring | None = None


@dataclass(frozen=True)
class Gate:
    """A site as nginx has to know it."""

    spec: SiteSpec
    ring: Ring

    @property
    def refreshed(self) -> tuple[str, ...]:
        """The ids of the keys whose sessions are replaced in passing."""
        return tuple(one.key.kid for one in self.ring.retiring) if self.spec.sliding else ()


@dataclass(frozen=True)
class Guard:
    """A change for nginx: these sites, with these keys, and no other."""

    gates: tuple[Gate, ...]

    @property
    def owner(self) -> str:
        """Who answers for it; no certificate has a blank in its name."""
        return "secure links"

    @property
    def what(self) -> str:
        """What it is called in a sentence."""
        return "the new files for secure links"


@dataclass(frozen=True)
class Asked:
    """A person asks for a new key of a site; `at_once` ends the old ones, without the overlap."""

    site: str
    at_once: bool = False


@dataclass(frozen=True)
class SiteContext:
    """What the sites have to know: the time, the certificates as kept, and what a person asked for."""

    now: datetime
    certificates: Mapping[str, str]
    asked: Asked | None = None


class SiteAction(StrEnum):
    """What a cycle did for a site, in the words of the JSON contract."""

    ROTATED = "rotated"
    KEPT = "kept"
    FAILED = "failed"


@dataclass(frozen=True)
class SiteOutcome:
    """What became of a site, or what is to be done for it.

    `due` says that nginx has to take something up; `next` is when the next key is due, or an old one ends;
    `honoured_until` is when the oldest key that is retiring ends, `None` without one. `detail` says what
    nginx lacks for the site to be guarded.
    """

    name: str
    action: SiteAction
    next: datetime
    due: bool = False
    since: datetime | None = None
    rotation: datetime | None = None
    honoured_until: datetime | None = None
    people: tuple[str, ...] = ()
    detail: str = ""
    error: str | None = None
    hint: str = ""
    exit_code: int = 0


@dataclass(frozen=True)
class Proposal:
    """What nginx has to take up for the sites, if anything, and what that makes of each."""

    guard: Guard | None
    outcomes: tuple[SiteOutcome, ...]


def failed(spec: SiteSpec, error: RenewerError, now: datetime) -> SiteOutcome:
    """Return what it means for the site that something stood in the way."""
    return SiteOutcome(
        name=spec.name,
        action=SiteAction.FAILED,
        next=now + AGAIN,
        people=spec.people,
        error=str(error),
        hint=error.hint,
        exit_code=error.exit_code,
    )

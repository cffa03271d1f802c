"""Sites behind secure links, as values. Frozen, no I/O, no clock. Every `datetime` is aware and in UTC.

A key is first *published* (nginx accepts it, nothing is signed with it), then *current*, then *retiring*
(accepted until the grace ends), then gone. So nginx knows every key before anything is signed with it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from renewer.core.errors import RenewerError

AGAIN = timedelta(minutes=5)
"""When a site is retried after a failure; that costs only a test of nginx's configuration."""


_MASTER = re.compile("[0-9a-f]{64}")


class Mode(StrEnum):
    """How a site is opened: by a link that starts a session, or by URLs that are signed one by one."""

    SESSION = "session"
    URL = "url"


@dataclass(frozen=True)
class Signer:
    """The file that passes the current key to another program that signs URLs: its path, owner and mode.

    `owner` is `user` or `user:group`, or `None` for the user that runs this program.
    """

    path: Path
    owner: str | None = None
    mode: int = 0o600


@dataclass(frozen=True)
class SiteSpec:
    """A configured site.

    `rotate = None` means with every renewed certificate of those named in `follows`.
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
    """A site's key: its id, and the 32 random bytes (hex) from which the keys of its people are derived.

    Raises `ValueError` for any other master: keys derived from a guessable one could be derived by everybody.
    """

    kid: str
    master: str = field(repr=False)

    def __post_init__(self) -> None:
        """Check the master."""
        if not _MASTER.fullmatch(self.master):
            raise ValueError("the master of a key is not 64 hexadecimal digits")


@dataclass(frozen=True)
class Retiring:
    """A key that no longer signs and is accepted until the grace, which began at `since`, ends."""

    key: Key
    since: datetime


@dataclass(frozen=True)
class Ring:
    """A site's keys and the values that depend on them.

    `since` is when `current` became current; sessions signed with it end at `session_end`. `count` is the
    number of keys the site has had. `certificates` are the fingerprints of those it follows, at the last
    rotation.
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
        """Every key that nginx accepts."""
        return (self.published, self.current, *(one.key for one in self.retiring))


@dataclass(frozen=True)
class Kept:
    """The stored keys of a site: those that nginx is known to use, and those that it should have."""

    served: Ring | None = None
    wanted: Ring | None = None


@dataclass(frozen=True)
class Gate:
    """A site for nginx."""

    spec: SiteSpec
    ring: Ring

    @property
    def refreshed(self) -> tuple[str, ...]:
        """The ids of the keys whose sessions are renewed when they are used."""
        return tuple(one.key.kid for one in self.ring.retiring) if self.spec.sliding else ()


@dataclass(frozen=True)
class Guard:
    """A change for nginx: exactly these sites, with these keys."""

    gates: tuple[Gate, ...]

    @property
    def owner(self) -> str:
        """The subject under which it is reported; a certificate's name never has a space."""
        return "secure links"

    @property
    def what(self) -> str:
        """Its name in a sentence."""
        return "the new files for secure links"


@dataclass(frozen=True)
class Asked:
    """A request for a new key of a site; `at_once` ends the old ones without a grace."""

    site: str
    at_once: bool = False


@dataclass(frozen=True)
class SiteContext:
    """What the sites need to know of a cycle: the time, the stored certificates, and a person's request."""

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
    """The result for a site, or what is to be done for it.

    `due`: nginx has to load something; `next` is when the next key is due or an old one ends;
    `honoured_until` is when the oldest retiring key ends, `None` if there is none. `detail` says what nginx
    lacks to guard the site.
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
    """What nginx has to load for the sites, if anything, and the result for each site."""

    guard: Guard | None
    outcomes: tuple[SiteOutcome, ...]


def failed(spec: SiteSpec, error: RenewerError, now: datetime) -> SiteOutcome:
    """Return the result for a site that failed with this error."""
    return SiteOutcome(
        name=spec.name,
        action=SiteAction.FAILED,
        next=now + AGAIN,
        people=spec.people,
        error=str(error),
        hint=error.hint,
        exit_code=error.exit_code,
    )

"""The contracts between the core and the adapters."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from renewer.core.errors import Outdated, RenewerError
from renewer.core.followed import Followed
from renewer.core.hook import Deployed
from renewer.core.journal import Handle, Progress, TxtRecord
from renewer.core.metrics import Readings
from renewer.core.model import CertSpec, Change, Grounds, Material, Observation, Reason, Window
from renewer.core.notice import Message
from renewer.core.site import Guard, Proposal, SiteContext, SiteSpec


class Clock(Protocol):
    """Time and chance; nothing else asks for them."""

    def now(self) -> datetime:
        """Return the wall clock's time, aware and in UTC."""

    def monotonic(self) -> float:
        """Return seconds that only go forward, for deadlines."""

    def sleep(self, seconds: float) -> None:
        """Wait; raises `Stopped` as soon as the program is asked to end."""

    def fraction(self) -> float:
        """Return a random number in [0, 1)."""


class Report(Protocol):
    """Where a run tells what it does; never a secret in it."""

    def doing(self, subject: str, what: str) -> None:
        """Report what `subject` is waiting for or busy with now."""

    def idle(self, subject: str) -> None:
        """Report that `subject` waits for nothing any more."""

    def done(self, subject: str, what: str) -> None:
        """Report what happened to `subject`, for good."""

    def problem(self, subject: str, what: str, hint: str = "") -> None:
        """Report what went wrong, with what to do about it."""

    def bug(self, subject: str, error: Exception) -> None:
        """Report where a bug of ours struck, for whoever fixes it."""


class DnsProvider(Protocol):
    """Puts TXT records into a zone and takes them out again; safe to use from threads."""

    def begin(self) -> None:
        """Make ready in the background what the first call will need; an issuance begins."""
        return

    def check(self, names: Sequence[str]) -> None:
        """Raise unless records of these names could be created: a zone is there for each."""

    def present(self, records: Sequence[TxtRecord]) -> Sequence[Handle]:
        """Make the records exist; one that is there already is adopted. All or nothing for each zone."""

    def find(self, records: Sequence[TxtRecord]) -> Sequence[Handle]:
        """Return those of the records that exist, whoever created them."""

    def named(self, name: str) -> Sequence[Handle]:
        """Return every TXT record of exactly this name, whoever created it."""

    def remove(self, handles: Sequence[Handle]) -> None:
        """Take the records out; one that is gone already counts as removed."""

    def zone(self, name: str) -> str | None:
        """Return the zone that records of this name go into, as is seen now; `None` where there is none."""


class PropagationCheck(Protocol):
    """Looks at the DNS as the CA will."""

    def canonical(self, names: Sequence[str], timeout: timedelta) -> Mapping[str, str]:
        """Return for each name the one that it is an alias of (CNAME), or itself.

        Where nothing but a wildcard makes it one, it is the name itself: the record to come ends that. Raises
        `Transient` when `timeout` is over before all are known.
        """

    def wait(self, records: Sequence[TxtRecord], timeout: timedelta) -> None:
        """Return when every authoritative name server shows every record.

        Raises `Transient` that names the servers which did not, when `timeout` is over.
        """


class Journal(Protocol):
    """The journal of one certificate's issuance; every save is on disk when it returns."""

    def load(self) -> Progress:
        """Return what an earlier run left, or an empty journal."""

    def save(self, progress: Progress) -> None:
        """Keep it."""


class Issuer(Protocol):
    """Obtains certificates from a CA."""

    def issue(self, spec: CertSpec, replaces: Material | None, journal: Journal) -> Material:
        """Obtain a certificate as `spec` wants it, going on with an order that the journal holds.

        What is returned was checked against its keys, names and dates.
        """

    def window(self, material: Material) -> Window | None:
        """Return the CA's suggestion of when to renew, or `None` where it makes none (RFC 9773)."""

    def revoke(self, material: Material, reason: Reason) -> None:
        """Have the CA revoke the certificate; one that is revoked already is fine."""

    def cost(self, spec: CertSpec) -> str:
        """Return what an order would use up of the CA's rate limits; empty where none is known."""

    def require(self, spec: CertSpec, replaces: Material | None) -> None:
        """Raise `Transient` with the wait if a new order would cross one of the CA's rate limits now."""

    def tidy(self, name: str, journal: Journal) -> None:
        """Remove what an earlier attempt for the certificate `name` left in the DNS; never an error."""


@dataclass(frozen=True)
class Fence:
    """The right to write under a lease: `token` grows with every lease of that name."""

    name: str
    token: int


class Store(Protocol):
    """Values by key, each written whole or not at all."""

    def get(self, key: str) -> bytes | None:
        """Return the value, or `None`."""

    def put(self, key: str, value: bytes, fence: Fence) -> None:
        """Write the value so that it survives a crash; raises `LostLease` for a stale fence."""

    def delete(self, key: str, fence: Fence) -> None:
        """Take the value out; absent already is fine. Raises `LostLease` for a stale fence."""

    def set_aside(self, key: str, fence: Fence) -> str:
        """Take a value out that cannot be read, but keep it for a person to look at; return where it is."""

    def keys(self, prefix: str) -> Iterable[str]:
        """Return the keys that begin with `prefix`, sorted."""

    def lease(self, name: str, ttl: timedelta) -> AbstractContextManager[Fence]:
        """Hold `name` alone; raises `LockBusy` while another process does."""


class Follower(Protocol):
    """Knows whether what a run has read of its configuration is still the newest."""

    def refuse_foreign(self) -> None:
        """Raise `ConfigError` if the state folder belongs to another configuration."""

    def begin(self) -> None:
        """Note that the state follows this reading, if nothing stands in the way; raises `ConfigError`."""

    def follow(self, keep: Callable[[Followed], None]) -> None:
        """Note it with `keep`, while the sites are held; raises `Outdated` if a newer one is in force."""

    def outdated(self) -> Outdated | None:
        """Return that a newer one is in force, so that this one must not take away what it does not know."""


class Deployer(Protocol):
    """Brings nginx to serve what is stored."""

    def prepare(self, specs: Sequence[CertSpec]) -> Sequence[str]:
        """See to it that every file that nginx may include exists; return those that were written."""

    def grounds(self) -> Grounds | None:
        """Return what all that `look` sees rests on, besides the state folder; `None` if uncertain."""

    def look(self, spec: CertSpec, material: Material | None) -> Observation:
        """Return what is on disk and what nginx serves, changing nothing."""

    def stands(self, guard: Guard) -> bool:
        """Return whether what nginx includes for secure links is just this."""

    def unguarded(self, sites: Sequence[str]) -> Mapping[str, str]:
        """Return what nginx's configuration lacks for a site to be guarded, for those that are not."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Publish, test, reload once and see that nginx works with it: by its handshakes and its new workers.

        What nginx refuses is rolled back. Raises `DeployFailed` or `NotServed`.
        """


class Sites(Protocol):
    """The sites behind secure links: proposes what nginx needs for them, but changes nothing of nginx itself.

    Whoever calls `propose` and `settle` holds nginx from the first to the last.
    """

    @property
    def specs(self) -> Sequence[SiteSpec]:
        """The sites of the configuration."""

    def outsiders(self) -> bool:
        """Return whether nginx may still let in somebody who is no longer in the configuration."""

    def plan(self, context: SiteContext) -> Proposal:
        """Return what it would propose now, changing nothing."""

    def propose(self, context: SiteContext) -> Proposal:
        """Return what nginx is to take up; whatever has to survive a crash is on disk by then."""

    def settle(self, proposal: Proposal) -> Mapping[str, RenewerError]:
        """Keep that nginx was seen to work with what was proposed, or that there was nothing to take up.

        Returns what went wrong for single sites.
        """


class DeployHook(Protocol):
    """Is told once nginx works with something new."""

    @property
    def name(self) -> str:
        """What a person calls it: its place in the configuration."""

    @property
    def key(self) -> str:
        """Under which is kept what it was told of; hexadecimal."""

    @property
    def what(self) -> str:
        """What it does, in a word."""

    def run(self, news: Deployed) -> None:
        """Run the hook; it may run twice for a change. Raises `HookFailed`, or `LockBusy` while it runs."""


class Gauges(Protocol):
    """Shows figures to whoever watches."""

    def show(self, readings: Readings) -> None:
        """Put the figures of the last cycle in place of those before."""


class Recipients(Protocol):
    """Those who are told by message."""

    def known(self) -> Sequence[str]:
        """Return a mark for each, which is the same in every run and gives no secret away."""

    def deliver(self, messages: Mapping[str, Message]) -> Collection[str]:
        """Send each its message, within a bounded time, and return the marks of those that took it."""


class Pulse(Protocol):
    """A monitor that gives alarm when it hears of a failure, or hears nothing for long."""

    def beat(self, *, good: bool) -> None:
        """Report how a cycle ended, within a bounded time."""

"""Values as bytes over a Store: what is kept, under which key, in which form.

Each value is one JSON document, written whole. A document that cannot be read is told and then treated as
absent where it can be made again; an account's key cannot, so that one is an error.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from renewer.core.errors import Refused
from renewer.core.failure import Deploys, Failure
from renewer.core.followed import Followed
from renewer.core.hook import Memory
from renewer.core.interfaces import Fence, Report, Store
from renewer.core.journal import Progress
from renewer.core.model import Account, Material, Revocation, Suggestion
from renewer.core.notice import Record
from renewer.core.provenance import Provenance
from renewer.core.rate_limits import History
from renewer.core.site import Kept
from renewer.store.codec import UnreadableError, decode, encode

Value = TypeVar("Value")

LEASE = timedelta(minutes=1)
"""How long a lease outlives its holder in a store that cannot see the holder die."""


@dataclass(frozen=True)
class State:
    """The program's memory."""

    store: Store
    report: Report
    _damaged: set[str] = field(default_factory=set)

    def damaged(self, name: str) -> list[str]:
        """Return the keys of what was found unreadable about a certificate."""
        return sorted(key for key in tuple(self._damaged) if key.partition("/")[2] == name)

    @contextmanager
    def certificate(self, name: str) -> Iterator["CertificateState"]:
        """Hold a certificate alone, with the right to write about it; raises `LockBusy`."""
        with self.store.lease(f"certificate.{name}", LEASE) as fence:
            yield CertificateState(self, name, fence)

    @contextmanager
    def nginx(self) -> Iterator[None]:
        """Hold nginx and the files that it includes alone; raises `LockBusy`."""
        with self.store.lease("nginx", LEASE):
            yield

    @contextmanager
    def sites(self) -> Iterator["Section[Kept]"]:
        """Hold the keys of all sites alone, with the right to write about them; raises `LockBusy`."""
        with self.store.lease("sites", LEASE) as fence:
            yield Section(self.store, fence, "site")

    def followed(self) -> Followed | None:
        """Return the configuration that the state folder belongs to; `None` if it is nobody's yet."""
        return self._value("configuration", Followed)

    def site(self, name: str) -> Kept:
        """Return the keys of a site, or that it has none.

        Raises `Refused` for keys that cannot be read: with new ones, every link and session would end.
        """
        data = self.store.get(f"site/{name}")
        if data is None:
            return Kept()
        try:
            return decode(data, Kept)
        except UnreadableError as error:
            raise Refused(
                f"the stored keys of the site {name} cannot be read: {error}",
                hint=f"bring site/{name} in the state folder's store back from a backup, or move it away"
                " to have new keys made; every link and session of the site then ends",
            ) from error

    @contextmanager
    def hooks(self) -> Iterator["Section[Memory]"]:
        """Hold all deploy hooks alone, with the right to write about them; raises `LockBusy`."""
        with self.store.lease("hooks", LEASE) as fence:
            yield Section(self.store, fence, "hook")

    def hook(self, key: str) -> Memory:
        """Return what is kept of a deploy hook; one that nothing is kept of was told of nothing."""
        return self._value(f"hook/{key}", Memory) or Memory()

    def known_hooks(self) -> list[str]:
        """Return the keys of the hooks that something is kept of."""
        return [key.removeprefix("hook/") for key in self.store.keys("hook/")]

    @contextmanager
    def checkup(self) -> Iterator["CertificateState"]:
        """Hold the journal of what `check` puts into the DNS to see whether it can; raises `LockBusy`."""
        with self.store.lease("check", LEASE) as fence:
            yield CertificateState(self, "records", fence, "check")

    def unreadable(self, key: str) -> Iterator[str]:
        """Yield why the value is not the document that it should be, if so; nothing is changed or told.

        Raises what the store raises for a value that cannot be had at all.
        """
        form = _FORMS.get(key.partition("/")[0])
        data = self.store.get(key)
        if form is None or data is None:
            return
        try:
            decode(data, form)
        except UnreadableError as error:
            yield str(error)

    def known_sites(self) -> list[str]:
        """Return the names of the sites that have keys."""
        return [key.removeprefix("site/") for key in self.store.keys("site/")]

    def material(self, name: str) -> Material | None:
        """Return the certificate as it was kept."""
        return self._value(f"certificate/{name}", Material)

    def suggestion(self, name: str) -> Suggestion | None:
        """Return what the CA last suggested for it."""
        return self._value(f"suggestion/{name}", Suggestion)

    def failure(self, name: str) -> Failure | None:
        """Return the last failure to obtain it, if none has succeeded since."""
        return self._value(f"failure/{name}", Failure)

    def deploys(self, name: str) -> Deploys:
        """Return how its deploys ended."""
        return self._value(f"deploys/{name}", Deploys) or Deploys()

    def progress(self, name: str, kind: str = "journal") -> Progress:
        """Return the journal of an issuance, or of a "rehearsal", that did not end; else an empty one."""
        return self._value(f"{kind}/{name}", Progress) or Progress()

    def begun(self) -> list[str]:
        """Return the names of the certificates with a journal, or with something to be revoked."""
        kinds = ("journal/", "rehearsal/", "revocation/")
        return sorted({key.removeprefix(kind) for kind in kinds for key in self.store.keys(kind)})

    def revocation(self, name: str) -> Revocation | None:
        """Return what has to be revoked."""
        return self._value(f"revocation/{name}", Revocation)

    def provenance(self, name: str) -> Provenance:
        """Return where its certificates came from and which were revoked, as it was written down."""
        return self._value(f"provenance/{name}", Provenance) or Provenance()

    def known(self, name: str) -> Provenance:
        """Return the same with what the stored certificate, and those to be revoked, tell of themselves."""
        known, stored, revocation = self.provenance(name), self.material(name), self.revocation(name)
        known = known.noted(stored) if stored else known
        for one in reversed(revocation.each if revocation else ()):
            known = known.noted(one.material, one.reason)
        return known

    def account(self, directory_url: str) -> Account | None:
        """Return the account at the CA with this directory URL."""
        key = _account(directory_url)
        data = self.store.get(key)
        if data is None:
            return None
        try:
            return decode(data, Account)
        except UnreadableError as error:
            raise Refused(
                f"the stored account for {directory_url} cannot be read: {error}",
                hint=f"bring {key} in the state folder's store back from a backup, or move it away"
                " to have a new account made",
            ) from error

    def keep_account(self, directory_url: str, account: Account) -> None:
        """Keep the account; raises `LockBusy` while another process makes one for the same CA."""
        with self.store.lease("account", LEASE) as fence:
            self.store.put(_account(directory_url), encode(account), fence)

    def history(self, directory_url: str) -> History:
        """Return what the account at this CA did and was told, for its rate limits."""
        return self._value(f"limits/{_quoted(directory_url)}", History) or History()

    def keep_history(self, directory_url: str, change: Callable[[History], History]) -> None:
        """Change that; raises `LockBusy` while another process does."""
        with self.store.lease("limits", LEASE) as fence:
            data = encode(change(self.history(directory_url)))
            self.store.put(f"limits/{_quoted(directory_url)}", data, fence)

    def record(self) -> Record:
        """Return what those outside were told, and what has to be known to tell them more."""
        return self._value("told", Record) or Record()

    @contextmanager
    def telling(self) -> Iterator[Callable[[Record], None]]:
        """Hold the record of notifications alone, with the right to write it; raises `LockBusy`."""
        with self.store.lease("told", LEASE) as fence:
            yield lambda record: self.store.put("told", encode(record), fence)

    def zones(self, provider: str) -> dict[str, str]:
        """Return the identifiers of the zones that are known at a DNS provider, by zone name."""
        return self._value(f"zones/{provider}", dict[str, str]) or {}

    def keep_zones(self, provider: str, zones: dict[str, str]) -> None:
        """Keep them; they are only a short cut, so a busy store raises `LockBusy` and nothing is lost."""
        with self.store.lease(f"zones.{provider}", LEASE) as fence:
            self.store.put(f"zones/{provider}", encode(zones), fence)

    def _value(self, key: str, form: type[Value]) -> Value | None:
        data = self.store.get(key)
        if data is None:
            return None
        try:
            return decode(data, form)
        except UnreadableError as error:
            if key not in self._damaged:
                self.report.problem(key, f"what is stored cannot be read and counts as absent: {error}")
            self._damaged.add(key)
            return None


@dataclass(frozen=True)
class CertificateState:
    """What may be written about a certificate while its lease is held; the `Journal` of its issuance too."""

    vault: State
    name: str
    fence: Fence
    kind: str = "journal"

    @property
    def rehearsal(self) -> "CertificateState":
        """The same for a rehearsal, which has a journal of its own."""
        return replace(self, kind="rehearsal")

    def load(self) -> Progress:
        """Return the journal of the issuance under way."""
        return self.vault.progress(self.name, self.kind)

    def save(self, progress: Progress) -> None:
        """Keep the journal; an empty one is taken out."""
        self._put(self.kind, progress if progress != Progress() else None)

    def keep(self, material: Material) -> None:
        """Keep a new certificate in one write, its origin before; what was said of the former goes after."""
        self._put("provenance", self.vault.known(self.name).noted(material))
        self._put("certificate", material)
        self._put("suggestion", None)

    def suggest(self, suggestion: Suggestion) -> None:
        """Keep what the CA suggests."""
        self._put("suggestion", suggestion)

    def failed(self, failure: Failure) -> None:
        """Keep that an order failed."""
        self._put("failure", failure)

    def succeeded(self) -> None:
        """Forget that an order failed."""
        self._put("failure", None)

    def deployed(self, deploys: Deploys) -> None:
        """Keep how a deploy ended."""
        self._put("deploys", deploys if deploys != Deploys() else None)

    def revoke(self, revocation: Revocation) -> None:
        """Keep what has to be revoked, beside what has to be already."""
        self._put("provenance", self.vault.known(self.name))
        asked = self.vault.revocation(self.name)
        left = asked.without(revocation) if asked else None
        self._put("revocation", replace(revocation, earlier=left.each if left else ()))

    def revoked(self, revocation: Revocation) -> None:
        """Keep for good that it is revoked, and that it does not have to be any more."""
        known, asked = self.vault.provenance(self.name), self.vault.revocation(self.name)
        self._put("provenance", known.noted(revocation.material, revocation.reason))
        self._put("revocation", asked.without(revocation) if asked else None)

    def set_aside(self) -> None:
        """Move away what was found unreadable, so that it is told once; a person may still look at it."""
        for key in self.vault.damaged(self.name):
            place = self.vault.store.set_aside(key, self.fence)
            self.vault.report.done(self.name, f"what cannot be read is kept as {place}")
            self.vault._damaged.discard(key)  # noqa: SLF001 - its own vault

    def _put(self, kind: str, value: object | None) -> None:
        key = f"{kind}/{self.name}"
        if value is None:
            self.vault.store.delete(key, self.fence)
        else:
            self.vault.store.put(key, encode(value), self.fence)


@dataclass(frozen=True)
class Section(Generic[Value]):
    """What may be written about all things of a kind, such as the sites, while their lease is held."""

    store: Store
    fence: Fence
    kind: str

    def keep(self, name: str, value: Value) -> None:
        """Keep what belongs to one of them, in one write."""
        self.store.put(f"{self.kind}/{name}", encode(value), self.fence)

    def follow(self, followed: Followed) -> None:
        """Keep which configuration the state folder belongs to; whoever holds the sites may."""
        self.store.put("configuration", encode(followed), self.fence)

    def drop(self, name: str) -> None:
        """Forget one that is no more."""
        self.store.delete(f"{self.kind}/{name}", self.fence)


_FORMS: dict[str, Any] = {
    "account": Account,
    "certificate": Material,
    "check": Progress,
    "configuration": Followed,
    "deploys": Deploys,
    "failure": Failure,
    "hook": Memory,
    "journal": Progress,
    "limits": History,
    "provenance": Provenance,
    "rehearsal": Progress,
    "revocation": Revocation,
    "site": Kept,
    "suggestion": Suggestion,
    "zones": dict[str, str],
}
"""What is kept under the keys that begin so."""


def _account(directory_url: str) -> str:
    return f"account/{_quoted(directory_url)}"


def _quoted(directory_url: str) -> str:
    return quote(directory_url.removeprefix("https://"), safe="")

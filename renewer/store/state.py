"""Typed values over a store of bytes: the keys, and the form of each value.

Each value is one JSON document, written whole. An unreadable document is reported and treated as absent if it
can be created again; an account's or a site's key cannot, so there it is an error.
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
    """The stored state of the program."""

    store: Store
    report: Report
    _damaged: set[str] = field(default_factory=set)

    def damaged(self, name: str) -> list[str]:
        """Return the keys of a certificate's values that were found unreadable."""
        return sorted(key for key in tuple(self._damaged) if key.partition("/")[2] == name)

    @contextmanager
    def certificate(self, name: str) -> Iterator["CertificateState"]:
        """Hold a certificate exclusively, with the right to write its values; raises `LockBusy`."""
        with self.store.lease(f"certificate.{name}", LEASE) as fence:
            yield CertificateState(self, name, fence)

    @contextmanager
    def nginx(self) -> Iterator[None]:
        """Hold nginx and its includes exclusively; raises `LockBusy`."""
        with self.store.lease("nginx", LEASE):
            yield

    @contextmanager
    def sites(self) -> Iterator["Section[Kept]"]:
        """Hold the keys of all sites exclusively, with the right to write them; raises `LockBusy`."""
        with self.store.lease("sites", LEASE) as fence:
            yield Section(self.store, fence, "site")

    def followed(self) -> Followed | None:
        """Return the configuration that the state folder belongs to, or `None` if there is none yet."""
        return self._value("configuration", Followed)

    def site(self, name: str) -> Kept:
        """Return the keys of a site, possibly none.

        Raises `Refused` if they cannot be read: new ones would invalidate every link and session.
        """
        data = self.store.get(f"site/{name}")
        if data is None:
            return Kept()
        try:
            return decode(data, Kept)
        except UnreadableError as error:
            raise Refused(
                f"the stored keys of the site {name} cannot be read: {error}",
                hint=f"restore site/{name} in the state folder's store from a backup, or move it away"
                " to have new keys made, which invalidates every link and session of the site",
            ) from error

    @contextmanager
    def hooks(self) -> Iterator["Section[Memory]"]:
        """Hold all deploy hooks exclusively, with the right to write their values; raises `LockBusy`."""
        with self.store.lease("hooks", LEASE) as fence:
            yield Section(self.store, fence, "hook")

    def hook(self, key: str) -> Memory:
        """Return what a deploy hook was told so far; nothing, for one without a stored value."""
        return self._value(f"hook/{key}", Memory) or Memory()

    def known_hooks(self) -> list[str]:
        """Return the keys of the hooks with a stored value."""
        return [key.removeprefix("hook/") for key in self.store.keys("hook/")]

    @contextmanager
    def checkup(self) -> Iterator["CertificateState"]:
        """Hold the journal of the DNS records that `check` creates; raises `LockBusy`."""
        with self.store.lease("check", LEASE) as fence:
            yield CertificateState(self, "records", fence, "check")

    def unreadable(self, key: str) -> Iterator[str]:
        """Yield why the value is not a valid document, if so; nothing is changed or reported.

        Raises the store's error if the value cannot be read at all.
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
        """Return the stored certificate."""
        return self._value(f"certificate/{name}", Material)

    def suggestion(self, name: str) -> Suggestion | None:
        """Return the CA's last suggestion for it (RFC 9773)."""
        return self._value(f"suggestion/{name}", Suggestion)

    def failure(self, name: str) -> Failure | None:
        """Return the last failure to order it, if no order has succeeded since."""
        return self._value(f"failure/{name}", Failure)

    def deploys(self, name: str) -> Deploys:
        """Return the results of its deployments."""
        return self._value(f"deploys/{name}", Deploys) or Deploys()

    def progress(self, name: str, kind: str = "journal") -> Progress:
        """Return the journal of an unfinished issuance, or of a "rehearsal"; otherwise an empty one."""
        return self._value(f"{kind}/{name}", Progress) or Progress()

    def begun(self) -> list[str]:
        """Return the names of the certificates with a journal, or with a revocation to be done."""
        kinds = ("journal/", "rehearsal/", "revocation/")
        return sorted({key.removeprefix(kind) for kind in kinds for key in self.store.keys(kind)})

    def revocation(self, name: str) -> Revocation | None:
        """Return the certificates that have to be revoked."""
        return self._value(f"revocation/{name}", Revocation)

    def provenance(self, name: str) -> Provenance:
        """Return the recorded origin of its certificates, and which of them were revoked."""
        return self._value(f"provenance/{name}", Provenance) or Provenance()

    def known(self, name: str) -> Provenance:
        """Return the provenance, completed from the stored certificate and from those to be revoked."""
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
                hint=f"restore {key} in the state folder's store from a backup, or move it away"
                " to have a new account created",
            ) from error

    def keep_account(self, directory_url: str, account: Account) -> None:
        """Store the account; raises `LockBusy` while another process stores one."""
        with self.store.lease("account", LEASE) as fence:
            self.store.put(_account(directory_url), encode(account), fence)

    def history(self, directory_url: str) -> History:
        """Return the history of the account at this CA, for its rate limits."""
        return self._value(f"limits/{_quoted(directory_url)}", History) or History()

    def keep_history(self, directory_url: str, change: Callable[[History], History]) -> None:
        """Change the history; raises `LockBusy` while another process does."""
        with self.store.lease("limits", LEASE) as fence:
            data = encode(change(self.history(directory_url)))
            self.store.put(f"limits/{_quoted(directory_url)}", data, fence)

    def record(self) -> Record:
        """Return the record of notifications sent, with what is needed to send more."""
        return self._value("told", Record) or Record()

    @contextmanager
    def telling(self) -> Iterator[Callable[[Record], None]]:
        """Hold the record of notifications exclusively, with the right to write it; raises `LockBusy`."""
        with self.store.lease("told", LEASE) as fence:
            yield lambda record: self.store.put("told", encode(record), fence)

    def zones(self, provider: str) -> dict[str, str]:
        """Return the known zone identifiers at a DNS provider, by zone name."""
        return self._value(f"zones/{provider}", dict[str, str]) or {}

    def keep_zones(self, provider: str, zones: dict[str, str]) -> None:
        """Store the zone identifiers; raises `LockBusy`, which is harmless: they only save requests."""
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
                self.report.problem(key, f"the stored value cannot be read and counts as absent: {error}")
            self._damaged.add(key)
            return None


@dataclass(frozen=True)
class CertificateState:
    """The stored values of a certificate while its lease is held; also the `Journal` of its issuance."""

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
        """Store the journal; an empty one is deleted."""
        self._put(self.kind, progress if progress != Progress() else None)

    def keep(self, material: Material) -> None:
        """Store a new certificate in one write, after its origin; the old one's suggestion is deleted."""
        self._put("provenance", self.vault.known(self.name).noted(material))
        self._put("certificate", material)
        self._put("suggestion", None)

    def suggest(self, suggestion: Suggestion) -> None:
        """Store the CA's suggestion."""
        self._put("suggestion", suggestion)

    def failed(self, failure: Failure) -> None:
        """Store that an order failed."""
        self._put("failure", failure)

    def succeeded(self) -> None:
        """Forget that an order failed."""
        self._put("failure", None)

    def deployed(self, deploys: Deploys) -> None:
        """Store the result of a deployment."""
        self._put("deploys", deploys if deploys != Deploys() else None)

    def revoke(self, revocation: Revocation) -> None:
        """Store a revocation to be done, beside those that already are."""
        self._put("provenance", self.vault.known(self.name))
        asked = self.vault.revocation(self.name)
        left = asked.without(revocation) if asked else None
        self._put("revocation", replace(revocation, earlier=left.each if left else ()))

    def revoked(self, revocation: Revocation) -> None:
        """Record that the certificate is revoked, and that this is done."""
        known, asked = self.vault.provenance(self.name), self.vault.revocation(self.name)
        self._put("provenance", known.noted(revocation.material, revocation.reason))
        self._put("revocation", asked.without(revocation) if asked else None)

    def set_aside(self) -> None:
        """Move unreadable values away, so that they are reported once; they are kept for inspection."""
        for key in self.vault.damaged(self.name):
            place = self.vault.store.set_aside(key, self.fence)
            self.vault.report.done(self.name, f"the unreadable file is kept as {place}")
            self.vault._damaged.discard(key)  # noqa: SLF001 - its own vault

    def _put(self, kind: str, value: object | None) -> None:
        key = f"{kind}/{self.name}"
        if value is None:
            self.vault.store.delete(key, self.fence)
        else:
            self.vault.store.put(key, encode(value), self.fence)


@dataclass(frozen=True)
class Section(Generic[Value]):
    """The stored values of one kind, such as the sites, while their lease is held."""

    store: Store
    fence: Fence
    kind: str

    def keep(self, name: str, value: Value) -> None:
        """Store the value of one of them, in one write."""
        self.store.put(f"{self.kind}/{name}", encode(value), self.fence)

    def follow(self, followed: Followed) -> None:
        """Store which configuration the state folder belongs to; the lease on the sites covers this, too."""
        self.store.put("configuration", encode(followed), self.fence)

    def drop(self, name: str) -> None:
        """Delete the value of one that no longer exists."""
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
"""The form of the values, by the first part of their keys."""


def _account(directory_url: str) -> str:
    return f"account/{_quoted(directory_url)}"


def _quoted(directory_url: str) -> str:
    return quote(directory_url.removeprefix("https://"), safe="")

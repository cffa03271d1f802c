"""The values that the whole program shares. Frozen, no I/O, no clock.

Every `datetime` is aware and in UTC.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from renewer.core.errors import worst
from renewer.core.failure import Deploys, Failure
from renewer.core.hook import HookOutcome
from renewer.core.site import Guard, SiteOutcome

Fingerprint = NewType("Fingerprint", str)
"""SHA-256 over the DER of a leaf certificate, as lower-case hex."""


class KeyKind(StrEnum):
    """The kinds of keys, by their names in the configuration."""

    EC256 = "ec256"
    EC384 = "ec384"
    RSA2048 = "rsa2048"
    RSA3072 = "rsa3072"
    RSA4096 = "rsa4096"


@dataclass(frozen=True)
class Fallback:
    """Another CA, by its directory URL, for when those before it have failed for as long as `after`."""

    directory_url: str
    after: timedelta


@dataclass(frozen=True)
class CertSpec:
    """A configured certificate; `directory_url` is that of its CA.

    `rehearse` is the directory URL of a staging CA: after a failure, an order is tried there first.
    """

    name: str
    domains: tuple[str, ...]
    directory_url: str
    keys: tuple[KeyKind, ...] = (KeyKind.EC256,)
    profile: str | None = None
    fallbacks: tuple[Fallback, ...] = ()
    rehearse: str | None = None

    @property
    def directory_urls(self) -> tuple[str, ...]:
        """The directory URLs of all CAs that may issue it, the main one first."""
        return (self.directory_url, *(fallback.directory_url for fallback in self.fallbacks))


@dataclass(frozen=True)
class Pair:
    """A private key and its chain (PEM, leaf first), with the data of the leaf.

    `ari` is the certificate's identifier for ARI and `replaces` (RFC 9773, section 4.1); empty if the leaf
    has no authority key identifier.
    """

    kind: KeyKind
    key: str = field(repr=False)
    chain: str = field(repr=False)
    domains: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: Fingerprint
    ari: str = ""


@dataclass(frozen=True)
class Material:
    """One whole certificate: a pair for each kind of key, the CA that issued them, and when we got them.

    `directory_url` is empty if the certificate was found on disk and its CA is unknown.
    """

    pairs: tuple[Pair, ...]
    directory_url: str
    obtained: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse a certificate without a pair."""
        if not self.pairs:
            raise ValueError("a certificate needs a pair of a key and a chain")

    @property
    def not_before(self) -> datetime:
        """The latest start of its pairs."""
        return max(pair.not_before for pair in self.pairs)

    @property
    def not_after(self) -> datetime:
        """The earliest expiry of its pairs."""
        return min(pair.not_after for pair in self.pairs)

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """The fingerprints a TLS client may see, the first pair's first."""
        return tuple(pair.fingerprint for pair in self.pairs)


@dataclass(frozen=True)
class Window:
    """The CA's suggested window for renewal (RFC 9773, section 4.2), and when to ask for it again."""

    start: datetime
    end: datetime
    retry_after: timedelta
    explanation_url: str | None = None


@dataclass(frozen=True)
class Suggestion:
    """The last suggested window for the certificate `ari`, and the instant chosen in it.

    `start`, `end` and `instant` are `None` if the CA suggests nothing. `ask_again` is when to ask next.
    """

    ari: str
    ask_again: datetime
    start: datetime | None = None
    end: datetime | None = None
    instant: datetime | None = None
    explanation_url: str | None = None


class Reason(StrEnum):
    """Why a certificate is revoked (RFC 5280, section 5.3.1): the reasons that CAs accept from its holder."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"

    @property
    def code(self) -> int:
        """The number of the reason."""
        return {"keyCompromise": 1, "affiliationChanged": 3, "superseded": 4, "cessationOfOperation": 5}.get(
            self, 0
        )


@dataclass(frozen=True)
class Revocation:
    """A certificate to be revoked, until the CA has confirmed that it is.

    `earlier` are others that were requested before, without any of their own.
    """

    material: Material
    reason: Reason
    earlier: "tuple[Revocation, ...]" = ()

    def concerns(self, material: Material) -> bool:
        """Return whether it concerns this certificate."""
        return material.fingerprints == self.material.fingerprints

    @property
    def each(self) -> "tuple[Revocation, ...]":
        """All revocations, this one first."""
        return (replace(self, earlier=()), *self.earlier)

    def without(self, other: "Revocation") -> "Revocation | None":
        """Return the revocations without that of this certificate, or `None` if none is left."""
        left = [one for one in self.each if not one.concerns(other.material)]
        return replace(left[0], earlier=tuple(left[1:])) if left else None


@dataclass(frozen=True)
class Account:
    """An account at a CA: its private key (PEM) and its URL, once known."""

    key: str = field(repr=False)
    url: str | None = None


@dataclass(frozen=True)
class Grounds:
    """What every observation of nginx depends on: while these are unchanged, so is nginx.

    `pid_file` names nginx's master; empty if nothing is checked. `files` are the files of its configuration;
    of a folder, which ends in `/`, the names in it count.
    """

    pid_file: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observation:
    """The state of a certificate on this machine.

    `published`: nginx's include and `current` name a generation that holds exactly the stored certificate.
    `served`: every probe address serves it (`True`), one does not (`False`), or nothing can be checked
    (`None`). `detail` says it in words, `hint` what to do; `placeholder`: nginx's include names the
    self-signed placeholder.
    """

    published: bool
    served: bool | None
    detail: str = ""
    placeholder: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Snapshot:
    """Everything the decision about one certificate depends on; `failure` is that of the last order.

    `leftovers`: the journal of an earlier attempt has TXT records, or pairs that are stored by now.
    `pending`: it has an order. `revocation`: a certificate, this or an earlier one, that has to be revoked;
    `revoked`: why this one was. `forced`: a person asked for a new one.
    """

    spec: CertSpec
    sight: Observation
    material: Material | None = None
    suggestion: Suggestion | None = None
    failure: Failure | None = None
    deploys: Deploys = field(default_factory=Deploys)
    leftovers: bool = False
    pending: bool = False
    revocation: Revocation | None = None
    revoked: Reason | None = None
    forced: bool = False

    @property
    def revocations(self) -> tuple[Revocation, ...]:
        """All revocations to be done, the latest request first."""
        return self.revocation.each if self.revocation else ()


@dataclass(frozen=True)
class Publish:
    """A change for nginx: this certificate as a new generation, which the include then names."""

    spec: CertSpec
    material: Material

    @property
    def owner(self) -> str:
        """The subject under which it is reported."""
        return self.spec.name

    @property
    def what(self) -> str:
        """Its name in a sentence."""
        return f"the new certificate for {self.spec.name}"


Change = Publish | Guard


class Action(StrEnum):
    """What a cycle did for a certificate, in the words of the JSON contract."""

    ISSUED = "issued"
    DEPLOYED = "deployed"
    FRESH = "fresh"
    FAILED = "failed"


@dataclass(frozen=True)
class CertOutcome:
    """The result for one certificate in a cycle; `next` is when something is due, `due` if that is now."""

    name: str
    action: Action
    next: datetime
    not_after: datetime | None = None
    fingerprint: Fingerprint | None = None
    served: bool | None = None
    error: str | None = None
    hint: str = ""
    detail: str = ""
    due: bool = False
    exit_code: int = 0


@dataclass(frozen=True)
class Outcome:
    """The result of a cycle.

    `rest` is set if nothing had to be done: until when nothing is due. `error` is a problem that affected the
    whole cycle, and `code` its exit code.
    """

    certificates: tuple[CertOutcome, ...]
    sites: tuple[SiteOutcome, ...] = ()
    hooks: tuple[HookOutcome, ...] = ()
    rest: datetime | None = None
    error: str | None = None
    code: int = 0

    @property
    def exit_code(self) -> int:
        """The exit code of the whole cycle."""
        every: list[CertOutcome | SiteOutcome | HookOutcome] = [*self.certificates, *self.sites, *self.hooks]
        return worst([self.code, *(one.exit_code for one in every)])

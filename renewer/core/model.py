"""The values that travel through the program: frozen, no I/O, no clock.

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
    """The keys that a certificate can have, by their names in the configuration."""

    EC256 = "ec256"
    EC384 = "ec384"
    RSA2048 = "rsa2048"
    RSA3072 = "rsa3072"
    RSA4096 = "rsa4096"


@dataclass(frozen=True)
class Fallback:
    """Another CA, by the URL of its directory, for when the first has failed for as long as `after`."""

    directory_url: str
    after: timedelta


@dataclass(frozen=True)
class CertSpec:
    """A certificate as the configuration wants it; `directory_url` is the URL of the CA's directory.

    `rehearse` is the directory of a CA for tests: after a failure an order is tried there first.
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
        """Every CA that may issue it, the first one first."""
        return (self.directory_url, *(fallback.directory_url for fallback in self.fallbacks))


@dataclass(frozen=True)
class Pair:
    """A private key and the chain for it (PEM, leaf first), with what the leaf says of itself.

    `ari` is the certificate's identifier for ARI and `replaces` (RFC 9773, section 4.1), empty where the leaf
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
    """One certificate whole: a pair for each kind of key, the CA that issued them, and when we got them.

    `directory_url` is empty for one that was on disk only, and nothing told where it came from.
    """

    pairs: tuple[Pair, ...]
    directory_url: str
    obtained: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what is no certificate at all."""
        if not self.pairs:
            raise ValueError("a certificate needs a pair of a key and a chain")

    @property
    def not_before(self) -> datetime:
        """The latest start of its pairs."""
        return max(pair.not_before for pair in self.pairs)

    @property
    def not_after(self) -> datetime:
        """The earliest end of its pairs."""
        return min(pair.not_after for pair in self.pairs)

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """What a TLS client may see, the first pair's first."""
        return tuple(pair.fingerprint for pair in self.pairs)


@dataclass(frozen=True)
class Window:
    """The CA's suggestion of when to renew (RFC 9773, section 4.2) and when to ask for it again."""

    start: datetime
    end: datetime
    retry_after: timedelta
    explanation_url: str | None = None


@dataclass(frozen=True)
class Suggestion:
    """A window as it was last told for the certificate `ari`, and the instant chosen in it.

    `start`, `end` and `instant` are `None` where the CA suggests nothing. `ask_again` is when to look next.
    """

    ari: str
    ask_again: datetime
    start: datetime | None = None
    end: datetime | None = None
    instant: datetime | None = None
    explanation_url: str | None = None


class Reason(StrEnum):
    """Why a certificate is revoked (RFC 5280, section 5.3.1), as far as CAs take it from its holder."""

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
    """A certificate that a person wants revoked, until the CA has said that it is.

    `earlier` are those before it of which the same is true, each with none of its own.
    """

    material: Material
    reason: Reason
    earlier: "tuple[Revocation, ...]" = ()

    def concerns(self, material: Material) -> bool:
        """Whether this is the certificate that is kept."""
        return material.fingerprints == self.material.fingerprints

    @property
    def each(self) -> "tuple[Revocation, ...]":
        """All of them, this one first."""
        return (replace(self, earlier=()), *self.earlier)

    def without(self, other: "Revocation") -> "Revocation | None":
        """Return the same but for that of this certificate, if any is left."""
        left = [one for one in self.each if not one.concerns(other.material)]
        return replace(left[0], earlier=tuple(left[1:])) if left else None


@dataclass(frozen=True)
class Account:
    """An account at a CA: its private key (PEM) and, once the CA has told it, its URL."""

    key: str = field(repr=False)
    url: str | None = None


@dataclass(frozen=True)
class Grounds:
    """What everything that is seen of nginx rests on: as long as these are the same, so is that.

    `pid_file` names nginx's master, empty where nobody looks at what it serves. `files` are those that its
    configuration is read from; of one that ends in `/`, a folder, the names count.
    """

    pid_file: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observation:
    """What is seen of a certificate on this machine.

    `published`: nginx's include and `current` name a generation that holds exactly the stored certificate.
    `served`: every probe address shows it (`True`), one shows something else or nothing (`False`), or there
    is nowhere to look (`None`). `detail` says it in words, `hint` what to do; `placeholder`: the stand-in is
    in place.
    """

    published: bool
    served: bool | None
    detail: str = ""
    placeholder: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Snapshot:
    """All that the decision about one certificate rests on; `failure` is that of the last order.

    `leftovers`: the journal of an earlier attempt holds TXT records, or pairs that are kept by now.
    `pending`: an order is written down there. `revocation`: a certificate, this or an earlier one, that has
    to be revoked; `revoked`: why this one was. `forced`: a person asked for a new one.
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
        """All that have to be revoked, the one asked for last first."""
        return self.revocation.each if self.revocation else ()


@dataclass(frozen=True)
class Publish:
    """A change for nginx: this certificate, as a generation of its own that the include then names."""

    spec: CertSpec
    material: Material

    @property
    def owner(self) -> str:
        """Who answers for it."""
        return self.spec.name

    @property
    def what(self) -> str:
        """What it is called in a sentence."""
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
    """What became of one certificate in a cycle; `next` is when something is due, `due` if that is now."""

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
    """What became of everything in a cycle.

    `rest` is there if all of it was found as it has to be: until when nothing is due. `error` is what stood
    in the way of all together, and `code` the exit code of that.
    """

    certificates: tuple[CertOutcome, ...]
    sites: tuple[SiteOutcome, ...] = ()
    hooks: tuple[HookOutcome, ...] = ()
    rest: datetime | None = None
    error: str | None = None
    code: int = 0

    @property
    def exit_code(self) -> int:
        """The exit code for all of it."""
        every: list[CertOutcome | SiteOutcome | HookOutcome] = [*self.certificates, *self.sites, *self.hooks]
        return worst([self.code, *(one.exit_code for one in every)])

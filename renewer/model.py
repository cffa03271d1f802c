"""The values that travel through the program: frozen, no I/O, no clock.

Every `datetime` is aware and in UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from renewer.errors import RenewerError
from renewer.sites import Guard, SiteOutcome

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
class CertSpec:
    """A certificate as the configuration wants it; `server` is the URL of the CA's directory."""

    name: str
    domains: tuple[str, ...]
    server: str
    keys: tuple[KeyKind, ...] = (KeyKind.EC256,)
    profile: str | None = None


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
    """One certificate whole: a pair for each kind of key, the CA that issued them, and when we got them."""

    pairs: tuple[Pair, ...]
    server: str
    obtained: datetime | None = None

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


class Stage(StrEnum):
    """Where an attempt failed."""

    ISSUE = "issue"
    DEPLOY = "deploy"


@dataclass(frozen=True)
class Failure:
    """The last failure of a certificate: the `count`-th in a row.

    `retry` is when to try next; `binding` says that nobody may try sooner, because the CA asked for it or
    because another failure would count against one of its limits.
    """

    stage: Stage
    count: int
    at: datetime
    retry: datetime
    message: str
    hint: str = ""
    exit_code: int = 1
    binding: bool = False


@dataclass(frozen=True)
class TxtRecord:
    """A TXT record that proves control of a name (RFC 8555, section 8.4); no trailing dot, no quotes."""

    name: str
    value: str


@dataclass(frozen=True)
class Handle:
    """A record as the DNS provider knows it: enough to remove it after a restart."""

    zone: str
    id: str
    record: TxtRecord


@dataclass(frozen=True)
class PendingOrder:
    """An order under way: its key and CSR are kept before the CA is asked, its URL right after."""

    kind: KeyKind
    domains: tuple[str, ...]
    server: str
    key: str = field(repr=False)
    csr: str = field(repr=False)
    url: str | None = None


@dataclass(frozen=True)
class Progress:
    """The journal of one issuance: what is finished, under way, and still standing in the DNS.

    `announced` are records that may exist: they were to be created, and no answer has come back yet.
    """

    done: tuple[Pair, ...] = ()
    order: PendingOrder | None = None
    handles: tuple[Handle, ...] = ()
    announced: tuple[TxtRecord, ...] = ()

    @property
    def in_dns(self) -> bool:
        """Whether something of it stands in the DNS, or may stand there."""
        return bool(self.handles or self.announced)

    def with_announced(self, records: Sequence[TxtRecord]) -> "Progress":
        """Return the journal with these records about to be created."""
        return replace(self, announced=tuple(records))

    def with_handles(self, handles: Sequence[Handle]) -> "Progress":
        """Return the journal with these records standing, and no other."""
        return replace(self, handles=tuple(handles), announced=())

    def with_order(self, order: PendingOrder | None) -> "Progress":
        """Return the journal with this order under way."""
        return replace(self, order=order)

    def without(self, material: Material | None) -> "Progress":
        """Return the journal without the pairs that are kept in `material` by now."""
        kept = material.fingerprints if material else ()
        return replace(self, done=tuple(pair for pair in self.done if pair.fingerprint not in kept))

    def with_pair(self, pair: Pair) -> "Progress":
        """Return the journal with this pair finished and no order under way."""
        return replace(self, done=(*self.done, pair), order=None)


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
    """A certificate that a person wants revoked; `done` as soon as the CA has said so."""

    material: Material
    reason: Reason
    done: bool = False

    def concerns(self, material: Material | None) -> bool:
        """Whether this is the certificate that is kept."""
        return material is not None and material.fingerprints == self.material.fingerprints


@dataclass(frozen=True)
class Account:
    """An account at a CA: its private key (PEM) and, once the CA has told it, its URL."""

    key: str = field(repr=False)
    url: str | None = None


@dataclass(frozen=True)
class Sight:
    """What is seen of a certificate on this machine.

    `published`: nginx's include and `current` name a generation that holds exactly the stored certificate.
    `served`: every probe address shows it (`True`), one shows something else or nothing (`False`), or there
    is nowhere to look (`None`). `detail` says it in words; `placeholder`: the stand-in is in place.
    """

    published: bool
    served: bool | None
    detail: str = ""
    placeholder: bool = False


@dataclass(frozen=True)
class Snapshot:
    """All that the decision about one certificate rests on.

    `leftovers`: the journal of an earlier attempt holds TXT records, or pairs that are kept by now.
    `revocation`: a certificate, this or an earlier one, that has to be revoked. `forced`: a person asked for
    a new one.
    """

    spec: CertSpec
    sight: Sight
    material: Material | None = None
    suggestion: Suggestion | None = None
    failure: Failure | None = None
    leftovers: bool = False
    revocation: Revocation | None = None
    forced: bool = False


@dataclass(frozen=True)
class Turn:
    """How far one certificate got: `deploy` says that nginx has to take it up, `held` why it has to wait."""

    snapshot: Snapshot
    issued: bool = False
    deploy: bool = False
    held: Failure | None = None
    error: RenewerError | None = None


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
    """What became of one certificate in a cycle; `next` is when something is due again."""

    name: str
    action: Action
    next: datetime
    not_after: datetime | None = None
    fingerprint: Fingerprint | None = None
    served: bool | None = None
    error: str | None = None
    hint: str = ""
    detail: str = ""
    exit_code: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of everything in a cycle."""

    certificates: tuple[CertOutcome, ...]
    sites: tuple[SiteOutcome, ...] = ()

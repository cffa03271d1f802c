"""The journal: what is recorded of an order before each step outside. Frozen values, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from renewer.core.model import Fingerprint, KeyKind, Material, Pair


@dataclass(frozen=True)
class TxtRecord:
    """A TXT record that proves control of a domain (RFC 8555, section 8.4); no trailing dot, no quotes."""

    name: str
    value: str


@dataclass(frozen=True)
class Handle:
    """A record at the DNS provider: enough to remove it after a restart."""

    zone: str
    id: str
    record: TxtRecord


@dataclass(frozen=True)
class PendingOrder:
    """An order under way: key and CSR are stored before the order is created, its URL right after."""

    kind: KeyKind
    domains: tuple[str, ...]
    directory_url: str
    key: str = field(repr=False)
    csr: str = field(repr=False)
    url: str | None = None


@dataclass(frozen=True)
class Progress:
    """The journal of one issuance: what is finished, under way, and still in the DNS.

    `origins` has the CA's directory URL of each finished pair, by fingerprint. `announced` are records that
    may exist: they were about to be created, and there is no answer yet.
    """

    done: tuple[Pair, ...] = ()
    order: PendingOrder | None = None
    handles: tuple[Handle, ...] = ()
    announced: tuple[TxtRecord, ...] = ()
    origins: dict[Fingerprint, str] = field(default_factory=dict)

    @property
    def in_dns(self) -> bool:
        """Whether any of its records are, or may be, in the DNS."""
        return bool(self.handles or self.announced)

    @property
    def records(self) -> tuple[TxtRecord, ...]:
        """The records that are, or may be, in the DNS."""
        return (*(handle.record for handle in self.handles), *self.announced)

    def split(self, records: Sequence[TxtRecord]) -> "tuple[Progress, Progress]":
        """Return the journal with only these records in the DNS, and the journal with only the others."""
        sides = (
            replace(
                self,
                handles=tuple(handle for handle in self.handles if (handle.record in records) is own),
                announced=tuple(record for record in self.announced if (record in records) is own),
            )
            for own in (True, False)
        )
        return next(sides), next(sides)

    def with_announced(self, records: Sequence[TxtRecord]) -> "Progress":
        """Return the journal with these records about to be created."""
        return replace(self, announced=tuple(records))

    def with_handles(self, handles: Sequence[Handle]) -> "Progress":
        """Return the journal with exactly these records in the DNS."""
        return replace(self, handles=tuple(handles), announced=())

    def with_order(self, order: PendingOrder | None) -> "Progress":
        """Return the journal with this order under way."""
        return replace(self, order=order)

    def finished(self, directory_url: str) -> tuple[Pair, ...]:
        """Return the pairs from the CA with this directory; a pair of unknown origin does not count."""
        return tuple(pair for pair in self.done if self.origins.get(pair.fingerprint) == directory_url)

    def without(self, material: Material | None) -> "Progress":
        """Return the journal without finished pairs, if `material` was made from them."""
        kept = material.fingerprints if material else ()
        return self.with_nothing_done() if any(pair.fingerprint in kept for pair in self.done) else self

    def with_nothing_done(self) -> "Progress":
        """Return the journal without finished pairs, from any CA."""
        return replace(self, done=(), origins={})

    def with_pair(self, pair: Pair, directory_url: str) -> "Progress":
        """Return the journal with this pair finished, from this CA, and no order under way."""
        origins = {**self.origins, pair.fingerprint: directory_url}
        return replace(self, done=(*self.done, pair), origins=origins, order=None)

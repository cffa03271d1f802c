"""Fakes for the ports: small, honest, and each able to fail when it is told to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Lock
from typing import Any

from renewer.core.errors import HookFailed, LockBusy, LostLease, Refused, RenewerError, Stopped
from renewer.core.hook import Deployed
from renewer.core.interfaces import Fence, Journal
from renewer.core.journal import Handle, Progress, TxtRecord
from renewer.core.model import (
    CertSpec,
    Change,
    Fingerprint,
    Grounds,
    KeyKind,
    Material,
    Observation,
    Pair,
    Publish,
    Reason,
    Window,
)
from renewer.core.site import Guard

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SERVER = "https://ca.example/directory"
DAY = timedelta(days=1)

_SERIAL = count(1)


def spec(name: str = "example.com", *domains: str, kinds: tuple[KeyKind, ...] = (KeyKind.EC256,)) -> CertSpec:
    return CertSpec(name, domains or (name,), SERVER, kinds)


def material(
    wanted: CertSpec | None = None, *, begin: datetime = NOW - DAY, life: timedelta = 90 * DAY, ari: str = ""
) -> Material:
    """Return a certificate in form only, unlike any that was made before."""
    wanted = wanted or spec()
    pairs = [
        Pair(
            kind,
            "KEY",
            "CHAIN",
            wanted.domains,
            begin,
            begin + life,
            Fingerprint(f"{next(_SERIAL):064x}"),
            ari,
        )
        for kind in wanted.keys
    ]
    return Material(tuple(pairs), wanted.directory_url)


class FakeClock:
    """Time that only a sleep, or the test, moves; after `sleeps` of them the program is asked to end."""

    def __init__(self, now: datetime = NOW, *, sleeps: int | None = None) -> None:
        self.time, self.ticks, self.chance = now, 0.0, 0.5
        self.slept: list[float] = []
        self._sleeps = sleeps

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.ticks

    def sleep(self, seconds: float) -> None:
        if self._sleeps is not None and len(self.slept) >= self._sleeps:
            raise Stopped("asked to end")
        self.slept.append(seconds)
        self.ticks += seconds
        self.time += timedelta(seconds=seconds)

    def fraction(self) -> float:
        return self.chance


class MemStore:
    """A store in memory, with real leases and fences; two tables say what goes wrong with which key."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.unreadable: dict[str, Exception] = {}
        self.unwritable: dict[str, Exception] = {}
        self.writes: list[str] = []
        self._held: dict[str, int] = {}
        self._tokens = count(1)
        self._guard = Lock()

    def get(self, key: str) -> bytes | None:
        if key in self.unreadable:
            raise self.unreadable[key]
        return self.values.get(key)

    def put(self, key: str, value: bytes, fence: Fence) -> None:
        self._require(fence)
        if key in self.unwritable:
            raise self.unwritable[key]
        self.writes.append(key)
        self.values[key] = value

    def delete(self, key: str, fence: Fence) -> None:
        self._require(fence)
        self.values.pop(key, None)

    def set_aside(self, key: str, fence: Fence) -> str:
        self._require(fence)
        self.values[f"{key}.corrupt"] = self.values.pop(key)
        return f"{key}.corrupt"

    def keys(self, prefix: str) -> Iterable[str]:
        return sorted(key for key in self.values if key.startswith(prefix))

    @contextmanager
    def lease(self, name: str, ttl: timedelta) -> Iterator[Fence]:
        assert ttl > timedelta(0)
        with self._guard:
            if name in self._held:
                raise LockBusy(f"another renewer is at work on {name}")
            fence = Fence(name, next(self._tokens))
            self._held[name] = fence.token
        try:
            yield fence
        finally:
            self._held.pop(name, None)

    def _require(self, fence: Fence) -> None:
        if self._held.get(fence.name) != fence.token:
            raise LostLease(f"the lease on {fence.name} is not held any more")


class FakeIssuer:
    """Issues at once; three tables say by name (for a window: by ARI) what comes instead."""

    def __init__(self) -> None:
        self.fails: dict[str, Exception] = {}
        self.issues: dict[str, Mapping[str, Any]] = {}
        self.windows: dict[str, Window | Exception | None] = {}
        self.orders: list[tuple[str, Material | None]] = []
        self.asked: list[str] = []
        self.costs: dict[str, str] = {}
        self.revoked: list[tuple[Fingerprint, Reason]] = []
        self.tidied: list[str] = []
        self.tidies = True

    def issue(self, spec: CertSpec, replaces: Material | None, journal: Journal) -> Material:
        self.orders.append((spec.name, replaces))
        if len(self.orders) > 20:
            raise RecursionError("orders without end")
        journal.save(journal.load())
        if spec.name in self.fails:
            raise self.fails[spec.name]
        return material(spec, **self.issues.get(spec.name, {}))

    def window(self, material: Material) -> Window | None:
        ari = material.pairs[0].ari
        self.asked.append(ari)
        found = self.windows.get(ari)
        if isinstance(found, Exception):
            raise found
        return found

    def revoke(self, material: Material, reason: Reason) -> None:
        if error := self.fails.get("revoke"):
            raise error
        self.revoked += [(pair.fingerprint, reason) for pair in material.pairs]

    def cost(self, spec: CertSpec) -> str:
        return self.costs.get(spec.name, "")

    def require(self, spec: CertSpec, replaces: Material | None) -> None:
        del replaces
        if error := self.fails.get(f"require {spec.name}"):
            raise error

    def tidy(self, name: str, journal: Journal) -> None:
        self.tidied.append(name)
        if self.tidies:
            journal.save(journal.load().with_handles(()))


class FakeDeployer:
    """An nginx that serves what it is given, unless `refuses` says otherwise by name ("*" is everybody)."""

    def __init__(self) -> None:
        self.shown: dict[str, tuple[Fingerprint, ...]] = {}
        self.refuses: dict[str, RenewerError] = {}
        self.blind: dict[str, Exception] = {}
        self.unseen: set[str] = set()
        """Of these nobody sees what is served, only which files there are."""
        self.files: dict[str, tuple[Fingerprint, ...]] = {}
        self.guard = Guard(())
        """The files for secure links that it has taken up."""
        self.applied: list[list[str]] = []
        self.prepared = 0

    def prepare(self, specs: Sequence[CertSpec]) -> Sequence[str]:
        self.prepared += 1
        return [spec.name for spec in specs]

    def grounds(self) -> Grounds | None:
        return None

    def look(self, spec: CertSpec, material: Material | None) -> Observation:
        if spec.name in self.blind:
            raise self.blind[spec.name]
        if spec.name in self.unseen:
            published = material is not None and self.files.get(spec.name) == material.fingerprints
            return Observation(published=published, served=None)
        same = material is not None and self.shown.get(spec.name) == material.fingerprints
        return Observation(published=same, served=same, detail="" if same else "nginx shows something else")

    def stands(self, guard: Guard) -> bool:
        return self.guard.gates == guard.gates

    def unguarded(self, sites: Sequence[str]) -> Mapping[str, str]:
        del sites
        return {}

    def apply(self, changes: Sequence[Change]) -> None:
        self.applied.append([change.owner for change in changes])
        self.files |= {one.owner: one.material.fingerprints for one in changes if isinstance(one, Publish)}
        for change in changes:
            if error := self.refuses.get(change.owner) or self.refuses.get("*"):
                raise error
        self.shown |= {one.owner: one.material.fingerprints for one in changes if isinstance(one, Publish)}
        self.guard = next((one for one in changes if isinstance(one, Guard)), self.guard)


class FakeProvider:
    """A DNS in memory; `fails` says by method what goes wrong, `zones` by name what is not in the one."""

    def __init__(self) -> None:
        self.standing: dict[str, TxtRecord] = {}
        self.fails: dict[str, RenewerError] = {}
        self.zones: dict[str, str | None] = {}
        self.checked: list[str] = []
        self.begun = 0
        self._ids = count(1)

    def begin(self) -> None:
        self.begun += 1

    def check(self, names: Sequence[str]) -> None:
        self.checked += names

    def present(self, records: Sequence[TxtRecord]) -> Sequence[Handle]:
        if error := self.fails.get("present"):
            raise error
        handles = [Handle("zone", f"id{next(self._ids)}", record) for record in records]
        self.standing |= {handle.id: handle.record for handle in handles}
        return handles

    def find(self, records: Sequence[TxtRecord]) -> Sequence[Handle]:
        if error := self.fails.get("find"):
            raise error
        return [Handle("zone", one, record) for one, record in self.standing.items() if record in records]

    def named(self, name: str) -> Sequence[Handle]:
        return self.find([record for record in self.standing.values() if record.name == name])

    def remove(self, handles: Sequence[Handle]) -> None:
        if error := self.fails.get("remove"):
            raise error
        for handle in handles:
            if self.zones.get(handle.record.name, "zone") != handle.zone:
                raise Refused("no such zone")
            self.standing.pop(handle.id, None)

    def zone(self, name: str) -> str | None:
        if error := self.fails.get("zone"):
            raise error
        return self.zones.get(name, "zone")


class FakePropagation:
    """Shows everything at once, unless `fails`; `watched` is called while it waits."""

    def __init__(self, aliases: Mapping[str, str] | None = None) -> None:
        self.aliases = dict(aliases or {})
        self.fails: RenewerError | None = None
        self.waits: list[tuple[tuple[TxtRecord, ...], timedelta]] = []

    def canonical(self, names: Sequence[str], _timeout: timedelta) -> Mapping[str, str]:
        return {name: self.aliases.get(name, name) for name in names}

    def wait(self, records: Sequence[TxtRecord], timeout: timedelta) -> None:
        self.waits.append((tuple(records), timeout))
        if self.fails:
            raise self.fails


@dataclass
class FakeHook:
    """A command of the administrator's that keeps what it is told."""

    key: str = "a1"
    failing: bool = False
    told: list[Deployed] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"hook.command[{self.key}]"

    @property
    def what(self) -> str:
        return "/bin/fake"

    def run(self, news: Deployed) -> None:
        self.told.append(news)
        if self.failing:
            raise HookFailed("it failed", hint="mend it")


class MemJournal:
    """A journal in memory; `saved` is every state that it was in."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.saved = [progress or Progress()]

    def load(self) -> Progress:
        return replace(self.saved[-1])

    def save(self, progress: Progress) -> None:
        self.saved.append(progress)


class Notes:
    """A report that keeps what it is told, as (kind, subject, words)."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def doing(self, subject: str, what: str) -> None:
        self.told.append(("doing", subject, what))

    def done(self, subject: str, what: str) -> None:
        self.told.append(("done", subject, what))

    def idle(self, subject: str) -> None:
        self.told.append(("idle", subject, ""))

    def problem(self, subject: str, what: str, hint: str = "") -> None:
        self.told.append(("problem", subject, f"{what} {hint}".strip()))

    def bug(self, subject: str, error: Exception) -> None:
        self.told.append(("bug", subject, repr(error)))

    def of(self, kind: str) -> list[tuple[str, str]]:
        return [(subject, what) for one, subject, what in self.told if one == kind]

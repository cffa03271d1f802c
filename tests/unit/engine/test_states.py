"""The engine over any sequence of faults and clock steps, and then calm.

The issuer is the real one with its order, journal and ledger of limits; around it are a CA, a DNS, an nginx
and a store in memory. Each may fail, and the program may die at any call of one of them.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

from cryptography import x509
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support import chains
from support.fakes import (
    DAY,
    SERVER,
    FakeClock,
    FakeDeployer,
    FakePropagation,
    FakeProvider,
    MemStore,
    Notes,
)

from renewer.acme.client import Challenge, Connection, Order, refuse_wrong_clock, translated
from renewer.acme.dns01 import Dns01
from renewer.acme.issuer import AcmeIssuer
from renewer.acme.problems import URN, Problem
from renewer.config.acme import Acme, Limits
from renewer.core import x509 as keys
from renewer.core.errors import DeployFailed, LostLease, NotServed, Refused, RenewerError, Transient
from renewer.core.failure import Stage
from renewer.core.journal import TxtRecord
from renewer.core.model import CertOutcome, CertSpec, Fingerprint, KeyKind, Material, Reason, Window
from renewer.core.rate_limits import WEEK
from renewer.engine.cycle import Engine
from renewer.store.codec import decode
from renewer.store.state import State

NAME = "a.example"
HOUR = timedelta(hours=1)
LIFE = 90 * DAY
LIMIT = 5
"""Certificates for an exact set of names in a week, as at Let's Encrypt."""

ORDERING = ("new_order", "order", "challenge", "answer", "finalize", "download")

AUTHORITY = chains.Authority()
DOMAINS = ((NAME,), (NAME, f"*.{NAME}"), ("b.example",))
KINDS = ((KeyKind.EC256,), (KeyKind.EC256, KeyKind.EC384), (KeyKind.EC384,))


class Killed(BaseException):
    """The process is gone: nothing of ours runs any more."""


class Slip(Exception):
    """A bug of ours."""


class Wire:
    """What every call of a port goes through; it can cut the program off before or after one."""

    def __init__(self) -> None:
        self.dead = False
        self.left: int | None = None
        self.end: type[BaseException] = Killed

    def cut(self, calls: int, end: type[BaseException]) -> None:
        self.left, self.end = calls, end

    def mend(self) -> None:
        self.dead, self.left = False, None

    def touch(self) -> None:
        if self.dead:
            raise Killed
        if self.left is None:
            return
        self.left -= 1
        if self.left <= 0:
            self.left, self.dead = None, self.end is Killed
            raise self.end

    def around(self, port: object) -> Any:
        return _Wired(port, self)


class _Wired:
    """A port, each call of which goes over the wire."""

    def __init__(self, port: object, wire: Wire) -> None:
        self._port, self._wire = port, wire

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return self._calling(found) if callable(found) else found

    def _calling(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            self._wire.touch()
            answer = method(*args, **named)
            self._wire.touch()
            return answer

        return call


class Clock(FakeClock):
    """This machine's clock, which may be wrong by `off`; `time` is what the CA's says."""

    off = timedelta(0)

    def now(self) -> datetime:
        return self.time + self.off


@dataclass
class Placed:
    """An order as the CA has it."""

    domains: frozenset[str]
    at: datetime
    exempt: bool
    status: str = "pending"
    csr: str = ""
    chain: str = ""
    proven: set[str] = field(default_factory=set)

    @property
    def open(self) -> bool:
        return self.status in {"pending", "ready", "processing"}


def passing(wait: timedelta | None) -> Callable[[], Exception]:
    kind = "rateLimited" if wait else "serverInternal"
    document = {"type": URN + kind, "detail": "not now"}
    return lambda: Problem(429 if wait else 500, document, wait)


def refusing() -> Exception:
    return Problem(403, {"type": f"{URN}unauthorized", "detail": "no"}, None)


class ToyCa:
    """An ACME server in memory, as `Connection` shows one; `fails` says by request what comes instead.

    `odd` is how what it issues is wrong. It keeps its limits, and checks that nobody asks too early.
    """

    def __init__(self, clock: Clock, seen: Callable[[TxtRecord], bool]) -> None:
        self.clock, self._seen = clock, seen
        self.orders: dict[str, Placed] = {}
        self.fails: dict[str, Callable[[], Exception]] = {}
        self.odd = ""
        self.stays = ""
        self.asked = Counter[str]()
        self.told: datetime | None = None
        self.issued: list[Placed] = []
        self.crossed: list[str] = []
        self.windows: dict[str, Window] = {}

    def connect(self) -> None:
        self._ask("directory")

    def placed(self, domains: Sequence[str], replaces: str | None) -> Order:
        self._ask("new_order")
        now, window = self.clock.time, self.windows.get(replaces or "")
        exempt = window is not None and window.start <= now <= window.end
        url = f"{SERVER}/{len(self.orders)}"
        self.orders[url] = Placed(frozenset(domains), now, exempt)
        return self._shown(url)

    def order(self, url: str) -> Order:
        try:
            self._ask("order")
        except Problem as problem:
            if not problem.passing:  # who is told that it is not there need not believe it is
                self.orders[url].status = "valid" if self.orders[url].chain else "invalid"
            raise
        return self._shown(url)

    def known(self) -> Iterator[Order]:
        self._ask("orders")
        return iter([self._shown(url) for url in reversed(self.orders)])

    def challenge(self, authorization: str) -> Challenge | None:
        self._ask("challenge")
        url, _, domain = authorization.rpartition("#")
        if domain in self.orders[url].proven:
            return None
        record = TxtRecord(f"_acme-challenge.{domain.removeprefix('*.')}", f"{url}#{domain}"[-40:])
        return Challenge(record, authorization)

    def answer(self, challenge: Challenge) -> None:
        self._ask("answer")
        url, _, domain = (challenge.url or "").rpartition("#")
        if not self._seen(challenge.record) or self.odd == "unseen":
            self.orders[url].status = "invalid"
        self.orders[url].proven.add(domain)

    def finalized(self, url: str, csr: str) -> Order:
        self._ask("finalize")
        order = self.orders[url]
        if order.status == "ready":
            order.status, order.csr = "processing", csr
            order.chain = self._signed(order)
            self._count(order)
        return self._shown(url)

    def download(self, url: str) -> str:
        self._ask("download")
        return self.orders[url.removesuffix("/cert")].chain

    def revoke(self) -> None:
        self._ask("revoke")

    def window(self, material: Material) -> Window:
        self._ask("window")
        begin = material.not_before + LIFE * 0.66
        return self.windows.setdefault(material.pairs[0].ari, Window(begin, begin + 2 * DAY, 6 * HOUR))

    def _ask(self, what: str) -> None:
        refuse_wrong_clock(format_datetime(self.clock.time, usegmt=True), self.clock.now())
        self.asked[what] += 1
        if fails := self.fails.get(what):
            error = fails()
            if isinstance(error, Problem) and error.retry_after and what in ORDERING:
                self.told = self.clock.time + error.retry_after
            raise error

    def _shown(self, url: str) -> Order:
        """Let time do its work on the order, and show it."""
        order = self.orders[url]
        if order.open and self.clock.time - order.at > WEEK:
            order.status = "invalid"
        elif order.status == "processing" and self.stays != "processing":
            order.status = "valid"
        elif order.status == "pending" and self.stays != "pending" and order.proven == order.domains:
            order.status = "ready"
        urls = tuple(f"{url}#{domain}" for domain in sorted(order.domains))
        return Order(url, order.status, order.domains, urls, f"{url}/finalize", f"{url}/cert")

    def _signed(self, order: Placed) -> str:
        names = sorted(order.domains) if self.odd != "names" else ["c.example"]
        begin = self.clock.time - HOUR - (LIFE * 2 if self.odd == "ended" else timedelta(0))
        san = [x509.DNSName(name) for name in names]
        leaf = AUTHORITY.leaf(san, begin, begin + LIFE, keys.generate(KeyKind.EC256))
        if self.odd != "key":
            leaf._public_key = keys.read_csr(order.csr).public_key()
        chain = AUTHORITY.chain(leaf)
        return chain[: len(chain) // 2] if self.odd == "cut" else chain

    def _count(self, order: Placed) -> None:
        self.issued.append(order)
        recent = [
            one
            for one in self.issued
            if one.domains == order.domains and not one.exempt and self.clock.time - one.at < WEEK
        ]
        if not order.exempt and len(recent) > LIMIT:
            self.crossed.append(f"{len(recent)} certificates for {sorted(order.domains)} in a week")


class Link:
    """What `Connection` shows of the toy CA."""

    round_trip = 0.0

    def __init__(self, ca: ToyCa) -> None:
        self.orders, self.order, self.challenge = ca.known, ca.order, ca.challenge
        self.answer, self.download, self._ca = ca.answer, ca.download, ca

    def new_order(self, domains: Sequence[str], profile: str | None, replaces: str | None) -> Order:
        assert profile is None
        return self._ca.placed(domains, replaces)

    def finalize(self, order: Order, csr: str) -> Order:
        return self._ca.finalized(order.url, csr)

    def complaints(self, order: Order) -> Iterator[tuple[str, str]]:
        yield "unauthorized", f"{order.url} is invalid"

    def revoke(self, chain: str, reason: int) -> None:
        assert chain, reason
        self._ca.revoke()


@dataclass
class Issuer(AcmeIssuer):
    """The real issuer, connected to the toy CA over the wire."""

    ca: ToyCa = field(kw_only=True)
    wire: Wire = field(kw_only=True)

    def _session(self, directory_url: str) -> Connection:
        assert directory_url == SERVER
        self.wire.around(self.ca).connect()
        return cast("Connection", self.wire.around(Link(self.ca)))

    def window(self, material: Material) -> Window | None:
        with translated(SERVER):
            return cast("Window", self.wire.around(self.ca).window(material))


class Store(MemStore):
    """A store that remembers every certificate that was kept."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Material] = []

    def put(self, key: str, value: bytes, fence: Any) -> None:
        super().put(key, value, fence)
        if key.startswith("certificate/"):
            self.kept.append(decode(value, Material))
            for pair in self.kept[-1].pairs:
                keys.check_pair(pair, pair.domains, pair.not_before + DAY)


FOREIGN = (Fingerprint("f" * 64),)
WRITTEN = ("certificate", "suggestion", "failure", "journal", "revocation", "provenance", "limits")
LIMITS = Limits(certificates_per_set=(LIMIT, WEEK), failed_authorizations=(5, HOUR))
steps = st.sampled_from(["directory", "orders", *ORDERING, "window", "revoke"])
waits = st.sampled_from([None, timedelta(minutes=5), HOUR, DAY, 3 * DAY])


class Faults(RuleBasedStateMachine):
    """Whatever goes wrong in whatever sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.wire, self.clock, self.notes, self.store = Wire(), Clock(), Notes(), Store()
        self.dns, self.seen, self.nginx = FakeProvider(), FakePropagation(), FakeDeployer()
        self.ca = ToyCa(self.clock, lambda record: record in self.dns.standing.values())
        self.vault = State(self.store, self.notes)
        self.spec = CertSpec(NAME, DOMAINS[0], SERVER, KINDS[0])
        self.steady, self.since = True, 0
        self.alone: datetime | None = None

    # -- the program ----------------------------------------------------------------------------------------

    def engine(self) -> Engine:
        """Return the program as a new process begins it."""
        around = self.wire.around
        vault = State(around(self.store), self.notes)
        dns01 = Dns01(around(self.dns), around(self.seen), HOUR, self.notes)
        settings = Acme(server=SERVER, limits=LIMITS)
        issuer = Issuer(settings, dns01, vault, self.clock, self.notes, ca=self.ca, wire=self.wire)
        return Engine((self.spec,), vault, issuer, around(self.nginx), self.clock, self.notes)

    def go(self, act: Callable[[Engine], Any]) -> Any:
        """Let a process do something and end; it asks nothing of the CA before it may."""
        orders, told = Counter(self.ca.asked), self.ca.told
        bound = self.bound()
        outcome = None
        try:
            outcome = act(self.engine())
        except (Killed, Slip):
            self.alone = None
        finally:
            self.wire.mend()
        asked = {step for step in ORDERING if self.ca.asked[step] > orders[step]}
        assert not (bound and asked), f"{asked} though it has to wait"
        if outcome is not None and self.ca.told != told and not self.store.unwritable and self.steady:
            self.alone = self.ca.told
        return outcome

    def bound(self) -> bool:
        """Whether the CA must not be asked for a certificate now."""
        failure, now = self.vault.failure(NAME), self.clock.now()
        noted = (
            failure and failure.stage is Stage.ISSUE and failure.binding and failure.at <= now < failure.retry
        )
        return bool(noted) or (self.alone is not None and self.clock.time < self.alone)

    @rule(force=st.sampled_from([False, False, False, True]))
    def run(self, force: bool) -> None:  # noqa: FBT001
        self.go(lambda engine: engine.run(force=force))

    @rule(calls=st.integers(1, 70), end=st.sampled_from([Killed, Killed, Slip]), force=st.booleans())
    def die(self, calls: int, end: type[BaseException], force: bool) -> None:  # noqa: FBT001
        self.wire.cut(calls, end)
        self.go(lambda engine: engine.run(force=force))

    @rule(reason=st.sampled_from(Reason))
    def revoke(self, reason: Reason) -> None:
        with suppress(RenewerError):
            self.go(lambda engine: engine.revoke(NAME, reason))

    @rule(domains=st.sampled_from(DOMAINS), kinds=st.sampled_from(KINDS))
    def configure(self, domains: tuple[str, ...], kinds: tuple[KeyKind, ...]) -> None:
        if (domains, kinds) != (self.spec.domains, self.spec.keys):
            self.spec = replace(self.spec, domains=domains, keys=kinds)
            self.since = len(self.ca.orders)

    # -- what is around it ----------------------------------------------------------------------------------

    @rule(
        by=st.sampled_from(
            [timedelta(seconds=1), timedelta(minutes=2), 3 * HOUR, DAY, 7 * DAY, 30 * DAY, 60 * DAY]
        )
    )
    def wait(self, by: timedelta) -> None:
        self.clock.time += by

    @rule(
        off=st.sampled_from([timedelta(0), 20 * HOUR, -20 * HOUR, 2 * DAY, -2 * DAY, 400 * DAY, -400 * DAY])
    )
    def set_the_clock(self, off: timedelta) -> None:
        self.steady, self.alone = self.steady and not off, None
        self.clock.off = off

    @rule(step=steps, wait=waits)
    def the_ca_is_busy(self, step: str, wait: timedelta | None) -> None:
        self.ca.fails[step] = passing(wait)

    @rule(step=steps.filter(lambda step: step != "orders"))
    def the_ca_refuses(self, step: str) -> None:
        self.ca.fails[step] = refusing

    @rule(odd=st.sampled_from(["unseen", "names", "key", "ended", "cut"]))
    def the_ca_errs(self, odd: str) -> None:
        self.ca.odd = odd

    @rule(status=st.sampled_from(["pending", "processing"]))
    def the_ca_takes_its_time(self, status: str) -> None:
        self.ca.stays = status

    @rule(step=st.sampled_from(["present", "find", "remove", "wait"]), refuses=st.booleans())
    def the_dns_fails(self, step: str, refuses: bool) -> None:  # noqa: FBT001
        error = Refused("the DNS says no") if refuses else Transient("the DNS is away")
        if step == "wait":
            self.seen.fails = error
        else:
            self.dns.fails[step] = error

    @rule(how=st.sampled_from(["ours", "theirs", "not served", "blind", "other"]))
    def nginx_fails(self, how: str) -> None:
        match how:
            case "blind":
                self.nginx.blind[NAME] = Refused("nginx cannot be looked at")
            case "other":
                self.nginx.shown[NAME] = FOREIGN
            case "not served":
                self.nginx.refuses[NAME] = NotServed("nginx shows another")
            case _:
                self.nginx.refuses[NAME] = DeployFailed("nginx says no", ours=how == "ours")

    @rule(kind=st.sampled_from(WRITTEN), lost=st.booleans())
    def the_store_fails(self, kind: str, lost: bool) -> None:  # noqa: FBT001
        key = f"{kind}/{NAME}" if kind != "limits" else "limits/ca.example%2Fdirectory"
        self.store.unwritable[key] = LostLease("the lease is lost") if lost else Transient("the disk is full")

    @rule()
    def wait_until_it_is_due(self) -> None:
        if self.store.kept:
            self.clock.time = max(self.clock.time, self.store.kept[-1].not_before + LIFE * 0.7)

    @rule()
    def mend_all(self) -> None:
        for what in ("ca", "dns", "nginx", "store"):
            self.mend(what)
        self.clock.off = timedelta(0)

    @rule(what=st.sampled_from(["ca", "dns", "nginx", "store"]))
    def mend(self, what: str) -> None:
        match what:
            case "ca":
                self.ca.fails, self.ca.odd, self.ca.stays = {}, "", ""
            case "dns":
                self.dns.fails, self.seen.fails = {}, None
            case "nginx":
                self.nginx.refuses, self.nginx.blind = {}, {}
            case _:
                self.store.unwritable = {}

    # -- what holds -----------------------------------------------------------------------------------------

    @invariant()
    def a_stored_certificate_is_never_lost_nor_replaced_by_one_that_ends_earlier(self) -> None:
        assert self.vault.material(NAME) == (self.store.kept[-1] if self.store.kept else None)
        ends = [one.not_after for one in self.store.kept]
        assert ends == sorted(ends)

    @invariant()
    def what_is_served_is_a_whole_stored_certificate(self) -> None:
        whole = {one.fingerprints for one in self.store.kept} | {FOREIGN}
        assert self.nginx.shown.keys() <= {NAME}
        assert set(self.nginx.shown.values()) <= whole

    @invariant()
    def at_most_one_order_is_open(self) -> None:
        orders = list(self.ca.orders.values())[self.since :]
        assert sum(order.open for order in orders) <= 1

    @invariant()
    def no_limit_is_crossed(self) -> None:
        assert not (self.steady and self.ca.crossed)

    # -- and then calm --------------------------------------------------------------------------------------

    def teardown(self) -> None:
        self.mend_all()
        self.alone = None
        outcome = self._held_no_longer()
        for _ in range(3):
            material = self.vault.material(NAME)
            assert material
            assert self.nginx.shown[NAME] == material.fingerprints
            assert self.clock.time < outcome.next < material.not_after
            self.clock.time = outcome.next
            outcome = self._cycle()
            assert outcome.exit_code == 0, outcome
        assert self.dns.standing == {}
        assert [
            key for key in self.store.values if key.startswith(("journal/", "failure/", "revocation/"))
        ] == []

    def _held_no_longer(self) -> CertOutcome:
        """Run at each `next` until all is well: nothing but a wait that binds may stand in the way."""
        end = self.clock.time + 2 * WEEK
        while True:
            outcome = self._cycle()
            if outcome.exit_code == 0:
                return outcome
            failure = self.vault.failure(NAME)
            assert failure, outcome
            assert failure.binding, outcome
            assert self.clock.time < outcome.next < end, outcome
            self.clock.time = outcome.next

    def _cycle(self) -> CertOutcome:
        (outcome,) = self.go(lambda engine: engine.run()).certificates
        return cast("CertOutcome", outcome)


TestFaults = Faults.TestCase
TestFaults.settings = settings(
    max_examples=6 * settings().max_examples, stateful_step_count=30, deadline=None
)

"""The engine over any sequence of faults and clock steps, and then calm.

The issuer is the real one with its order, journal and ledger of limits; around it are a CA, a DNS, an nginx
and a store in memory. Each may fail, and the program may die at any call of one of them.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support import fake_world
from support.fakes import DAY, SERVER, FakeDeployer, FakePropagation, FakeProvider, MemStore, Notes
from support.toy_ca import (
    HOUR,
    LIFE,
    LIMIT,
    NAME,
    ORDERING,
    Clock,
    Issuer,
    Killed,
    Slip,
    ToyCa,
    Wire,
    passing,
    refusing,
)

from renewer.acme.dns01 import Dns01
from renewer.config.acme import Acme, Limits
from renewer.core import x509 as keys
from renewer.core.errors import DeployFailed, LostLease, NotServed, Refused, RenewerError, Transient
from renewer.core.failure import Stage
from renewer.core.model import CertOutcome, CertSpec, Fingerprint, KeyKind, Material, Reason
from renewer.core.rate_limits import WEEK
from renewer.engine.cycle import Engine
from renewer.store.codec import decode
from renewer.store.state import State

DOMAINS = ((NAME,), (NAME, f"*.{NAME}"), ("b.example",))
KINDS = ((KeyKind.EC256,), (KeyKind.EC256, KeyKind.EC384), (KeyKind.EC384,))


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
        return fake_world.engine(
            self.spec,
            state=vault,
            issuer=issuer,
            deployer=around(self.nginx),
            clock=self.clock,
            report=self.notes,
        )

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

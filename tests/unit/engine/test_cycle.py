"""One pass over everything, with an issuer, an nginx and a store that are fakes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from support.fakes import (
    DAY,
    NOW,
    SERVER,
    FakeClock,
    FakeDeployer,
    FakeIssuer,
    MemStore,
    Notes,
    material,
    spec,
)

from renewer.cli.render import json_output
from renewer.core.errors import (
    ConfigError,
    DeployFailed,
    LockBusy,
    NotServed,
    Refused,
    RenewerError,
    Stopped,
    Transient,
    worst,
)
from renewer.core.failure import Deploys, Failure, Stage
from renewer.core.interfaces import Journal
from renewer.core.journal import Handle, PendingOrder, Progress, TxtRecord
from renewer.core.model import (
    Action,
    CertOutcome,
    CertSpec,
    Change,
    Fallback,
    KeyKind,
    Material,
    Reason,
    Suggestion,
    Window,
)
from renewer.core.site import Guard, SiteSpec
from renewer.engine.cycle import Engine
from renewer.secure_links.rotation import SecureLink
from renewer.store.state import State

A, B, C = "a.example", "b.example", "c.example"
MINUTE = timedelta(minutes=1)


class World:
    """An engine for these certificates, and all that is around it."""

    def __init__(self, *names: str) -> None:
        self.specs = tuple(spec(name) for name in names or (A,))
        self.store, self.clock, self.notes = MemStore(), FakeClock(), Notes()
        self.issuer, self.nginx = FakeIssuer(), FakeDeployer()
        self.vault = State(self.store, self.notes)

    @property
    def engine(self) -> Engine:
        return Engine(self.specs, self.vault, self.issuer, self.nginx, self.clock, self.notes)

    def run(self, *names: str, force: bool = False, dry_run: bool = False) -> dict[str, CertOutcome]:
        return {one.name: one for one in self.engine.run(names, force=force, dry_run=dry_run).certificates}

    def keep(self, name: str, kept: Material | None = None, *, served: bool = True) -> Material:
        """Let a certificate be stored, and perhaps served."""
        kept = kept or material(spec(name))
        with self.vault.certificate(name) as ledger:
            ledger.keep(kept)
        if served:
            self.nginx.shown[name] = kept.fingerprints
        return kept

    def leave(self, name: str) -> None:
        """Leave a record of an earlier attempt in the journal."""
        handle = Handle("zone", "id", TxtRecord(f"_acme-challenge.{name}", "value"))
        with self.vault.certificate(name) as ledger:
            ledger.save(Progress(handles=(handle,)))

    @property
    def orders(self) -> list[str]:
        return sorted(name for name, _ in self.issuer.orders)


def actions(outcomes: dict[str, CertOutcome]) -> list[Action]:
    return [outcome.action for outcome in outcomes.values()]


def due(name: str, ari: str = "") -> Material:
    return material(spec(name), begin=NOW - 70 * DAY, ari=ari)


class TestOrdinaryDays:
    def test_two_new_certificates_are_issued_and_deployed_with_one_reload(self) -> None:
        world = World(A, B)
        outcomes = world.run()
        assert actions(outcomes) == [Action.ISSUED, Action.ISSUED]
        assert world.nginx.applied == [[A, B]]
        for name, outcome in outcomes.items():
            stored = world.vault.material(name)
            assert stored is not None
            assert outcome.fingerprint == stored.fingerprints[0]
            assert (outcome.served, outcome.exit_code, outcome.error) == (True, 0, None)
            assert (outcome.not_after, outcome.next) == (NOW + 89 * DAY, NOW + 59 * DAY)

    def test_with_nothing_to_do_nothing_is_written_asked_or_reloaded(self) -> None:
        world = World(A, B)
        world.keep(A)
        world.keep(B)
        world.store.writes.clear()
        assert actions(world.run()) == [Action.FRESH, Action.FRESH]
        assert (world.store.writes, world.issuer.orders, world.issuer.asked) == ([], [], [])
        assert world.nginx.applied == []

    def test_a_renewal_tells_what_it_replaces(self) -> None:
        world = World()
        old = world.keep(A, due(A))
        world.run()
        assert world.issuer.orders == [(A, old)]

    def test_what_is_stored_but_not_served_is_deployed_without_an_order(self) -> None:
        world = World(A, B)
        world.keep(A, served=False)
        world.keep(B)
        assert actions(world.run()) == [Action.DEPLOYED, Action.FRESH]
        assert (world.nginx.applied, world.orders) == ([[A]], [])

    def test_the_issuer_is_not_needed_for_a_deploy_alone(self) -> None:
        world = World()
        world.keep(A, served=False)
        world.issuer.fails[A] = AssertionError("nobody may order")
        assert actions(world.run()) == [Action.DEPLOYED]

    def test_only_those_named_are_looked_at_each_once_in_the_order_given(self) -> None:
        world = World(A, B, C)
        assert list(world.run(C, A, C)) == [C, A]
        assert world.orders == [A, C]

    def test_an_unknown_name_is_an_error_that_lists_the_known_ones(self) -> None:
        world = World(A, B)
        with pytest.raises(ConfigError, match=r"no certificate named d\.example, e\.example") as caught:
            world.run("d.example", A, "e.example")
        assert caught.value.hint == f"it has {A}, {B}"
        assert (world.orders, world.nginx.prepared) == ([], 0)

    def test_what_is_forced_is_issued_exactly_once(self) -> None:
        world = World()
        old = world.keep(A)
        world.issuer.issues[A] = {"ari": "new"}
        assert actions(world.run(force=True)) == [Action.ISSUED]
        assert (world.issuer.orders, world.issuer.asked) == ([(A, old)], ["new"])

    def test_more_certificates_than_threads_are_all_seen_to(self) -> None:
        names = [f"n{number}.example" for number in range(20)]
        world = World(*names)
        assert actions(world.run()) == [Action.ISSUED] * 20
        assert world.nginx.applied == [names]

    def test_the_journal_of_a_finished_issuance_is_gone(self) -> None:
        world = World()
        world.run()
        assert world.store.keys("journal/") == []


class TestOneNeverHoldsUpTheOthers:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (Refused("the CA said no", hint="ask it"), 1),
            (Transient("the network", hint="wait"), 75),
            (ConfigError("mend it", hint="there"), 78),
            (ZeroDivisionError("a slip"), 70),
        ],
    )
    def test_a_failing_certificate_leaves_the_others_alone(self, error: Exception, code: int) -> None:
        world = World(A, B, C)
        world.issuer.fails[B] = error
        outcomes = world.run()
        assert actions(outcomes) == [Action.ISSUED, Action.FAILED, Action.ISSUED]
        assert world.nginx.applied == [[A, C]]
        failed = outcomes[B]
        assert failed.exit_code == code
        assert str(error) in (failed.error or "")
        assert failed.hint
        assert worst([one.exit_code for one in outcomes.values()]) == code

    def test_a_bug_is_told_with_where_it_struck(self) -> None:
        world = World()
        world.issuer.fails[A] = ZeroDivisionError("a slip")
        assert "report" in world.run()[A].hint
        assert world.notes.of("bug") == [(A, "ZeroDivisionError('a slip')")]

    def test_a_bug_is_not_run_into_again_at_once(self) -> None:
        world = World()
        world.issuer.fails[A] = ZeroDivisionError("a slip")
        assert world.run()[A].next == NOW + MINUTE
        failure = world.vault.failure(A)
        assert failure is not None
        assert failure.exit_code == 70

    def test_nginx_that_cannot_be_looked_at_for_one_leaves_the_others_alone(self) -> None:
        world = World(A, B)
        world.nginx.blind[A] = Refused("cannot read")
        outcomes = world.run()
        assert (outcomes[A].action, outcomes[A].error) == (Action.FAILED, "cannot read")
        assert outcomes[B].action is Action.ISSUED

    def test_a_store_that_cannot_be_read_for_one_leaves_the_others_alone(self) -> None:
        world = World(A, B)
        world.store.unreadable[f"certificate/{A}"] = Refused("cannot read: permission denied")
        outcomes = world.run()
        assert (outcomes[A].action, outcomes[A].exit_code) == (Action.FAILED, 1)
        assert outcomes[B].action is Action.ISSUED
        assert world.nginx.shown.keys() == {B}

    def test_a_failure_to_deploy_that_cannot_be_noted_leaves_the_others_alone(self) -> None:
        world = World(A, B)
        world.nginx.refuses[A] = NotServed("nginx shows another")
        world.store.unwritable[f"failure/{A}"] = Transient("the disk is full")
        outcomes = world.run()
        assert (outcomes[A].action, outcomes[B].action) == (Action.FAILED, Action.ISSUED)

    def test_who_is_served_by_somebody_else_is_deployed_though_its_order_failed(self) -> None:
        world = World()
        world.keep(A, due(A), served=False)
        world.issuer.fails[A] = Refused("the CA said no")
        outcome = world.run()[A]
        assert (outcome.action, outcome.error, outcome.served) == (Action.FAILED, "the CA said no", True)
        assert world.nginx.applied == [[A]]


class TestDeploying:
    def refused(self, *errors: tuple[str, RenewerError]) -> World:
        world = World(A, B)
        world.nginx.refuses = dict(errors)
        return world

    def test_what_is_refused_together_is_tried_alone(self) -> None:
        world = self.refused((A, DeployFailed("nginx refuses", ours=True)))
        outcomes = world.run()
        assert world.nginx.applied == [[A, B], [A], [B]]
        assert [(one.action, one.error) for one in outcomes.values()] == [
            (Action.FAILED, "nginx refuses"),
            (Action.ISSUED, None),
        ]

    def test_who_is_not_served_does_not_hold_up_the_other(self) -> None:
        world = self.refused((A, NotServed("another answers there")))
        assert actions(world.run()) == [Action.FAILED, Action.ISSUED]
        assert world.nginx.applied == [[A, B], [A], [B]]

    def test_what_somebody_else_broke_is_not_tried_alone(self) -> None:
        world = self.refused(("*", DeployFailed("broken by hand", ours=False)))
        outcomes = world.run()
        assert world.nginx.applied == [[A, B]]
        assert [one.error for one in outcomes.values()] == ["broken by hand"] * 2
        assert [one.exit_code for one in outcomes.values()] == [1, 1]

    def test_what_is_kept_is_deployed_by_the_next_run_without_an_order(self) -> None:
        world = self.refused(("*", DeployFailed("broken by hand", ours=False)))
        world.run()
        kept = [world.vault.material(name) for name in (A, B)]
        world.nginx.refuses = {}
        assert actions(world.run()) == [Action.DEPLOYED, Action.DEPLOYED]
        assert world.orders == [A, B]
        assert [world.vault.material(name) for name in (A, B)] == kept
        assert world.vault.failure(A) is None

    def test_failures_to_deploy_are_counted_with_the_next_try(self) -> None:
        world = self.refused(("*", DeployFailed("broken by hand", ours=False)))
        assert world.run()[A].next == NOW + MINUTE
        world.clock.time += MINUTE
        assert world.run()[A].next == NOW + 11 * MINUTE
        failure = world.vault.deploys(A).failure
        assert failure is not None
        assert (failure.stage, failure.count, failure.binding) == (Stage.DEPLOY, 2, False)
        world.nginx.refuses = {}
        world.run()
        assert world.vault.deploys(A) == Deploys()

    def test_a_deploy_that_fails_too_lets_the_row_of_failed_orders_go_on(self) -> None:
        world = World()
        world.keep(A, due(A), served=False)
        world.nginx.refuses[A] = NotServed("nginx is not running")
        world.issuer.fails[A] = Refused("the CA saw no record", spent=True)
        world.run()
        assert world.run()[A].next == NOW + MINUTE
        assert world.orders == [A]  # an order more would count against a limit of the CA
        world.clock.time += MINUTE
        world.run()
        failures = world.vault.failure(A), world.vault.deploys(A).failure
        assert [one and one.count for one in failures] == [2, 3]

    def test_where_nobody_sees_what_is_served_a_reload_that_failed_is_done_again(self) -> None:
        world = self.refused((A, DeployFailed("the reload failed", ours=False)))
        world.nginx.unseen = {A, B}
        assert actions(world.run()) == [Action.FAILED, Action.FAILED]
        assert actions(world.run()) == [Action.FAILED, Action.FAILED]
        world.nginx.refuses = {}
        assert actions(world.run()) == [Action.DEPLOYED, Action.DEPLOYED]
        reloads = len(world.nginx.applied)
        assert actions(world.run()) == [Action.FRESH, Action.FRESH]
        assert len(world.nginx.applied) == reloads

    def test_nor_is_one_forgotten_before_which_the_run_died(self) -> None:
        world = World()
        world.nginx.unseen = {A}
        kept = world.keep(A)
        world.nginx.files[A] = kept.fingerprints
        assert world.engine.status().certificates[0].due
        assert actions(world.run()) == [Action.DEPLOYED]
        assert actions(world.run()) == [Action.FRESH]

    def test_a_deploy_waits_for_no_back_off(self) -> None:
        world = self.refused(("*", DeployFailed("broken by hand", ours=False)))
        world.run()
        world.nginx.refuses = {}
        assert actions(world.run()) == [Action.DEPLOYED, Action.DEPLOYED]

    def test_what_was_mended_by_hand_no_longer_counts_as_failed(self) -> None:
        world = self.refused(("*", NotServed("another answers there")))
        world.run()
        stored = world.vault.material(A)
        assert stored is not None
        world.nginx.shown[A] = stored.fingerprints
        first = world.engine.status().certificates[0]
        assert (first.action, first.error, first.next) == (Action.FRESH, None, NOW + 59 * DAY)

    def test_to_be_asked_to_end_is_no_failure_of_the_deploy(self) -> None:
        world = self.refused(("*", Stopped("asked to end")))
        outcomes = world.run()
        assert [one.exit_code for one in outcomes.values()] == [75, 75]
        assert world.nginx.applied == [[A, B]]
        assert world.store.keys("failure/") == []

    def test_while_somebody_else_holds_nginx_the_certificate_is_kept_for_later(self) -> None:
        world = World()
        with world.vault.nginx():
            outcome = world.run()[A]
        assert (outcome.action, outcome.exit_code) == (Action.FAILED, 75)
        assert world.vault.material(A) is not None
        assert world.nginx.applied == []
        assert world.store.keys("failure/") == []


class TestFailingToIssue:
    def test_a_failure_is_kept_with_its_back_off_and_forgotten_after_a_success(self) -> None:
        world = World()
        world.issuer.fails[A] = Refused("the CA said no", hint="ask it")
        assert world.run()[A].next == NOW + MINUTE
        failure = world.vault.failure(A)
        assert failure is not None
        assert (failure.stage, failure.count, failure.message, failure.hint) == (
            Stage.ISSUE,
            1,
            "the CA said no",
            "ask it",
        )
        world.issuer.fails.clear()
        assert actions(world.run()) == [Action.ISSUED]
        assert world.vault.failure(A) is None

    def test_nobody_orders_before_the_hour_that_the_ca_named_not_even_by_force(self) -> None:
        world = World()
        world.issuer.fails[A] = Transient("slow down", hint="wait", retry_after=timedelta(hours=1))
        world.run()
        world.clock.time += timedelta(minutes=59)
        held = world.run(force=True)[A]
        assert world.orders == [A]
        assert (held.action, held.exit_code, held.hint) == (Action.FAILED, 75, "wait")
        assert held.error == "slow down; it is not tried again before 2026-11-23 13:00:00 UTC"
        assert held.next == NOW + timedelta(hours=1)
        world.clock.time += MINUTE
        world.run()
        assert world.orders == [A, A]

    def test_to_be_asked_to_end_is_no_failure(self) -> None:
        world = World(A, B)
        world.issuer.fails[A] = Stopped("asked to end", hint="the next run goes on")
        outcomes = world.run()
        assert outcomes[A].exit_code == 75
        assert world.vault.failure(A) is None
        assert outcomes[B].action is Action.ISSUED

    def test_who_is_asked_to_end_begins_nothing_more(self) -> None:
        world = World(A, B)
        world.clock = FakeClock(sleeps=0)
        assert [one.exit_code for one in world.run().values()] == [75, 75]
        assert (world.orders, world.store.values) == ([], {})

    def test_while_another_process_is_at_it_nothing_is_written(self) -> None:
        world = World(A, B)
        world.keep(B)
        with world.vault.certificate(A):
            world.store.writes.clear()
            outcomes = world.run()
        assert (outcomes[A].action, outcomes[A].exit_code) == (Action.FAILED, 75)
        assert outcomes[B].action is Action.FRESH
        assert (world.store.writes, world.orders) == ([], [])

    def test_what_cannot_be_done_nor_noted_now_is_not_due_at_once(self) -> None:
        world = World()
        with world.vault.certificate(A):
            assert world.run()[A].next == NOW + MINUTE
        world.issuer.fails[A] = Transient("the disk is full")
        world.store.unwritable[f"failure/{A}"] = Transient("the disk is full")
        assert world.run()[A].next == NOW + MINUTE

    def test_what_another_process_renewed_while_others_were_waited_for_is_told_as_it_is_then(self) -> None:
        world = World(A, B)
        world.keep(A)
        apply = world.nginx.apply

        def meanwhile(changes: Sequence[Change]) -> None:
            world.keep(A)
            apply(changes)

        world.nginx.apply = meanwhile  # type: ignore[method-assign]
        outcome, stored = world.run()[A], world.vault.material(A)
        assert stored is not None
        assert outcome.fingerprint == stored.fingerprints[0]

    def test_a_certificate_that_another_process_obtained_meanwhile_is_not_ordered_again(self) -> None:
        world = World()
        world.leave(A)
        world.keep(A)
        world.run()
        assert world.orders == []

    @pytest.mark.parametrize(
        "issued", [{"begin": NOW - 85 * DAY}, {"begin": NOW, "life": timedelta(0)}, {"ari": "at once"}]
    )
    def test_a_new_certificate_that_is_due_at_once_is_not_ordered_in_a_circle(
        self, issued: dict[str, object]
    ) -> None:
        """A clock that is ahead, or a CA that suggests the past, must not burn a rate limit in one run."""
        world = World()
        world.issuer.issues[A] = issued
        world.issuer.windows["at once"] = Window(NOW - 2 * DAY, NOW - DAY, timedelta(hours=6))
        world.run()
        assert world.orders == [A]


class TestRehearsing:
    """A failure at a CA for tests is one of the order that was to follow."""

    STAGING, SECOND = "https://staging.example/directory", "https://second.example/directory"

    class Picky(FakeIssuer):
        """Issues at one CA only; `servers` is what was asked."""

        def __init__(self, error: RenewerError, good: str) -> None:
            super().__init__()
            self.error, self.good, self.servers = error, good, list[str]()

        def issue(self, spec: CertSpec, replaces: Material | None, journal: Journal) -> Material:
            self.servers.append(spec.directory_url)
            if spec.directory_url != self.good:
                raise self.error
            return super().issue(spec, replaces, journal)

    def world(self, error: RenewerError) -> tuple[World, list[str]]:
        """Return a world after the first failure, and what is asked of its issuer."""
        world = World()
        fallback = Fallback(self.SECOND, after=DAY)
        world.specs = (replace(world.specs[0], rehearse=self.STAGING, fallbacks=(fallback,)),)
        world.issuer = issuer = self.Picky(error, good=self.SECOND)
        world.keep(A, due(A))
        world.run()
        world.clock.time += MINUTE
        return world, issuer.servers

    def test_a_rehearsal_that_fails_is_not_tried_again_before_its_time(self) -> None:
        world, servers = self.world(Refused("invalid", spent=True))
        for _ in range(3):
            world.run()
        assert servers == [SERVER, self.STAGING]
        failure = world.vault.failure(A)
        assert failure is not None
        assert (failure.count, failure.directory_url, failure.binding) == (2, SERVER, True)

    def test_nor_does_it_keep_a_second_ca_from_stepping_in(self) -> None:
        world, servers = self.world(Transient("the CA for tests is away"))
        world.run()
        world.clock.time += DAY
        assert actions(world.run()) == [Action.ISSUED]
        assert servers == [SERVER, self.STAGING, self.SECOND]


class TestAskingWhen:
    WINDOW = Window(NOW + 10 * DAY, NOW + 12 * DAY, timedelta(hours=3), "https://ca.example/why")

    def asked(self, answer: Window | Exception | None) -> World:
        world = World()
        world.keep(A, material(spec(A), ari="one"))
        world.issuer.windows["one"] = answer
        return world

    def test_the_window_decides_when_to_renew(self) -> None:
        world = self.asked(self.WINDOW)
        assert world.run()[A].next == NOW + 11 * DAY
        assert world.vault.suggestion(A) == Suggestion(
            "one",
            NOW + timedelta(hours=3),
            self.WINDOW.start,
            self.WINDOW.end,
            NOW + 11 * DAY,
            "https://ca.example/why",
        )

    def test_nobody_asks_again_before_the_time(self) -> None:
        world = self.asked(self.WINDOW)
        world.run()
        world.clock.time += timedelta(hours=3) - timedelta(seconds=1)
        world.run()
        assert world.issuer.asked == ["one"]
        world.clock.time += timedelta(seconds=1)
        world.clock.chance = 0.9
        assert world.run()[A].next == NOW + 11 * DAY
        assert world.issuer.asked == ["one", "one"]

    def test_a_ca_that_takes_its_time_is_asked_once_in_a_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = self.asked(replace(self.WINDOW, retry_after=MINUTE))
        at_once = world.issuer.window

        def slow(material: Material) -> Window | None:
            world.clock.sleep(61)
            assert len(world.clock.slept) < 5
            return at_once(material)

        monkeypatch.setattr(world.issuer, "window", slow)
        world.run()
        assert world.issuer.asked == ["one"]

    def test_a_window_in_the_past_renews_at_once(self) -> None:
        world = self.asked(Window(NOW - 2 * DAY, NOW - DAY, timedelta(hours=6)))
        assert world.run()[A].action is Action.ISSUED
        assert world.orders == [A]

    @pytest.mark.parametrize("error", [Transient("down"), Refused("no"), Transient("x", retry_after=DAY)])
    def test_a_ca_that_does_not_answer_holds_nothing_up(self, error: RenewerError) -> None:
        world = self.asked(error)
        world.nginx.shown.clear()
        outcome = world.run()[A]
        assert (outcome.action, outcome.error, outcome.next) == (Action.DEPLOYED, None, NOW + 59 * DAY)
        assert world.vault.failure(A) is None
        assert world.vault.suggestion(A) == Suggestion("one", NOW + timedelta(hours=6))

    def test_a_ca_without_advice_is_asked_a_day_later(self) -> None:
        world = self.asked(None)
        assert world.run()[A].next == NOW + 59 * DAY
        assert world.vault.suggestion(A) == Suggestion("one", NOW + DAY)

    def test_to_be_asked_to_end_ends_the_certificate(self) -> None:
        world = self.asked(Stopped("asked to end"))
        assert world.run()[A].exit_code == 75
        assert world.vault.suggestion(A) is None


class TestLeftovers:
    def test_records_of_a_dead_run_are_swept_though_nothing_is_due(self) -> None:
        world = World(A, B)
        world.keep(A)
        world.keep(B)
        world.leave(A)
        assert actions(world.run()) == [Action.FRESH, Action.FRESH]
        assert world.issuer.tidied == [A]
        assert world.vault.progress(A) == Progress()

    def test_what_cannot_be_swept_holds_nothing_up(self) -> None:
        world = World()
        world.keep(A, due(A))
        world.leave(A)
        world.issuer.tidies = False
        assert actions(world.run()) == [Action.ISSUED]
        assert len(world.vault.progress(A).handles) == 1


class TestForecast:
    @pytest.mark.parametrize(
        ("prepare", "action", "detail"),
        [
            (lambda _: None, Action.ISSUED, "there is none yet"),
            (lambda world: world.keep(A, due(A)), Action.ISSUED, "it is due"),
            (lambda world: world.keep(A, served=False), Action.DEPLOYED, "nginx shows something else"),
            (lambda world: world.keep(A), Action.FRESH, ""),
        ],
    )
    def test_a_dry_run_tells_what_would_be_done_and_does_nothing(
        self, prepare: Callable[[World], object], action: Action, detail: str
    ) -> None:
        world = World()
        prepare(world)
        world.leave(A)
        before = dict(world.store.values)
        outcome = world.run(dry_run=True)[A]
        assert outcome.action is action
        assert detail in outcome.detail
        assert outcome.exit_code == 0
        assert world.store.values == before
        assert (world.orders, world.issuer.asked, world.issuer.tidied) == ([], [], [])
        assert (world.nginx.applied, world.nginx.prepared) == ([], 0)

    def test_a_dry_run_knows_of_force(self) -> None:
        world = World()
        world.keep(A)
        assert "asked for" in world.run(force=True, dry_run=True)[A].detail

    def test_an_order_that_a_limit_forbids_is_not_announced(self) -> None:
        world = World()
        world.keep(A)
        wait = Transient("no order is sent before then", hint="it is ordered then", retry_after=DAY)
        world.issuer.fails[f"require {A}"] = wait
        outcome = world.run(force=True, dry_run=True)[A]
        assert (outcome.action, outcome.error, outcome.next) == (Action.FAILED, str(wait), NOW + DAY)
        assert (outcome.exit_code, outcome.hint, world.issuer.orders) == (75, wait.hint, [])
        assert world.run(dry_run=True)[A].action is not Action.FAILED, "nothing would be ordered"

    def test_status_tells_the_last_failure_and_changes_nothing(self) -> None:
        world = World(A, B)
        world.keep(B)
        world.issuer.fails[A] = Refused("the CA said no", hint="ask it")
        world.run()
        before = dict(world.store.values)
        first, second = world.engine.status().certificates
        assert (first.action, first.error, first.hint, first.exit_code) == (
            Action.FAILED,
            "the CA said no",
            "ask it",
            1,
        )
        assert (second.action, second.exit_code) == (Action.FRESH, 0)
        assert world.store.values == before
        assert world.orders == [A]


class TestPreparing:
    def test_every_run_prepares_what_nginx_includes_for_all_certificates(self) -> None:
        world = World(A, B)
        world.run(A)
        assert world.nginx.prepared == 1
        assert world.engine.prepare() == [A, B]

    def test_whoever_holds_nginx_prepares_it(self) -> None:
        world = World()
        with world.vault.nginx():
            assert world.engine.prepare() == ()


def test_a_second_holder_in_the_fake_store_is_refused_as_in_the_real_ones() -> None:
    world = World()
    with world.vault.certificate(A), pytest.raises(LockBusy), world.vault.certificate(A):
        pass


def test_the_fake_deployer_is_told_specs_and_materials_that_belong_together() -> None:
    class Strict(FakeDeployer):
        def apply(self, changes: Sequence[object]) -> None:
            for change in changes:
                assert change.material.pairs[0].domains == change.spec.domains  # type: ignore[attr-defined]
            super().apply(changes)  # type: ignore[arg-type]

    world = World(A, B)
    world.nginx = Strict()
    assert actions(world.run()) == [Action.ISSUED, Action.ISSUED]


def test_a_changed_configuration_is_ordered_and_deployed_in_place_of_the_old_one() -> None:
    world = World()
    world.keep(A)
    changed: CertSpec = replace(world.specs[0], domains=(A, f"*.{A}"))
    world.specs = (changed,)
    assert actions(world.run()) == [Action.ISSUED]
    stored = world.vault.material(A)
    assert stored is not None
    assert stored.pairs[0].domains == (A, f"*.{A}")


def test_times_in_outcomes_are_aware() -> None:
    world = World()
    outcome = world.run()[A]
    assert isinstance(outcome.not_after, datetime)
    assert outcome.next.utcoffset() == outcome.not_after.utcoffset() == timedelta(0)


class TestRevoking:
    def test_what_is_revoked_is_replaced_and_then_forgotten(self) -> None:
        world = World(A, B)
        old, other = world.keep(A), world.keep(B)
        (outcome,) = world.engine.revoke(A, Reason.KEY_COMPROMISE).certificates
        assert (outcome.action, outcome.served, outcome.exit_code) == (Action.ISSUED, True, 0)
        assert world.issuer.revoked == [(old.fingerprints[0], Reason.KEY_COMPROMISE)]
        assert world.issuer.orders == [(A, old)]
        assert (world.vault.revocation(A), world.vault.material(B)) == (None, other)
        assert actions(world.run()) == [Action.FRESH, Action.FRESH]

    def test_what_cannot_be_replaced_is_revoked_all_the_same_and_replaced_later(self) -> None:
        world = World()
        old = world.keep(A)
        world.issuer.fails[A] = Refused("the CA said no")
        (outcome,) = world.engine.revoke(A, Reason.UNSPECIFIED).certificates
        assert (outcome.action, outcome.error) == (Action.FAILED, "the CA said no")
        assert [fingerprint for fingerprint, _ in world.issuer.revoked] == [old.fingerprints[0]]
        world.issuer.fails.clear()
        assert actions(world.run()) == [Action.ISSUED]
        assert (len(world.issuer.revoked), world.vault.revocation(A)) == (1, None)

    def test_what_cannot_be_revoked_now_is_later_and_nobody_is_told_all_is_well(self) -> None:
        world = World()
        old = world.keep(A)
        world.issuer.fails["revoke"] = Transient("the CA does not answer")
        (outcome,) = world.engine.revoke(A, Reason.SUPERSEDED).certificates
        assert (outcome.action, outcome.exit_code) == (Action.FAILED, 75)
        assert world.orders == [A]
        world.issuer.fails.clear()
        assert actions(world.run()) == [Action.FRESH]
        assert world.issuer.revoked == [(old.fingerprints[0], Reason.SUPERSEDED)]
        assert (world.orders, world.vault.revocation(A)) == ([A], None)

    def test_one_that_has_to_be_revoked_still_is_not_forgotten_over_another(self) -> None:
        world = World()
        first = world.keep(A)
        world.issuer.fails["revoke"] = Transient("the CA does not answer")
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        second = world.vault.material(A)
        assert second is not None
        world.engine.revoke(A, Reason.SUPERSEDED)
        world.issuer.fails.clear()
        world.run()
        assert world.issuer.revoked == [
            (second.fingerprints[0], Reason.SUPERSEDED),
            (first.fingerprints[0], Reason.KEY_COMPROMISE),
        ]
        assert world.vault.revocation(A) is None

    def test_nor_when_the_configuration_has_it_no_more(self) -> None:
        world = World(A, B)
        old = world.keep(A)
        world.issuer.fails["revoke"] = Transient("the CA does not answer")
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        world.specs = world.specs[1:]
        world.run()
        assert world.vault.revocation(A) is not None
        world.issuer.fails.clear()
        world.run()
        assert world.issuer.revoked == [(old.fingerprints[0], Reason.KEY_COMPROMISE)]
        assert world.vault.revocation(A) is None

    def test_one_that_has_ended_is_not_asked_for_any_more_and_does_not_come_back(self) -> None:
        world = World()
        old = world.keep(A)
        world.issuer.fails["revoke"] = Transient("the CA does not answer")
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        world.clock.time += 90 * DAY
        outcome = world.run()[A]
        assert (outcome.error, outcome.exit_code, world.vault.revocation(A)) == (None, 0, None)
        assert world.vault.provenance(A).revoked(old.fingerprints) is Reason.KEY_COMPROMISE

    def test_where_there_is_none_nothing_is_revoked(self) -> None:
        world = World()
        with pytest.raises(Refused, match="no certificate"):
            world.engine.revoke(A, Reason.UNSPECIFIED)
        assert world.orders == []


class TestGoingBack:
    def restored(self, world: World, back: Material) -> CertOutcome:
        held: list[tuple[str, Material]] = []
        outcome = world.engine.restore(A, back.pairs, lambda name, kept: held.append((name, kept)))
        assert [name for name, _ in held] == [A]
        return outcome.certificates[0]

    def test_what_comes_back_has_the_ca_that_it_came_from_and_stays(self) -> None:
        world = World()
        old = world.keep(A)
        world.keep(A)
        outcome = self.restored(world, old)
        assert (outcome.action, outcome.fingerprint, outcome.served) == (
            Action.DEPLOYED,
            old.fingerprints[0],
            True,
        )
        assert outcome.next == NOW + 59 * DAY
        assert actions(world.run()) == [Action.FRESH]

    @pytest.mark.parametrize("server", ["https://staging.example/directory", ""])
    def test_what_is_from_another_ca_or_nobody_knows_is_renewed_by_the_next_run(self, server: str) -> None:
        world = World()
        old = replace(material(spec(A), ari="key.serial"), directory_url=server or SERVER)
        if server:
            world.keep(A, old)
        world.keep(A)
        outcome = self.restored(world, old)
        stored = world.vault.material(A)
        assert stored is not None
        assert (outcome.action, stored.directory_url) == (Action.DEPLOYED, server)
        assert (actions(world.run()), world.issuer.asked) == ([Action.ISSUED], [])

    def test_what_was_revoked_does_not_come_back(self) -> None:
        world = World()
        bad = world.keep(A)
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        now = world.vault.material(A)
        with pytest.raises(Refused, match=r"was revoked \(keyCompromise\)") as caught:
            self.restored(world, bad)
        assert "list-generations" in caught.value.hint
        assert (world.vault.material(A), world.nginx.shown[A]) == (now, now and now.fingerprints)

    def test_nor_while_the_ca_has_yet_to_hear_of_it(self) -> None:
        world = World()
        bad = world.keep(A)
        world.issuer.fails["revoke"] = Transient("the CA does not answer")
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        with pytest.raises(Refused, match="was revoked"):
            self.restored(world, bad)

    def test_one_of_those_that_is_stored_by_whatever_way_is_replaced(self) -> None:
        world = World()
        bad = world.keep(A)
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        world.keep(A, bad)
        (outcome,) = world.engine.status().certificates
        assert (outcome.action, "revoked (keyCompromise)" in outcome.detail) == (Action.ISSUED, True)
        assert actions(world.run()) == [Action.ISSUED]

    def test_what_nobody_knows_the_ca_of_is_revoked_at_the_one_that_is_configured(self) -> None:
        world = World()
        world.keep(A, replace(material(spec(A)), directory_url=""))
        world.issuer.fails["revoke"] = Transient("the CA does not answer")
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        revocation = world.vault.revocation(A)
        assert revocation is not None
        assert revocation.material.directory_url == SERVER


def test_an_order_that_nobody_needs_any_more_is_dropped_with_its_key() -> None:
    world = World()
    world.keep(A)
    with world.vault.certificate(A) as ledger:
        ledger.save(Progress(order=PendingOrder(KeyKind.EC256, (A, "b.example"), SERVER, "KEY", "CSR")))
    assert actions(world.run()) == [Action.FRESH]
    assert world.vault.progress(A) == Progress()


def test_a_failure_that_nothing_is_left_of_is_forgotten() -> None:
    world = World()
    world.keep(A)
    with world.vault.certificate(A) as ledger:
        ledger.failed(Failure(Stage.ISSUE, 3, NOW - DAY, NOW, "the disk was full"))
    assert actions(world.run()) == [Action.FRESH]
    assert world.vault.failure(A) is None


class TestRest:
    """Until when nothing is due is told only if all of it was found as it has to be."""

    @pytest.fixture
    def calm(self) -> World:
        world = World(A, B)
        for name in (A, B):
            world.keep(name)
        return world

    def rest(self, world: World, *names: str, force: bool = False) -> datetime | None:
        return world.engine.run(names, force=force).rest

    def test_nothing_is_due_before_the_first_renewal(self, calm: World) -> None:
        calm.keep(B, material(spec(B), begin=NOW - 10 * DAY))
        assert self.rest(calm) == NOW + 50 * DAY

    def test_nor_before_the_ca_is_to_be_asked_again(self, calm: World) -> None:
        kept = calm.keep(B, material(spec(B), ari="id"))
        with calm.vault.certificate(B) as ledger:
            ledger.suggest(Suggestion(kept.pairs[0].ari, ask_again=NOW + DAY / 2))
        assert self.rest(calm) == NOW + DAY / 2

    def test_a_person_who_asks_for_some_tells_nothing_of_all(self, calm: World) -> None:
        assert self.rest(calm, A, B) is None
        assert self.rest(calm)
        assert self.rest(calm, force=True) is None

    def test_a_cycle_that_did_something_leaves_that_to_the_next(self, calm: World) -> None:
        calm.nginx.shown.clear()
        assert self.rest(calm) is None
        assert self.rest(calm)
        calm.keep(A, due(A))
        assert self.rest(calm) is None
        assert self.rest(calm)

    def test_who_does_not_get_through_has_no_rest(self, calm: World) -> None:
        calm.nginx.blind[A] = Refused("nobody can see it", hint="")
        assert self.rest(calm) is None
        del calm.nginx.blind[A]
        calm.keep(A, due(A))
        calm.issuer.fails[A] = Transient("the CA is down", hint="", retry_after=10 * MINUTE)
        for _ in range(2):  # the second waits for its time
            assert self.rest(calm) is None

    def test_what_was_begun_has_to_be_ended_first(self, calm: World) -> None:
        calm.leave(C)  # of a certificate that is not wanted any more
        assert self.rest(calm) is None
        assert self.rest(calm)
        calm.leave(A)
        assert self.rest(calm) is None

    def test_files_that_cannot_be_prepared_leave_no_rest(
        self, calm: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def prepare(specs: Sequence[CertSpec]) -> Sequence[str]:
            raise Refused(f"{len(specs)} cannot be written", hint="")

        monkeypatch.setattr(calm.nginx, "prepare", prepare)
        assert self.rest(calm) is None
        done = calm.engine.run()
        assert (done.exit_code, done.error) == (1, "what nginx includes: 2 cannot be written")
        assert json.loads(json_output.as_json(done))["error"] == done.error


class Guarding(FakeDeployer):
    """One that takes up the files for secure links, too."""

    guard = Guard(())

    def stands(self, guard: Guard) -> bool:
        return self.guard == guard

    def apply(self, changes: Sequence[Change]) -> None:
        super().apply(changes)
        self.guard = next((one for one in changes if isinstance(one, Guard)), self.guard)


def test_that_nginx_still_lets_links_in_of_a_site_that_is_no_more_is_told() -> None:
    world, nginx = World(), Guarding()
    world.nginx = nginx
    site = SiteSpec("nodered", "https://nodered.a.example", people=("phone",), follows=(A,))

    def engine(*sites: SiteSpec) -> Engine:
        hooks = (SecureLink(sites, world.vault, nginx),)
        return replace(world.engine, hooks=hooks)

    assert engine(site).run().exit_code == 0
    nginx.refuses["secure links"] = NotServed("nginx has not taken up the new files")
    done = engine().run()
    assert (done.exit_code, done.error) == (1, "secure links: nginx has not taken up the new files")
    assert ("secure links", "nginx has not taken up the new files") in world.notes.of("problem")
    nginx.refuses.clear()
    assert (engine().run().exit_code, engine().run().rest is not None) == (0, True)

"""One pass over everything, with an issuer, an nginx and a store that are fakes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from support.fake_world import MINUTE, A, B, C, FakeWorld, actions, due
from support.fakes import DAY, NOW, SERVER, FakeDeployer

from renewer.core.errors import (
    ConfigError,
    LockBusy,
    NotServed,
    Refused,
    Transient,
    worst,
)
from renewer.core.failure import Failure, Stage
from renewer.core.journal import PendingOrder, Progress
from renewer.core.model import (
    Action,
    CertSpec,
    KeyKind,
)


class TestOrdinaryDays:
    def test_two_new_certificates_are_issued_and_deployed_with_one_reload(self) -> None:
        world = FakeWorld(A, B)
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
        world = FakeWorld(A, B)
        world.keep(A)
        world.keep(B)
        world.store.writes.clear()
        assert actions(world.run()) == [Action.FRESH, Action.FRESH]
        assert (world.store.writes, world.issuer.orders, world.issuer.asked) == ([], [], [])
        assert world.nginx.applied == []

    def test_a_renewal_tells_what_it_replaces(self) -> None:
        world = FakeWorld()
        old = world.keep(A, due(A))
        world.run()
        assert world.issuer.orders == [(A, old)]

    def test_what_is_stored_but_not_served_is_deployed_without_an_order(self) -> None:
        world = FakeWorld(A, B)
        world.keep(A, served=False)
        world.keep(B)
        assert actions(world.run()) == [Action.DEPLOYED, Action.FRESH]
        assert (world.nginx.applied, world.orders) == ([[A]], [])

    def test_the_issuer_is_not_needed_for_a_deploy_alone(self) -> None:
        world = FakeWorld()
        world.keep(A, served=False)
        world.issuer.fails[A] = AssertionError("nobody may order")
        assert actions(world.run()) == [Action.DEPLOYED]

    def test_only_those_named_are_looked_at_each_once_in_the_order_given(self) -> None:
        world = FakeWorld(A, B, C)
        assert list(world.run(C, A, C)) == [C, A]
        assert world.orders == [A, C]

    def test_an_unknown_name_is_an_error_that_lists_the_known_ones(self) -> None:
        world = FakeWorld(A, B)
        with pytest.raises(ConfigError, match=r"d\.example, e\.example") as caught:
            world.run("d.example", A, "e.example")
        assert f"{A}, {B}" in caught.value.hint
        assert (world.orders, world.nginx.prepared) == ([], 0)

    def test_what_is_forced_is_issued_exactly_once(self) -> None:
        world = FakeWorld()
        old = world.keep(A)
        world.issuer.issues[A] = {"ari": "new"}
        assert actions(world.run(force=True)) == [Action.ISSUED]
        assert (world.issuer.orders, world.issuer.asked) == ([(A, old)], ["new"])

    def test_more_certificates_than_threads_are_all_seen_to(self) -> None:
        names = [f"n{number}.example" for number in range(20)]
        world = FakeWorld(*names)
        assert actions(world.run()) == [Action.ISSUED] * 20
        assert world.nginx.applied == [names]

    def test_the_journal_of_a_finished_issuance_is_gone(self) -> None:
        world = FakeWorld()
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
        world = FakeWorld(A, B, C)
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
        world = FakeWorld()
        world.issuer.fails[A] = ZeroDivisionError("a slip")
        assert "report" in world.run()[A].hint
        assert world.notes.of("bug") == [(A, "ZeroDivisionError('a slip')")]

    def test_a_bug_is_not_run_into_again_at_once(self) -> None:
        world = FakeWorld()
        world.issuer.fails[A] = ZeroDivisionError("a slip")
        assert world.run()[A].next == NOW + MINUTE
        failure = world.vault.failure(A)
        assert failure is not None
        assert failure.exit_code == 70

    def test_nginx_that_cannot_be_looked_at_for_one_leaves_the_others_alone(self) -> None:
        world = FakeWorld(A, B)
        world.nginx.blind[A] = Refused("cannot read")
        outcomes = world.run()
        assert (outcomes[A].action, outcomes[A].error) == (Action.FAILED, "cannot read")
        assert outcomes[B].action is Action.ISSUED

    def test_a_store_that_cannot_be_read_for_one_leaves_the_others_alone(self) -> None:
        world = FakeWorld(A, B)
        world.store.unreadable[f"certificate/{A}"] = Refused("cannot read: permission denied")
        outcomes = world.run()
        assert (outcomes[A].action, outcomes[A].exit_code) == (Action.FAILED, 1)
        assert outcomes[B].action is Action.ISSUED
        assert world.nginx.shown.keys() == {B}

    def test_a_failure_to_deploy_that_cannot_be_noted_leaves_the_others_alone(self) -> None:
        world = FakeWorld(A, B)
        world.nginx.refuses[A] = NotServed("nginx shows another")
        world.store.unwritable[f"failure/{A}"] = Transient("the disk is full")
        outcomes = world.run()
        assert (outcomes[A].action, outcomes[B].action) == (Action.FAILED, Action.ISSUED)

    def test_who_is_served_by_somebody_else_is_deployed_though_its_order_failed(self) -> None:
        world = FakeWorld()
        world.keep(A, due(A), served=False)
        world.issuer.fails[A] = Refused("the CA said no")
        outcome = world.run()[A]
        assert (outcome.action, outcome.error, outcome.served) == (Action.FAILED, "the CA said no", True)
        assert world.nginx.applied == [[A]]


class TestLeftovers:
    def test_records_of_a_dead_run_are_swept_though_nothing_is_due(self) -> None:
        world = FakeWorld(A, B)
        world.keep(A)
        world.keep(B)
        world.leave(A)
        assert actions(world.run()) == [Action.FRESH, Action.FRESH]
        assert world.issuer.tidied == [A]
        assert world.vault.progress(A) == Progress()

    def test_what_cannot_be_swept_holds_nothing_up(self) -> None:
        world = FakeWorld()
        world.keep(A, due(A))
        world.leave(A)
        world.issuer.tidies = False
        assert actions(world.run()) == [Action.ISSUED]
        assert len(world.vault.progress(A).handles) == 1


class TestPreparing:
    def test_every_run_prepares_what_nginx_includes_for_all_certificates(self) -> None:
        world = FakeWorld(A, B)
        world.run(A)
        assert world.nginx.prepared == 1
        assert world.engine.prepare() == [A, B]

    def test_whoever_holds_nginx_prepares_it(self) -> None:
        world = FakeWorld()
        with world.vault.nginx():
            assert world.engine.prepare() == ()


def test_a_second_holder_in_the_fake_store_is_refused_as_in_the_real_ones() -> None:
    world = FakeWorld()
    with world.vault.certificate(A), pytest.raises(LockBusy), world.vault.certificate(A):
        pass


def test_the_fake_deployer_is_told_specs_and_materials_that_belong_together() -> None:
    class Strict(FakeDeployer):
        def apply(self, changes: Sequence[object]) -> None:
            for change in changes:
                assert change.material.pairs[0].domains == change.spec.domains  # type: ignore[attr-defined]
            super().apply(changes)  # type: ignore[arg-type]

    world = FakeWorld(A, B)
    world.nginx = Strict()
    assert actions(world.run()) == [Action.ISSUED, Action.ISSUED]


def test_a_changed_configuration_is_ordered_and_deployed_in_place_of_the_old_one() -> None:
    world = FakeWorld()
    world.keep(A)
    changed: CertSpec = replace(world.specs[0], domains=(A, f"*.{A}"))
    world.specs = (changed,)
    assert actions(world.run()) == [Action.ISSUED]
    stored = world.vault.material(A)
    assert stored is not None
    assert stored.pairs[0].domains == (A, f"*.{A}")


def test_times_in_outcomes_are_aware() -> None:
    world = FakeWorld()
    outcome = world.run()[A]
    assert isinstance(outcome.not_after, datetime)
    assert outcome.next.utcoffset() == outcome.not_after.utcoffset() == timedelta(0)


def test_an_order_that_nobody_needs_any_more_is_dropped_with_its_key() -> None:
    world = FakeWorld()
    world.keep(A)
    with world.vault.certificate(A) as ledger:
        ledger.save(Progress(order=PendingOrder(KeyKind.EC256, (A, "b.example"), SERVER, "KEY", "CSR")))
    assert actions(world.run()) == [Action.FRESH]
    assert world.vault.progress(A) == Progress()


def test_a_failure_that_nothing_is_left_of_is_forgotten() -> None:
    world = FakeWorld()
    world.keep(A)
    with world.vault.certificate(A) as ledger:
        ledger.failed(Failure(Stage.ISSUE, 3, NOW - DAY, NOW, "the disk was full"))
    assert actions(world.run()) == [Action.FRESH]
    assert world.vault.failure(A) is None

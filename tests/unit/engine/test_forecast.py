"""What a cycle would do, and until when nothing is due."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime

import pytest
from support.facts import missing
from support.fake_world import MINUTE, A, B, C, FakeWorld, due
from support.fakes import DAY, NOW, material, spec

from renewer.cli.render import json_output
from renewer.core.errors import (
    Refused,
    Transient,
)
from renewer.core.model import (
    Action,
    CertSpec,
    Suggestion,
)


class TestForecast:
    @pytest.mark.parametrize(
        ("prepare", "action", "detail"),
        [
            (lambda _: None, Action.ISSUED, "none"),
            (lambda world: world.keep(A, due(A)), Action.ISSUED, "due"),
            (lambda world: world.keep(A, served=False), Action.DEPLOYED, "nginx shows something else"),
            (lambda world: world.keep(A), Action.FRESH, ""),
        ],
    )
    def test_a_dry_run_tells_what_would_be_done_and_does_nothing(
        self, prepare: Callable[[FakeWorld], object], action: Action, detail: str
    ) -> None:
        world = FakeWorld()
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
        world = FakeWorld()
        world.keep(A)
        forced = world.run(force=True, dry_run=True)[A]
        assert (forced.action, bool(forced.detail)) == (Action.ISSUED, True)

    def test_an_order_that_a_limit_forbids_is_not_announced(self) -> None:
        world = FakeWorld()
        world.keep(A)
        wait = Transient("no order is sent before then", hint="it is ordered then", retry_after=DAY)
        world.issuer.fails[f"require {A}"] = wait
        outcome = world.run(force=True, dry_run=True)[A]
        assert (outcome.action, outcome.error, outcome.next) == (Action.FAILED, str(wait), NOW + DAY)
        assert (outcome.exit_code, outcome.hint, world.issuer.orders) == (75, wait.hint, [])
        assert world.run(dry_run=True)[A].action is not Action.FAILED, "nothing would be ordered"

    def test_status_tells_the_last_failure_and_changes_nothing(self) -> None:
        world = FakeWorld(A, B)
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


class TestRest:
    """Until when nothing is due is told only if all of it was found as it has to be."""

    @pytest.fixture
    def calm(self) -> FakeWorld:
        world = FakeWorld(A, B)
        for name in (A, B):
            world.keep(name)
        return world

    def rest(self, world: FakeWorld, *names: str, force: bool = False) -> datetime | None:
        return world.engine.run(names, force=force).rest

    def test_nothing_is_due_before_the_first_renewal(self, calm: FakeWorld) -> None:
        calm.keep(B, material(spec(B), begin=NOW - 10 * DAY))
        assert self.rest(calm) == NOW + 50 * DAY

    def test_nor_before_the_ca_is_to_be_asked_again(self, calm: FakeWorld) -> None:
        kept = calm.keep(B, material(spec(B), ari="id"))
        with calm.vault.certificate(B) as ledger:
            ledger.suggest(Suggestion(kept.pairs[0].ari, ask_again=NOW + DAY / 2))
        assert self.rest(calm) == NOW + DAY / 2

    def test_a_person_who_asks_for_some_tells_nothing_of_all(self, calm: FakeWorld) -> None:
        assert self.rest(calm, A, B) is None
        assert self.rest(calm)
        assert self.rest(calm, force=True) is None

    def test_a_cycle_that_did_something_leaves_that_to_the_next(self, calm: FakeWorld) -> None:
        calm.nginx.shown.clear()
        assert self.rest(calm) is None
        assert self.rest(calm)
        calm.keep(A, due(A))
        assert self.rest(calm) is None
        assert self.rest(calm)

    def test_who_does_not_get_through_has_no_rest(self, calm: FakeWorld) -> None:
        calm.nginx.blind[A] = Refused("nobody can see it", hint="")
        assert self.rest(calm) is None
        del calm.nginx.blind[A]
        calm.keep(A, due(A))
        calm.issuer.fails[A] = Transient("the CA is down", hint="", retry_after=10 * MINUTE)
        for _ in range(2):  # the second waits for its time
            assert self.rest(calm) is None

    def test_what_was_begun_has_to_be_ended_first(self, calm: FakeWorld) -> None:
        calm.leave(C)  # of a certificate that is not wanted any more
        assert self.rest(calm) is None
        assert self.rest(calm)
        calm.leave(A)
        assert self.rest(calm) is None

    def test_files_that_cannot_be_prepared_leave_no_rest(
        self, calm: FakeWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def prepare(specs: Sequence[CertSpec]) -> Sequence[str]:
            raise Refused(f"{len(specs)} cannot be written", hint="")

        monkeypatch.setattr(calm.nginx, "prepare", prepare)
        assert self.rest(calm) is None
        done = calm.engine.run()
        assert (done.exit_code, missing(str(done.error), "nginx", "2 cannot be written")) == (1, [])
        assert json.loads(json_output.as_json(done))["error"] == done.error

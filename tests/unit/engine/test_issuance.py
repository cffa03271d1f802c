"""Ordering in a cycle: failures and their back-off, rehearsals, and when the CA says to renew."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from support.facts import missing
from support.fake_world import MINUTE, A, B, FakeWorld, actions, due
from support.fakes import DAY, NOW, SERVER, FakeClock, FakeIssuer, material, spec

from renewer.core.errors import (
    Refused,
    RenewerError,
    Stopped,
    Transient,
)
from renewer.core.failure import Stage
from renewer.core.interfaces import Journal
from renewer.core.model import (
    Action,
    CertSpec,
    Change,
    Fallback,
    Material,
    Suggestion,
    Window,
)


class TestFailingToIssue:
    def test_a_failure_is_kept_with_its_back_off_and_forgotten_after_a_success(self) -> None:
        world = FakeWorld()
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
        world = FakeWorld()
        world.issuer.fails[A] = Transient("slow down", hint="wait", retry_after=timedelta(hours=1))
        world.run()
        world.clock.time += timedelta(minutes=59)
        held = world.run(force=True)[A]
        assert world.orders == [A]
        assert (held.action, held.exit_code, held.hint) == (Action.FAILED, 75, "wait")
        assert missing(str(held.error), "slow down", "2026-11-23 13:00:00 UTC") == []
        assert held.next == NOW + timedelta(hours=1)
        world.clock.time += MINUTE
        world.run()
        assert world.orders == [A, A]

    def test_to_be_asked_to_end_is_no_failure(self) -> None:
        world = FakeWorld(A, B)
        world.issuer.fails[A] = Stopped("asked to end", hint="the next run goes on")
        outcomes = world.run()
        assert outcomes[A].exit_code == 75
        assert world.vault.failure(A) is None
        assert outcomes[B].action is Action.ISSUED

    def test_who_is_asked_to_end_begins_nothing_more(self) -> None:
        world = FakeWorld(A, B)
        world.clock = FakeClock(sleeps=0)
        assert [one.exit_code for one in world.run().values()] == [75, 75]
        assert (world.orders, world.store.values) == ([], {})

    def test_while_another_process_is_at_it_nothing_is_written(self) -> None:
        world = FakeWorld(A, B)
        world.keep(B)
        with world.vault.certificate(A):
            world.store.writes.clear()
            outcomes = world.run()
        assert (outcomes[A].action, outcomes[A].exit_code) == (Action.FAILED, 75)
        assert outcomes[B].action is Action.FRESH
        assert (world.store.writes, world.orders) == ([], [])

    def test_what_cannot_be_done_nor_noted_now_is_not_due_at_once(self) -> None:
        world = FakeWorld()
        with world.vault.certificate(A):
            assert world.run()[A].next == NOW + MINUTE
        world.issuer.fails[A] = Transient("the disk is full")
        world.store.unwritable[f"failure/{A}"] = Transient("the disk is full")
        assert world.run()[A].next == NOW + MINUTE

    def test_what_another_process_renewed_while_others_were_waited_for_is_told_as_it_is_then(self) -> None:
        world = FakeWorld(A, B)
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
        world = FakeWorld()
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
        world = FakeWorld()
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

    def world(self, error: RenewerError) -> tuple[FakeWorld, list[str]]:
        """Return a world after the first failure, and what is asked of its issuer."""
        world = FakeWorld()
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

    def asked(self, answer: Window | Exception | None) -> FakeWorld:
        world = FakeWorld()
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

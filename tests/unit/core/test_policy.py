"""The one decision: what a certificate needs next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.facts import missing
from support.fakes import DAY, NOW, SERVER, material, spec

from renewer.core import backoff, policy
from renewer.core.backoff import Attempt
from renewer.core.clock_skew import refuse_earlier_than
from renewer.core.errors import Refused
from renewer.core.failure import Deploys, Failure, Stage
from renewer.core.model import CertSpec, Fallback, KeyKind, Observation, Snapshot, Suggestion, Window
from renewer.core.policy import Ask, Deploy, Issue, Rest, decide

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SERVED = Observation(published=True, served=True)
UNSERVED = Observation(published=True, served=False, detail="nginx shows another")
SPEC = spec()
FRESH = Snapshot(SPEC, SERVED, material(SPEC))
DUE = Snapshot(SPEC, SERVED, material(SPEC, begin=NOW - 70 * DAY))
WITH_ARI = material(SPEC, ari="key.serial")


def failed(stage: Stage = Stage.ISSUE, *, binding: bool = False, wait: timedelta = HOUR) -> Failure:
    return Failure(stage, 1, NOW - MINUTE, NOW - MINUTE + wait, "it went wrong", binding=binding)


def suggested(instant: timedelta | None, ask_again: timedelta = HOUR, ari: str = "key.serial") -> Suggestion:
    at = None if instant is None else NOW + instant
    return Suggestion(ari, NOW + ask_again, at, at, at)


def reason(snapshot: Snapshot) -> str:
    step = decide(snapshot, NOW).step
    assert isinstance(step, Issue), step
    return step.reason


class TestIssue:
    def test_what_is_not_there_is_issued(self) -> None:
        assert "none" in reason(Snapshot(SPEC, Observation(published=False, served=None)))

    @pytest.mark.parametrize(
        ("wanted", "why"),
        [
            (replace(SPEC, directory_url="https://other.example/"), SERVER),
            (replace(SPEC, domains=("example.com", "*.example.com")), "domains"),
            (replace(SPEC, domains=("example.net",)), "domains"),
            (replace(SPEC, keys=(KeyKind.RSA2048,)), "keys"),
            (replace(SPEC, keys=(KeyKind.EC256, KeyKind.RSA2048)), "keys"),
        ],
    )
    def test_what_differs_from_the_configuration_is_issued(self, wanted: CertSpec, why: str) -> None:
        assert why in reason(replace(FRESH, spec=wanted))

    def test_fewer_kinds_of_keys_are_a_difference_too(self) -> None:
        both = spec(kinds=(KeyKind.EC256, KeyKind.RSA2048))
        assert "keys" in reason(Snapshot(SPEC, SERVED, material(both)))

    @pytest.mark.parametrize(
        "wanted",
        [
            replace(SPEC, profile="shortlived"),
            spec("example.com", "b.example", "a.example"),
            spec(kinds=(KeyKind.RSA2048, KeyKind.EC256)),
        ],
    )
    def test_a_profile_and_the_order_of_names_and_keys_are_no_difference(self, wanted: CertSpec) -> None:
        stored = material(replace(wanted, domains=wanted.domains[::-1], keys=wanted.keys[::-1]))
        assert isinstance(decide(Snapshot(wanted, SERVED, stored), NOW).step, Rest)

    def test_what_is_asked_for_is_issued(self) -> None:
        assert reason(replace(FRESH, forced=True))
        assert reason(replace(DUE, forced=True)) != reason(DUE), "force is the reason"

    def test_what_is_due_is_issued(self) -> None:
        assert missing(reason(DUE), "due", "2026-12-13 12:00:00 UTC") == []

    def test_what_has_ended_is_issued_without_asking_when(self) -> None:
        ended = material(SPEC, begin=NOW - 91 * DAY, ari="key.serial")
        assert "due" in reason(Snapshot(SPEC, UNSERVED, ended))

    def test_issuing_goes_before_asking_and_deploying(self) -> None:
        due = material(SPEC, begin=NOW - 70 * DAY, ari="key.serial")
        assert isinstance(decide(Snapshot(SPEC, UNSERVED, due), NOW).step, Issue)


class TestLadder:
    def test_asking_goes_before_deploying(self) -> None:
        assert decide(Snapshot(SPEC, UNSERVED, WITH_ARI), NOW).step == Ask()

    @pytest.mark.parametrize(
        ("sight", "step"),
        [
            (Observation(published=True, served=True), Rest),
            (Observation(published=True, served=None), Deploy),
            (Observation(published=True, served=False), Deploy),
            (Observation(published=False, served=True), Deploy),
            (Observation(published=False, served=None), Deploy),
            (Observation(published=False, served=False), Deploy),
        ],
    )
    def test_only_what_is_published_and_not_seen_to_differ_needs_no_deploy(
        self, sight: Observation, step: type
    ) -> None:
        assert isinstance(decide(replace(FRESH, sight=sight), NOW).step, step)

    def test_where_nobody_sees_it_served_what_was_last_taken_up_counts(self) -> None:
        assert FRESH.material
        unseen = replace(FRESH, sight=Observation(published=True, served=None))
        took = replace(unseen, deploys=Deploys(FRESH.material.fingerprints[0]))
        assert isinstance(decide(took, NOW).step, Rest)
        assert isinstance(
            decide(replace(took, sight=Observation(published=False, served=None)), NOW).step, Deploy
        )
        assert isinstance(decide(replace(unseen, deploys=Deploys("another")), NOW).step, Deploy)

    def test_a_deploy_says_what_was_seen(self) -> None:
        assert decide(replace(FRESH, sight=UNSERVED), NOW).step == Deploy("nginx shows another")
        unsaid = decide(replace(FRESH, sight=replace(UNSERVED, detail="")), NOW).step
        assert isinstance(unsaid, Deploy)
        assert "nginx" in unsaid.reason

    def test_a_rest_lasts_until_the_renewal(self) -> None:
        assert decide(FRESH, NOW).step == Rest(NOW - DAY + 60 * DAY)


class TestDates:
    @pytest.mark.parametrize(
        ("life", "part"),
        [
            (90 * DAY, 2 / 3),
            (45 * DAY, 2 / 3),
            (10 * DAY, 2 / 3),
            (10 * DAY - timedelta(seconds=1), 1 / 2),
            (6 * DAY, 1 / 2),
            (timedelta(seconds=60), 1 / 2),
        ],
    )
    def test_due_at_two_thirds_and_at_half_of_a_short_life(self, life: timedelta, part: float) -> None:
        snapshot = Snapshot(SPEC, SERVED, material(SPEC, begin=NOW, life=life))
        due = NOW + life * part
        assert decide(snapshot, NOW).renewal == due
        assert decide(snapshot, due - timedelta(seconds=1)).step == Rest(due)
        assert isinstance(decide(snapshot, due).step, Issue)

    def test_of_two_pairs_the_later_start_and_the_earlier_end_count(self) -> None:
        first, second = (
            material(SPEC, begin=NOW + days * DAY, life=life * DAY) for days, life in ((0, 90), (1, 60))
        )
        both = replace(first, pairs=first.pairs + second.pairs)
        assert policy.backstop(both) == NOW + DAY + 40 * DAY

    def test_where_there_is_none_it_is_due_now(self) -> None:
        assert decide(Snapshot(SPEC, SERVED), NOW).renewal == NOW


class TestSuggestion:
    @pytest.mark.parametrize(
        ("snapshot_ari", "suggestion", "asks"),
        [
            ("key.serial", None, True),
            ("key.serial", suggested(5 * DAY), False),
            ("key.serial", suggested(5 * DAY, ask_again=timedelta(0)), True),
            ("key.serial", suggested(None), False),
            ("key.serial", suggested(5 * DAY, ari="former"), True),
            ("", None, False),
        ],
    )
    def test_asked_when_there_is_something_to_ask(
        self, snapshot_ari: str, suggestion: Suggestion | None, *, asks: bool
    ) -> None:
        snapshot = Snapshot(SPEC, SERVED, material(SPEC, ari=snapshot_ari), suggestion)
        assert isinstance(decide(snapshot, NOW).step, Ask) == asks

    def test_nobody_is_asked_about_what_has_ended_though_its_renewal_is_held(self) -> None:
        ended = material(SPEC, begin=NOW - 90 * DAY, ari="key.serial")
        step = decide(Snapshot(SPEC, SERVED, ended, failure=failed(binding=True)), NOW).step
        assert isinstance(step, Rest)

    @pytest.mark.parametrize(
        ("suggestion", "due"),
        [
            (suggested(3 * DAY), NOW + 3 * DAY),
            (suggested(-3 * DAY), NOW - 3 * DAY),
            (suggested(80 * DAY), NOW + 80 * DAY),
            (suggested(88 * DAY), NOW - DAY + 90 * DAY * 19 / 20),
            (suggested(None), NOW + 59 * DAY),
            (suggested(3 * DAY, ari="former"), NOW + 59 * DAY),
        ],
    )
    def test_the_suggestion_goes_first_but_not_beyond_nineteen_twentieths_of_life(
        self, suggestion: Suggestion, due: datetime
    ) -> None:
        assert decide(Snapshot(SPEC, SERVED, WITH_ARI, suggestion), NOW).renewal == due

    def test_an_instant_is_drawn_inside_the_window(self) -> None:
        window = Window(NOW, NOW + 2 * DAY, HOUR, "https://ca.example/why")
        drawn = policy.choose(window, "a", None, NOW, 0.25)
        assert drawn == Suggestion(
            "a", NOW + HOUR, NOW, NOW + 2 * DAY, NOW + DAY / 2, explanation_url="https://ca.example/why"
        )

    @pytest.mark.parametrize(
        ("ari", "start", "end", "redrawn"),
        [
            ("a", NOW, NOW + DAY, False),
            ("b", NOW, NOW + DAY, True),
            ("a", NOW + HOUR, NOW + DAY, True),
            ("a", NOW, NOW + 2 * DAY, True),
        ],
    )
    def test_the_instant_is_drawn_anew_only_for_another_window_or_certificate(
        self, ari: str, start: datetime, end: datetime, *, redrawn: bool
    ) -> None:
        before = policy.choose(Window(NOW, NOW + DAY, HOUR), "a", None, NOW, 0.1)
        after = policy.choose(Window(start, end, HOUR), ari, before, NOW + MINUTE, 0.9)
        assert (after.instant != before.instant) == redrawn
        assert after.ask_again == NOW + MINUTE + HOUR

    def test_a_window_after_none_is_drawn_in(self) -> None:
        before = Suggestion("a", NOW)
        assert policy.choose(Window(NOW, NOW + DAY, HOUR), "a", before, NOW, 0.5).instant == NOW + DAY / 2

    @pytest.mark.parametrize(
        ("told", "kept"),
        [(timedelta(0), MINUTE), (-DAY, MINUTE), (2 * MINUTE, 2 * MINUTE), (DAY, DAY), (2 * DAY, DAY)],
    )
    def test_retry_after_is_clamped(self, told: timedelta, kept: timedelta) -> None:
        assert policy.choose(Window(NOW, NOW + DAY, told), "a", None, NOW, 0).ask_again == NOW + kept

    def test_without_an_answer_the_old_suggestion_stays_and_is_asked_for_later(self) -> None:
        before = suggested(3 * DAY, ask_again=-HOUR)
        assert policy.unanswered(before, "key.serial", NOW) == replace(before, ask_again=NOW + 6 * HOUR)
        assert policy.unanswered(before, "other", NOW) == Suggestion("other", NOW + 6 * HOUR)
        assert policy.unanswered(None, "other", NOW) == Suggestion("other", NOW + 6 * HOUR)


class TestFailures:
    @pytest.mark.parametrize(
        ("snapshot", "failure", "step"),
        [
            (DUE, failed(binding=True), Rest),
            (DUE, failed(binding=False), Issue),
            (DUE, failed(binding=True, wait=timedelta(0)), Issue),
            (replace(DUE, forced=True), failed(binding=True), Rest),
            (replace(DUE, sight=UNSERVED), failed(binding=True), Deploy),
        ],
    )
    def test_what_binds_holds_an_order_but_never_a_deploy(
        self, snapshot: Snapshot, failure: Failure, step: type
    ) -> None:
        assert isinstance(decide(replace(snapshot, failure=failure), NOW).step, step)

    def test_a_held_renewal_says_why_and_until_when(self) -> None:
        held = failed(binding=True)
        assert decide(replace(DUE, failure=held), NOW).step == Rest(held.retry, held)

    def test_what_a_wrong_clock_wrote_down_binds_nobody(self) -> None:
        held = failed(binding=True)
        ahead = replace(held, at=NOW + 365 * DAY, retry=NOW + 366 * DAY)
        assert isinstance(decide(replace(DUE, failure=ahead), NOW).step, Issue)

    def test_a_clock_that_was_set_back_is_refused(self) -> None:
        kept = replace(material(spec()), obtained=NOW)
        refuse_earlier_than(kept.obtained, NOW - 23 * HOUR)
        refuse_earlier_than(None, NOW)
        with pytest.raises(Refused, match="clock is wrong"):
            refuse_earlier_than(kept.obtained, NOW - 25 * HOUR)

    @pytest.mark.parametrize(
        ("snapshot", "stage", "stands", "following"),
        [
            (DUE, Stage.ISSUE, True, NOW - MINUTE + HOUR),
            (FRESH, Stage.ISSUE, False, decide(FRESH, NOW).renewal),
            (replace(FRESH, sight=UNSERVED), Stage.ISSUE, False, NOW),
            (replace(FRESH, sight=UNSERVED), Stage.DEPLOY, True, NOW - MINUTE + HOUR),
            (FRESH, Stage.DEPLOY, False, decide(FRESH, NOW).renewal),
            (DUE, Stage.DEPLOY, False, NOW),
        ],
    )
    def test_a_failure_stands_as_long_as_its_step_is_due_and_what_else_is_due_is_due_now(
        self, snapshot: Snapshot, stage: Stage, following: datetime, *, stands: bool
    ) -> None:
        failure = failed(stage)
        order, deploys = (None, Deploys("", failure)) if stage is Stage.DEPLOY else (failure, Deploys())
        snapshot = replace(snapshot, failure=order, deploys=deploys)
        assert decide(snapshot, NOW).standing == ((failure,) if stands else ())
        assert decide(snapshot, NOW).next_due == following


instants = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
lives = st.timedeltas(timedelta(seconds=2), 400 * DAY)
specs = st.builds(
    CertSpec,
    name=st.just("a"),
    domains=st.sampled_from([("a.example",), ("b.example",)]),
    directory_url=st.sampled_from([SERVER, "https://other.example/"]),
    keys=st.sampled_from([(KeyKind.EC256,), (KeyKind.RSA2048,)]),
)
materials = st.builds(material, specs, begin=instants, life=lives, ari=st.sampled_from(["", "one", "two"]))
suggestions = st.builds(
    Suggestion,
    ari=st.sampled_from(["one", "two"]),
    ask_again=instants,
    instant=st.none() | instants,
)
failures = st.builds(
    Failure,
    stage=st.sampled_from(Stage),
    count=st.integers(1, 9),
    at=instants,
    retry=instants,
    message=st.just("x"),
    binding=st.booleans(),
)
snapshots = st.builds(
    Snapshot,
    spec=specs,
    sight=st.builds(Observation, published=st.booleans(), served=st.none() | st.booleans()),
    material=st.none() | materials,
    suggestion=st.none() | suggestions,
    failure=st.none() | failures,
    leftovers=st.booleans(),
    forced=st.booleans(),
)


@given(snapshots, instants)
def test_there_is_always_one_step_and_a_rest_ends_in_the_future(snapshot: Snapshot, now: datetime) -> None:
    match decide(snapshot, now).step:
        case Issue(reason=why):
            assert why
            stored = snapshot.material
            assert (
                stored is None
                or snapshot.forced
                or now >= decide(snapshot, now).renewal
                or (stored.directory_url, stored.pairs[0].domains, stored.pairs[0].kind)
                != (snapshot.spec.directory_url, snapshot.spec.domains, snapshot.spec.keys[0])
            )
        case Ask():
            assert snapshot.material is not None
        case Deploy(why):
            assert why
            assert decide(snapshot, now).undeployed
        case Rest(until, held):
            assert until > now
            assert held is None or (held.binding and held.stage is Stage.ISSUE)


@given(snapshots, instants)
def test_who_obeys_comes_to_rest(snapshot: Snapshot, now: datetime) -> None:
    asked = 0
    while not isinstance(step := decide(snapshot, now).step, Rest):
        match step:
            case Issue():
                new = material(snapshot.spec, begin=now, ari="new")
                snapshot = replace(snapshot, material=new, forced=False, sight=UNSERVED)
            case Ask():
                assert snapshot.material is not None
                asked += 1
                kept = policy.unanswered(snapshot.suggestion, snapshot.material.pairs[0].ari, now)
                snapshot = replace(snapshot, suggestion=kept)
            case Deploy():
                snapshot = replace(snapshot, sight=SERVED)
    assert asked <= 2


class TestOtherCas:
    """A second CA steps in near the end, or when the first one has failed for long."""

    FALLBACKS = (Fallback("https://b.example/", DAY), Fallback("https://c.example/", 2 * DAY))
    OTHERS = replace(SPEC, fallbacks=FALLBACKS)

    def asked(self, failure: Failure | None, *, begin: datetime = NOW - 70 * DAY) -> str:
        kept = material(self.OTHERS, begin=begin)
        return policy._choose_ca(Snapshot(self.OTHERS, SERVED, kept, failure=failure), NOW)

    def test_while_nothing_fails_it_is_the_first(self) -> None:
        assert self.asked(None) == SERVER

    def test_a_failure_that_is_young_leaves_it_at_the_first(self) -> None:
        assert self.asked(replace(failed(), directory_url=SERVER, since=NOW - 23 * HOUR)) == SERVER

    @pytest.mark.parametrize(
        ("last", "following"), [(SERVER, "https://b.example/"), ("https://b.example/", SERVER), ("", SERVER)]
    )
    def test_those_that_may_take_turns(self, last: str, following: str) -> None:
        assert self.asked(replace(failed(), directory_url=last, since=NOW - DAY)) == following

    def test_near_the_end_every_one_may_at_once(self) -> None:
        near = NOW - 73 * DAY
        assert self.asked(replace(failed(), directory_url=SERVER), begin=near) == "https://b.example/"
        assert (
            self.asked(replace(failed(), directory_url="https://b.example/"), begin=near)
            == "https://c.example/"
        )
        assert self.asked(replace(failed(), directory_url="https://c.example/"), begin=near) == SERVER

    def test_what_binds_at_one_does_not_at_another(self) -> None:
        bound = replace(failed(binding=True), directory_url=SERVER, since=NOW - DAY)
        due = Snapshot(self.OTHERS, SERVED, material(self.OTHERS, begin=NOW - 70 * DAY), failure=bound)
        step = decide(due, NOW).step
        assert isinstance(step, Issue)
        assert step.directory_url == "https://b.example/"
        assert decide(replace(due, spec=SPEC), NOW).step == Rest(bound.retry, bound)

    def test_each_binds_until_its_own_time(self) -> None:
        """Else two that bind would be asked in turns, as often as somebody looks."""
        begin, spec_, failure = NOW - 70 * DAY, self.OTHERS, None
        orders: list[tuple[str, timedelta]] = []
        kept = material(spec_, begin=begin)
        for minutes in range(0, 60 * 48, 30):
            now = NOW + minutes * MINUTE
            step = decide(Snapshot(spec_, SERVED, kept, failure=failure), now).step
            if isinstance(step, Issue):
                error = Refused("the CA saw no record", spent=True)
                attempt = Attempt(Stage.ISSUE, now, directory_url=step.directory_url)
                failure = backoff.failure(attempt, error, failure, kept)
                orders.append((step.directory_url, now - NOW))
        assert {server for server, _ in orders} == {SERVER, "https://b.example/"}
        assert len(orders) < 9

    def test_what_another_issued_is_as_good(self) -> None:
        kept = replace(material(SPEC), directory_url="https://b.example/")
        assert decide(Snapshot(self.OTHERS, SERVED, kept), NOW).reason == ""
        assert "another CA" in decide(Snapshot(SPEC, SERVED, kept), NOW).reason

    def test_after_a_failure_an_order_is_rehearsed_unless_time_runs_out(self) -> None:
        cautious = replace(SPEC, rehearse="https://test.example/")

        def rehearsed(failure: Failure | None, begin: datetime) -> str | None:
            step = decide(
                Snapshot(cautious, SERVED, material(cautious, begin=begin), failure=failure), NOW
            ).step
            assert isinstance(step, Issue)
            return step.rehearse

        assert rehearsed(None, NOW - 70 * DAY) is None
        assert rehearsed(failed(), NOW - 70 * DAY) == "https://test.example/"
        assert rehearsed(failed(), NOW - 87 * DAY) is None

"""Which notices follow from how a cycle ended and from what was told before."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import DAY, NOW, material

from renewer.core.errors import ConfigError, Transient, Unexpected
from renewer.core.hook import HookAction, HookOutcome
from renewer.core.model import Action, CertOutcome, Outcome
from renewer.core.notice import CYCLE, Heard, Life, Notice, NoticeKind, Record, SubjectStatus, Trouble, Warned
from renewer.core.site import SiteAction, SiteOutcome
from renewer.notify import rules
from renewer.notify.rules import LONGEST

A = rules.certificate("a.example")
LIFE = Life("f1", NOW - 30 * DAY, NOW + 60 * DAY)
NEXT = Life("f2", NOW, NOW + 90 * DAY)
ME = "me"
SHARE = 0.25


def finding(error: str | None = None, code: int = 1, life: Life | None = LIFE, **more: bool) -> SubjectStatus:
    return SubjectStatus(
        A, "a.example", error, "do this" if error else "", code if error else 0, life, **more
    )


def step(record: Record, found: SubjectStatus, now: datetime = NOW) -> tuple[Record, list[NoticeKind]]:
    """Return the record after a cycle, and what was told, which always arrives."""
    record = replace(record, troubles=rules.troubles(record.troubles, [found], now))
    new = rules.news([found], record, ME, now, SHARE)
    return record.told(ME, new), [one.kind for one in new]


@pytest.mark.parametrize(
    ("found", "heard", "kind"),
    [
        (finding(), Heard(), None),
        (finding("no"), Heard(), NoticeKind.FAILED),
        (finding("no"), Heard(NOW - DAY, "f1"), None),
        (finding("later", 75), Heard(), None),
        (finding(), Heard(NOW - DAY, "f1"), NoticeKind.RECOVERED),
        (finding(looked=False), Heard(NOW - DAY, "f1"), None),
        (finding("no", life=None), Heard(), NoticeKind.FAILED),
        (finding(life=replace(LIFE, end=NOW + 5 * DAY)), Heard(), NoticeKind.EXPIRING),
        (finding(life=replace(LIFE, end=NOW + 5 * DAY), looked=False), Heard(), NoticeKind.EXPIRING),
        (finding("later", 75, life=replace(LIFE, end=NOW + 5 * DAY)), Heard(), NoticeKind.EXPIRING),
        (finding(life=replace(LIFE, end=NOW + 5 * DAY)), Heard(None, "f1", Warned.SOON), None),
        (finding(life=replace(LIFE, end=NOW + DAY)), Heard(None, "f1", Warned.SOON), NoticeKind.EXPIRING),
        (finding(life=replace(LIFE, end=NOW)), Heard(None, "f1", Warned.NEAR), NoticeKind.EXPIRED),
        (finding(life=replace(LIFE, end=NOW)), Heard(None, "f1", Warned.OVER), None),
        (finding(life=NEXT), Heard(None, "f1", Warned.NEAR), NoticeKind.RECOVERED),
        (finding("no", life=NEXT), Heard(NOW - DAY, "f1", Warned.NEAR), None),
        (finding(life=replace(NEXT, end=NOW + 1 * DAY, begin=NOW - 9 * DAY)), Heard(None, "f1", Warned.SOON),
         NoticeKind.EXPIRING),
        (finding(), Heard(None, "f1", Warned.NEAR), None),  # the clock was set back
    ],
)  # fmt: skip
def test_what_is_told(found: SubjectStatus, heard: Heard, kind: NoticeKind | None) -> None:
    record = Record(rules.troubles({}, [found], NOW), {ME: {A: heard}})
    assert [one.kind for one in rules.news([found], record, ME, NOW, SHARE)] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("part", "warned"),
    [
        (0.0, Warned.NOT),
        (0.74, Warned.NOT),
        (0.75, Warned.SOON),
        (0.94, Warned.SOON),
        (0.95, Warned.NEAR),
        (0.999, Warned.NEAR),
        (1.0, Warned.OVER),
        (7.0, Warned.OVER),
        (-1.0, Warned.NOT),
    ],
)
@pytest.mark.parametrize("days", [6, 90])
def test_the_warnings_of_a_life(part: float, warned: Warned, days: int) -> None:
    life = Life("f", NOW, NOW + days * DAY)
    assert life.warned(NOW + (life.end - life.begin) * part, SHARE) is warned


@pytest.mark.parametrize(
    ("life", "wait"), [(None, DAY), (LIFE, DAY), (Life("f", NOW, NOW + 6 * DAY), 0.6 * DAY)]
)
def test_try_later_is_told_when_it_lasts(life: Life | None, wait: timedelta) -> None:
    record, told = step(Record(), finding("later", 75, life))
    assert told == []
    record, told = step(record, finding("later", 75, life), NOW + wait - timedelta(minutes=1))
    assert told == []
    record, told = step(record, finding("later", 75, life), NOW + wait)
    assert told == [NoticeKind.FAILED]
    assert record.troubles[A] == Trouble(NOW, grave=True)


def test_what_was_grave_once_stays_so_while_it_waits_for_its_retry() -> None:
    record = Record(rules.troubles({}, [finding("no")], NOW))
    record, told = step(record, finding("not tried again before noon", 75), NOW + timedelta(hours=1))
    assert told == [NoticeKind.FAILED]  # the first time nobody took it


def test_a_trouble_that_passed_untold_is_forgotten() -> None:
    record, _ = step(Record(), finding("later", 75))
    record, told = step(record, finding())
    assert (told, record.troubles) == ([], {})


def test_a_clock_that_was_set_back_does_not_put_a_trouble_into_the_future() -> None:
    record, _ = step(Record(), finding("later", 75), NOW + 900 * DAY)
    record, _ = step(record, finding("later", 75))
    assert record.troubles[A].since == NOW


def test_what_stood_in_the_way_of_all_is_a_finding() -> None:
    (whole,) = rules.findings(Outcome((), error="what nginx includes: no", code=1), None, {})
    assert (whole.subject, whole.error, whole.exit_code) == (CYCLE, "what nginx includes: no", 1)


def test_a_cycle_that_broke_is_a_finding_and_certificates_still_expire() -> None:
    old = material(begin=NOW - 89 * DAY)
    found = rules.findings(Outcome(()), Unexpected("it died", hint="see the log"), {"a.example": old})
    record = Record(rules.troubles({}, found, NOW))
    told = rules.news(found, record, ME, NOW, SHARE)
    assert [(one.finding.subject, one.kind) for one in told] == [
        (CYCLE, NoticeKind.FAILED),
        (A, NoticeKind.EXPIRING),
    ]


def test_every_part_of_an_outcome_is_a_finding() -> None:
    certificate = CertOutcome("a.example", Action.FAILED, NOW, error="no", hint="do", exit_code=75)
    site = SiteOutcome("a", SiteAction.FAILED, NOW, error="none", exit_code=1)
    hook = HookOutcome("h", HookAction.FAILED, error="gone", exit_code=1)
    kept = {"a.example": material(), "b.example": None}
    found = {
        one.subject: one for one in rules.findings(Outcome((certificate,), (site,), (hook,)), None, kept)
    }
    assert found[CYCLE] == SubjectStatus(CYCLE, "renewer")
    assert (found[A].error, found[A].hint, found[A].exit_code, found[A].looked) == ("no", "do", 75, True)
    assert found[rules.certificate("b.example")].looked is False
    assert found[rules.site("a")].error == "none"
    assert (found[rules.hook("h")].error, found[rules.hook("h")].exit_code) == ("gone", 1)


@pytest.mark.parametrize(
    ("troubles", "found", "good"),
    [
        ({}, finding(), True),
        ({A: Trouble(NOW, grave=True)}, finding("no"), False),
        ({A: Trouble(NOW)}, finding("later", 75), None),
        ({"certificate/b": Trouble(NOW, grave=True)}, finding(), None),
        ({A: Trouble(NOW, grave=True)}, finding(looked=False), None),
    ],
)
def test_the_pulse_is_good_only_where_all_is_well(
    troubles: dict[str, Trouble],
    found: SubjectStatus,
    good: bool | None,  # noqa: FBT001 - what is expected
) -> None:
    assert rules.verdict([found], Record(troubles)) is good


def test_a_message_says_what_since_when_and_what_to_do() -> None:
    soon = replace(LIFE, end=NOW + 5 * DAY)
    notice = Notice(NoticeKind.EXPIRING, finding("the CA says no", life=soon), Heard(), NOW - DAY)
    sent = rules.message([notice], "host1", NOW)
    assert sent.title == "renewer on host1: a.example will expire"
    assert sent.body.splitlines() == [
        "a.example will expire.",
        "Problem: the CA says no",
        "Since: 2026-11-22 12:00 UTC",
        "What to do: do this",
        "Its certificate expires 2026-11-28 12:00 UTC, in 5 days.",
    ]
    assert not sent.good


def test_a_recovery_says_how_long_it_took() -> None:
    sent = rules.message([Notice(NoticeKind.RECOVERED, finding(), Heard(), NOW - DAY)], "host1", NOW)
    assert "a.example has recovered.\nIt had been failing since 2026-11-22 12:00 UTC." in sent.body
    assert sent.good


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(minutes=10), "in 10 minutes"),
        (timedelta(minutes=120), "in 2 hours"),
        (timedelta(hours=47), "in 47 hours"),
        (timedelta(hours=50), "in 2 days"),
        (-timedelta(days=3), "3 days ago"),
    ],
)
def test_how_far_away_the_end_is(left: timedelta, said: str) -> None:
    notice = Notice(NoticeKind.EXPIRING, finding(life=replace(LIFE, end=NOW + left)), Heard())
    assert said in rules.message([notice], "h", NOW).body


@pytest.mark.parametrize("length", [10, 10_000])
def test_a_message_is_never_too_long_for_a_service(length: int) -> None:
    many = [Notice(NoticeKind.FAILED, finding("x" * length), Heard(), NOW)] * 100
    sent = rules.message(many, "h", NOW)
    assert sent.title == "renewer on h: a.example failed, and 99 more"
    assert len(sent.body) < LONGEST + 200
    listed = sent.body.count("a.example failed.")
    assert f"And {100 - listed} more: see renewer status on h." in sent.body


# -- any history --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Day:
    """What a cycle found, and whether what was sent arrived."""

    code: int | None
    renewed: bool
    hours: int
    arrives: bool

    def finding(self, life: Life) -> SubjectStatus:
        if self.code is None:
            return finding(life=life, looked=False)
        return finding("no" if self.code else None, self.code, life)


days = st.builds(
    Day,
    st.sampled_from([0, 0, 1, 75, 78, 70, None]),
    st.booleans(),
    st.integers(1, 700),
    st.sampled_from([True, True, False]),
)


@given(st.lists(days, max_size=40))
def test_nothing_is_told_twice_and_whoever_heard_of_a_failure_hears_of_its_end(history: list[Day]) -> None:
    record, life, now = Record(), LIFE, NOW
    failing, warned = False, set[tuple[str, Warned]]()
    for number, day in enumerate(history):
        now += timedelta(hours=day.hours)
        if day.renewed and day.code == 0:
            life = Life(f"g{number}", now, now + 90 * DAY)
        found = day.finding(life)
        record = replace(record, troubles=rules.troubles(record.troubles, [found], now))
        new = rules.news([found], record, ME, now, SHARE)
        assert len(new) <= 1
        if failing and day.code == 0 and life.warned(now, SHARE) is Warned.NOT:
            assert [one.kind for one in new] == [NoticeKind.RECOVERED]
        if not day.arrives:
            continue
        for one in new:
            step = (life.fingerprint, life.warned(now, SHARE))
            match one.kind:
                case NoticeKind.FAILED:
                    assert not failing
                    failing = True
                case NoticeKind.RECOVERED:
                    assert failing or warned
                    failing = False
                case _:
                    assert step not in warned
                    warned.add(step)
                    failing = failing or bool(record.troubles.get(A, Trouble(now)).grave)
        record = msgspec.json.decode(msgspec.json.encode(record.told(ME, new)), type=Record)
        again = {one.kind for one in rules.news([found], record, ME, now, SHARE)}
        assert again == ({NoticeKind.RECOVERED} if failing and day.code == 0 else set())  # after a warning


def test_what_ends_a_cycle_counts_by_its_exit_code() -> None:
    for error, grave in ((ConfigError("x"), True), (Transient("x"), False)):
        found = rules.findings(Outcome(()), error, {})
        assert rules.troubles({}, found, NOW)[CYCLE].grave is grave

"""How long to wait after a failure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import DAY, NOW, material, spec

from renewer.core import backoff
from renewer.core.backoff import Attempt
from renewer.core.errors import DeployFailed, LockBusy, NotServed, Refused, RenewerError, Transient
from renewer.core.failure import Failure, Stage

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SPEC = spec()


@pytest.mark.parametrize(
    ("stage", "count", "wait"),
    [
        (Stage.ISSUE, 1, MINUTE),
        (Stage.ISSUE, 2, 10 * MINUTE),
        (Stage.ISSUE, 3, 100 * MINUTE),
        (Stage.ISSUE, 4, DAY),
        (Stage.ISSUE, 99, DAY),
        (Stage.DEPLOY, 1, MINUTE),
        (Stage.DEPLOY, 2, 10 * MINUTE),
        (Stage.DEPLOY, 99, 10 * MINUTE),
    ],
)
def test_the_table_of_waits(stage: Stage, count: int, wait: timedelta) -> None:
    assert backoff.wait(Attempt(stage, NOW), count, None) == wait
    assert backoff.wait(Attempt(stage, NOW), count, material(SPEC)) == wait


@pytest.mark.parametrize(("count", "wait"), [(1, MINUTE), (2, 6 * MINUTE), (9, 6 * MINUTE)])
def test_no_wait_is_longer_than_a_tenth_of_life(count: int, wait: timedelta) -> None:
    assert backoff.wait(Attempt(Stage.ISSUE, NOW), count, material(SPEC, begin=NOW, life=HOUR)) == wait


@pytest.mark.parametrize(
    ("error", "wait", "binding"),
    [
        (Transient("x"), MINUTE, False),
        (Transient("x", retry_after=HOUR), HOUR, True),
        (Transient("x", retry_after=timedelta(0)), MINUTE, True),
        (Refused("x"), MINUTE, False),
        (Refused("x", spent=True), MINUTE, True),
        (LockBusy("x"), MINUTE, False),
    ],
)
def test_what_is_kept_of_an_error(error: RenewerError, wait: timedelta, *, binding: bool) -> None:
    error.hint = "do that"
    kept = backoff.failure(Attempt(Stage.ISSUE, NOW), error, None, None)
    assert kept == Failure(
        Stage.ISSUE,
        1,
        NOW,
        NOW + wait,
        "x",
        hint="do that",
        exit_code=error.exit_code,
        binding=binding,
        since=NOW,
    )


def test_failures_of_the_same_kind_are_counted() -> None:
    first = backoff.failure(Attempt(Stage.ISSUE, NOW), Refused("x"), None, None)
    second = backoff.failure(Attempt(Stage.ISSUE, NOW + HOUR), Refused("x"), first, None)
    other = backoff.failure(Attempt(Stage.DEPLOY, NOW), NotServed("x"), second, None)
    assert [one.count for one in (first, second, other)] == [1, 2, 1]
    assert second.retry == NOW + HOUR + 10 * MINUTE
    assert [one.began for one in (first, second, other)] == [NOW, NOW, NOW]


@pytest.mark.parametrize(("chance", "hours"), [(0.0, 21.6), (0.5, 24), (1.0, 26.4)])
def test_the_daily_retry_is_spread_and_nothing_sooner_is(chance: float, hours: float) -> None:
    assert backoff.wait(Attempt(Stage.ISSUE, NOW, chance), 4, None) == hours * HOUR
    assert backoff.wait(Attempt(Stage.ISSUE, NOW, chance), 3, None) == 100 * MINUTE


@pytest.mark.parametrize(
    ("left", "expected"), [(30 * DAY, DAY), (5 * DAY, 12 * HOUR), (HOUR, 10 * MINUTE), (-DAY, 10 * MINUTE)]
)
def test_the_less_is_left_the_sooner_it_is_tried_again(left: timedelta, expected: timedelta) -> None:
    kept = material(SPEC, begin=NOW + left - 90 * DAY)
    assert backoff.wait(Attempt(Stage.ISSUE, NOW), 9, kept) == expected
    assert backoff.wait(Attempt(Stage.ISSUE, NOW), 1, kept) == MINUTE


@given(
    st.sampled_from(Stage),
    st.sampled_from(
        [Transient("x", retry_after=HOUR), Refused("x", spent=True), DeployFailed("x", ours=True)]
    ),
    st.integers(0, 9),
    st.timedeltas(timedelta(seconds=2), 400 * DAY),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.floats(0, 1),
)
def test_a_retry_is_always_in_the_future(  # noqa: PLR0913, PLR0917 - what is drawn
    stage: Stage, error: RenewerError, count: int, life: timedelta, now: datetime, chance: float
) -> None:
    before = Failure(stage, count, NOW, NOW, "x") if count else None
    kept = backoff.failure(Attempt(stage, now, chance), error, before, material(SPEC, life=life))
    assert kept.retry > now
    assert kept.count == count + 1

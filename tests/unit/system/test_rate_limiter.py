"""Requests that wait for their turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.facts import missing
from support.fakes import FakeClock, Notes

from renewer.dns.cloudflare.client import AT_ONCE, CALLS, PERIOD, Api, client
from renewer.system.rate_limiter import RateLimiter


def test_who_would_cross_the_limit_waits_just_as_long_as_needed_and_is_told() -> None:
    clock, told = FakeClock(), list[float]()
    pace = RateLimiter(clock, 1000, 300.0, told.append)
    for _ in range(1000):
        pace.wait()
    assert clock.slept == []
    clock.sleep(100.0)
    for _ in range(1000):
        pace.wait()
    assert clock.slept == [100.0, 200.0]
    pace.wait()
    assert clock.slept[2:] == [300.0]
    assert told == [200.0, 300.0]


@pytest.mark.parametrize("requests", [1, 1000])
def test_nobody_waits_within_the_limit(requests: int) -> None:
    clock = FakeClock()
    pace = RateLimiter(clock, 1000, 300.0)
    for _ in range(requests):
        pace.wait()
    assert clock.slept == []


def test_what_is_beyond_the_first_half_of_cloudflare_s_limit_is_spread() -> None:
    clock, notes = FakeClock(), Notes()
    with client("x" * 40, "http://127.0.0.1:1") as sdk:
        calls = Api(lambda: sdk, clock, notes)
        for _ in range(AT_ONCE):
            calls._pace.wait()
        assert clock.slept == []
        for _ in range(CALLS - AT_ONCE):  # all of them in no time, were they not spread
            calls._pace.wait()
        assert sum(clock.slept) == pytest.approx(PERIOD)
        assert notes.of("doing") == []


def test_a_person_is_told_that_there_are_none_left() -> None:
    clock, notes = FakeClock(), Notes()
    with client("x" * 40, "http://127.0.0.1:1") as sdk:
        calls = Api(lambda: sdk, clock, notes)
        calls._pace._made.extend([clock.monotonic()] * CALLS)
        calls._pace.wait()
    assert clock.slept == [PERIOD]
    [(subject, told)] = notes.of("doing")
    assert (subject, missing(told, "300 seconds", "1,000", "5 minutes")) == ("cloudflare", [])


@given(st.lists(st.floats(0, 50), max_size=60), st.integers(1, 10), st.integers(1, 10))
def test_whatever_comes_the_limit_holds(gaps: list[float], most: int, at_once: int) -> None:
    clock, made = FakeClock(), list[float]()
    pace = RateLimiter(clock, most, 100.0, at_once=min(at_once, most))
    for gap in gaps:
        clock.sleep(gap)
        pace.wait()
        made.append(clock.monotonic())
    for first, beyond in zip(made, made[most:], strict=False):
        assert beyond - first >= 100.0 - 1e-6

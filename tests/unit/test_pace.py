"""Requests that wait for their turn."""

import pytest
from fakes import FakeClock, Notes

from renewer.dns.api import CALLS, PERIOD, Api, client
from renewer.pace import Pace


def test_who_would_cross_the_limit_waits_just_as_long_as_needed_and_is_told() -> None:
    clock, told = FakeClock(), list[float]()
    pace = Pace(clock, 1000, 300.0, told.append)
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
    pace = Pace(clock, 1000, 300.0)
    for _ in range(requests):
        pace.wait()
    assert clock.slept == []


def test_a_person_is_told_that_cloudflare_s_limit_is_waited_for() -> None:
    clock, notes = FakeClock(), Notes()
    with client("x" * 40, "http://127.0.0.1:1") as sdk:
        calls = Api(sdk, clock, notes)
        for _ in range(CALLS):
            calls._pace.wait()
        assert notes.of("doing") == []
        calls._pace.wait()
    assert clock.slept == [PERIOD]
    assert notes.of("doing") == [
        ("cloudflare", "waits 300 seconds: more than 1,000 calls in 5 minutes would be too many")
    ]

"""The record that `check` creates and removes in each zone."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from support.fakes import DAY, NOW, FakeClock, FakeProvider, MemJournal
from support.scene import NAME

from renewer.check import (
    zones,
)
from renewer.core.finding import Status
from renewer.core.journal import Handle, TxtRecord
from renewer.dns.provider import usual


@pytest.mark.parametrize(
    ("age", "value", "left"),
    [
        (zones.ABANDONED + timedelta(seconds=1), None, True),
        (zones.ABANDONED, None, False),
        (timedelta(0), None, False),
        (DAY, "somebody else's", False),
        (DAY, "1764000000.too-short", False),
    ],
)
def test_a_record_of_a_check_that_was_killed(age: timedelta, value: str | None, *, left: bool) -> None:
    record = zones.trial(NAME, NOW - age)
    assert record.name == f"_renewer-check.{NAME}"
    assert zones.abandoned(replace(record, value=value) if value else record, NOW) is left


class SlowDns(FakeProvider):
    """A DNS in which every record takes 4 seconds."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock

    def present(self, records: Sequence[TxtRecord]) -> Sequence[Handle]:
        self.clock.sleep(4)
        return super().present(records)


def test_no_record_is_created_that_there_may_be_no_time_to_remove() -> None:
    clock, journal = FakeClock(), MemJournal()
    dns = SlowDns(clock)
    trials = zones.Trials(dns, journal, clock, usual(), "")
    found = list(trials.created([f"z{number:02}.example" for number in range(20)]))
    assert [one.status for one in found] == [Status.OK] * 5 + [Status.WARNING]
    assert "z05.example, z06.example, z07.example, z08.example, z09.example and 10 more" in found[-1].what
    assert journal.load().records == tuple(trials.right) == tuple(dns.standing.values())

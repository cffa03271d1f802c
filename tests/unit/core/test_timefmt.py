"""Times as a person reads them."""

from datetime import timedelta

import pytest
from support.fakes import DAY, NOW

from renewer.cli.render.tables import when
from renewer.core.timefmt import at, distance

SECOND, MINUTE, HOUR = (timedelta(seconds=seconds) for seconds in (1, 60, 3600))


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (90 * DAY, "in 90 days"),
        (90 * DAY - SECOND, "in 90 days"),
        (90 * DAY - HOUR, "in 89 days"),
        (-90 * DAY + SECOND, "90 days ago"),
        (2 * DAY - SECOND, "in 2 days"),
        (2 * DAY - HOUR, "in 47 hours"),
        (2 * HOUR, "in 2 hours"),
        (2 * HOUR - MINUTE, "in 119 minutes"),
        (90 * SECOND - timedelta(milliseconds=1), "in 1 minute"),
        (-MINUTE, "1 minute ago"),
        (29 * SECOND, "now"),
        (timedelta(), "now"),
    ],
)
def test_it_is_told_in_the_largest_unit_that_tells_it_well(left: timedelta, words: str) -> None:
    assert distance(left) == words


def test_a_time_is_told_to_the_minute_with_how_far_away_it_is() -> None:
    assert when(NOW + 3 * DAY, NOW) == f"{at(NOW + 3 * DAY)}, in 3 days" == "2026-11-26 12:00 UTC, in 3 days"

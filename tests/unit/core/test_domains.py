"""Names and the zones that they lie in."""

import pytest

from renewer.core.domains import closest, within


@pytest.mark.parametrize(
    ("name", "zone", "lies"),
    [
        ("example.com", "example.com", True),
        ("_acme-challenge.www.example.com", "example.com", True),
        ("notexample.com", "example.com", False),
        ("com", "example.com", False),
        ("example.com.net", "example.com", False),
    ],
)
def test_a_name_lies_in_a_zone_by_whole_labels(name: str, zone: str, *, lies: bool) -> None:
    assert within(name, zone) is lies


def test_records_go_into_the_zone_with_the_longest_name() -> None:
    zones = ["com", "sub.example.com", "example.com", "example.net"]
    assert closest("_acme-challenge.www.sub.example.com", zones) == "sub.example.com"
    assert closest("_acme-challenge.example.com", zones) == "example.com"
    assert closest("_acme-challenge.example.org", zones) is None

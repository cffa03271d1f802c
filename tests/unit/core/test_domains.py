"""Names of domains, as the DNS takes them, and the zones that they lie in."""

import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renewer.core import domains
from renewer.core.domains import closest, within
from renewer.core.errors import ConfigError

texts = st.text(max_size=12) | st.from_regex(r"[*a-z0-9./:\[\]@-]{0,20}", fullmatch=True)
labels = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@settings(max_examples=40)
@given(st.lists(labels, min_size=2, max_size=8), st.booleans())
def test_any_ldh_name_is_a_domain_and_stays_one(parts: list[str], wildcard: bool) -> None:  # noqa: FBT001
    name = "*." * wildcard + ".".join(parts)
    assert domains.domain(name.upper()) == domains.domain(name) == name


@given(texts)
def test_a_domain_is_fit_for_the_wire(text: str) -> None:
    with suppress(ConfigError):
        name = domains.domain(text)
        assert re.fullmatch(r"(\*\.)?([a-z0-9-]{1,63}\.)+[a-z0-9-]{1,63}", name)
        assert len(name) <= 253


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

"""Names of domains, as the DNS takes them."""

import re
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from renewer.core import domains
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

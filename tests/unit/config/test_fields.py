"""Any document, text and value is read, or is a fault."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.configuration import EVERYTHING

from renewer.config import acme, fields, load, reader, schema
from renewer.core import domains
from renewer.core.errors import ConfigError

KEYS = re.findall(r"^([a-z_]+) =|^\[+([a-z]+)", EVERYTHING, re.MULTILINE)
words = st.sampled_from(sorted({a or b for a, b in KEYS})) | st.text(max_size=8)
texts = st.text(max_size=12) | st.from_regex(r"[*a-z0-9./:\[\]@-]{0,20}", fullmatch=True)
values = st.recursive(
    texts | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.dictionaries(words, values, max_size=5))
def test_any_document_is_a_configuration_or_has_faults(document: dict[str, object]) -> None:
    loaded, said = reader.read(schema.Config, document)
    assert (loaded is None) == bool(said)


@given(st.text())
def test_any_text_is_a_configuration_or_a_configuration_error(text: str) -> None:
    with suppress(ConfigError):
        load.parse(text, "f")


readers: list[Callable[[str], object]] = [
    domains.domain,
    fields.duration,
    fields.path,
    fields.nginx_path,
    fields.address,
    fields.https_or_local_url,
    fields.origin,
    fields.home,
    fields.email,
    fields.certificate_name,
    acme.server,
    schema.rotation,
]


@pytest.mark.parametrize("reader", readers)
@settings(max_examples=25)
@given(text=texts | st.text(alphabet=st.characters(exclude_categories=()), max_size=8))
def test_any_value_is_read_or_a_configuration_error(reader: Callable[[str], object], text: str) -> None:
    with suppress(ConfigError):
        reader(text)


@given(st.integers(1, 3650), st.sampled_from("smhd"))
def test_durations(figure: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert fields.duration(f"{figure}{unit}") == timedelta(seconds=figure * seconds)

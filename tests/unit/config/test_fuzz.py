"""Whatever a person writes, each parser gives a value, a told problem or an error of the program."""

import base64
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fuzz import NAME, damaged, noise, often, texts

from renewer.config import fields, load, secrets
from renewer.core import domains
from renewer.core.errors import ConfigError

toml_values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.datetimes() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = [line.split("=")[0].strip("# ") for line in Path("examples/renewer.toml").read_text().splitlines()]
tables = st.dictionaries(
    st.sampled_from([key for key in KEYS if re.fullmatch(r"[a-z_]+", key)]) | st.text(max_size=8),
    toml_values
    | st.sampled_from(["1d", "https://a.example", "a.example", "/a", [["a"]], {"a": "1/7d"}, "a.example:53"]),
    max_size=5,
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "state": toml_values,
        "acme": tables | st.fixed_dictionaries({"fallback": st.lists(tables, max_size=2), "limits": tables}),
        "cloudflare": tables,
        "propagation": tables,
        "certificate": st.dictionaries(st.sampled_from([NAME, "a", "../a", ""]), tables, max_size=2),
        "nginx": tables,
        "site": st.dictionaries(st.text(max_size=3), tables, max_size=2),
        "hook": tables | st.fixed_dictionaries({"command": st.lists(tables, max_size=2)}),
    },
)


def written(value: object) -> str:
    """Write a value as TOML."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {written(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case str() | bool():
            return json.dumps(value)
        case float():
            return repr(value)
        case _:
            return str(value)


class TestWhatAPersonWrites:
    @often(6)
    @given(documents)
    def test_a_document_is_a_configuration_or_a_configuration_error(self, document: dict[str, Any]) -> None:
        text = "".join(f"{key} = {written(value)}\n" for key, value in document.items())
        with suppress(ConfigError):
            known = load.parse(text, "f")
            assert len(known.specs) + len(known.site_specs)

    @often(6)
    @given(damaged(Path("examples/renewer.toml").read_bytes()))
    def test_the_example_with_a_slip_is_a_configuration_or_a_configuration_error(self, data: bytes) -> None:
        with suppress(ConfigError):
            load.parse(data.decode(errors="surrogateescape"), "f")

    @often(4)
    @given(noise | damaged(b'[certificate."a.example"]\ndomains = ["a.example"]\n'))
    def test_a_file_of_any_bytes_is_text_or_a_configuration_error(
        self, tmp_path_factory: pytest.TempPathFactory, data: bytes
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "any.toml"
        path.write_bytes(data)
        with suppress(ConfigError):
            load.load(path)

    @often(2)
    @given(
        st.sampled_from([fields.duration, fields.address, fields.file_mode, domains.domain, fields.origin]),
        texts | st.from_regex(r"\[?[0-9a-f:.]{1,20}\]?(:[0-9]{0,9})?") | st.from_regex(r"[0-9]{1,12}[smhd]?"),
    )
    def test_a_single_value_is_read_or_a_configuration_error(
        self, read: Callable[[str], object], text: str
    ) -> None:
        with suppress(ConfigError):
            read(text)

    @often(4)
    @given(noise | st.binary(max_size=50).map(base64.urlsafe_b64encode))
    def test_a_secret_s_file_is_a_word_or_a_configuration_error(
        self, tmp_path_factory: pytest.TempPathFactory, data: bytes
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "any.secret"
        path.touch(0o600)
        path.write_bytes(data)
        for read in (lambda: secrets.read_secret(path, "here"), lambda: secrets.eab_hmac_key(path)):
            with suppress(ConfigError):
                assert re.fullmatch("[!-~]+", read())

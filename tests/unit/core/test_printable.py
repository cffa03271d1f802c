"""Foreign text made fit: whatever comes in, nothing goes out that a terminal or journald would obey."""

import json
import subprocess
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hostile.text import CONTROLS, HONEST, MARK, TEXT, harm

from renewer.config.template import Draft, Planned
from renewer.core.printable import LINE, at_margin, document, lines, printable, shell
from renewer.dns.cloudflare.setup import TokenSetup
from renewer.store.codec import decode, encode

anything = st.text(st.characters(exclude_categories=()), max_size=60) | st.just(TEXT)
storable = st.text(max_size=60) | st.just(TEXT)

SHOWN = {
    "": "",
    HONEST: HONEST,
    "a\\x1b": "a\\x1b",
    "\x1b[31mred": "\\x1b[31mred",
    "\x1b]52;c;eA==\x07": "\\x1b]52;c;eA==\\x07",
    "\x9b31m": "\\x9b31m",
    "one\n<0>two\r\nthree\n": "one <0>two three",
    "a\tb\x0bc\x0cd\x85e\u2028f\u2029g\u00a0h\u3000i": "a b c d e f g h i",
    "a  b": "a  b",
    "exe.\u202egnp": "exe.\\u202egnp",
    "a\u200bb\ufeff": "a\\u200bb\\ufeff",
    "\U000e0041": "\\U000e0041",
    "\ue000": "\\ue000",
    "\x7f\x00": "\\x7f\\x00",
    "caf\udce9": "caf\\xe9",
    "\ud800": "\\ud800",
}


@pytest.mark.parametrize("text", SHOWN)
def test_what_does_more_than_be_read_is_written_as_its_escape(text: str) -> None:
    assert printable(text) == SHOWN[text]


@given(anything)
def test_no_text_does_harm_and_what_is_fit_stays_as_it_is(text: str) -> None:
    fit = printable(text)
    assert [*harm(at_margin(fit))] == []
    assert fit == printable(fit)
    assert "\n" not in fit
    assert text == fit or not text.isprintable()


@given(anything, st.integers(1, 30))
def test_a_long_text_is_cut(text: str, most: int) -> None:
    fit = printable(text * 5, most)
    assert len(fit) <= most + 1
    assert fit == printable(fit, most)


def test_no_line_is_so_long_that_journald_would_break_it() -> None:
    assert max(len(line.encode()) for line in lines("\U0001f512" * 100_000)) < 48 * 1024
    assert LINE * 4 <= 48 * 1024


@given(st.recursive(anything, lambda inner: st.lists(inner) | st.dictionaries(anything, inner)))
def test_a_json_document_is_ascii_and_what_a_program_prints_of_it_does_no_harm(value: object) -> None:
    text = document(value)
    assert text.isascii()
    assert [*harm(text)] == []
    told = json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    assert [*harm(told)] == []


@given(storable)
def test_what_is_stored_comes_back_as_it_was_and_can_be_looked_at(text: str) -> None:
    data = encode({text: [text]})
    assert decode(data, dict[str, list[str]]) == {text: [text]}
    assert [*harm(data.decode())] == []
    assert text != HONEST or HONEST in data.decode()


def test_what_is_stored_without_need_is_stored_as_ever() -> None:
    assert encode({"a": HONEST}) == msgspec.json.encode({"a": HONEST})


NAMES = [
    "plain",
    "a b",
    "x; touch pwned",
    "$(touch pwned)",
    "`x`",
    "it's",
    'a"b',
    "-n",
    "\n<0>x",
    "\x1b]0;x\x07",
    "é",
]


@pytest.mark.parametrize("name", [*NAMES, "\udce9", f"'\\{CONTROLS.replace(chr(0), '')}"])
@pytest.mark.parametrize("shells", ["bash"])
def test_a_path_in_a_command_is_one_word_for_a_shell(tmp_path: Path, name: str, shells: str) -> None:
    word = shell(f"/{name}")
    assert [*harm(word)] == []
    said = subprocess.run([shells, "-c", f"printf %s {word}"], cwd=tmp_path, capture_output=True, check=True)
    assert said.stdout == f"/{name}".encode("utf-8", "surrogateescape")
    assert list(tmp_path.iterdir()) == []


@given(storable, storable, storable)
def test_no_name_gets_out_of_its_place_in_a_new_configuration(name: str, value: str, remark: str) -> None:
    certificates = [Planned(name, (value, name)), Planned(name, (value,), remark=f"{remark}\n[hook]")]
    dns = TokenSetup(Path("/etc/renewer.toml"), f"/{value}".replace("\0", "")).table
    text = Draft(certificates, dns, value, [value], value).text
    found = tomllib.loads(text)
    assert found.keys() == {"acme", "cloudflare", "certificate", "nginx"}
    assert found["certificate"] == {name: {"domains": [value, name]}}
    assert (found["acme"].get("email", ""), found["acme"]["fallback"][0]["server"]) == (value, value)
    assert [*harm(text)] == []
    assert MARK not in value or MARK in text

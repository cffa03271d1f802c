"""From TOML to typed tables: what is told, and where."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.facts import missing

from renewer.config import reader
from renewer.core.errors import ConfigError, Fault

UNEVEN, NOT_RISING, TOO_MANY = "is not even", "is not more than the one before", "has too many"
UNFIT = "does not suit the owner"
"""What the readers of this test say."""


def even(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) % 2:
        raise ConfigError(UNEVEN)
    return int(text)


def rising(items: Mapping[int, int]) -> Iterator[tuple[int | None, str]]:
    last = -1
    for index, item in items.items():
        if item <= last:
            yield index, NOT_RISING
        last = item


def few(items: Mapping[str, object]) -> Iterator[tuple[None, str]]:
    if len(items) > 2:
        yield None, TOO_MANY


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Room(reader.Table, frozen=True):
    door: Annotated[int, even]
    colour: Colour = Colour.RED
    light: bool = True


class House(reader.Table, frozen=True):
    motto: str = ""
    roof: Literal["flat", "steep"] | tuple[str, ...] = "flat"
    steps: Annotated[tuple[Annotated[int, even], ...], reader.Together(rising, least=1)] = (0,)
    owner: Annotated[int, even] | None = None
    rooms: Annotated[Mapping[Annotated[str, even], Room], reader.Together(few)] = msgspec.field(
        default_factory=dict, name="room"
    )
    cellar: Room | None = None
    sheds: tuple[Room, ...] = msgspec.field(default=(), name="shed")

    def conflicts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        if self.motto == "plain" and self.owner:
            yield ("motto", "owner"), UNFIT


def told(document: Mapping[str, object]) -> list[Fault]:
    return reader.read(House, document)[1]


def test_a_document_without_faults_becomes_its_table() -> None:
    text = """
    motto = "plain"
    roof = ["tiles", "straw"]
    steps = ["2", "4"]
    cellar = { door = "8", light = false }
    [room.2]
    door = "4"
    colour = "blue"
    [[shed]]
    door = "6"
    """
    house, faults = reader.read(House, reader.parse(text))
    assert not faults
    assert house == House(
        motto="plain",
        roof=("tiles", "straw"),
        steps=(2, 4),
        rooms={2: Room(4, colour=Colour.BLUE)},  # type: ignore[dict-item]
        cellar=Room(8, light=False),
        sheds=(Room(6),),
    )


def test_every_key_has_a_default() -> None:
    assert reader.read(House, {}) == (House(), [])


@pytest.mark.parametrize(
    ("document", "place", "facts"),
    [
        ({"motto": 3}, "motto", ["number", "text"]),
        ({"motto": 3.5}, "motto", ["number", "text"]),
        ({"motto": True}, "motto", ["true or false", "text"]),
        ({"motto": []}, "motto", ["list", "text"]),
        ({"motto": {}}, "motto", ["table", "text"]),
        ({"motto": datetime(2026, 1, 1, tzinfo=UTC)}, "motto", ["date", "text"]),
        ({"roof": 1}, "roof", ["number", "or a list"]),
        ({"roof": "steeep"}, "roof", ["flat, steep"]),
        ({"roof": ["straw", 1]}, "roof[1]", ["number", "text"]),
        ({"owner": "7"}, "owner", [UNEVEN]),
        ({"steps": []}, "steps", ["at least one"]),
        ({"steps": "2"}, "steps", ["text", "list"]),
        ({"steps": ["2", "2"]}, "steps[1]", [NOT_RISING]),
        ({"room": []}, "room", ["list", "table"]),
        ({"room": {"2": {}}}, "room.2.door", ["missing"]),
        ({"room": {"1": {"door": "2"}}}, "room.1", [UNEVEN]),
        ({"room": {"2": {"door": "2", "colour": "green"}}}, "room.2.colour", ["red, blue"]),
        ({"room": {"2": {"door": "2", "light": "on"}}}, "room.2.light", ["text", "true or false"]),
        ({"room": {n: {"door": "2"} for n in "246"}}, "room", [TOO_MANY]),
        ({"cellar": {"door": "2", "lihgt": True}}, "cellar.lihgt", ["did you mean light?"]),
        ({"shed": [{"door": "2"}, {"door": "3"}]}, "shed[1].door", [UNEVEN]),
        ({"mottto": ""}, "mottto", ["did you mean motto?"]),
        ({"x y": ""}, '"x y"', ["known key"]),
        ({'a"b\n': ""}, '"a\\"b\\n"', ["known key"]),
        ({"": ""}, '""', ["known key"]),
        ({"rooms": {}}, "rooms", ["did you mean room?"]),
        ({"motto": "plain", "owner": "2"}, "motto", [UNFIT]),
    ],
)
def test_a_fault_names_its_place(document: Mapping[str, object], place: str, facts: list[str]) -> None:
    (fault,) = told(document)
    assert (fault.place, missing(fault.message, *facts)) == (place, [])


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    document = {
        "motto": "plain",
        "steps": ["1", "4", "2"],
        "room": {"2": {"colour": 1}},
        "owner": "3",
        "garden": 1,
    }
    found = told(document)
    assert [fault.place for fault in found] == [
        "steps[0]",
        "steps[2]",
        "room.2.colour",
        "room.2.door",
        "owner",
        "garden",
    ]
    facts = (UNEVEN, NOT_RISING, "number", "missing", UNEVEN, "known key")
    assert [missing(fault.message, fact) for fault, fact in zip(found, facts, strict=True)] == [[]] * 6


def test_names_that_differ_in_case_only_are_one() -> None:
    class Zoo(reader.Table, frozen=True):
        cage: Mapping[str, str] = {}

    _, faults = reader.read(Zoo, {"cage": {"Lion": "", "tiger": "", "lion": ""}})
    assert [(fault.place, missing(fault.message, "Lion")) for fault in faults] == [("cage.lion", [])]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ('[a."b.c"]\nx = 1\n[a."b.c"]\n', ["line 3", '[a."b.c"]']),
        ("a = 1\na = 2", ["line 2", "line"]),
        ("\na = {b = 1, b = 2}\n", ["line 2", "line"]),
        ("a = []\n[[a]]", ["line 2", "line"]),
        ('x = 1\na = "token', ["line 2", "TOML", "unterminated string"]),
        ("a = tru", ["line 1", "TOML", "invalid value"]),
        ("a = " + "[" * 9999, ["TOML"]),
        ("a = " + "1" * 9999, ["TOML"]),
    ],
)
def test_broken_toml_names_the_line(text: str, facts: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        reader.parse(text)
    assert missing(str(error.value), *facts) == []
    assert len(str(error.value)) < 100


scalars = st.one_of(st.text(max_size=5), st.booleans(), st.integers(), st.floats(), st.datetimes())
keys = st.one_of(st.sampled_from(["motto", "roof", "steps", "room", "cellar", "shed", "door"]), st.text())
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40)
@given(st.dictionaries(keys, values, max_size=5))
def test_any_document_is_read_or_has_faults(document: dict[str, object]) -> None:
    house, faults = reader.read(House, document)
    assert (house is None) == bool(faults)


@given(st.text() | st.text(alphabet="[]{}=\"\\.a1\n#'-: "))
def test_any_text_is_toml_or_a_configuration_error(text: str) -> None:
    with suppress(ConfigError):
        assert isinstance(reader.parse(text), dict)

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

from renewer.config import reader
from renewer.core.errors import ConfigError


def even(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) % 2:
        raise ConfigError("is not even")
    return int(text)


def rising(items: Mapping[int, int]) -> Iterator[tuple[int | None, str]]:
    last = -1
    for index, item in items.items():
        if item <= last:
            yield index, "is not more than the one before"
        last = item


def few(items: Mapping[str, object]) -> Iterator[tuple[None, str]]:
    if len(items) > 2:
        yield None, "has too many"


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
            yield ("motto", "owner"), "does not suit the owner"


def told(document: Mapping[str, object]) -> list[str]:
    return [str(fault) for fault in reader.read(House, document)[1]]


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
    ("document", "fault"),
    [
        ({"motto": 3}, "motto: is a number; write text in quotes"),
        ({"motto": 3.5}, "motto: is a number; write text in quotes"),
        ({"motto": True}, "motto: is true or false; write text in quotes"),
        ({"motto": []}, "motto: is a list; write text in quotes"),
        ({"motto": {}}, "motto: is a table; write text in quotes"),
        ({"motto": datetime(2026, 1, 1, tzinfo=UTC)}, "motto: is a date or a time; write text in quotes"),
        ({"roof": 1}, "roof: is a number; write text in quotes or a list"),
        ({"roof": "steeep"}, "roof: must be one of flat, steep"),
        ({"roof": ["straw", 1]}, "roof[1]: is a number; write text in quotes"),
        ({"owner": "7"}, "owner: is not even"),
        ({"steps": []}, "steps: needs at least one entry"),
        ({"steps": "2"}, "steps: is text; write a list"),
        ({"steps": ["2", "2"]}, "steps[1]: is not more than the one before"),
        ({"room": []}, "room: is a list; write a table"),
        ({"room": {"2": {}}}, "room.2.door: is missing"),
        ({"room": {"1": {"door": "2"}}}, "room.1: is not even"),
        ({"room": {"2": {"door": "2", "colour": "green"}}}, "room.2.colour: must be one of red, blue"),
        (
            {"room": {"2": {"door": "2", "light": "on"}}},
            "room.2.light: is text; write true or false",
        ),
        ({"room": {n: {"door": "2"} for n in "246"}}, "room: has too many"),
        ({"cellar": {"door": "2", "lihgt": True}}, "cellar.lihgt: is not a known key; did you mean light?"),
        ({"shed": [{"door": "2"}, {"door": "3"}]}, "shed[1].door: is not even"),
        ({"mottto": ""}, "mottto: is not a known key; did you mean motto?"),
        ({"x y": ""}, '"x y": is not a known key'),
        ({'a"b\n': ""}, '"a\\"b\\n": is not a known key'),
        ({"": ""}, '"": is not a known key'),
        ({"rooms": {}}, "rooms: is not a known key; did you mean room?"),
        ({"motto": "plain", "owner": "2"}, "motto: does not suit the owner"),
    ],
)
def test_a_fault_names_its_place(document: Mapping[str, object], fault: str) -> None:
    assert told(document) == [fault]


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    document = {
        "motto": "plain",
        "steps": ["1", "4", "2"],
        "room": {"2": {"colour": 1}},
        "owner": "3",
        "garden": 1,
    }
    assert told(document) == [
        "steps[0]: is not even",
        "steps[2]: is not more than the one before",
        "room.2.colour: is a number; write text in quotes",
        "room.2.door: is missing",
        "owner: is not even",
        "garden: is not a known key",
    ]


def test_names_that_differ_in_case_only_are_one() -> None:
    class Zoo(reader.Table, frozen=True):
        cage: Mapping[str, str] = {}

    _, faults = reader.read(Zoo, {"cage": {"Lion": "", "tiger": "", "lion": ""}})
    assert [str(fault) for fault in faults] == [
        "cage.lion: differs from Lion only in case; the two count as one name"
    ]


TOO_MUCH = "is not valid TOML: a number is too long, or brackets are nested too deep"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            '[a."b.c"]\nx = 1\n[a."b.c"]\n',
            'line 3: [a."b.c"] is there for the second time; merge the two',
        ),
        ("a = 1\na = 2", "line 2: this key is there for the second time; remove one of the two"),
        ("\na = {b = 1, b = 2}\n", "line 2: this key is there for the second time; remove one of the two"),
        ("a = []\n[[a]]", "line 2: this key is there for the second time; remove one of the two"),
        ('x = 1\na = "token', "line 2: not valid TOML (unterminated string)"),
        ("a = tru", "line 1: not valid TOML (invalid value)"),
        ("a = " + "[" * 9999, TOO_MUCH),
        ("a = " + "1" * 9999, TOO_MUCH),
    ],
)
def test_broken_toml_names_the_line(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        reader.parse(text)
    assert str(error.value) == fault


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

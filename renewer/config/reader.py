"""From TOML to typed tables; all faults are reported at once, each with its place.

A table is a `Table`; the annotations of its fields define the syntax of each key:

    class Example(Table, frozen=True):
        motto: str = ""                                       # text; also for `Literal` and `StrEnum`
        wait: Annotated[timedelta, duration]                  # text; the function may raise `ConfigError`
        names: Annotated[tuple[str, ...], Together(least=1)]  # a list, whose items are checked together
        people: Mapping[str, Person] = {}                     # values under names that the user chooses
        place: Annotated[Table, OneOf(kind, names)]           # one of several tables, each with its own name
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin

import msgspec

from renewer.core.errors import ConfigError, Fault

_Kind = TypeVar("_Kind", bound="Table")
_Field = msgspec.structs.FieldInfo

_FAULTY: Final = object()
"""Stands for a value that could not be read; its faults are already recorded."""

_WORDS = {
    str: "text",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    int: "a number",
    float: "a number",
}
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Table(msgspec.Struct, frozen=True):
    """A table of the configuration: its fields are the keys it may have."""

    def conflicts(self) -> Iterable[tuple[tuple[str, ...], str]]:
        """Return conflicts between keys: the keys concerned, the one to blame first, and the sentence.

        A key with a fault of its own has its default value here; its conflicts are not reported.
        """
        return ()


@dataclass(frozen=True)
class Together:
    """A check of a list as a whole, or of the values under names that the user chooses.

    `check` gets the valid items, by index or name, and yields faults: the index or name to blame (`None` for
    the whole) and the sentence.
    """

    check: Callable[[Mapping[Any, Any]], Iterable[tuple[object, str]]] = lambda _: ()
    least: int = 0


@dataclass(frozen=True)
class OneOf:
    """What one of several tables stands for, each with a name of its own, which is its key.

    `kind` returns the type of the table with a name, and `None` for any other; `names` returns all names.
    """

    kind: Callable[[str], type[Table] | None]
    names: Callable[[], Iterable[str]]


def parse(text: str) -> dict[str, object]:
    """Return a TOML document; raises `ConfigError` with the line number."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax(str(error), text)]) from None
    except (ValueError, RecursionError):  # thousands of digits, or thousands of brackets
        raise ConfigError(
            "is not valid TOML: a number is too long, or brackets are nested too deep"
        ) from None


def read(kind: type[_Kind], document: Mapping[str, object]) -> tuple[_Kind | None, list[Fault]]:
    """Return the document as the table `kind`, or `None` if there are faults, and the faults."""
    faults: list[Fault] = []
    found = _table(kind, document, _Place("", faults))
    return None if faults else cast("_Kind", found), faults


def _syntax(complaint: str, text: str) -> Fault:
    """Reword tomllib's message, which never contains a value."""
    what, _, where = complaint.partition(" (at ")
    found = re.match(r"line (\d+)", where)
    lines = text.rstrip().split("\n")
    line = int(found[1]) if found else len(lines)
    if what.startswith("Cannot declare"):
        table = lines[line - 1].strip()
        return Fault(f"line {line}", f"{table} is there for the second time; merge the two")
    if what.startswith(("Cannot overwrite", "Cannot mutate", "Duplicate")):
        return Fault(f"line {line}", "this key is there for the second time; remove one of the two")
    return Fault(f"line {line}", f"not valid TOML ({what[:1].lower()}{what[1:]})")


@dataclass(frozen=True)
class _Place:
    """The place of a value in the document, and the list that collects every fault."""

    path: str
    faults: list[Fault]

    def fault(self, message: str) -> object:
        self.faults.append(Fault(self.path, message))
        return _FAULTY

    def at(self, step: object) -> "_Place":
        """Return the place of an item, by index, or of a key, by name."""
        if isinstance(step, int):
            return _Place(f"{self.path}[{step}]", self.faults)
        name = _written(str(step))
        return _Place(f"{self.path}.{name}" if self.path else name, self.faults)


def _read(kind: object, value: object, place: _Place) -> object:
    """Return a value as the annotation of its key requires, or `_FAULTY`."""
    arms = _arms(kind)
    for arm in arms:
        if type(value) is _shape(arm):
            return _READERS[type(value)](arm, value, place)
    wanted = " or ".join(dict.fromkeys(map(_expected, arms)))
    return place.fault(f"is {_WORDS.get(type(value), 'a date or a time')}; write {wanted}")


def _expected(kind: object) -> str:
    """Return how to write a value of this kind."""
    plain, _ = _parted(kind)
    if timedelta in {plain, *get_args(plain)}:
        return 'a duration in quotes, such as "30d"'
    word = _WORDS[_shape(kind)]
    return f"{word} in quotes" if word == "text" else word


def _arms(kind: object) -> list[object]:
    """Return the ways to write a value; `None` stands for an omitted key and is not one."""
    if get_origin(kind) in {Union, UnionType}:
        return [arm for arm in get_args(kind) if arm is not NoneType]
    return [kind]


def _shape(kind: object) -> type:
    """Return the type in which tomllib returns a value of this kind."""
    plain, note = _parted(kind)
    if callable(note):
        return str
    if _is_table(plain) or get_origin(plain) is Mapping:
        return dict
    return {bool: bool, tuple: list}.get(get_origin(plain) or plain, str)


def _parted(kind: object) -> tuple[Any, object]:
    """Split `Annotated[plain, note]`; the note is `None` for any other kind."""
    if get_origin(kind) is Annotated:
        plain, note, *_ = get_args(kind)
        return plain, note
    return kind, None


def _is_table(plain: object) -> bool:
    return isinstance(plain, type) and issubclass(plain, Table)


def _as_it_stands(_kind: object, value: object, _place: _Place) -> object:
    return value


def _text(kind: object, value: str, place: _Place) -> object:
    plain, note = _parted(kind)
    if get_origin(plain) is Literal:
        return _choice({one: one for one in get_args(plain)}, value, place)
    if isinstance(plain, type) and issubclass(plain, StrEnum):
        return _choice({one.value: one for one in plain}, value, place)
    if not callable(note):
        return value
    try:
        return note(value)
    except ConfigError as error:
        return place.fault(str(error))


def _choice(choices: Mapping[str, object], value: str, place: _Place) -> object:
    if value in choices:
        return choices[value]
    return place.fault(f"must be one of {', '.join(choices)}")


def _list(kind: object, value: list[object], place: _Place) -> object:
    plain, note = _parted(kind)
    item_kind = get_args(plain)[0]
    items = {index: _read(item_kind, item, place.at(index)) for index, item in enumerate(value)}
    return tuple(items.values()) if _agree(items, note, place) else _FAULTY


def _dict(kind: object, value: dict[str, object], place: _Place) -> object:
    plain, note = _parted(kind)
    if _is_table(plain):
        return _table(plain, value, place)
    name_kind, item_kind = get_args(plain)
    first: dict[str, str] = {}
    names = {
        name: _name(name_kind, name, first.setdefault(name.casefold(), name), place.at(name))
        for name in value
    }
    items = {name: _read(item_kind, item, place.at(name)) for name, item in value.items()}
    if not _agree(items, note, place) or _FAULTY in names.values():
        return _FAULTY
    return {names[name]: item for name, item in items.items()}


def _name(kind: object, name: str, first: str, place: _Place) -> object:
    """Read a name that the user chose; `first` is the first one that equals it in all but case."""
    if first != name:
        return place.fault(f"differs from {_written(first)} only in case; the two count as one name")
    return _read(kind, name, place)


def _agree(items: Mapping[Any, object], note: object, place: _Place) -> bool:
    """Return whether every item is valid, also together with the others."""
    before = len(place.faults)
    if isinstance(note, Together):
        if len(items) < note.least:
            place.fault("needs at least one entry")
        good = {step: item for step, item in items.items() if item is not _FAULTY}
        for step, message in note.check(good):
            (place if step is None else place.at(step)).fault(message)
    return len(place.faults) == before and _FAULTY not in items.values()


def _table(kind: type[Table], value: Mapping[str, object], place: _Place) -> object:
    """Read a table; a faulty key gets its default, and a faulty required key makes the table faulty."""
    fields = _fields(kind, value)
    found = _items(kind, fields, value, place)
    for key, field in fields.items():
        if field.required and key not in value:
            found[key] = place.at(key).fault("is missing")
    faulty = {key for key, item in found.items() if item is _FAULTY}
    if any(fields[key].required for key in faulty):
        return _FAULTY
    table = kind(**{fields[key].name: item for key, item in found.items() if key not in faulty})
    for keys, message in table.conflicts():
        if not faulty.intersection(keys):
            place.at(keys[0]).fault(message)
    return table


def _items(
    kind: type[Table], fields: Mapping[str, _Field], value: Mapping[str, object], place: _Place
) -> dict[str, object]:
    """Return what is there under the keys that a table may have."""
    found: dict[str, object] = {}
    first: dict[str, str] = {}
    for key, item in value.items():
        if key not in fields:
            place.at(key).fault(f"is not a known key{_nearest(key, _keys(kind))}")
        elif (other := first.setdefault(fields[key].name, key)) != key:
            found[key] = place.at(key).fault(f"is there beside {other}; only one of the two can be")
        else:
            found[key] = _read(fields[key].type, item, place.at(key))
    return found


def _fields(kind: type[Table], value: Iterable[str]) -> Mapping[str, _Field]:
    """Return the fields by their keys; that of a `OneOf` for each of its tables which is there."""
    every = [(field, _parted(field.type)[1]) for field in msgspec.structs.fields(kind)]
    found = {field.encode_name: field for field, note in every if not isinstance(note, OneOf)}
    for field, note in every:
        if isinstance(note, OneOf):
            tables = {key: note.kind(key) for key in value if key not in found}
            found |= {
                key: msgspec.structs.replace(field, encode_name=key, type=table)
                for key, table in tables.items()
                if table
            }
    return found


def _keys(kind: type[Table]) -> Iterator[str]:
    """Yield every key that a table may have."""
    for field in msgspec.structs.fields(kind):
        note = _parted(field.type)[1]
        yield from note.names() if isinstance(note, OneOf) else (field.encode_name,)


def _nearest(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _written(name: str) -> str:
    """Return a key as TOML writes it: bare, or in quotes."""
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)


_READERS: Mapping[type, Callable[[Any, Any, _Place], object]] = {
    str: _text,
    bool: _as_it_stands,
    list: _list,
    dict: _dict,
}

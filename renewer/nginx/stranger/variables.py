"""The values of nginx's variables for a stranger's request, and the results of conditions. Pure.

A stranger has no session, no link, no client certificate, and an address that no list names, and is free to
send anything else. A value that cannot be followed never counts as one that refuses the stranger.
"""

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import product

from renewer.nginx.configuration import Directive
from renewer.nginx.stranger.paths import Path, compiled

Block = Sequence[Directive]

_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_PARTS = re.compile(r"(\$\{?\w+\}?)")
_CAPTURE = re.compile(r"\(\?P?[<'](\w+)[>']")
_MOST = 64
"""The most values of a variable before it counts as not understood."""

_DEEPEST = 12
"""The most maps that may build on each other."""

_WIDE = {4: 8, 6: 16}
"""A public network with a shorter prefix than this contains strangers."""


class Rest(IntEnum):
    """What a variable may contain besides the known texts."""

    NOTHING = 0
    FREE = 1  # anything the client chooses: a method, a host
    CLIENT = 2  # anything the client knows; it may have to be a secret
    UNKNOWN = 3


@dataclass(frozen=True)
class Value:
    """The possible values of a variable: certainly `texts`. `session`: a session changes it."""

    texts: frozenset[str] = frozenset()
    rest: Rest = Rest.NOTHING
    session: bool = False


@dataclass(frozen=True)
class Request:
    """The data on which a value depends: the path, and the variables set by `set`.

    `signed`: the required signature is renewer's; `None` if none is required. `claimed`: clients may claim
    any address.
    """

    path: Path
    signed: bool | None = None
    sets: Mapping[str, Value] = field(default_factory=dict)
    claimed: bool = False


@dataclass(frozen=True)
class Outcome:
    """The possible results of a condition for a stranger, each with whether it is certain."""

    ways: Mapping[bool, bool]
    session: bool = False


UNKNOWN = Value(rest=Rest.UNKNOWN)
_EITHER = {True: True, False: True}
_PATH = ("uri", "document_uri")
_ADDRESS = frozenset({"remote_addr", "realip_remote_addr"})
_OUTSIDE = "a stranger's address"
_SENT = Value(frozenset({"", "~what a stranger may send~"}), Rest.CLIENT)

_KNOWN = {
    **dict.fromkeys(_ADDRESS, Value(frozenset({_OUTSIDE}))),
    "host": Value(frozenset({"a.stranger.example"}), Rest.FREE),
    "https": Value(frozenset({"", "on"})),
    "invalid_referer": Value(frozenset({"", "1"})),
    "request_method": Value(frozenset({"GET", "POST"}), Rest.FREE),
    "scheme": Value(frozenset({"http", "https"})),
    "ssl_client_verify": Value(frozenset({"", "NONE", "FAILED:self signed certificate"})),
    **dict.fromkeys(("request_uri", "request", "server_protocol", "is_args"), Value(rest=Rest.FREE)),
    **dict.fromkeys(("args", "query_string", "content_type", "content_length", "remote_user"), _SENT),
}
_CLIENT = re.compile("(?:http|arg|cookie)_.+")


class Variables:
    """The variables of a configuration."""

    def __init__(self, http: Block) -> None:
        self._made: dict[str, list[Directive]] = defaultdict(list)
        self._opaque: set[str] = set()
        self._set: set[str] = set()
        self.judged: set[str] = set()
        """The variables set from the answer of a login service (`auth_request_set`)."""
        for one in within(http):
            self._read(one)

    def _read(self, one: Directive) -> None:
        self._opaque |= {
            name.lower() for text in (one.name, *one.arguments) for name in _CAPTURE.findall(text)
        }
        if one.name in {"map", "geo"} and one.arguments and one.block:
            self._made[named(one.arguments[-1])].append(one)
        elif one.name == "split_clients" and one.arguments:
            self._opaque.add(named(one.arguments[-1]))
        elif one.name == "set" and one.arguments:
            self._set.add(named(one.arguments[0]))
        elif one.name == "auth_request_set" and len(one.arguments) > 1:
            asked = one.arguments[1].startswith("$upstream_")
            (self.judged if asked else self._opaque).add(named(one.arguments[0]))
        elif one.name in {"perl_set", "js_set"} and one.arguments:
            self._opaque.add(named(one.arguments[0]))

    def text(self, template: str, request: Request, depth: int = 0) -> Value:
        """Return the possible values of a text with variables."""
        values = []
        for part in _PARTS.split(template):
            found = _VARIABLE.fullmatch(part)
            values.append(self.value(found[1].lower(), request, depth) if found else Value(frozenset({part})))
        return _joined([one for one in values if one != Value(frozenset({""}))])

    def value(self, name: str, request: Request, depth: int = 0) -> Value:
        """Return the possible values of a variable."""
        made = self._made.get(name, [])
        if name in self._opaque | self.judged or len(made) > 1 or depth > _DEEPEST:
            return UNKNOWN
        if name in request.sets:
            return request.sets[name]
        if made:
            read = self._map if made[0].name == "map" else self._geo
            return read(made[0], request, depth)
        return self._builtin(name, request)

    def _builtin(self, name: str, request: Request) -> Value:
        if name == "secure_link":
            return self._verdict(request)
        if name in _ADDRESS and request.claimed:
            return UNKNOWN
        if name in _PATH:
            return Value(request.path.samples, Rest.NOTHING if request.path.whole else Rest.UNKNOWN)
        if _CLIENT.fullmatch(name):
            return _SENT
        unset = Value(frozenset({""})) if name in self._set else UNKNOWN
        return _KNOWN.get(name, unset)

    def path(self, template: str, request: Request) -> Path:
        """Return the path that results from a text with variables; captures of a pattern may be anything."""
        start = ""
        for part in _PARTS.split(template.partition("?")[0]):
            value = self.text(part, request)
            if value.rest or len(value.texts) != 1:
                return Path(start or "/", vague=not start)
            start += next(iter(value.texts))
        return Path(start, whole=True)

    def meets(self, condition: Sequence[str], request: Request) -> Outcome:
        """Return the possible results of the condition of an `if`."""
        match list(condition):
            case [one]:
                value = self.text(one, request)
                free = value.rest in {Rest.FREE, Rest.CLIENT}
                return _outcome(value, (text not in {"", "0"} for text in value.texts), certain=free)
            case [one, "=" | "!=" as sign, other]:
                left, right = self.text(one, request), self.text(other, request)
                rest = max(left.rest, right.rest)
                both = Value(rest=rest, session=left.session or right.session)
                equal = (a == b for a, b in product(left.texts, right.texts))
                return _turned(_outcome(both, equal, certain=rest is Rest.FREE), negated=sign == "!=")
            case [one, "~" | "~*" | "!~" | "!~*" as sign, pattern]:
                return _turned(self._fits(one, pattern, sign.endswith("*"), request), negated=sign[0] == "!")
            case [test, _] if test.lstrip("!") in {"-f", "-d", "-e", "-x"}:
                return Outcome(_EITHER)
        return Outcome({True: False, False: False})

    def _fits(self, one: str, pattern: str, any_case: bool, request: Request) -> Outcome:  # noqa: FBT001
        regex = compiled(pattern, any_case=any_case)
        value = self.text(one, request)
        if regex is None:
            return Outcome({True: False, False: False}, value.session)
        if named(one) in _PATH and named(one) not in request.sets:
            return Outcome(request.path.fits(pattern, any_case=any_case))
        found = (regex.search(text) is not None for text in value.texts)
        if _OUTSIDE in value.texts:
            value = Value(rest=Rest.UNKNOWN)
        return _outcome(value, found, certain=value.rest is Rest.FREE)

    def _verdict(self, request: Request) -> Value:
        """Return the result of `secure_link`: nothing, or that a session has expired."""
        if request.signed is None:
            return Value(frozenset({""}), session=True)
        own = {"rn_key", "rn_url_key"} & {*request.sets, *self._opaque, *self.judged}
        doubled = any(len(self._made.get(name, ())) > 1 for name in ("rn_key", "rn_url_key"))
        if own or doubled or not request.signed:
            return Value(rest=Rest.UNKNOWN, session=True)
        return Value(frozenset({"", "0"}), session=True)

    def _map(self, one: Directive, request: Request, depth: int) -> Value:
        source = self.text(one.arguments[0], request, depth + 1)
        entries = [entry for entry in one.block if entry.name not in {"include", "volatile"}]
        if any(entry.name == "hostnames" or not entry.arguments for entry in entries):
            return UNKNOWN
        outputs: dict[str, Value] = {}
        for text in source.texts:
            found = _entry(entries, text)
            if found is None:
                return Value(rest=Rest.UNKNOWN, session=source.session)
            outputs[found] = self.text(found, request, depth + 1)
        rest = Rest.NOTHING
        others = {entry.arguments[0] for entry in entries} - set(outputs)
        regex_of_address = _OUTSIDE in source.texts and any(entry.name.startswith("~") for entry in entries)
        if (source.rest and others) or not outputs or regex_of_address:
            rest = Rest.UNKNOWN
        known = [*outputs.values()]
        return Value(
            frozenset(text for value in known for text in value.texts),
            max([rest, *(value.rest for value in known)]),
            source.session or any(value.session for value in known),
        )

    def _geo(self, one: Directive, request: Request, _: int) -> Value:
        address = named(one.arguments[0]) if len(one.arguments) > 1 else "remote_addr"
        if address not in _ADDRESS or request.claimed:
            return UNKNOWN
        texts, rest = {""}, Rest.NOTHING
        for entry in one.block:
            if entry.name == "default" and entry.arguments:
                texts = (texts - {""}) | {entry.arguments[0]}
            elif entry.name not in {"include", "delete"}:
                wide = spans(entry.name if entry.name != "proxy" else "".join(entry.arguments))
                rest = Rest.UNKNOWN if wide is None or wide else rest
        return Value(frozenset(texts), rest)


def named(variable: str) -> str:
    """Return the name of a variable; nginx does not distinguish `$A` from `$a`."""
    return variable.removeprefix("$").lower()


def spans(network: str) -> bool | None:
    """Return whether a network (`10.0.0.0/8`) contains strangers; `None` if it is not a network."""
    try:
        found = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return None
    return found.prefixlen == 0 or (found.prefixlen < _WIDE[found.version] and not found.is_private)


def within(block: Iterable[Directive]) -> Iterator[Directive]:
    """Yield every directive of a block and of its nested blocks."""
    for one in block:
        yield one
        yield from within(one.block)


def _joined(values: Sequence[Value]) -> Value:
    combined = {""}
    for value in values:
        combined = {before + text for before in combined for text in value.texts}
        if len(combined) > _MOST:
            return UNKNOWN
    rest = max((value.rest for value in values), default=Rest.NOTHING)
    if len(values) > 1 and rest is Rest.FREE:
        rest = Rest.CLIENT
    return Value(frozenset(combined), rest, any(value.session for value in values))


def _entry(entries: Sequence[Directive], text: str) -> str | None:
    """Return the value of a map for a text, as written; `None` if it is not understood."""
    given = {entry.name.lower(): entry.arguments[0] for entry in entries if not entry.name.startswith("~")}
    default = given.pop("default", "")
    if text.lower() in given:
        return given[text.lower()]
    for entry in entries:
        if entry.name.startswith("~"):
            any_case = entry.name.startswith("~*")
            regex = compiled(entry.name[2 if any_case else 1 :], any_case=any_case)
            if regex is None:
                return None
            if regex.search(text):
                return entry.arguments[0]
    return default


def _outcome(value: Value, found: Iterable[bool], *, certain: bool) -> Outcome:
    ways = dict.fromkeys(found, True)
    if value.rest:
        ways = {way: ways.get(way, False) or certain for way in (True, False)}
    return Outcome(ways, value.session)


def _turned(outcome: Outcome, *, negated: bool) -> Outcome:
    return Outcome({way != negated: certain for way, certain in outcome.ways.items()}, outcome.session)

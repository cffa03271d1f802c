"""Finds nginx's location for a path, and matches paths against patterns. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from renewer.nginx.stranger.contexts import Context

_SIMPLE = re.compile(r"(\^?)((?:[\w/-]|\\[./-])*)(\(\.\*\)|\.\*)?(\$?)")
"""A pattern that matches a prefix, perhaps followed by anything, perhaps up to the end of the line."""


@dataclass(frozen=True)
class Path:
    """A path if `whole`; otherwise all paths with this prefix.

    `broken`: it contains a line break, which `.` does not match; `vague`: little is known about it.
    """

    start: str = "/"
    whole: bool = False
    broken: bool = False
    vague: bool = False

    @property
    def samples(self) -> frozenset[str]:
        """Paths that it can certainly be."""
        if self.whole:
            return frozenset({self.start})
        if self.vague:
            return frozenset()
        broken = f"{self.start}x\ny"
        return frozenset({broken}) if self.broken else frozenset({self.start, f"{self.start}x", broken})

    def fits(self, pattern: str, *, any_case: bool = False) -> dict[bool, bool]:
        """Return whether it matches the pattern: each possible answer, with whether that is certain."""
        regex = compiled(pattern, any_case=any_case)
        if regex is None:
            return {True: False, False: False}
        ways = {regex.search(sample) is not None: True for sample in self.samples}
        if self == Path():
            ways[True] = True  # the client can choose
        if self.whole or (ways and self._simply_fits(pattern)):
            return ways
        if self._simply_fits(pattern):
            return {True: True, False: False} if pattern.endswith("$") else {True: True}
        return {way: ways.get(way, False) for way in (True, False)}

    def unmet(self, pattern: str) -> "Path":
        """Return those of its paths that do not match the pattern."""
        return replace(self, broken=self.broken or (not self.whole and self._simply_fits(pattern)))

    def _simply_fits(self, pattern: str) -> bool:
        """Return whether all of it matches the pattern, except perhaps for a line break."""
        found = _SIMPLE.fullmatch(pattern)
        if found is None:
            return False
        anchor, text, anything, end = found.groups()
        text = re.sub(r"\\(.)", r"\1", text)
        begins = self.start.startswith(text) if anchor else text in self.start
        return begins and bool(anything or not end or not text)


EMPTY = Path("", whole=True)
"""A path of which a rewrite leaves nothing; nginx does not send it to a named location."""


def leads_to(server: Context, path: Path) -> Iterator[tuple[Context, Path]]:
    """Yield what nginx may select for a path: a location or the server itself, with the narrowed path."""
    if path.whole:
        yield _found(server, path.start) or server, path
        return
    everywhere = [one for one in server.all_locations if one.modifier != "@"]
    around = [one for one in everywhere if _begins(one) and path.start.startswith(one.path)]
    longest = max((len(one.path) for one in around), default=0)
    for one in everywhere:
        if one.is_pattern:
            yield one, replace(path, vague=True)
        elif one.modifier == "" and _is_shadowed(one, server):
            continue
        elif one.path.startswith(path.start):
            yield one, replace(path, start=one.path, whole=one.modifier == "=", vague=False)
        elif one in around and len(one.path) == longest:
            yield one, path
    everything = any(one.is_pattern and path.fits(one.path) == {True: True} for one in server.locations)
    if not around and not everything:
        yield server, path


def _is_shadowed(one: Context, server: Context) -> bool:
    """Return whether a pattern matches every path of a location."""
    patterns = [other for other in server.locations if other.is_pattern] if one.outer is server else []
    own = Path(one.path)
    return any(own.fits(other.path, any_case=other.modifier == "~*") == {True: True} for other in patterns)


def _begins(one: Context) -> bool:
    """Return whether a location applies to every path with this prefix."""
    return one.modifier in {"", "^~"}


def _found(outer: Context, path: str) -> Context | None:
    """Return the location that nginx selects for a path within a block."""
    return _match(outer, path)[0]


def _match(outer: Context, path: str) -> tuple[Context | None, bool]:
    """Return the location, and whether nginx skips the patterns of enclosing blocks."""
    for one in outer.locations:
        if one.modifier == "=" and one.path == path:
            return one, True
    prefixes = [one for one in outer.locations if _begins(one) and path.startswith(one.path)]
    best = max(prefixes, key=lambda one: len(one.path), default=None)
    inner, final = _match(best, path) if best else (None, False)
    if final or (best and best.modifier == "^~"):
        return inner or best, final
    for one in outer.locations:
        regex = compiled(one.path, any_case=one.modifier == "~*") if one.is_pattern else None
        if regex and regex.search(path):
            return _found(one, path) or one, True
    return inner or best, False


def compiled(pattern: str, *, any_case: bool = False) -> "re.Pattern[str] | None":
    """Return a PCRE pattern as one of Python's; `None` if there is no equivalent."""
    text = re.sub(r"\(\?<(?=\w)|\(\?'(?=\w)", "(?P<", pattern)
    text = re.sub(r"\\k[<{'](\w+)[>}']", r"(?P=\1)", text)
    try:
        return re.compile(text, re.ASCII | (re.IGNORECASE if any_case else 0))
    except (re.error, OverflowError):
        return None

"""Tables for a person: the current state of everything, and the generations of a certificate."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from renewer.config.template import called
from renewer.core.hook import HookAction, HookOutcome
from renewer.core.model import Action, CertOutcome, Material, Outcome, Pair
from renewer.core.provenance import Provenance
from renewer.core.site import SiteAction, SiteOutcome
from renewer.core.timefmt import at, distance
from renewer.nginx.archive import Generation
from renewer.system.console import told

_SERVED = {True: ("yes", "green"), False: ("NO", "red"), None: ("not checked", "yellow")}

_NEXT = {
    Action.ISSUED: "to be ordered",
    Action.DEPLOYED: "to be deployed",
    Action.FRESH: "renewal",
    Action.FAILED: "retry",
}
"""What happens next with a certificate."""

_GAP = "  "

_LEAST = 16
"""The narrowest a cell gets, in columns."""

_WHOLE: Mapping[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
"""Options that keep paths, addresses and names in one piece."""

_DIGITS = 16
"""Digits of a fingerprint that are shown."""

Cell = tuple[str, str | None]
"""A text and its colour."""


def width() -> int:
    """Return the columns of the terminal; 0 if standard output is no terminal."""
    on_terminal = sys.stdout is not None and sys.stdout.isatty()  # it may have been closed
    return shutil.get_terminal_size((0, 0)).columns if on_terminal else 0


def status(outcome: Outcome, now: datetime, width: int = 0) -> Iterator[str]:
    """Yield the state of certificates, sites and hooks, each with its problem below it."""
    groups = [
        (
            ("CERTIFICATE", "SERVED", "EXPIRES", "NEXT"),
            [_certificate(one, now) for one in outcome.certificates],
        ),
        (("SITE", "KEY", "NEXT ROTATION", "PEOPLE"), [_site(one, now) for one in outcome.sites]),
        (("HOOK", "STATE", "PROGRAM"), [_hook(one) for one in outcome.hooks]),
    ]
    between = False
    for heads, rows in groups:
        if rows:
            yield from [""] if between else []
            yield from _table(heads, rows, width)
            between = True


def generations(
    found: Sequence[Generation], stored: Material | None, known: Provenance, now: datetime, width: int = 0
) -> Iterator[str]:
    """Yield the generations of a certificate: in use, stored or revoked, and the CA each is from."""
    if not found:
        yield "none yet: see renewer status"
        return
    rows = [(_generation(one, stored, known, now), _told("", one.problem, "")) for one in found]
    yield from _table(("GENERATION", "EXPIRES", "FINGERPRINT", "STATE", "FROM"), rows, width)


def generations_record(
    found: Sequence[Generation], stored: Material | None, known: Provenance
) -> dict[str, Any]:
    """Return the generations as values for JSON."""
    return {
        "generations": [
            {
                "name": one.name,
                "not_after": one.not_after.strftime("%Y-%m-%dT%H:%M:%SZ") if one.not_after else None,
                "fingerprint": one.pairs[0].fingerprint if one.pairs else None,
                "domains": list(one.pairs[0].domains) if one.pairs else [],
                "in_use": one.served,
                "stored": _is(one.pairs, stored),
                "server": known.directory_url(one.fingerprints) or None,
                "revoked": known.revoked(one.fingerprints),
                "error": one.problem or None,
            }
            for one in found
        ]
    }


def when(then: datetime | None, now: datetime) -> str:
    """Return a time and how far away it is."""
    return f"{at(then)}, {distance(then - now)}" if then else "-"


Row = tuple[Sequence[Cell], Sequence[str]]
"""The cells of a row, and the lines below it."""


def _certificate(one: CertOutcome, now: datetime) -> Row:
    ends = one.not_after
    cells = [
        (one.name, "red" if one.action is Action.FAILED else None),
        _SERVED[one.served] if one.fingerprint else ("none yet", "yellow"),
        (when(ends, now), "red" if ends and ends <= now else None),
        (_next(one, now), None),
    ]
    return cells, _told(one.error, one.detail, one.hint)


def _next(one: CertOutcome, now: datetime) -> str:
    if one.due:
        return "now" if one.action is Action.FAILED else f"{_NEXT[one.action]} now"
    return f"{_NEXT[one.action]} {when(one.next, now)}"


def _site(one: SiteOutcome, now: datetime) -> Row:
    key = when(one.since, now) if one.since else "none yet"
    cells = [
        (one.name, "red" if one.action is SiteAction.FAILED else None),
        (key, None if one.since else "yellow"),
        ("now" if one.rotation == one.next <= now else when(one.rotation, now), None),
        (", ".join(one.people) or "-", None),
    ]
    old = [f"the oldest key is accepted until {when(one.honoured_until, now)}"] if one.honoured_until else []
    return cells, [*(f"  {line}" for line in old), *_told(one.error, one.detail, one.hint)]


def _hook(one: HookOutcome) -> Row:
    words = {HookAction.RAN: ("to be run", "yellow"), HookAction.KEPT: ("up to date", None)}
    state = words.get(one.action, ("failed", "red"))
    return [(one.name, None), state, (one.detail, None)], _told(one.error, "", one.hint)


def _generation(one: Generation, stored: Material | None, known: Provenance, now: datetime) -> Sequence[Cell]:
    why, server = known.revoked(one.fingerprints), known.directory_url(one.fingerprints)
    state = [
        ("in use by nginx", one.served),
        ("stored", _is(one.pairs, stored)),
        (f"REVOKED ({why})", bool(why)),
        ("broken", bool(one.problem)),
    ]
    said = ", ".join(word for word, true in state if true) or "kept"
    fingerprint = f"{one.pairs[0].fingerprint[:_DIGITS]}…" if one.pairs else "-"
    ended = one.not_after is not None and one.not_after <= now
    colour = "red" if one.problem or why else "green" if one.served else None
    return [
        (one.name, None),
        (when(one.not_after, now), "red" if ended else None),
        (fingerprint, None),
        (said, colour),
        (called(server) if server else "unknown", None if server else "yellow"),
    ]


def _is(pairs: Iterable[Pair], stored: Material | None) -> bool:
    return stored is not None and tuple(pair.fingerprint for pair in pairs) == stored.fingerprints


def _told(error: str | None, detail: str, hint: str) -> list[str]:
    """Return the lines below a row: its error with the hint, or else its detail."""
    said = error or detail
    return [f"  {line}" for line in told("", said, hint if error else "").split("\n")] if said else []


def _table(heads: Sequence[str], rows: Sequence[Row], width: int) -> Iterator[str]:
    """Yield the rows below their heads; if they are wider than the terminal, each row as a block."""
    texts = [list(heads), *([text for text, _ in cells] for cells, _ in rows)]
    widths = [max(len(text) for text in column) for column in zip(*texts, strict=True)]
    narrow = 0 < width < sum(widths) + len(_GAP) * (len(widths) - 1)
    if not narrow:
        yield click.style(_line([(head, None) for head in heads], widths), bold=True)
    for cells, below in rows:
        yield from _block(heads, cells, width) if narrow else [_line(cells, widths)]
        for line in below:
            yield from _wrapped(line, width)


def _block(heads: Sequence[str], cells: Sequence[Cell], width: int) -> Iterator[str]:
    """Yield a row as a block: its first cell, then each of the others on one or more lines."""
    (name, colour), *others = cells
    yield f"{click.style(heads[0], bold=True)} {_coloured(name, colour)}"
    longest = max(len(head) for head in heads[1:])
    for head, (text, colour) in zip(heads[1:], others, strict=True):
        label, first = f"  {head.lower():<{longest}}  ", True
        for line in textwrap.wrap(text, max(width - len(label), _LEAST), **_WHOLE) or [""]:
            yield (label if first else " " * len(label)) + _coloured(line, colour)
            first = False


def _wrapped(line: str, width: int) -> Iterator[str]:
    """Yield a line, wrapped to the width; words such as paths stay whole."""
    indent = " " * (len(line) - len(line.lstrip(" ->")))
    yield from textwrap.wrap(line, width, subsequent_indent=indent, **_WHOLE) if width else [line]


def _line(cells: Sequence[Cell], widths: Sequence[int]) -> str:
    """Return the cells in columns; the last one is not padded."""
    *before, last = zip(cells, widths, strict=True)
    filled = [_coloured(text.ljust(width), colour) for (text, colour), width in before]
    return _GAP.join([*filled, _coloured(*last[0])])


def _coloured(text: str, colour: str | None) -> str:
    return click.style(text, fg=colour) if colour else text

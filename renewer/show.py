"""Outcomes and links as a person, or a program, reads them on standard output."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from renewer.deployed import HookAction, HookOutcome
from renewer.errors import Refused, RenewerError
from renewer.model import Action, CertOutcome, Outcome
from renewer.printable import document
from renewer.report import told
from renewer.sites import SiteAction, SiteOutcome

COLOURS = {Action.ISSUED: "green", Action.DEPLOYED: "green", Action.FRESH: "reset", Action.FAILED: "red"}

SITE_COLOURS = {SiteAction.ROTATED: "green", SiteAction.KEPT: "reset", SiteAction.FAILED: "red"}

HOOK_COLOURS = {HookAction.RAN: "green", HookAction.KEPT: "reset", HookAction.FAILED: "red"}

AHEAD = {Action.ISSUED: "to be ordered", Action.DEPLOYED: "to be deployed"}
"""What an action is called before it is done."""


def exit_code(outcome: Outcome) -> int:
    """Return the exit code for all of it."""
    return outcome.exit_code


def as_json(outcome: Outcome) -> str:
    """Return the outcome as the JSON contract has it; a site has some more about its keys.

    `hooks` is there where the configuration has any, `error` where something stood in the way of all.
    """
    hooks = {"hooks": [_hook_record(one) for one in outcome.hooks]} if outcome.hooks else {}
    return document(
        {
            "certificates": [_certificate_record(one) for one in outcome.certificates],
            "sites": [_site_record(one) for one in outcome.sites],
            **hooks,
            **({"error": outcome.error} if outcome.error else {}),
            "exit": exit_code(outcome),
        }
    )


def error_as_json(error: RenewerError, empty: Sequence[str]) -> str:
    """Return what a program is told that asked for an outcome, where an error came before there was any.

    `empty` are the lists that the outcome would have held.
    """
    return document({**{name: [] for name in empty}, "error": str(error), "exit": error.exit_code})


def lines(outcome: Outcome, *, ahead: bool) -> Iterator[str]:
    """Yield the outcome for a person; `ahead`: what it tells is still to come."""
    width = max((len(one.name) for one in _every(outcome)), default=0)
    for certificate in outcome.certificates:
        yield f"{certificate.name:<{width}}  {_certificate_line(certificate, AHEAD if ahead else {})}"
        yield from _why(certificate, ahead=ahead)
    for site in outcome.sites:
        yield f"{site.name:<{width}}  {_site_line(site, ahead=ahead)}"
        yield from _why(site, ahead=ahead)
    for hook in outcome.hooks:
        yield f"{hook.name:<{width}}  {_hook_line(hook, ahead=ahead)}"
        yield from _why(hook, ahead=ahead)


def problems(outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    """Yield what went wrong: with what, the sentence, and what to do about it."""
    for one in _every(outcome):
        if one.error:
            yield one.name, one.error, one.hint


def qr(text: str) -> str:
    """Return the text as a QR code of half blocks, black on white whatever the terminal's colours are.

    Raises `Refused` for more than one can hold.
    """
    import segno  # noqa: PLC0415 - only one command needs it

    try:
        code = segno.make_qr(text, error="l")
    except segno.DataOverflowError:
        raise Refused("the link is too long for a QR code", hint="leave --qr out") from None
    rows = [list(row) for row in code.matrix_iter(border=2)]
    rows += [[0] * len(rows[0])] * (len(rows) % 2)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join(_BLACK_ON_WHITE + "".join(map(_half, *pair)) + _PLAIN for pair in pairs)


_BLACK_ON_WHITE, _PLAIN = "\x1b[38;5;16;48;5;231m", "\x1b[0m"


def _half(upper: int, lower: int) -> str:
    return {(0, 0): " ", (1, 0): "\u2580", (0, 1): "\u2584", (1, 1): "\u2588"}[bool(upper), bool(lower)]


def _every(outcome: Outcome) -> list[CertOutcome | SiteOutcome | HookOutcome]:
    return [*outcome.certificates, *outcome.sites, *outcome.hooks]


def _why(one: CertOutcome | SiteOutcome | HookOutcome, *, ahead: bool) -> Iterator[str]:
    if ahead and one.error:
        yield from (f"  {line}" for line in told("", one.error, one.hint).split("\n"))


def _certificate_record(outcome: CertOutcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "action": outcome.action,
        "not_after": _rfc3339(outcome.not_after),
        "fingerprint": outcome.fingerprint,
        "served": outcome.served,
        "next": _rfc3339(outcome.next),
        "error": outcome.error,
    }


def _site_record(outcome: SiteOutcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "action": outcome.action,
        "error": outcome.error,
        "next": _rfc3339(outcome.next),
        "current_since": _rfc3339(outcome.since),
        "rotation": _rfc3339(outcome.rotation),
        "honoured_until": _rfc3339(outcome.honoured_until),
        "people": list(outcome.people),
    }


def _hook_record(outcome: HookOutcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "action": outcome.action,
        "error": outcome.error,
        "next": _rfc3339(outcome.next),
    }


def _rfc3339(when: datetime | None) -> str | None:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if when else None


def _spoken(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def _certificate_line(outcome: CertOutcome, words: Mapping[Action, str]) -> str:
    """Return an outcome as the rest of a line, after its name."""
    served = {True: "served by nginx", False: "NOT served by nginx", None: "not looked for in nginx"}
    action = words.get(outcome.action, outcome.action)
    parts = [click.style(action, fg=COLOURS[outcome.action]), served[outcome.served]]
    if outcome.not_after:
        parts.append(f"ends {_spoken(outcome.not_after)}")
    parts.append("next now" if outcome.due else f"next {_spoken(outcome.next)}")
    if outcome.detail:
        parts.append(outcome.detail)
    return ", ".join(parts)


def _site_line(outcome: SiteOutcome, *, ahead: bool) -> str:
    action = outcome.action
    word = "to be rotated" if ahead and action is SiteAction.ROTATED else str(action)
    parts = [click.style(word, fg=SITE_COLOURS[action])]
    if ahead and action is SiteAction.ROTATED and not outcome.since:
        parts.append("no key yet")
    if outcome.since and outcome.rotation:
        parts += [f"key of {_spoken(outcome.since)}", f"next rotation {_spoken(outcome.rotation)}"]
    if outcome.honoured_until:
        parts.append(f"the oldest key is honoured until {_spoken(outcome.honoured_until)}")
    if outcome.people:
        parts.append(f"people: {', '.join(outcome.people)}")
    if outcome.detail:
        parts.append(outcome.detail)
    return ", ".join(parts)


def _hook_line(outcome: HookOutcome, *, ahead: bool) -> str:
    action = outcome.action
    word = "to be run" if ahead and action is HookAction.RAN else str(action)
    again = [f"next {_spoken(outcome.next)}"] if outcome.next and action is HookAction.FAILED else []
    return ", ".join([click.style(word, fg=HOOK_COLOURS[action]), outcome.detail, *again])

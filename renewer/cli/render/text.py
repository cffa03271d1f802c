"""Outcomes as lines of text."""

from collections.abc import Iterator, Mapping

import click

from renewer.core.hook import HookAction, HookOutcome
from renewer.core.model import Action, CertOutcome, Outcome
from renewer.core.site import SiteAction, SiteOutcome
from renewer.core.timefmt import exactly
from renewer.system.console import told

COLOURS = {Action.ISSUED: "green", Action.DEPLOYED: "green", Action.FRESH: "reset", Action.FAILED: "red"}

SITE_COLOURS = {SiteAction.ROTATED: "green", SiteAction.KEPT: "reset", SiteAction.FAILED: "red"}

HOOK_COLOURS = {HookAction.RAN: "green", HookAction.KEPT: "reset", HookAction.FAILED: "red"}

AHEAD = {Action.ISSUED: "to be ordered", Action.DEPLOYED: "to be deployed"}
"""The words for actions that a dry run announces."""


def exit_code(outcome: Outcome) -> int:
    """Return the exit code of the whole outcome."""
    return outcome.exit_code


def lines(outcome: Outcome, *, ahead: bool) -> Iterator[str]:
    """Yield the outcome for a person; with `ahead`, as what a run would do."""
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
    """Yield each problem: the name it concerns, the sentence, and the hint."""
    for one in _every(outcome):
        if one.error:
            yield one.name, one.error, one.hint


def _every(outcome: Outcome) -> list[CertOutcome | SiteOutcome | HookOutcome]:
    return [*outcome.certificates, *outcome.sites, *outcome.hooks]


def _why(one: CertOutcome | SiteOutcome | HookOutcome, *, ahead: bool) -> Iterator[str]:
    if ahead and one.error:
        yield from (f"  {line}" for line in told("", one.error, one.hint).split("\n"))


def _certificate_line(outcome: CertOutcome, words: Mapping[Action, str]) -> str:
    """Return an outcome as the part of a line that follows the name."""
    served = {True: "served by nginx", False: "NOT served by nginx", None: "not checked in nginx"}
    action = words.get(outcome.action, outcome.action)
    parts = [click.style(action, fg=COLOURS[outcome.action]), served[outcome.served]]
    if outcome.not_after:
        parts.append(f"expires {exactly(outcome.not_after)}")
    parts.append("next now" if outcome.due else f"next {exactly(outcome.next)}")
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
        parts += [f"key of {exactly(outcome.since)}", f"next rotation {exactly(outcome.rotation)}"]
    if outcome.honoured_until:
        parts.append(f"the oldest key is accepted until {exactly(outcome.honoured_until)}")
    if outcome.people:
        parts.append(f"people: {', '.join(outcome.people)}")
    if outcome.detail:
        parts.append(outcome.detail)
    return ", ".join(parts)


def _hook_line(outcome: HookOutcome, *, ahead: bool) -> str:
    action = outcome.action
    word = "to be run" if ahead and action is HookAction.RAN else str(action)
    again = [f"next {exactly(outcome.next)}"] if outcome.next and action is HookAction.FAILED else []
    return ", ".join([click.style(word, fg=HOOK_COLOURS[action]), outcome.detail, *again])

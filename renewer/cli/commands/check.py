"""`renewer check`: find everything that could go wrong, before it does."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

import click

from renewer.cli.commands.context import Call
from renewer.cli.commands.help import examples
from renewer.cli.commands.output import echo, raw
from renewer.core.errors import ConfigError
from renewer.core.finding import Finding, Status, exit_code
from renewer.core.printable import document

MARKS = {
    Status.OK: ("ok", "green"),
    Status.WARNING: ("warning", "yellow"),
    Status.ERROR: ("ERROR", "red"),
}

LEAST, NARROW, WIDE = 30, 72, 110
"""The shortest and the longest line; on a terminal narrower than the middle one a group gets its own line."""

GROUP, MARK = 15, 9
"""Columns before a sentence: the group, then the status."""


@click.command(
    short_help="Find everything that could go wrong, before it does.",
    epilog=examples(
        "renewer check",
        "renewer check --json | jq '.findings[] | select(.status != \"ok\")'",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_obj
def check(call: Call, *, as_json: bool) -> int:
    """Find everything that could go wrong, before it does.

    Checks the token, zones, name servers, CAA, the CA, the clock, the state folder, nginx, what triggers
    renewals, notifications, and other ACME clients. Nothing is ordered, reloaded or sent. To test the token,
    a TXT record named _renewer-check is created in each zone and removed again. When run as root, it checks
    with the privileges of the state folder's owner, except for what only root can read.

    Exits with 1 if something will fail, otherwise with 0.
    """
    findings = _findings(call)
    if as_json:
        raw(document({"findings": [_record(one) for one in findings], "exit": exit_code(findings)}))
    else:
        echo(*_lines(findings), styled=True)
    return exit_code(findings)


def _findings(call: Call) -> tuple[Finding, ...]:
    from renewer.check import registry  # noqa: PLC0415 - the help does not need it
    from renewer.check.context import Scene  # noqa: PLC0415

    try:
        config = call.load()
    except ConfigError as error:
        return registry.unreadable(error)
    with call.report() as report:
        scene = Scene(config, call.file, call.clock(), follower=call.follower(config, report))
        return registry.look(scene, report)


def _record(finding: Finding) -> dict[str, str]:
    return {
        "group": finding.group,
        "check": finding.check,
        "status": finding.status,
        "what": finding.what,
        "why": finding.why,
        "hint": finding.hint,
    }


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the findings by group: the sentence, and below it why it matters and what to do."""
    columns = shutil.get_terminal_size((WIDE, 0)).columns
    margin = 2 if columns < NARROW else GROUP
    indent = " " * (margin + MARK)
    for group, found in groupby(findings, lambda one: one.group):
        title = group.heading
        if columns < NARROW:
            yield click.style(title, bold=True)
            title = ""
        for finding in found:
            word, colour = MARKS[finding.status]
            head = click.style(f"{title:<{margin}}", bold=True) + click.style(f"{word:<{MARK}}", fg=colour)
            title = ""
            yield from _wrapped(finding.what, head, indent, columns)
            if finding.why:
                yield from _wrapped(finding.why, indent, indent, columns, dim=True)
            if finding.hint:
                yield from _wrapped(finding.hint, f"{indent}-> ", f"{indent}   ", columns)
    yield ""
    yield _summary(findings)


def _wrapped(text: str, first: str, others: str, columns: int, *, dim: bool = False) -> Iterator[str]:
    """Yield a text wrapped into lines; words such as paths and addresses stay whole."""
    width = min(max(columns, LEAST), WIDE) - len(others)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    yield first + click.style(lines[0], dim=dim or None)
    yield from (others + click.style(line, dim=dim or None) for line in lines[1:])


def _summary(findings: Sequence[Finding]) -> str:
    errors = sum(one.status is Status.ERROR for one in findings)
    warnings = sum(one.status is Status.WARNING for one in findings)
    if not errors and not warnings:
        return click.style("Everything is in order.", fg="green", bold=True)
    parts = [_count(errors, "error"), _count(warnings, "warning")]
    counted = ", ".join(part for part in parts if part)
    return click.style(f"{counted}.", fg="red" if errors else "yellow", bold=True)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}" if number else ""

"""Tables for a person, on wide and narrow terminals, with and without colours."""

import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click import unstyle
from click.testing import CliRunner
from support.fakes import DAY, NOW, SERVER, material, spec

from renewer.cli.commands.context import Call
from renewer.cli.main import commands
from renewer.cli.render import tables
from renewer.core.model import Action, CertOutcome, Outcome, Reason
from renewer.core.provenance import Provenance
from renewer.core.site import SiteAction, SiteOutcome
from renewer.nginx.archive import Generation
from renewer.system import console

LONG = "/var/lib/renewer/nginx/certificates/example.com.conf"
STORED = material(spec())
BAD = material(spec())
FOUND = (
    Generation("g000002", STORED.pairs, served=True),
    Generation("g000001", BAD.pairs),
    Generation("g000000", material(spec()).pairs),
)
OUTCOME = Outcome(
    (
        CertOutcome(
            "example.com",
            Action.FRESH,
            NOW + 60 * DAY,
            NOW + 90 * DAY,
            STORED.fingerprints[0],
            None,
            detail=f"no server in nginx's configuration includes {LONG}",
        ),
        CertOutcome(
            "other.example",
            Action.FAILED,
            NOW,
            NOW + 90 * DAY,
            BAD.fingerprints[0],
            served=False,
            error="nginx is not running",
            hint="start nginx: systemctl start nginx, and look why it stopped",
            due=True,
        ),
        CertOutcome("new.example", Action.ISSUED, NOW, due=True),
    ),
    (SiteOutcome("nodered", SiteAction.ROTATED, NOW, due=True, rotation=NOW, people=("phone",)),),
)


def status(width: int = 0) -> list[str]:
    return [unstyle(line) for line in tables.status(OUTCOME, NOW, width)]


def generations(width: int = 0) -> list[str]:
    known = Provenance().noted(STORED).noted(BAD, Reason.KEY_COMPROMISE)
    return [unstyle(line) for line in tables.generations(FOUND, STORED, known, NOW, width)]


def test_a_table_has_a_line_for_each_and_what_is_due_at_once_is_due_now() -> None:
    lines = [line.split("  ") for line in status() if not line.startswith(" ")]
    cells = {line[0]: [cell.strip() for cell in line if cell.strip()] for line in lines}
    assert cells["example.com"][-1] == "renewal 2027-01-22 12:00 UTC, in 60 days"
    assert cells["other.example"][1:] == ["NO", "2027-02-21 12:00 UTC, in 90 days", "now"]
    assert cells["new.example"][1:] == ["none yet", "-", "to be ordered now"]
    assert cells["nodered"][1:] == ["none yet", "now", "phone"]


@pytest.mark.parametrize("lines", [status(40), generations(40)], ids=["status", "generations"])
def test_on_a_narrow_terminal_each_row_is_a_block(lines: list[str]) -> None:
    assert {line.split()[-1] for line in lines if len(line) > 40} <= {LONG, SERVER}, "words stay whole"
    assert "".join(status(40)).count("CERTIFICATE") == 3
    assert "  next     renewal 2027-01-22 12:00 UTC," in status(40)
    assert "           in 60 days" in status(40)
    assert "    -> start nginx: systemctl start" in status(40)
    assert "       nginx, and look why it stopped" in status(40)


def test_what_is_said_below_a_row_is_wrapped_where_there_is_room_for_the_table_too() -> None:
    width = max(len(line) for line in status() if not line.startswith(" "))
    long = replace(OUTCOME.certificates[1], hint="look " * width)
    lines = [unstyle(line) for line in tables.status(Outcome((long,)), NOW, width)]
    assert lines[0].startswith("CERTIFICATE    SERVED")
    assert max(len(line) for line in lines) <= width
    assert lines[3].startswith("    -> look")
    assert lines[4].startswith("       look")


def test_a_generation_says_where_it_is_from_and_that_it_is_revoked() -> None:
    first, revoked, unknown = generations()[1:]
    assert first.endswith(f"in use by nginx, stored  {SERVER}")
    assert "  REVOKED (keyCompromise)  " in revoked
    assert unknown.endswith("  unknown")


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({}, True), ({"NO_COLOR": ""}, True)],
)
@pytest.mark.parametrize("command", ["status", "check"])
def test_there_is_no_colour_where_none_is_wanted(
    tmp_path: Path, command: str, environment: dict[str, str], *, coloured: bool
) -> None:
    file = tmp_path / "renewer.toml"
    (tmp_path / "nginx.conf").write_text("events {}\n")
    file.write_text(
        f'state = "{tmp_path}/state"\n'
        + ('[certificate."example.com"]\ndomains = ["example.com"]\n' if command == "status" else "faulty")
        + f'[nginx]\nbinary = "/bin/true"\nconfig = "{tmp_path}/nginx.conf"\nprobe = []\n'
    )
    plain = {"NO_COLOR": None, "TERM": "xterm"} | environment
    done = CliRunner().invoke(commands, ["-c", str(file), command], color=True, env=plain)
    assert done.output
    assert ("\x1b" in done.output) == coloured


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("terminal", "kind"), [("xterm", console.Live), ("dumb", console.Lines)])
def test_nothing_moves_on_a_terminal_that_knows_lines_alone(
    monkeypatch: pytest.MonkeyPatch, terminal: str, kind: type
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", terminal)
    assert type(Call("none", verbose=False).report()) is kind


def test_nobody_looks_at_what_is_not_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert tables.width() == 0
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert tables.width() == 40

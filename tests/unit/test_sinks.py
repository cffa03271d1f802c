"""Every way out: no text, whoever it comes from, is printed, kept or sent before it was made fit."""

import ast
import inspect
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import DAY, NOW, material, spec
from support.hostile.text import CALLS, HONEST, MARK, TEXT, harm

from renewer.cli.commands import check
from renewer.cli.commands.output import echo
from renewer.cli.render import json_output, tables
from renewer.cli.render import text as show
from renewer.core import errors
from renewer.core import notice as notice_
from renewer.core.errors import ConfigError, Fault, RenewerError
from renewer.core.failure import Failure, Stage
from renewer.core.finding import Group, Topic
from renewer.core.model import Action, CertOutcome, Observation, Outcome, Snapshot
from renewer.core.policy import decide
from renewer.engine import outcome
from renewer.notify import rules
from renewer.notify.redaction import last_line
from renewer.system import console

ROOT = Path(__file__).parents[2]
anything = st.text(st.characters(exclude_categories=()), max_size=60) | st.just(TEXT)
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, RenewerError)]


def raised(kind: type[RenewerError], text: str) -> RenewerError:
    extra = {"ours": True} if kind is errors.DeployFailed else {}
    return kind(text, hint=text, **extra)


@given(st.sampled_from(KINDS), anything)
def test_an_error_is_fit_from_the_moment_it_is_made(kind: type[RenewerError], text: str) -> None:
    error = raised(kind, f"it said {text}")
    assert "\n" not in str(error) + error.hint
    assert [*harm(str(error))] == []
    assert [*harm(f"-> {error.hint}")] == []


@given(anything, anything)
def test_each_fault_is_a_line_of_its_own_and_no_more(place: str, text: str) -> None:
    error = ConfigError([Fault("a", text), Fault(f"a.{place}", text)])
    assert len(str(error).split("\n")) == 2
    assert [*harm(str(error).replace("\n", "\n  "))] == []


def _printed(speak: Callable[[console.Quiet], object], kind: type[console.Quiet] = console.Lines) -> str:
    stream = io.StringIO()
    with kind(stream) as speaker:
        speak(speaker)
    return stream.getvalue()


def _bug(text: str) -> Exception:
    try:
        int(text + "x")
    except ValueError as error:
        found = TypeError(text)
        found.__cause__ = error
    return found


def _of_cell(text: str) -> Outcome:
    one = CertOutcome(text, Action.FAILED, NOW, error=text, hint=text, detail=text)
    return Outcome((one, replace(one, error=None)))


def _echoed(*lines: str, err: bool = False, styled: bool = False) -> str:
    out, other = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(other):
        echo(*lines, err=err, styled=styled)
    return out.getvalue() + other.getvalue()


WAYS: dict[str, Callable[[str], str]] = {
    "a step": lambda text: _printed(lambda to: to.doing(text, text)),
    "what is done": lambda text: _printed(lambda to: to.done(text, text)),
    "a problem": lambda text: _printed(lambda to: to.problem(text, text, text), console.Quiet),
    "a problem without a subject": lambda text: _printed(lambda to: to.problem("", text, text)),
    "a bug": lambda text: _printed(lambda to: to.bug(text, _bug(text))),
    "a line on standard output": lambda text: _echoed(text, text),
    "a line on standard error": lambda text: _echoed(text, err=True),
    "a line in colours": lambda text: _echoed(f"{click.style('x', fg='red', bold=True)}{text}", styled=True),
    "status": lambda text: _echoed(*tables.status(_of_cell(text), NOW), styled=True),
    "status on a narrow terminal": lambda text: _echoed(*tables.status(_of_cell(text), NOW, 40), styled=True),
    "an outcome": lambda text: _echoed(*show.lines(_of_cell(text), ahead=True), styled=True),
    "an outcome as JSON": lambda text: json_output.as_json(_of_cell(text)),
    "an error as JSON": lambda text: json_output.error_as_json(RenewerError(text), (text,)),
    "findings": lambda text: _echoed(
        *check._lines([Topic(Group.CA).error("x", text, text, text)]), styled=True
    ),
}


@pytest.mark.parametrize("way", WAYS)
@given(text=anything)
def test_no_way_out_lets_harm_through(way: str, text: str) -> None:
    said = WAYS[way](text)
    assert [*harm(said)] == []
    assert MARK not in text or MARK in said


@pytest.mark.parametrize("way", WAYS)
def test_every_way_out_shows_honest_text_as_it_is(way: str) -> None:
    said = WAYS[way](HONEST)
    said = said.encode().decode("unicode_escape") if "JSON" in way else said
    assert HONEST in " ".join(said.split())


@given(anything)
def test_the_live_display_shows_plain_text_alone(text: str) -> None:
    said = _printed(
        lambda to: (to.doing(text, text), to.done(text, text), to.problem(text, text, text)), console.Live
    )
    assert not [character for line in said.split("\n") for character in line if not character.isprintable()]


@given(anything)
def test_what_was_kept_by_an_earlier_version_is_told_as_if_it_were_new(text: str) -> None:
    kept = Failure(Stage.ISSUE, 1, NOW, NOW + DAY, text, hint=text)
    snapshot = Snapshot(
        spec(), Observation(published=True, served=None, detail=text), material(spec()), failure=kept
    )
    for one in (
        outcome.at_rest(decide(snapshot, NOW)),
        outcome.at_rest(decide(replace(snapshot, failure=None), NOW)),
        outcome.of(outcome.CertificateRun(decide(snapshot, NOW), held=kept)),
    ):
        told = [one.error or "", one.hint, one.detail]
        assert not [bad for text in told for bad in harm(f"x {text}")]
        assert not [text for text in told if "\n" in text]


@given(anything, anything)
def test_a_finding_is_fit_from_the_moment_it_is_made(text: str, why: str) -> None:
    topic = Topic(Group.DNS)
    found = [
        topic.ok("x", text),
        topic.warning("x", text, why, text),
        topic.refused("x", RenewerError(text), why),
    ]
    assert not [bad for one in found for said in (one.what, one.why, one.hint) for bad in harm(f"x {said}")]


def notice(error: str, host: str = "web1") -> notice_.Message:
    finding = notice_.SubjectStatus("cycle", "renewer", error, error, 1)
    return rules.message(
        [notice_.Notice(notice_.NoticeKind.FAILED, finding, notice_.Heard(NOW), NOW)], host, NOW
    )


@given(anything)
def test_a_notice_has_no_line_of_a_strangers_and_its_title_is_one_line(text: str) -> None:
    told = notice(str(RenewerError(f"it said {text}")), host=text)
    assert [*harm(told.title), *harm(told.body)] == []
    assert "\n" not in told.title
    assert len(told.body.split("\n")) == 4


def test_a_notice_calls_nobody_and_hides_no_link() -> None:
    body = notice(f"ask ops@example.com or see https://ca.example/doc: {CALLS}").body
    assert "ops@example.com" in body
    assert "https://ca.example/doc" in body
    assert not [call for call in ("@everyone", "@here", "<!", "<@", "<http", "](") if call in body]


# -- secrets ------------------------------------------------------------------------------------------------

SECRETS = (
    "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY22",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
)
INVISIBLE = [
    "\x1b[31m",
    "\x1b]8;;https://x\x07",
    "\x9b0m",
    "\0",
    "\x08",
    "\x7f",
    "\u200b",
    "\u202e",
    "\u2066",
    "\ufeff",
]


@pytest.mark.parametrize("secret", SECRETS)
@given(data=st.data())
def test_what_cannot_be_seen_hides_no_secret_from_redaction(secret: str, data: st.DataObject) -> None:
    places = sorted(data.draw(st.lists(st.integers(1, len(secret) - 1), min_size=1, max_size=4, unique=True)))
    parts = [secret[begin:end] for begin, end in zip([0, *places], [*places, len(secret)], strict=True)]
    spoilt = parts[0] + "".join(data.draw(st.sampled_from(INVISIBLE)) + part for part in parts[1:])
    for output in (f"bad token {spoilt}", f"token={spoilt}", f"\x1b[1mtoken=\x1b[0m{spoilt} is refused"):
        shown = str(RenewerError(last_line(output)))
        assert not [part for part in parts if len(part) > 5 and part in shown]
        assert [*harm(shown)] == []
        assert "token" in shown


# -- nobody else speaks -------------------------------------------------------------------------------------

STRAYS = {
    "a library's log": "logging.getLogger('lib').warning('%s', TEXT)",
    "a logged traceback": "try: broken()\nexcept ValueError: logging.getLogger('lib').exception(TEXT)",
    "a warning": "warnings.warn(TEXT)",
    "a thread": "thread = threading.Thread(target=broken)\nthread.start()\nthread.join()",
    "what nobody catches": "broken()",
}
BEGIN = f"""
import logging, threading, warnings
from renewer.system import console
console.speak_for_all()
TEXT = {TEXT!r}
def broken(): raise ValueError(TEXT)
"""


@pytest.mark.parametrize("stray", STRAYS)
def test_what_nobody_meant_to_say_is_made_fit_as_well(stray: str) -> None:
    argv = [sys.executable, "-c", BEGIN + STRAYS[stray]]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert MARK in done.stderr
    assert [*harm(done.stderr)] == []


SPEAKERS = {
    "click.echo": {"cli/commands/output"},
    "click.secho": set[str](),
    "click.confirm": {"cli/commands/output"},
    "click.prompt": {"cli/commands/init"},
    "print": {"system/console"},
    "console.print": {"system/console"},
    "stdout.write": set[str](),
    "stderr.write": set[str](),
    "buffer.write": {"__main__"},
    "json.dumps": {
        "cli/commands/accept",
        "store/codec",
        "config/template",
        "secure_links/rotation",
        "notify/apprise_worker",
        "notify/messages",
        "core/printable",
        "migrate/plan",
        "config/reader",
    },
    "msgspec.json.encode": {"store/codec"},
    "Finding": {"core/finding"},
    "SubjectStatus": {"notify/rules"},
    "CertOutcome": {"engine/outcome"},
    "shlex.quote": {"cli/commands/run", "core/printable"},
    "raw": {
        "cli/commands/accept",
        "cli/commands/context",
        "cli/commands/check",
        "cli/commands/completion",
        "cli/commands/generations",
        "cli/commands/link",
        "cli/commands/status",
        "cli/commands/migrate",
    },
}
"""Who may call what writes past the places that make text fit."""


def _calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            dotted = ast.unparse(node.func)
            yield from (name for name in SPEAKERS if dotted == name or dotted.endswith(f".{name}"))


def test_only_the_places_that_make_text_fit_speak() -> None:
    found: dict[str, set[str]] = {name: set() for name in SPEAKERS}
    package = ROOT / "renewer"
    for path in package.rglob("*.py"):
        for name in _calls(ast.parse(path.read_text())):
            found[name].add(str(path.relative_to(package).with_suffix("")))
    assert found == SPEAKERS

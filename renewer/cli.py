"""The commands: what a person, cron, or systemd calls."""

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import click

from renewer import __version__, config, report, wire
from renewer.errors import ConfigError, RenewerError, Unexpected, worst
from renewer.model import Action, CertOutcome
from renewer.ports import Report
from renewer.system import Signals, SystemClock

if TYPE_CHECKING:
    from renewer.cycle import Engine

DEFAULT = "/etc/renewer/renewer.toml"

CYCLE = timedelta(minutes=30)
"""How long a cycle may take beyond the longest wait for the DNS before it is taken to hang."""

COLOURS = {Action.ISSUED: "green", Action.DEPLOYED: "green", Action.FRESH: "reset", Action.FAILED: "red"}

EXIT_CODES = """\b
Exit codes: 0 done or nothing to do, 1 failed, 75 try again later,
78 the configuration has to be edited, 70 a bug."""

AHEAD = {Action.ISSUED: "to be ordered", Action.DEPLOYED: "to be deployed"}
"""What an action is called before it is done."""


@dataclass(frozen=True)
class Call:
    """What every command is given."""

    file: str
    verbose: bool

    def load(self) -> config.Config:
        """Read the configuration; raises `ConfigError` with every fault."""
        return config.load(self.file)

    def engine(self, told: Report) -> "Engine":
        """Build the program from the configuration; SIGTERM and SIGINT end its waits."""
        clock = SystemClock()
        signals = Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

        def end() -> None:
            signals.wait()
            clock.stop()
            os._exit(128 + signals.wait())  # who asks twice does not want to wait

        threading.Thread(target=end, daemon=True).start()
        return wire.build(self.load(), clock, told)

    def report(self) -> report.Quiet:
        """Return how to speak: live on a terminal, lines if asked for, else problems only."""
        if self.verbose:
            return report.Lines()
        return report.Live() if sys.stderr.isatty() else report.Quiet()


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.option(
    "-c", "--config", "file", default=DEFAULT, show_default=True, metavar="FILE", help="The configuration."
)
@click.option("-v", "--verbose", is_flag=True, help="Tell every step on standard error.")
@click.version_option(__version__, prog_name="renewer")
@click.pass_context
def commands(context: click.Context, file: str, *, verbose: bool) -> None:
    """Obtain certificates through DNS-01 at Cloudflare, and see to it that nginx serves them."""
    context.obj = Call(file, verbose)


@commands.command(short_help="Run one cycle: obtain what is due, deploy what is not served.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--force", is_flag=True, help="Order a new certificate although the old one is not due.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_obj
def renew(call: Call, names: Sequence[str], *, force: bool, dry_run: bool, as_json: bool) -> int:
    """Run one cycle and exit: obtain what is due, deploy what is not served.

    Without NAME, every certificate of the configuration. Fit for a terminal and for cron: without a terminal
    only problems are printed.
    """
    with call.report() as told:
        outcomes = call.engine(told).run(names, force=force, dry_run=dry_run)
    if not dry_run:
        _tell_problems(outcomes)
    on_terminal = sys.stdout is not None and sys.stdout.isatty()  # it may have been closed
    silent = not (call.verbose or dry_run or on_terminal)
    return _show(outcomes, as_json=as_json, silent=silent, ahead=dry_run)


@commands.command(short_help="Show what is stored, served and due.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as renew does.")
@click.pass_obj
def status(call: Call, *, as_json: bool) -> int:
    """Show what is stored, what nginx serves, and what is due; asks nobody but nginx."""
    with call.report() as told:
        outcomes = call.engine(told).status()
    return _show(outcomes, as_json=as_json, silent=False, ahead=True)


@commands.command(short_help="Write what nginx includes, and print the lines for it.")
@click.pass_obj
def nginx(call: Call) -> int:
    """Write the files that nginx includes, where they are missing, and print the lines for nginx."""
    from renewer.nginx import guide  # noqa: PLC0415 - no other command needs it

    with call.report() as told:
        engine = call.engine(told)
        for path in engine.prepare():
            told.done("nginx", f"wrote {path}")
    click.echo(guide.text(engine.specs, call.load().state))
    return 0


@commands.command(short_help="Run as a daemon.")
@click.pass_obj
def run(call: Call) -> NoReturn:
    """Run as a daemon: a cycle whenever one is due, until SIGTERM. SIGHUP reads the configuration again."""
    if call.file == config.STANDARD_INPUT:
        raise ConfigError("the daemon reads its configuration again later: name a file with -c FILE")
    wire.check(call.load())
    os.execv(sys.executable, (sys.executable, "-m", "renewer.daemon", call.file))  # noqa: S606 - our own


@commands.command(hidden=True)
@click.pass_obj
def accept(call: Call) -> int:
    """Check the configuration, and print what the daemon has to know of it."""
    text = config.read(call.file)
    settings = config.parse(text, call.file)
    wire.check(settings)
    deadline = settings.propagation.timeout + CYCLE
    click.echo(json.dumps({"text": text, "state": str(settings.state), "deadline": deadline.total_seconds()}))
    return 0


def main() -> NoReturn:
    """Run the command line; the one place where an error becomes a sentence and an exit code."""
    try:
        sys.exit(commands.main(prog_name="renewer", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(ConfigError.exit_code)
    except RenewerError as error:
        click.echo(report.told("renewer", str(error), error.hint), err=True)
        sys.exit(error.exit_code)
    except Exception as bug:  # noqa: BLE001 - whatever it is, the exit code has to say that it is a bug
        report.Quiet().bug("renewer", bug)
        click.echo("renewer: this is a bug: please report it with the lines above", err=True)
        sys.exit(Unexpected.exit_code)


def _show(outcomes: Sequence[CertOutcome], *, as_json: bool, silent: bool, ahead: bool) -> int:
    """Print the outcomes and return the exit code for all of them; `ahead`: they are still to come."""
    code = worst([outcome.exit_code for outcome in outcomes])
    if as_json:
        click.echo(
            json.dumps({"certificates": [_record(one) for one in outcomes], "sites": [], "exit": code})
        )
    elif not silent:
        width = max(len(outcome.name) for outcome in outcomes)
        for outcome in outcomes:
            click.echo(f"{outcome.name:<{width}}  {_line(outcome, AHEAD if ahead else {})}")
            if ahead and outcome.error:
                click.echo(f"  {report.told('', outcome.error, outcome.hint)}")
    return code


def _tell_problems(outcomes: Sequence[CertOutcome]) -> None:
    for outcome in outcomes:
        if outcome.error:
            click.echo(report.told(outcome.name, outcome.error, outcome.hint), err=True)


def _record(outcome: CertOutcome) -> dict[str, Any]:
    """Return an outcome as the JSON contract has it."""
    return {
        "name": outcome.name,
        "action": outcome.action,
        "not_after": _rfc3339(outcome.not_after),
        "fingerprint": outcome.fingerprint,
        "served": outcome.served,
        "next": _rfc3339(outcome.next),
        "error": outcome.error,
    }


def _rfc3339(when: datetime | None) -> str | None:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if when else None


def _line(outcome: CertOutcome, words: Mapping[Action, str]) -> str:
    """Return an outcome as the rest of a line for a person, after its name."""
    served = {True: "served by nginx", False: "NOT served by nginx", None: "not looked for in nginx"}
    action = words.get(outcome.action, outcome.action)
    parts = [click.style(action, fg=COLOURS[outcome.action]), served[outcome.served]]
    if outcome.not_after:
        parts.append(f"ends {outcome.not_after:%Y-%m-%d %H:%M:%S} UTC")
    parts.append(f"next {outcome.next:%Y-%m-%d %H:%M:%S} UTC")
    if outcome.detail:
        parts.append(outcome.detail)
    return ", ".join(parts)

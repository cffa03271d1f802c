"""The commands: what a person, cron, or systemd calls."""

import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

import click

from renewer import __version__, config, links, report, show, wire
from renewer.errors import ConfigError, RenewerError, Unexpected
from renewer.model import Outcome, Reason
from renewer.ports import Report
from renewer.sites import Asked
from renewer.system import Signals, SystemClock

if TYPE_CHECKING:
    from renewer.cycle import Engine

DEFAULT = "/etc/renewer/renewer.toml"

CYCLE = timedelta(minutes=30)
"""How long a cycle may take beyond the longest wait for the DNS before it is taken to hang."""

EXIT_CODES = """\b
Exit codes: 0 done or nothing to do, 1 failed, 75 try again later,
78 the configuration has to be edited, 70 a bug."""


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
        outcome = call.engine(told).run(names, force=force, dry_run=dry_run)
    if dry_run:
        return _show(outcome, as_json=as_json, ahead=True)
    return _conclude(call, outcome, as_json=as_json)


@commands.command(short_help="Show what is stored, served and due.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as renew does.")
@click.pass_obj
def status(call: Call, *, as_json: bool) -> int:
    """Show what is stored, what nginx serves, and what is due; asks nobody but nginx."""
    with call.report() as told:
        outcome = call.engine(told).status()
    return _show(outcome, as_json=as_json, ahead=True)


@commands.command(short_help="Write what nginx includes, and print the lines for it.")
@click.pass_obj
def nginx(call: Call) -> int:
    """Write the files that nginx includes, where they are missing, and print the lines for nginx."""
    from renewer.nginx import guide  # noqa: PLC0415 - no other command needs it

    with call.report() as told:
        engine = call.engine(told)
        for path in engine.prepare():
            told.done("nginx", f"wrote {path}")
    settings = call.load()
    click.echo(guide.text(settings.specs, settings.site_specs, settings.state))
    return 0


@commands.command(short_help="Print a link that opens a site.")
@click.argument("site")
@click.argument("person", required=False)
@click.option("--uri", metavar="PATH", help="What to sign, for a site in url mode.")
@click.option("--expires", metavar="DURATION", help="How long it is good for [default: 15m; with --uri 1d].")
@click.option("--fragment", is_flag=True, help="Put the token after the #, where no log on the way sees it.")
@click.option("--qr", is_flag=True, help="Print a QR code too, for a phone.")
@click.pass_obj
def link(  # noqa: PLR0913 - one for each option
    call: Call,
    site: str,
    person: str | None,
    uri: str | None,
    expires: str | None,
    *,
    fragment: bool,
    qr: bool,
) -> int:
    """Print a link: one that opens a session for PERSON, or with --uri a signed URL.

    Whoever has the link gets in until it expires, and stays for the length of a session.
    """
    settings = call.load()
    life = links.life(expires, uri)
    with call.report() as told:
        found = links.find(settings.site_specs, site)
        kept = wire.vault(settings, told).site(found.name)
        wanted = links.Wanted(person, uri, SystemClock().now() + life, fragment=fragment)
        address = links.made(found, kept, wanted)
        if expires and life > found.grace:
            told.problem(site, "a rotation may end the link sooner", f"grace is shorter than {expires}")
    click.echo(address)
    if qr:
        click.echo(show.qr(address), color=True)
    return 0


@commands.command(short_help="Give a site a new key.")
@click.argument("site")
@click.option(
    "--now", is_flag=True, help="End the old keys at once, with every link and session: for a leak."
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, as renew does.")
@click.pass_obj
def rotate(call: Call, site: str, *, now: bool, as_json: bool) -> int:
    """Give a site a new key; the old one is honoured for the grace, so nobody is shut out."""
    with call.report() as told:
        outcome = call.engine(told).rotate(Asked(site, at_once=now))
    return _conclude(call, outcome, as_json=as_json)


@commands.command(short_help="Revoke a certificate and replace it.")
@click.argument("name")
@click.option(
    "--reason",
    type=click.Choice([str(reason) for reason in Reason]),
    default=str(Reason.UNSPECIFIED),
    show_default=True,
    help="What the CA is told; keyCompromise if somebody else may have the key.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, as renew does.")
@click.pass_obj
def revoke(call: Call, name: str, reason: str, *, as_json: bool) -> int:
    """Revoke the certificate NAME at the CA, and replace it by one with a new key at once.

    What cannot be done now, because the CA does not answer, the next run does.
    """
    with call.report() as told:
        outcome = call.engine(told).revoke(name, Reason(reason))
    return _conclude(call, outcome, as_json=as_json)


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


def _conclude(call: Call, outcome: Outcome, *, as_json: bool) -> int:
    """Tell what became of everything: problems always, the rest to whoever looks; return the exit code."""
    for problem in show.problems(outcome):
        click.echo(problem, err=True)
    on_terminal = sys.stdout is not None and sys.stdout.isatty()  # it may have been closed
    return _show(outcome, as_json=as_json, silent=not (call.verbose or on_terminal))


def _show(outcome: Outcome, *, as_json: bool, silent: bool = False, ahead: bool = False) -> int:
    """Print the outcome and return the exit code; `ahead`: it is still to come."""
    if as_json:
        click.echo(show.as_json(outcome))
    elif not silent:
        for line in show.lines(outcome, ahead=ahead):
            click.echo(line)
    return show.exit_code(outcome)

"""The context every command gets, and how an outcome becomes text and an exit code."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from renewer import app
from renewer.cli.commands.output import echo, raw
from renewer.cli.render import json_output, text
from renewer.config import load, schema
from renewer.core.errors import ConfigError, Declined, RenewerError, Unexpected
from renewer.core.followed import View, from_daemon
from renewer.core.interfaces import Follower, Report
from renewer.core.model import Outcome
from renewer.engine.idle import index
from renewer.engine.idle.writer import Began, Resting
from renewer.notify import audience
from renewer.system import console
from renewer.system.clock import SystemClock
from renewer.system.signals import Signals

if TYPE_CHECKING:
    from renewer.engine.cycle import Engine

ONE_WISH = 1.0
"""Seconds within which several signals count as one request to stop.

Ctrl-C reaches both the daemon and its worker, and the daemon passes it on to the worker as well; when a
terminal is closed, the shell and the kernel both send SIGHUP.
"""


@dataclass(frozen=True)
class Call:
    """The context every command gets."""

    file: str
    verbose: bool

    @cached_property
    def view(self) -> View:
        """The configuration, read once: standard input is then used up, and a file may change.

        Raises `ConfigError` if it cannot be read.
        """
        now = datetime.now(UTC)
        text = load.read(self.file)
        if self.file == load.STANDARD_INPUT:
            return from_daemon(text, os.environ.get(index.HANDED, "")) or View(text, now)
        file = Path(self.file).absolute()
        try:
            str(file).encode()
        except UnicodeEncodeError:
            raise ConfigError("the name of the configuration file is not UTF-8", hint="rename it") from None
        return View(text, now, file)

    def load(self) -> schema.Config:
        """Return the configuration; raises `ConfigError` with every fault."""
        return load.parse(self.view.text, self.file)

    def follower(self, settings: schema.Config, report: Report) -> Follower:
        """Return the follower, which knows whether this is the newest reading of the configuration."""
        return app.follower(settings, self.view, SystemClock(), report)

    def engine(self, report: Report) -> "Engine":
        """Build the engine from the configuration; SIGTERM and SIGINT end its waits."""
        settings = self.load()
        return app.build(settings, self.clock(), report, self.follower(settings, report))

    def clock(self) -> SystemClock:
        """Return the system clock; SIGTERM, SIGINT and SIGHUP end its waits, unless they are ignored.

        nohup(1) makes SIGHUP ignored, and a shell script SIGINT for what it starts in the background.
        """
        clock = SystemClock()
        asking = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        signals = Signals(*(one for one in asking if signal.getsignal(one) is not signal.SIG_IGN))

        def end() -> None:
            signals.wait()
            clock.stop()
            one_wish = clock.monotonic() + ONE_WISH
            again = signals.wait()
            while clock.monotonic() < one_wish:
                again = signals.wait()
            os._exit(128 + again)  # a second request means now

        threading.Thread(target=end, daemon=True).start()
        return clock

    def cycle(self, report: Report, work: Callable[["Engine"], Outcome]) -> Outcome:
        """Do a cycle's work and send the notifications, even if the cycle could not start.

        Nothing is sent for a cycle that was interrupted or whose request was invalid.
        """
        settings, clock = self.load(), self.clock()
        resting, began = Resting(settings, self.view, clock), Began.at(clock)
        follower, observer = self.follower(settings, report), None
        try:
            observer = audience.observer(settings, clock, report, follower)
            engine = app.build(settings, clock, report, follower)
            follower.begin()
        except RenewerError as error:
            if observer:
                observer.saw(Outcome(()), error)
            raise
        try:
            outcome = work(engine)
        except (ConfigError, Declined):
            raise
        except Exception as error:  # it is raised again, once the notifications have been sent
            if observer and not clock.stopping:
                observer.saw(Outcome(()), broken(error))
            raise
        if observer and not clock.stopping:
            observer.saw(outcome)
        if outcome.rest and not observer:
            resting.keep(outcome.rest, json_output.as_json(outcome), engine.deployment.deployer, began)
        else:
            resting.forget()
        return outcome

    def report(self) -> console.Quiet:
        """Return the report: live on a terminal, plain lines if nothing may move, otherwise problems only."""
        on_terminal = sys.stderr.isatty()
        if self.verbose or (on_terminal and console.plain()):
            return console.Lines()
        return console.Live() if on_terminal else console.Quiet()


class Answering(click.Command):
    """A command with `--json`: an error that stops it before it has an outcome is printed as JSON too.

    `empty` names the lists its JSON has otherwise.
    """

    def __init__(
        self, *args: Any, empty: Sequence[str] = ("certificates", "sites"), **attributes: Any
    ) -> None:
        super().__init__(*args, **attributes)
        self._empty = tuple(empty)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with --json, print JSON whatever it raises."""
        try:
            return super().invoke(ctx)
        except RenewerError as error:
            if ctx.params["as_json"]:
                raw(json_output.error_as_json(error, self._empty))
            raise


def broken(error: Exception) -> RenewerError:
    """Return the error that ended a cycle, as notifications report it."""
    if isinstance(error, RenewerError):
        return error
    return Unexpected(f"{type(error).__name__}: {error}", hint="this is a bug in renewer: please report it")


def conclude(call: Call, outcome: Outcome, *, as_json: bool) -> int:
    """Print the outcome and return the exit code: problems always, the rest on a terminal or with -v."""
    for name, error, hint in text.problems(outcome):
        console.Quiet().problem(name, error, hint)
    on_terminal = sys.stdout is not None and sys.stdout.isatty()  # it may have been closed
    return present(outcome, as_json=as_json, silent=not (call.verbose or on_terminal))


def present(outcome: Outcome, *, as_json: bool, silent: bool = False, ahead: bool = False) -> int:
    """Print the outcome and return the exit code; with `ahead`, as what a run would do."""
    if as_json:
        raw(json_output.as_json(outcome))
    elif not silent:
        echo(*text.lines(outcome, ahead=ahead), styled=True)
    return text.exit_code(outcome)

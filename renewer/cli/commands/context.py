"""What every command is given, and how an outcome becomes words and an exit code."""

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
"""Seconds in which one wish to end may come several times.

Ctrl-C reaches the daemon and its worker, which the daemon then asks too; that a terminal was closed both the
shell and the kernel tell.
"""


@dataclass(frozen=True)
class Call:
    """What every command is given."""

    file: str
    verbose: bool

    @cached_property
    def view(self) -> View:
        """The configuration as it is read, once: standard input is empty then, and a file may change.

        Raises `ConfigError` where there is none to be had.
        """
        now = datetime.now(UTC)
        text = load.read(self.file)
        if self.file == load.STANDARD_INPUT:
            return from_daemon(text, os.environ.get(index.HANDED, "")) or View(text, now)
        file = Path(self.file).absolute()
        try:
            str(file).encode()
        except UnicodeEncodeError:
            raise ConfigError("the name of the configuration file is no UTF-8", hint="rename it") from None
        return View(text, now, file)

    def load(self) -> schema.Config:
        """Return the configuration; raises `ConfigError` with every fault."""
        return load.parse(self.view.text, self.file)

    def follower(self, settings: schema.Config, told: Report) -> Follower:
        """Return who knows whether this reading of the configuration is the newest."""
        return app.follower(settings, self.view, SystemClock(), told)

    def engine(self, told: Report) -> "Engine":
        """Build the program from the configuration; SIGTERM and SIGINT end its waits."""
        settings = self.load()
        return app.build(settings, self.clock(), told, self.follower(settings, told))

    def clock(self) -> SystemClock:
        """Return the machine's clock; SIGTERM, SIGINT and SIGHUP end its waits, unless they are ignored.

        nohup(1) lets SIGHUP be ignored, and a shell's script SIGINT by what it starts in the background.
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
            os._exit(128 + again)  # who asks twice does not want to wait

        threading.Thread(target=end, daemon=True).start()
        return clock

    def cycle(self, told: Report, work: Callable[["Engine"], Outcome]) -> Outcome:
        """Do a cycle's work; whoever listens outside is told how it ended, also if it could not begin.

        They are not told that it was asked to end, nor that a person asked for what is not to be had.
        """
        settings, clock = self.load(), self.clock()
        resting, began = Resting(settings, self.view, clock), Began.at(clock)
        follower, observer = self.follower(settings, told), None
        try:
            observer = audience.observer(settings, clock, told, follower)
            engine = app.build(settings, clock, told, follower)
            follower.begin()
        except RenewerError as error:
            if observer:
                observer.saw(Outcome(()), error)
            raise
        try:
            outcome = work(engine)
        except (ConfigError, Declined):
            raise
        except Exception as error:  # whatever it is goes on from here, once those outside have heard of it
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
        """Return how to speak: live on a terminal, or in lines where nothing may move; else problems only."""
        on_terminal = sys.stderr.isatty()
        if self.verbose or (on_terminal and console.plain()):
            return console.Lines()
        return console.Live() if on_terminal else console.Quiet()


class Answering(click.Command):
    """A command with `--json`: what ends it before it has an outcome is an answer too, with its `error`.

    `empty` are the lists that its answer has otherwise.
    """

    def __init__(
        self, *args: Any, empty: Sequence[str] = ("certificates", "sites"), **attributes: Any
    ) -> None:
        super().__init__(*args, **attributes)
        self._empty = tuple(empty)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; whoever waits for JSON gets some whatever it raises."""
        try:
            return super().invoke(ctx)
        except RenewerError as error:
            if ctx.params["as_json"]:
                raw(json_output.error_as_json(error, self._empty))
            raise


def broken(error: Exception) -> RenewerError:
    """Return what ended a cycle as it is told outside."""
    if isinstance(error, RenewerError):
        return error
    return Unexpected(f"{type(error).__name__}: {error}", hint="this is a bug of renewer: please report it")


def conclude(call: Call, outcome: Outcome, *, as_json: bool) -> int:
    """Print the outcome: problems always, the rest on a terminal or with -v; return the exit code."""
    for name, error, hint in text.problems(outcome):
        console.Quiet().problem(name, error, hint)
    on_terminal = sys.stdout is not None and sys.stdout.isatty()  # it may have been closed
    return present(outcome, as_json=as_json, silent=not (call.verbose or on_terminal))


def present(outcome: Outcome, *, as_json: bool, silent: bool = False, ahead: bool = False) -> int:
    """Print the outcome and return the exit code; `ahead`: it is still to come."""
    if as_json:
        raw(json_output.as_json(outcome))
    elif not silent:
        echo(*text.lines(outcome, ahead=ahead), styled=True)
    return text.exit_code(outcome)

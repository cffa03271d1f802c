"""Output on standard error while the program runs: problems only, lines for a log, or a live display.

Every line is made printable here, whatever its source, and only the first line of a message begins at the
margin, where journald would read `<0>` as a log level.
"""

import logging
import os
import sys
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, TextIO, cast

from renewer.core.printable import at_margin, lines, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Quiet:
    """Problems only, because cron sends them by e-mail."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def doing(self, subject: str, what: str) -> None:
        """Print nothing."""

    def idle(self, subject: str) -> None:
        """Print nothing."""

    def done(self, subject: str, what: str) -> None:
        """Print nothing."""

    def problem(self, subject: str, what: str, hint: str = "") -> None:
        """Print the sentence and, on a line of its own, the hint."""
        self._write(told(subject, what, hint))

    def bug(self, subject: str, error: BaseException) -> None:
        """Print the traceback, for a bug report."""
        self._write(told(subject, "".join(traceback.format_exception(error)).rstrip()))

    def _write(self, text: str) -> None:
        with suppress(OSError):  # an error of standard error must not end a cycle
            # In one call, because many threads print.
            print(f"{text}\n", end="", file=self._stream, flush=True)


class _Logged(logging.Handler):
    """Prints warnings and errors that libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        Quiet().problem(record.name, self.format(record))


def speak_for_all() -> None:
    """Print uncaught exceptions, the log of libraries and Python's warnings in the program's own form."""
    sys.excepthook = lambda _, error, __: Quiet().bug("renewer", error)
    threading.excepthook = _thrown
    logging.basicConfig(handlers=[_Logged()])
    logging.captureWarnings(capture=True)


def _thrown(by_thread: threading.ExceptHookArgs) -> None:
    if by_thread.exc_value and not isinstance(by_thread.exc_value, SystemExit):
        Quiet().bug("renewer", by_thread.exc_value)


class Silent(Quiet):
    """No output at all, for callers that handle errors themselves."""

    def _write(self, text: str) -> None:
        del text


class Lines(Quiet):
    """A line for each step, for a log."""

    def doing(self, subject: str, what: str) -> None:
        """Print a step."""
        self._write(told(subject, what))

    def done(self, subject: str, what: str) -> None:
        """Print what was done."""
        self._write(told(subject, what))


class _Losing:
    """A stream that discards what it cannot write: a terminal may be closed during a run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


_AS_IT_STANDS: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False}
"""Options with which the live display prints a text verbatim."""


class Live(Quiet):
    """One moving line for each subject, with what it waits for and for how long; on a terminal only.

    The display is loaded with the first message, so that a run with nothing to do does not pay for it.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._display: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._guard = threading.Lock()

    def __exit__(self, *_: object) -> None:
        if self._display:
            self._display.stop()

    def doing(self, subject: str, what: str) -> None:
        """Show the step in place of the previous one, and restart its clock."""
        with self._guard:
            display, shown = self._shown(), printable(what)
            if subject in self._tasks:
                display.reset(self._tasks[subject], description=shown, subject=printable(subject))
            else:
                self._tasks[subject] = display.add_task(shown, total=None, subject=printable(subject))

    def idle(self, subject: str) -> None:
        """Remove its line."""
        with self._guard:
            if self._display and subject in self._tasks:
                self._display.remove_task(self._tasks.pop(subject))

    def done(self, subject: str, what: str) -> None:
        """Print a line above the moving ones."""
        with self._guard:
            self._shown().console.print(told(subject, what), **_AS_IT_STANDS)

    def _write(self, text: str) -> None:
        if self._display:
            self._display.console.print(text, style="red", **_AS_IT_STANDS)
        else:
            super()._write(text)

    def _shown(self) -> "Progress":
        if self._display is None:
            from rich.console import Console  # noqa: PLC0415 - loaded only for a terminal
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

            self._display = Progress(
                SpinnerColumn(),
                TextColumn("{task.fields[subject]}", style="bold", markup=False),
                TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(),
                console=Console(file=cast("TextIO", _Losing(self._stream))),
                transient=True,
            )
            self._display.start()
        return self._display


def plain() -> bool:
    """Return whether to print plain text: colours are off (no-color.org), or the terminal has none."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def told(subject: str, what: str, hint: str = "") -> str:
    """Return a problem as text: the sentence, and on the next line the hint.

    If it has several lines, such as the faults of a configuration or a traceback, all but the first are
    indented.
    """
    first, *others = lines(what)
    sentence = f"{printable(subject)}: {first}" if subject else first
    below = [f"  {line}" for line in others] + ([f"  -> {printable(hint)}"] if hint else [])
    return "\n".join([at_margin(sentence), *below])

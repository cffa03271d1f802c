"""What a person sees while it runs."""

import errno
import io
import sys
from collections.abc import Callable

import pytest

from renewer.system.console import Lines, Live, Quiet, told


def noted(report: Quiet) -> None:
    report.doing("example.com", "waiting")
    report.done("example.com", "ordered")
    report.idle("example.com")


class Gone(io.StringIO):
    """What a terminal is once its window was closed."""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, text)


def test_quiet_tells_problems_and_nothing_else() -> None:
    stream = io.StringIO()
    with Quiet(stream) as report:
        noted(report)
        report.problem("example.com", "it failed", "mend it")
        report.problem("example.org", "it failed")
    assert stream.getvalue() == "example.com: it failed\n  -> mend it\nexample.org: it failed\n"


def test_lines_tell_each_step() -> None:
    stream = io.StringIO()
    with Lines(stream) as report:
        noted(report)
        report.problem("example.com", "it failed", "mend it")
    assert stream.getvalue() == (
        "example.com: waiting\nexample.com: ordered\nexample.com: it failed\n  -> mend it\n"
    )


@pytest.mark.parametrize("kind", [Quiet, Lines])
def test_a_bug_is_told_with_where_it_struck(kind: Callable[[io.StringIO], Quiet]) -> None:
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / int("0")
    kind(stream).bug("example.com", caught.value)
    assert stream.getvalue().startswith("example.com: Traceback")
    assert stream.getvalue().endswith("ZeroDivisionError: division by zero\n")
    assert "test_console.py" in stream.getvalue()


def test_it_speaks_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Quiet().problem("a", "b")
    assert capsys.readouterr() == ("", "a: b\n")


class TestLive:
    def test_what_is_done_stays_and_brackets_are_only_brackets(self) -> None:
        stream = io.StringIO()
        with Live(stream) as report:
            report.doing("example.com", "waiting [red]for[/red] ns1")
            report.doing("example.com", "waiting for ns2")
            report.done("example.com", "ordered: [it is due]")
            report.idle("example.com")
            report.idle("example.com")
            report.problem("example.org", "it [failed]", "mend it")
        lines = [line.rstrip() for line in stream.getvalue().splitlines()]
        assert "example.com: ordered: [it is due]" in lines
        assert "example.org: it [failed]" in lines

    def test_one_that_is_idle_before_it_did_anything_is_nothing(self) -> None:
        stream = io.StringIO()
        with Live(stream) as report:
            report.idle("example.com")
        assert stream.getvalue() == ""

    def test_without_a_word_the_display_is_not_even_made(self) -> None:
        stream = io.StringIO()
        with Live(stream) as report:
            report.problem("example.com", "it failed")
        assert stream.getvalue() == "example.com: it failed\n"
        assert report._display is None

    def test_a_terminal_that_is_gone_ends_nothing(self) -> None:
        with Live(Gone()) as report:
            noted(report)
            report.problem("example.com", "it failed", "mend it")
            report.bug("example.com", ValueError("it broke"))

    def test_its_thread_ends_with_it_whatever_happens(self) -> None:
        report = Live(io.StringIO())
        report.doing("example.com", "waiting")
        with pytest.raises(ZeroDivisionError), report:
            raise ZeroDivisionError
        assert report._display is not None
        assert not report._display.live.is_started


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("a", "b"), "a: b"),
        (("a", "b", "c"), "a: b\n  -> c"),
        (("", "b"), "b"),
    ],
)
def test_a_problem_is_a_sentence_and_what_to_do(arguments: tuple[str, ...], text: str) -> None:
    assert told(*arguments) == text


def test_the_stream_is_that_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    report = Quiet()
    assert report._stream is sys.stderr
    assert capsys.readouterr() == ("", "")

"""The program in this process, and homes for it."""

import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import certs
from support.done import Done
from support.program import SPEC, Home, Program

from renewer.cli import main as cli
from renewer.core.model import Material


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Program]:
    """The program in this process, without a terminal; the signals are given back at the end."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    former = [signal.getsignal(number) for number in numbers]
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["renewer", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return Done(int(caught.value.code or 0), printed.out, printed.err)

    yield call
    for number, handler in zip(numbers, former, strict=True):
        signal.signal(number, handler)
    signal.set_wakeup_fd(-1)


@pytest.fixture(scope="module")
def fresh() -> Material:
    return replace(
        certs.material(replace(SPEC, directory_url=certs.SERVER), days=200), directory_url=SPEC.directory_url
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.configure()
    return home


@pytest.fixture
def settled(home: Home, fresh: Material) -> Home:
    """A home where nothing is due."""
    home.keep(fresh)
    return home

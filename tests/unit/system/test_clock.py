"""The machine's clock and its signals."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from renewer.core.errors import Stopped
from renewer.system.clock import SystemClock
from renewer.system.sd_notify import watched
from renewer.system.signals import Signals

ASKED = (signal.SIGUSR1, signal.SIGUSR2)


@pytest.fixture
def signals() -> Iterator[Signals]:
    """Two signals that nobody else uses; they are given back at the end."""
    former = [signal.getsignal(number) for number in ASKED]
    yield Signals(*ASKED)
    signal.set_wakeup_fd(-1)
    for number, handler in zip(ASKED, former, strict=True):
        signal.signal(number, handler)


def test_signals_come_in_their_order_and_none_is_lost(signals: Signals) -> None:
    sent = [*ASKED, *ASKED[::-1]]
    for number in sent:
        os.kill(os.getpid(), number)
    assert [signals.wait() for _ in sent] == sent


def test_that_none_has_come_in_time_is_told_too(signals: Signals) -> None:
    assert signals.wait_for(0.01) is None
    os.kill(os.getpid(), signal.SIGUSR2)
    assert signals.wait_for(30) == signal.SIGUSR2


def test_another_thread_hears_them_while_the_main_one_waits_for_a_lock(signals: Signals) -> None:
    heard, held = [], threading.Lock()

    def listen() -> None:
        heard.append(signals.wait())
        held.release()

    held.acquire()
    threading.Thread(target=listen, daemon=True).start()
    threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR2)).start()
    assert held.acquire(timeout=30)
    assert heard == [signal.SIGUSR2]


def test_a_stop_ends_a_wait() -> None:
    clock = SystemClock()
    clock.stop()
    with pytest.raises(Stopped):
        clock.sleep(30)


@pytest.mark.parametrize(
    ("asked", "seconds"), [("", 60), ("3000000", 1.5), ("150000000", 60), ("0", 60), ("soon", 60)]
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks_for(
    monkeypatch: pytest.MonkeyPatch, asked: str, seconds: float
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", asked)
    assert watched(60) == seconds


STEP = """
from renewer.cli.commands.context import Call
from renewer.core.errors import Stopped
clock = Call("none", verbose=False).clock()
print("began", flush=True)
try:
    clock.sleep(60)
except Stopped:
    print("asked", flush=True)
input()
print("ended", flush=True)
"""


@contextmanager
def step(*before: str) -> Iterator[subprocess.Popen[str]]:
    """A command in the middle of a step, which a line on its standard input ends."""
    command = (*before, sys.executable, "-c", STEP)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        assert run.stdout.readline() == "began\n"
        yield run


@pytest.mark.parametrize("wish", [(signal.SIGINT, signal.SIGTERM), (signal.SIGHUP, signal.SIGINT)])
def test_one_wish_to_end_may_come_twice_and_the_step_is_ended(wish: tuple[signal.Signals, ...]) -> None:
    with step() as run:
        for number in (signal.SIGSTOP, *wish, signal.SIGCONT):  # so that both arrive together
            run.send_signal(number)
        assert run.stdout
        assert run.stdout.readline() == "asked\n"
        assert run.communicate("\n", timeout=60)[0] == "ended\n"
    assert run.returncode == 0


def test_who_asks_again_does_not_want_to_wait() -> None:
    with step() as run:
        while run.poll() is None:
            run.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                run.wait(0.1)
    assert run.returncode == 128 + signal.SIGINT


def test_what_is_ignored_from_the_start_stays_so() -> None:
    with step("nohup") as run:
        status = Path(f"/proc/{run.pid}/status").read_text()
        ignored = next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn:"))
        assert int(ignored, 16) & 1 << (signal.SIGHUP - 1)
        run.send_signal(signal.SIGTERM)
        assert run.communicate("\n", timeout=60)[0] == "asked\nended\n"

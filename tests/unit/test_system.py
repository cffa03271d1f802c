"""The machine's clock and its signals."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from renewer.errors import Stopped
from renewer.system import Signals, SystemClock, watched

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

"""What many need and one builds."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from renewer.core.errors import ConfigError
from renewer.system.once import Once

MANY = 8


class Builder:
    """Builds 1, 2, … once it may; `fails` says which of them is an error instead."""

    def __init__(self, *fails: int) -> None:
        self.built, self.may = 0, threading.Event()
        self._fails = fails

    def build(self) -> int:
        assert self.may.wait(10)
        self.built += 1
        if self.built in self._fails:
            raise ConfigError("no token")
        return self.built


def test_nothing_is_built_that_nobody_needs() -> None:
    builder = Builder()
    builder.may.set()
    once = Once(builder.build)
    assert builder.built == 0
    assert [once(), once()] == [1, 1]
    assert builder.built == 1


def test_to_begin_holds_nobody_up_and_the_first_who_asks_waits() -> None:
    builder = Builder()
    once = Once(builder.build)
    once.begin()
    once.begin()
    assert builder.built == 0
    builder.may.set()
    assert once() == 1
    once.begin()
    assert builder.built == 1


def test_one_builds_and_the_others_wait() -> None:
    builder, everybody = Builder(), threading.Barrier(MANY)
    once = Once(builder.build)

    def ask(number: int) -> int:
        everybody.wait(10)
        if not number:
            time.sleep(0.1)
            builder.may.set()
        return once()

    with ThreadPoolExecutor(MANY) as pool:
        assert list(pool.map(ask, range(MANY))) == [1] * MANY


def test_a_failure_is_raised_to_all_that_wait_and_tried_again_by_the_next() -> None:
    builder = Builder(1)
    once = Once(builder.build)
    once.begin()

    def ask(_: int) -> str:
        with pytest.raises(ConfigError) as caught:
            once()
        return str(caught.value)

    with ThreadPoolExecutor(MANY) as pool:
        asked = [pool.submit(ask, number) for number in range(MANY)]
        while not once._built or len(once._built._condition._waiters) < MANY:  # type: ignore[attr-defined]
            time.sleep(0.001)
        builder.may.set()
        assert [one.result(10) for one in asked] == ["no token"] * MANY
    assert builder.built == 1
    assert once() == 2


def test_a_failure_ahead_is_raised_to_who_asks() -> None:
    builder = Builder(1, 2)
    builder.may.set()
    once = Once(builder.build)
    once.begin()
    with pytest.raises(ConfigError):
        once()


def test_a_failure_that_lasts_is_raised_to_everybody() -> None:
    builder = Builder(1)
    builder.may.set()
    once = Once(builder.build, lasting=True)
    for _ in range(2):
        with pytest.raises(ConfigError):
            once()
    assert builder.built == 1


def test_where_no_more_threads_are_allowed_it_is_built_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    builder = Builder()
    builder.may.set()
    once = Once(builder.build)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    once.begin()
    assert builder.built == 1
    assert once() == 1

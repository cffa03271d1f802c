"""What is loaded while something else is waited for."""

import threading

import pytest

from renewer.core.errors import ConfigError
from renewer.dns.cloudflare.ahead import Ahead


class Calls:
    """An API that says what it is asked, once it may be built."""

    def __init__(self) -> None:
        self.built, self.may = 0, threading.Event()

    def build(self) -> "Calls":
        assert self.may.wait(10)
        self.built += 1
        return self

    def get(self, path: str, query: object) -> dict[str, object]:
        return {"get": path, "query": query}

    def post(self, path: str, body: object) -> dict[str, object]:
        return {"post": path, "body": body}


def test_to_begin_holds_nobody_up_and_the_first_call_waits() -> None:
    calls = Calls()
    ahead = Ahead(calls.build)
    ahead.begin()
    ahead.begin()
    assert calls.built == 0
    calls.may.set()
    assert ahead.get("/zones", {"page": 1}) == {"get": "/zones", "query": {"page": 1}}
    assert ahead.post("/zones", {}) == {"post": "/zones", "body": {}}
    assert calls.built == 1


def test_nothing_is_built_that_nobody_needs() -> None:
    calls = Calls()
    calls.may.set()
    ahead = Ahead(calls.build)
    assert calls.built == 0
    assert ahead.get("/", {}) == {"get": "/", "query": {}}
    assert calls.built == 1


def test_what_goes_wrong_is_told_to_whoever_makes_a_call() -> None:
    def fail() -> Calls:
        raise ConfigError("no token")

    ahead = Ahead(fail)
    ahead.begin()
    for _ in range(2):
        with pytest.raises(ConfigError, match="no token"):
            ahead.get("/", {})


def test_where_no_more_threads_are_allowed_whoever_comes_first_builds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    calls = Calls()
    calls.may.set()
    ahead = Ahead(calls.build)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    ahead.begin()
    assert ahead.get("/", {}) == {"get": "/", "query": {}}
    assert calls.built == 1

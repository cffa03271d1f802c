"""Cloudflare and the name servers on their bad days: nothing is left, and no authorization fails."""

import math
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.behind import Staged, staged
from support.forks import Ended, Forks
from support.world import NAME

from sandbox import Fault, Token
from sandbox.listener import Request, compact

CHALLENGE = f"_acme-challenge.{NAME}"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Iterator[Staged]:
    with staged(tmp_path_factory.mktemp("dns"), forks, delays=(0.0, 0.0)) as found:
        yield found


@pytest.fixture(autouse=True)
def _settled(stage: Staged) -> Iterator[None]:
    """Leave no trace of a test that failed to the next."""
    yield
    stage.recover()


def error(done: Ended) -> str:
    """Return what was said to have gone wrong; there must be no traceback."""
    assert "Traceback" not in done.err, done.err
    assert done.code in {1, 75}, done
    return str(done.one["error"])


# -- the API ------------------------------------------------------------------------------------------------

BATCH = {"method": "POST", "path_suffix": "/batch"}

ASKED = {"creating": b'"posts":[', "removing": b'"deletes":['}


class Batch(Fault):
    """A fault of the call that creates records, or of the one that removes them."""

    def __init__(self, call: str, **fault: Any) -> None:
        super().__init__(**BATCH, **fault)  # type: ignore[arg-type]
        self._asked = ASKED[call]

    def meets(self, request: Request) -> bool:
        return self._asked in request.body.replace(b" ", b"") and super().meets(request)


API: dict[str, dict[str, object]] = {
    "500": {"status": 500},
    "502": {"status": 502},
    "a cut connection": {"status": None},
    "a connection cut after it was done": {"status": None, "after_effect": True},
    "500 after it was done": {"status": 500, "after_effect": True},
    "403": {"status": 403},
    "429 that passes": {"status": 429, "retry_after": 1},
    "429 for an hour": {"status": 429, "retry_after": 3600},
    "429 without a time": {"status": 429},
    "a page": {"status": 200, "body": b"<html>maintenance</html>", "after_effect": True},
    "nothing": {"status": 200, "body": b"", "after_effect": True},
    "another envelope": {"status": 200, "body": compact({"ok": True}), "after_effect": True},
    "no result": {
        "status": 200,
        "body": compact({"result": None, "success": True, "errors": [], "messages": []}),
        "after_effect": True,
    },
}


@pytest.mark.parametrize("fault", API)
@pytest.mark.parametrize("call", ["creating", "removing"])
def test_the_answer_of_cloudflare_to(stage: Staged, fault: str, call: str) -> None:
    stage.need()
    with stage.unharmed():
        planned = Batch(call, **API[fault])  # type: ignore[arg-type]
        stage.world.box.api.plan(planned)
        done = stage.renew()
        assert (done.code in {0, 1, 75}, "Traceback" in done.err) == (True, False), done
        assert planned.times == 0
        if call == "removing":
            assert done.one["action"] == "issued"
            assert done.one["served"] is True
        if "hour" in fault:
            _wait_an_hour(stage)


@pytest.mark.parametrize("fault", ["500", "a cut connection", "403", "a page", "another envelope"])
def test_cloudflare_is_away_until_it_is_back_with(stage: Staged, fault: str) -> None:
    stage.need()
    with stage.unharmed():
        stage.world.box.api.plan(Fault(**API[fault] | {"times": math.inf}))  # type: ignore[arg-type]
        before = len(stage.world.box.calls())
        for _ in range(3):
            assert error(stage.renew())
        assert len(stage.world.box.calls()) - before <= 15


def test_a_token_that_is_revoked_in_the_middle(stage: Staged) -> None:
    stage.need()
    box = stage.world.box
    with stage.unharmed():
        del box.tokens[box.token]
        done = stage.renew()
        assert error(done)
        assert "token" in done.err
        assert box.records() == []


def test_a_token_that_is_revoked_while_records_stand(stage: Staged) -> None:
    stage.need()
    box = stage.world.box
    with stage.unharmed():
        box.nameservers[0].silent = True
        revoked: list[Token] = []
        reply = box.api._answer

        def answer(request: object) -> object:
            found = reply(request)  # type: ignore[arg-type]
            if request.path.endswith("/batch") and not revoked:  # type: ignore[attr-defined]
                revoked.append(box.tokens.pop(box.token))
            return found

        box.api._answer = answer  # type: ignore[assignment]
        try:
            done = stage.renew()
        finally:
            box.api._answer = reply
        assert error(done)
        assert len(box.records()) > 0
        assert "next run" in done.err


def test_a_zone_that_moved_to_another_account(stage: Staged) -> None:
    stage.need()
    zone = stage.world.box.zones[NAME]
    with stage.unharmed():
        zone.id = secrets.token_hex(16)
        done = stage.renew()
        assert done.code in {0, 1, 75}
        if done.code:
            assert error(done)


def test_stale_records_of_somebody_else_stay(stage: Staged) -> None:
    stage.need()
    zone = stage.world.box.zones[NAME]
    stale = [zone.add(CHALLENGE, "TXT", f"{secrets.token_urlsafe(32)}") for _ in range(5)]
    try:
        done = stage.renew()
        assert (done.code, done.one["action"]) == (0, "issued")
        assert {one.id for one in stage.world.box.records()} == {one.id for one in stale}
    finally:
        with zone.change() as draft:
            for one in stale:
                del draft[one.id]
    stage.calm()


def test_records_of_ours_that_somebody_removed(stage: Staged) -> None:
    stage.need()
    box = stage.world.box
    with stage.unharmed():
        box.nameservers[0].silent = True
        box.api.plan(*[Fault(**BATCH, status=500, times=1)])  # type: ignore[arg-type]
        assert error(stage.renew())
        with box.zones[NAME].change() as draft:
            for one in box.records():
                del draft[one.id]


# -- the name servers ---------------------------------------------------------------------------------------


def _never(stage: Staged) -> None:
    for server in stage.world.box.nameservers:
        server.delay = 3600.0


def _one_of_two_values(stage: Staged) -> None:
    for server in stage.world.box.nameservers:
        server.hide = 1


def _on_one_of_two_servers(stage: Staged) -> None:
    stage.world.box.nameservers[1].hide = 10


def _one_lags(stage: Staged) -> None:
    stage.world.box.nameservers[1].delay = 60.0


def _servfail(stage: Staged) -> None:
    for server in stage.world.box.nameservers:
        server.servfail = True


def _servfail_on_one(stage: Staged) -> None:
    stage.world.box.nameservers[0].servfail = True


def _silent(stage: Staged) -> None:
    for server in stage.world.box.nameservers:
        server.silent = True


def _one_silent(stage: Staged) -> None:
    stage.world.box.nameservers[1].silent = True


DNS = {
    "the records on no server": _never,
    "one of two values": _one_of_two_values,
    "both values on one of two servers": _on_one_of_two_servers,
    "a server that lags": _one_lags,
    "SERVFAIL": _servfail,
    "SERVFAIL from one of two": _servfail_on_one,
    "no answer": _silent,
    "no answer from one of two": _one_silent,
}


@pytest.mark.parametrize("fault", DNS)
def test_name_servers_that_show(stage: Staged, fault: str) -> None:
    stage.need()
    answered = stage.world.ca.answered
    with stage.unharmed():
        DNS[fault](stage)
        assert "name server" in error(stage.renew())
        assert stage.world.box.records() == []
        assert stage.world.ca.answered == answered  # the CA was not told, so nothing counts as failed


def test_name_servers_that_answer_over_tcp_only(stage: Staged) -> None:
    stage.need()
    with stage.unharmed():
        for server in stage.world.box.nameservers:
            server.tcp_only = True
        assert stage.renew().code == 0


@pytest.mark.parametrize("fault", ["servfail"])
def test_a_resolver_that_is(stage: Staged, fault: str) -> None:
    stage.need()
    with stage.unharmed():
        setattr(stage.world.box.recursor, fault, True)
        assert "resolver" in error(stage.renew())
        assert stage.world.box.records() == []


def test_a_ca_that_sees_other_name_servers(stage: Staged) -> None:
    """The one failed authorization that nothing could prevent: it is not repeated at once."""
    stage.need()
    recursor = stage.world.box.recursor
    everything = recursor.shown
    with stage.unharmed(orders=2):
        recursor.shown = lambda zone, name: [  # type: ignore[method-assign]
            one for one in everything(zone, name) if one.type != "TXT"
        ]
        before = stage.orders
        try:
            assert "invalid" in error(stage.renew())
            assert error(stage.renew())
            assert stage.orders == before + 1
        finally:
            recursor.shown = everything  # type: ignore[method-assign]
        _wait_an_hour(stage)


def _wait_an_hour(stage: Staged) -> None:
    stage.wait(timedelta(hours=2))

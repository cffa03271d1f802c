"""A CA that lies, stalls and forgets, in one world fault after fault: nothing is lost, nothing doubled."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from support.acme_proxy import Reply, Rule
from support.behind import Staged, staged
from support.forks import Ended, Forks
from support.hostile.certificates import FORGED, csr_of

Points = Callable[[int], None]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

KINDS = (
    "directory",
    "newNonce",
    "newOrder",
    "authorization",
    "challenge",
    "order",
    "finalize",
    "certificate",
)
"""Every request of an order."""

EVER = 10**6


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Iterator[Staged]:
    with staged(tmp_path_factory.mktemp("ca"), forks, delays=(0.0,)) as found:
        yield found


@pytest.fixture(autouse=True)
def _settled(stage: Staged) -> Iterator[None]:
    """Leave no trace of a test that failed to the next."""
    stage.proxy.asked.clear()
    yield
    stage.recover()


def error(done: Ended) -> str:
    """Return what was said to have gone wrong; there must be a hint, and no traceback."""
    assert "Traceback" not in done.err, done.err
    assert done.code in {1, 75}, done
    return str(done.one["error"])


def says(**changed: object) -> Callable[[Reply], Reply]:
    """Return a change of the JSON object that the CA sends."""
    return lambda reply: replace(reply, body=json.dumps(json.loads(reply.body) | changed).encode())


def headed(**headers: str) -> Callable[[Reply], Reply]:
    """Return a change of headers; an underscore stands for a hyphen."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda reply: replace(reply, headers={**reply.headers, **named})


# -- any answer ---------------------------------------------------------------------------------------------


def _instead(body: bytes, kind: str = "application/json") -> Callable[[Reply], Reply]:
    return lambda reply: replace(reply, body=body, headers={**reply.headers, "Content-Type": kind})


BAD: dict[str, Callable[[Reply], Reply]] = {
    "a page for people": _instead(b"<html>Welcome</html>", "text/html"),
    "an empty object": _instead(b"{}"),
    "a list": _instead(b"[1]"),
    "a number": _instead(b"7"),
    "null": _instead(b"null"),
    "another's object": _instead(b'{"status": "confused", "identifiers": 5, "authorizations": {}}'),
    "nothing": _instead(b""),
    "half an answer": lambda reply: replace(reply, body=reply.body[: len(reply.body) // 2]),
}


@pytest.mark.parametrize("bad", BAD)
def test_any_request_of_an_order_answered_with(stage: Staged, points: Points, bad: str) -> None:
    """What stands where a certificate should is another test's."""
    for kind in KINDS[:-1]:
        stage.need()
        with stage.unharmed():
            rule = Rule(kind, change=BAD[bad])
            stage.proxy.plan(rule)
            done = stage.renew()
            assert (done.code in {0, 1, 75}, "Traceback" in done.err) == (True, False), (kind, done)
            assert rule.times == 0, kind
    points(len(KINDS) - 1)


@pytest.mark.parametrize("bad", ["a page for people", "an empty object", "nothing", "null"])
def test_a_certificate_that_another_server_answered_for_with(stage: Staged, bad: str) -> None:
    """What is no application/pem-certificate-chain is no certificate; the order still has one."""
    stage.need()
    with stage.unharmed():
        stage.proxy.plan(Rule("certificate", change=BAD[bad]))
        stage.renew()


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_certificate_that_is_not_there_yet(stage: Staged, status: int) -> None:
    stage.need()
    with stage.unharmed(orders=None):
        stage.proxy.plan(Rule("certificate", status, "malformed"))
        assert error(stage.renew())


# -- nonces -------------------------------------------------------------------------------------------------


def test_nine_of_ten_nonces_refused(stage: Staged) -> None:
    stage.need()
    posted = ("newOrder", "authorization", "challenge", "finalize", "certificate")
    stage.proxy.plan(*(Rule(kind, 400, "badNonce", times=9) for kind in posted))
    with stage.unharmed():
        done = stage.renew()
        assert (done.code, done.one["action"]) == (0, "issued")


def test_every_nonce_refused(stage: Staged) -> None:
    stage.need()
    stage.proxy.plan(Rule("newOrder", 400, "badNonce", times=EVER))
    asked = stage.proxy.count("newOrder")
    with stage.unharmed():
        assert error(stage.renew())
        assert stage.proxy.count("newOrder") - asked <= 20


# -- orders that come to nothing ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending", "processing", "ready", "valid", "a word of its own"])
def test_an_order_that_stays(stage: Staged, status: str) -> None:
    stage.need()

    looks = iter([status == "processing"])  # which an order is only once it was finalized

    def stuck(reply: Reply) -> Reply:
        if next(looks, False):
            return reply
        document = json.loads(reply.body) | {"status": status}
        document.pop("certificate", None)
        return headed(Retry_After="301")(replace(reply, body=json.dumps(document).encode()))

    stage.proxy.plan(Rule("order", change=stuck, times=EVER), Rule("finalize", change=stuck, times=EVER))
    with stage.unharmed():
        done = stage.renew()
        assert done.code in {0, 1, 75}, done
        assert "Traceback" not in done.err, done.err
        assert stage.world.box.records() == []


@pytest.mark.parametrize("problem", ["badCSR", "orderNotReady", "serverInternal", "unauthorized"])
def test_a_finalization_refused_once_with(stage: Staged, problem: str) -> None:
    stage.need()
    with stage.unharmed(orders=None):
        stage.proxy.plan(Rule("finalize", 403, problem))
        assert stage.renew().code in {0, 1, 75}


@pytest.mark.parametrize("problem", ["unauthorized", "dns", "malformed"])
def test_a_challenge_whose_answer_is_refused_once_with(stage: Staged, problem: str) -> None:
    stage.need()
    with stage.unharmed(orders=None):
        stage.proxy.plan(Rule("challenge", 403, problem))
        assert stage.renew().code in {0, 1, 75}
        assert stage.world.box.records() == []


def test_an_account_that_is_deactivated(stage: Staged) -> None:
    stage.need()
    account = stage.world.files("store/account")
    with stage.unharmed():
        stage.proxy.plan(Rule("newOrder", 401, "unauthorized", times=EVER))
        assert error(stage.renew())
        assert stage.world.files("store/account") == account


def test_an_account_that_is_away_for_a_moment_is_no_second_account(stage: Staged) -> None:
    stage.need()
    account, accounts = stage.world.files("store/account"), stage.world.ca.accounts
    with stage.unharmed():
        stage.proxy.plan(Rule("newOrder", 400, "accountDoesNotExist", times=1))
        assert stage.renew().code == 0
    assert (stage.world.files("store/account"), stage.world.ca.accounts) == (account, accounts)


def test_an_order_without_an_address(stage: Staged) -> None:
    stage.need()

    def nowhere(reply: Reply) -> Reply:
        kept = {name: text for name, text in reply.headers.items() if name != "Location"}
        return replace(reply, headers=kept)

    with stage.unharmed():
        stage.proxy.plan(Rule("newOrder", change=nowhere))
        assert error(stage.renew())


def test_a_ca_that_offers_no_dns_01(stage: Staged) -> None:
    stage.need()

    def without(reply: Reply) -> Reply:
        offered = json.loads(reply.body)["challenges"]
        return says(challenges=[one for one in offered if one["type"] != "dns-01"])(reply)

    with stage.unharmed(orders=None):
        stage.proxy.plan(Rule("authorization", change=without, times=EVER))
        assert "dns-01" in error(stage.renew())
        assert stage.world.box.records() == []


def test_an_order_for_other_names(stage: Staged) -> None:
    stage.need()
    with stage.unharmed(orders=None):
        other = [{"type": "dns", "value": "else.example"}]
        stage.proxy.plan(Rule("newOrder", change=says(identifiers=other)))
        assert stage.renew().code in {0, 1, 75}


def test_a_profile_that_the_ca_has_not(stage: Staged) -> None:
    stage.settle()
    kept, before = stage.world.config.read_text(), stage.orders
    fancy = 'profile = "fancy"\ndomains = ["x.deep.example.com", '
    stage.world.config.write_text(kept.replace("domains = [", fancy))
    try:
        stage.proxy.plan(
            Rule(
                "newOrder",
                400,
                "invalidProfile",
                when=lambda payload: payload.get("profile") == "fancy",
                times=EVER,
            )
        )
        assert "invalidProfile" in error(stage.renew())
        stage.serves()
        assert stage.orders == before
    finally:
        stage.world.config.write_text(kept)
    stage.heal()
    assert stage.renew("--force").code == 0  # what the journal held of it goes with the next order


# -- limits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["newOrder", "finalize", "authorization", "challenge", "certificate"])
def test_a_rate_limit_holds_across_runs_when_it_strikes(stage: Staged, kind: str) -> None:
    stage.need()
    limited = Rule(kind, 429, "rateLimited", {"Retry-After": "3600"}, times=EVER)
    with stage.unharmed():
        stage.proxy.plan(limited)
        assert error(stage.renew())
        asked = len(stage.proxy.asked)
        for argv in ((), ("--force",), ()):
            assert error(stage.renew(*argv))
        stage.wait(HOUR / 2)
        assert error(stage.renew())
        assert set(stage.proxy.asked[asked:]) <= {"directory", "renewalInfo"}
        stage.wait(HOUR)


def test_a_retry_after_of_a_century_is_not_believed(stage: Staged) -> None:
    stage.need()
    with stage.unharmed():
        stage.proxy.plan(Rule("newOrder", 429, "rateLimited", {"Retry-After": "9999999999"}, times=EVER))
        assert error(stage.renew())
        stage.wait(31 * DAY)


# -- certificates that are not what was ordered -------------------------------------------------------------


@pytest.mark.parametrize("wrong", FORGED)
def test_a_certificate_with(stage: Staged, wrong: str) -> None:
    stage.need()
    csr: list[bytes] = []

    def noted(payload: dict[str, object]) -> bool:
        csr.append(csr_of(payload))
        return False

    def forge(reply: Reply) -> Reply:
        return replace(reply, body=FORGED[wrong](csr[-1]).encode())

    kept = stage.world.files("store/certificate", "certificates", "nginx")
    with stage.unharmed(orders=None):
        before = stage.orders
        stage.proxy.plan(Rule("finalize", when=noted), Rule("certificate", change=forge, times=EVER))
        assert error(stage.renew())
        assert stage.world.files("store/certificate", "certificates", "nginx") == kept
        assert error(stage.renew())
        assert stage.orders == before + 1  # it is not ordered over and over
        stage.wait(2 * DAY)


# -- renewal information ------------------------------------------------------------------------------------


def _window(start: object, end: object) -> Rule:
    return Rule("renewalInfo", change=says(suggestedWindow={"start": start, "end": end}), times=EVER)


ARI: dict[str, Rule] = {
    "a cut connection": Rule("renewalInfo", cut=True, times=EVER),
    "404": Rule("renewalInfo", 404, "malformed", times=EVER),
    "429": Rule("renewalInfo", 429, "rateLimited", {"Retry-After": "7200"}, times=EVER),
    "a window upside down": _window("2037-01-02T00:00:00Z", "2037-01-01T00:00:00Z"),
    "dates of no calendar": _window("soon", "later"),
    "numbers": _window(1, 2),
    "years beyond counting": _window("2037-01-01T00:00:00Z", "99999-01-01T00:00:00Z"),
    "the first of all years": _window("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:01-14:00"),
    "a window without zones": _window("2029-01-01T00:00:00", "2029-01-02T00:00:00"),
    "a window after the end": _window("2090-01-01T00:00:00Z", "2090-01-02T00:00:00Z"),
    "a Retry-After of zero": Rule("renewalInfo", change=headed(Retry_After="0"), times=EVER),
    "a Retry-After of nonsense": Rule("renewalInfo", change=headed(Retry_After="-7 apples"), times=EVER),
    "a Retry-After of a century": Rule("renewalInfo", change=headed(Retry_After="3155760000"), times=EVER),
}


@pytest.mark.parametrize("fault", ARI)
def test_renewal_information_with(stage: Staged, fault: str) -> None:
    stage.settle()
    stage.wait(25 * HOUR)  # time to ask again
    stage.proxy.window = (stage.later + 300 * DAY, stage.later + 301 * DAY)
    with stage.unharmed(orders=0):
        stage.proxy.plan(replace(ARI[fault]))
        for _ in range(3):
            done = stage.renew()
            assert (done.code, done.one["action"]) == (0, "fresh"), done
        assert stage.proxy.count("renewalInfo") <= 3
        stage.wait(25 * HOUR)
        assert stage.renew().code == 0
        assert stage.proxy.count("renewalInfo") >= 2  # it is asked again, whatever it said


def test_a_window_in_the_past_renews_once(stage: Staged) -> None:
    stage.settle()
    stage.wait(25 * HOUR)
    stage.proxy.window = (stage.later - 2 * DAY, stage.later - DAY)
    with stage.unharmed():
        assert [stage.renew().one["action"] for _ in range(3)] == ["issued", "fresh", "fresh"]


# -- clocks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [-400, -2, 2, 400])
def test_a_ca_whose_clock_is_off_by_days(stage: Staged, days: int) -> None:
    stage.need()
    stage.proxy.asked.clear()
    with stage.unharmed():
        stage.proxy.shift = stage.later + days * DAY
        assert "clock" in error(stage.renew())
        assert stage.proxy.count("newOrder") == 0
        stage.proxy.shift = stage.later

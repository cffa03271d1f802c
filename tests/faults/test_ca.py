"""A CA that goes wrong: what is served stays, no order is lost or spent twice, the next run heals it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from support import certs
from support.acme_proxy import AcmeProxy, Reply, Rule
from support.forks import Ended, Forks, Meddling
from support.holds import Faulty
from support.world import NAME, World, table

DAY = 86400.0

BACK_OFF = 90.0
"""Seconds after which a first failure binds nobody any more."""


@pytest.fixture
def ca(tmp_path: Path, forks: Forks) -> Iterator[tuple[Faulty, AcmeProxy]]:
    """A world with a certificate, and another one that is needed; the CA is reached through the proxy.

    pebble itself refuses no nonce: the answer that a rule spoils is the one that it was made for.
    """
    with World(tmp_path, delays=(0.0,), nonce_reject=0) as world, AcmeProxy(world.box.pebble) as proxy:
        faulty = Faulty(world, forks)
        faulty.edit = lambda text: text.replace(world.box.directory, proxy.directory)
        faulty.again()
        faulty.calm()
        faulty.need()
        yield faulty, proxy


Ca = tuple[Faulty, AcmeProxy]


def meets(ca: Ca, *rules: Rule, orders: int = 2) -> Ended:
    """Run into the rules, hold what has to hold, run once more without them; return how it ended first."""
    faulty, proxy = ca
    before = faulty.world.glimpse()
    proxy.plan(*rules)
    done = faulty.renew()
    assert all(rule.met for rule in rules)
    faulty.serves()
    faulty.whole()
    if done.code:
        assert faulty.world.glimpse() == before
        assert done.one["error"]
        assert faulty.world.box.records() == []
    proxy.heal()
    faulty.calm(later=BACK_OFF)
    assert faulty.world.ca.orders == orders
    return done


@pytest.mark.parametrize(
    "kind",
    ["directory", "newNonce", "newOrder", "order", "authorization", "challenge", "finalize", "certificate"],
)
class TestAnswers:
    """Each request of an issuance, answered wrongly."""

    def test_a_server_error(self, ca: Ca, kind: str) -> None:
        assert meets(ca, Rule(kind, 500, "serverInternal", times=99)).code == 75

    def test_a_page_in_html(self, ca: Ca, kind: str) -> None:
        body = b"<html><h1>502 Bad Gateway</h1></html>"
        assert meets(ca, Rule(kind, 502, body=body, times=99)).code == 75

    def test_a_connection_that_is_cut(self, ca: Ca, kind: str) -> None:
        assert meets(ca, Rule(kind, cut=True, times=99)).code == 75

    def test_an_answer_that_is_lost_though_it_was_done(self, ca: Ca, kind: str) -> None:
        assert meets(ca, Rule(kind, lose=True, times=1)).code in {0, 75}

    def test_no_json_at_all(self, ca: Ca, kind: str) -> None:
        done = meets(ca, Rule(kind, change=_garbled, times=99))
        assert done.code in {0, 1, 75}
        assert (done.code == 0) == (kind in {"newNonce", "challenge"}), done  # whose body nobody reads

    def test_unavailable_with_retry_after(self, ca: Ca, kind: str) -> None:
        faulty, proxy = ca
        proxy.plan(Rule(kind, 503, headers={"Retry-After": "2"}, times=99))
        assert faulty.renew().code == 75
        asked = proxy.count("newOrder")
        again = faulty.renew("--force")
        assert (again.code, proxy.count("newOrder")) == (75, asked)
        assert "not tried again" in again.one["error"]
        proxy.heal()
        faulty.calm(later=BACK_OFF)


@pytest.mark.parametrize("date", [False, True], ids=["seconds", "a date"])
def test_a_rate_limit_is_honoured_across_runs(ca: Ca, *, date: bool) -> None:
    faulty, proxy = ca
    until = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    proxy.plan(Rule("newOrder", 429, "rateLimited", {"Retry-After": until if date else "3600"}, times=99))
    assert faulty.renew().code == 75
    for _ in range(3):
        done = faulty.renew("--force")
        assert (done.code, proxy.count("newOrder")) == (75, 2)
    (faulty.world.state / "store" / "failure" / f"{NAME}.json").unlink()
    assert (faulty.renew().code, proxy.count("newOrder")) == (75, 2)  # the ledger knows it too
    late = faulty.renew(meddling=Meddling(shift=3700))
    assert (late.code, proxy.count("newOrder")) == (75, 3)
    faulty.serves()


@pytest.mark.parametrize("percent", [50, 90])
def test_nonces_that_are_refused(ca: Ca, percent: int) -> None:
    _, proxy = ca
    seen = iter(range(10**6))
    refused = Rule("any", 400, "badNonce", times=10**6)
    refused.when = lambda _: next(seen) % 10 < percent / 10 and _posted(proxy)
    faulty, _ = ca
    proxy.plan(refused)
    done = faulty.renew()
    assert done.code == 0 or percent == 90
    proxy.heal()
    faulty.calm()
    assert faulty.world.ca.orders == 2


def _posted(proxy: AcmeProxy) -> bool:
    return proxy.asked[-1] not in {"directory", "newNonce"}


def test_an_order_that_turns_invalid(ca: Ca) -> None:
    def invalid(reply: Reply) -> Reply:
        document = json.loads(reply.body)
        document |= {"status": "invalid", "error": {"type": "x", "detail": "the CA thought better of it"}}
        return replace(reply, body=json.dumps(document).encode())

    done = meets(ca, Rule("order", change=invalid, times=1), orders=3)
    assert (done.code, "thought better" in done.one["error"]) == (1, True)


def test_an_order_that_the_ca_has_forgotten(ca: Ca) -> None:
    faulty, proxy = ca
    proxy.plan(Rule("challenge", 500, "serverInternal", times=99))
    assert faulty.renew().code == 75
    proxy.heal()
    proxy.plan(Rule("order", 404, "malformed", times=1))
    faulty.calm()
    assert faulty.world.ca.orders == 3


def test_an_account_that_the_ca_has_forgotten(ca: Ca) -> None:
    done = meets(ca, Rule("newOrder", 400, "accountDoesNotExist", times=1))
    assert done.code == 0


@pytest.mark.parametrize(
    "problem", ["rejectedIdentifier", "caa", "unauthorized", "userActionRequired", "malformed"]
)
def test_an_order_that_is_refused(ca: Ca, problem: str) -> None:
    done = meets(ca, Rule("newOrder", 403, problem, times=99))
    assert (done.code, f"the CA said {problem}" in done.one["error"]) == (1, True)


class TestWrongCertificates:
    """What the CA hands out is checked before anything is kept of it."""

    def wrong(self, ca: Ca, body: bytes) -> str:
        change = Rule("certificate", change=lambda reply: replace(reply, body=body), times=1)
        done = meets(ca, change, orders=3)
        assert done.code == 1
        return str(done.one["error"])

    def test_another_key(self, ca: Ca) -> None:
        faulty, _ = ca
        chain = certs.pair(certs.spec(*sorted(faulty.wanted))).chain
        assert "key" in self.wrong(ca, chain.encode())

    def test_nothing_but_text(self, ca: Ca) -> None:
        assert self.wrong(ca, b"-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n")

    @pytest.mark.parametrize("body", [b"", b"<html>come back later</html>"])
    def test_no_certificate_at_all_costs_no_order(self, ca: Ca, body: bytes) -> None:
        change = Rule("certificate", change=lambda reply: replace(reply, body=body), times=1)
        assert meets(ca, change).code == 75

    def test_a_chain_without_its_leaf(self, ca: Ca) -> None:
        rule = Rule("certificate", change=_without_leaf, times=1)
        assert meets(ca, rule, orders=3).code == 1

    def test_a_chain_that_is_cut_off(self, ca: Ca) -> None:
        rule = Rule("certificate", change=lambda reply: replace(reply, body=reply.body[:700]), times=1)
        assert meets(ca, rule, orders=3).code == 1

    @pytest.mark.parametrize("days", [-400, 400])
    def test_dates_that_do_not_fit_this_clock_or_a_clock_that_does_not_fit_the_ca(
        self, ca: Ca, days: int
    ) -> None:
        faulty, proxy = ca
        asked = proxy.count("newOrder")
        done = faulty.renew(meddling=Meddling(shift=days * DAY))
        assert (done.code, "clock is wrong" in done.one["error"]) == (1, True)
        assert proxy.count("newOrder") == asked
        faulty.calm()


def _garbled(reply: Reply) -> Reply:
    """Return what nobody can read; a refused nonce stays one."""
    return replace(reply, body=b"\x00\xff nonsense") if reply.status < 400 else reply


def _without_leaf(reply: Reply) -> Reply:
    end = b"-----END CERTIFICATE-----\n"
    return replace(reply, body=reply.body.partition(end)[2])


class TestRenewalInformation:
    def certificate(self, ca: Ca, start: float, end: float) -> tuple[Faulty, AcmeProxy]:
        faulty, proxy = ca
        proxy.window = timedelta(seconds=start), timedelta(seconds=end)
        faulty.calm()
        return faulty, proxy

    @pytest.mark.parametrize(
        ("status", "problem"),
        [(409, "alreadyReplaced"), (400, "malformed"), (403, "unauthorized"), (404, "malformed")],
    )
    def test_replaces_is_refused_and_left_out(self, ca: Ca, status: int, problem: str) -> None:
        faulty, proxy = self.certificate(ca, 10 * DAY, 11 * DAY)
        faulty.need()
        proxy.replaces.clear()
        proxy.plan(Rule("newOrder", status, problem, when=lambda payload: "replaces" in payload, times=99))
        faulty.calm()
        named, plain = proxy.replaces
        assert named
        assert plain is None

    def test_what_the_ca_has_to_explain_is_shown(self, ca: Ca) -> None:
        faulty, _ = self.certificate(ca, 20 * DAY, 21 * DAY)
        assert "https://ca.example/why" in faulty.run("status").out

    def test_a_window_that_is_over_renews_at_once(self, ca: Ca) -> None:
        """So a CA says that it is going to revoke."""
        faulty, proxy = self.certificate(ca, -2 * DAY, -DAY)
        later = faulty.renew(meddling=Meddling(shift=7 * 3600))
        assert (later.code, later.one["action"]) == (0, "issued")
        assert proxy.replaces[-1]

    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", b"{}", b'{"suggestedWindow": {"start": 1}}', b"<html>", b"\xff" * 99],
        ids=["nothing", "a list", "an empty object", "a number as date", "a page", "no text"],
    )
    def test_nonsense_holds_nothing_up(self, ca: Ca, body: bytes) -> None:
        faulty, proxy = ca
        proxy.window = timedelta(days=1), timedelta(days=2)
        proxy.plan(Rule("renewalInfo", change=lambda reply: replace(reply, body=body), times=99))
        assert faulty.calm().one["action"] == "issued"

    def test_an_error_holds_nothing_up(self, ca: Ca) -> None:
        faulty, proxy = ca
        proxy.window = timedelta(days=1), timedelta(days=2)
        proxy.plan(Rule("renewalInfo", 500, "serverInternal", times=99))
        assert faulty.calm().one["action"] == "issued"


def test_a_ca_that_is_away_for_a_week_is_asked_ever_less_and_then_again(ca: Ca) -> None:
    faulty, proxy = ca
    proxy.plan(Rule("any", cut=True, times=10**6))
    moment, tried = 0.0, 0
    while moment < 7 * DAY:
        done = faulty.renew(meddling=Meddling(shift=moment))
        assert done.code == 75
        tried += 1
        after = datetime.fromisoformat(done.one["next"]) - datetime.now(UTC)
        moment = max(after.total_seconds(), moment + 30)
    assert 8 <= tried <= 14  # 1, 10, 100 minutes, then daily
    proxy.heal()
    proxy.shift = timedelta(seconds=moment)
    done = faulty.renew(meddling=Meddling(shift=moment))
    assert (done.code, done.one["served"]) == (0, True)
    assert faulty.world.ca.orders == 2


def test_a_profile_that_the_ca_offers_is_asked_for(ca: Ca) -> None:
    faulty, _ = ca
    faulty.world.write(table(NAME, NAME, more='profile = "shortlived"'), edit=faulty.edit)
    assert faulty.renew().code == 0

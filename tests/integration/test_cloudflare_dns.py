"""TXT records at Cloudflare, by the real SDK against the stand-in on the loopback."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

import pytest
from cloudflare import Cloudflare
from support.fakes import FakeClock, MemStore, Notes

from renewer.core.errors import Refused, RenewerError, Stopped, Transient
from renewer.core.journal import Handle, TxtRecord
from renewer.dns.cloudflare.client import PER_PAGE, Api, client
from renewer.dns.cloudflare.provider import COMMENT, TTL, CloudflareDns
from renewer.store.state import State
from sandbox import Fault, Sandbox, Token
from sandbox.listener import ApiServer, Reply, Request, compact

ZONES = ("example.com", "sub.example.com", "example.net", *(f"zone{number}.test" for number in range(50)))
ALL, FEW, BLIND = (f"a-made-up-token-of-forty-characters-{kind:0>6}" for kind in ("all", "few", "blind"))
TOKENS = {
    FEW: Token(ZONES[:3]),
    ALL: Token(ZONES),
    BLIND: Token(ZONES[:3], zone_read=False),
}
ONE = TxtRecord("_acme-challenge.example.com", "one")
TWO = TxtRecord("_acme-challenge.example.com", "two")
NET = TxtRecord("_acme-challenge.example.net", "net")
BATCH = "/dns_records/batch"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(
        tmp_path_factory.mktemp("sandbox"), ZONES, tokens=TOKENS, ca=False, delays=(0.0,)
    ) as sandbox:
        yield sandbox


@pytest.fixture
def box(running: Sandbox) -> Sandbox:
    """The one sandbox, as if nothing had happened yet."""
    running.api.heal()
    running.api.calls.clear()
    for zone in running.zones.values():
        with zone.change() as draft:
            draft.clear()
    return running


class Account:
    """A provider with all that is around it."""

    def __init__(self, api: Cloudflare, known: Mapping[str, str], sleeps: int | None) -> None:
        self.clock, self.notes = FakeClock(sleeps=sleeps), Notes()
        self.vault = State(MemStore(), self.notes)
        self.api = api
        self.dns = CloudflareDns(Api(lambda: api, self.clock, self.notes), known, self.vault)

    def again(self) -> CloudflareDns:
        """Return the provider of the next run."""
        return CloudflareDns(Api(lambda: self.api, self.clock, self.notes), {}, self.vault)


def provider(api: Cloudflare, known: Mapping[str, str] | None = None) -> CloudflareDns:
    """Return a provider alone."""
    return CloudflareDns(Api(lambda: api, FakeClock(), Notes()), known or {}, State(MemStore(), Notes()))


Make = Callable[..., Account]


@pytest.fixture(scope="module")
def sdk(running: Sandbox) -> Iterator[Callable[[str], Cloudflare]]:
    """The real SDK, one client for each token."""
    made: dict[str, Cloudflare] = {}

    def of(token: str) -> Cloudflare:
        if token not in made:
            made[token] = client(token, running.api_url)
        return made[token]

    yield of
    for one in made.values():
        one.close()


@pytest.fixture
def account(box: Sandbox, sdk: Callable[[str], Cloudflare]) -> Make:
    assert box.calls() == []

    def make(token: str = FEW, known: Mapping[str, str] | None = None, sleeps: int | None = None) -> Account:
        return Account(sdk(token), known or {}, sleeps)

    return make


def asked(box: Sandbox) -> list[str]:
    ids = {zone.id: zone.name for zone in box.zones.values()}
    calls = []
    for call in box.calls():
        path = call.path
        for id_, name in ids.items():
            path = path.replace(id_, name)
        calls.append(f"{call.method} {path}")
    return calls


def contents(box: Sandbox) -> set[str]:
    return {record.content for record in box.records()}


def kept_ids(box: Sandbox, *names: str) -> dict[str, str]:
    return {name: box.zones[name].id for name in names}


class TestCalls:
    def test_three_for_the_first_certificate(self, box: Sandbox, account: Make) -> None:
        dns = account().dns
        dns.check([ONE.name])
        dns.remove(dns.present([ONE, TWO]))
        assert asked(box) == ["GET /zones", *["POST /zones/example.com" + BATCH] * 2]
        assert box.records() == []

    def test_two_for_a_renewal_since_the_zone_is_remembered(self, box: Sandbox, account: Make) -> None:
        ours = account()
        ours.dns.check([ONE.name])
        box.api.calls.clear()
        dns = ours.again()
        dns.check([ONE.name])
        dns.remove(dns.present([ONE, TWO]))
        assert asked(box) == ["POST /zones/example.com" + BATCH] * 2

    def test_two_with_a_configured_zone(self, box: Sandbox, account: Make) -> None:
        dns = account(known=kept_ids(box, "example.com")).dns
        dns.check([ONE.name])
        dns.remove(dns.present([ONE, TWO]))
        assert asked(box) == ["POST /zones/example.com" + BATCH] * 2

    def test_one_for_each_zone(self, box: Sandbox, account: Make) -> None:
        dns = account(known=kept_ids(box, "example.com", "example.net")).dns
        handles = dns.present([ONE, NET, TWO])
        assert asked(box) == [f"POST /zones/{zone}{BATCH}" for zone in ("example.com", "example.net")]
        assert contents(box) == {'"one"', '"two"', '"net"'}
        dns.remove(handles)
        assert box.records() == []

    def test_none_for_nothing(self, box: Sandbox, account: Make) -> None:
        dns = account().dns
        assert dns.present([]) == []
        dns.remove([])
        assert asked(box) == []


class TestRecords:
    def test_they_are_quoted_short_lived_and_marked_as_ours(self, box: Sandbox, account: Make) -> None:
        account().dns.present([ONE])
        (record,) = box.records()
        assert (record.name, record.type, record.content, record.ttl) == (ONE.name, "TXT", '"one"', 60)
        assert record.comment is not None
        assert record.comment.startswith("renewer")

    def test_a_handle_names_its_own_record(self, box: Sandbox, account: Make) -> None:
        handles = account().dns.present([TWO, ONE])
        there = {record.id: record.content for record in box.records()}
        assert [there[handle.id] for handle in handles] == ['"two"', '"one"']
        assert [(handle.zone, handle.record) for handle in handles] == [
            (box.zones["example.com"].id, TWO),
            (box.zones["example.com"].id, ONE),
        ]

    def test_an_answer_in_another_order_confuses_nobody(self, box: Sandbox, account: Make) -> None:
        posts = [{"id": one.value, "name": one.name, "content": f'"{one.value}"'} for one in (TWO, ONE)]
        answer = {"success": True, "errors": [], "messages": [], "result": {"posts": posts}}
        box.api.plan(Fault(path_suffix=BATCH, status=200, body=compact(answer)))
        handles = account().dns.present([ONE, TWO])
        assert [(handle.id, handle.record) for handle in handles] == [("one", ONE), ("two", TWO)]

    def test_a_name_that_is_spelt_in_another_way_is_still_ours(self, box: Sandbox, account: Make) -> None:
        posts = [{"id": one.value, "name": "ODD", "content": one.value} for one in (ONE, TWO)]
        answer = {"success": True, "errors": [], "messages": [], "result": {"posts": posts}}
        box.api.plan(Fault(path_suffix=BATCH, status=200, body=compact(answer)))
        handles = account().dns.present([ONE, TWO])
        assert [(handle.id, handle.record) for handle in handles] == [("one", ONE), ("two", TWO)]

    def test_the_zone_with_the_longest_name_is_taken(self, box: Sandbox, account: Make) -> None:
        account().dns.present([TxtRecord("_acme-challenge.www.sub.example.com", "deep"), ONE])
        assert [record.name for record in box.zones["sub.example.com"].now.records.values()] == [
            "_acme-challenge.www.sub.example.com"
        ]

    @pytest.mark.parametrize("name", ["_acme-challenge.notexample.com", "_acme-challenge.com"])
    def test_a_zone_covers_whole_labels_only(self, account: Make, name: str) -> None:
        with pytest.raises(Refused, match=f"no zone.*{name.removeprefix('_acme-challenge.')}"):
            account().dns.check([name])

    def test_one_that_is_there_is_adopted_and_the_others_are_created(
        self, box: Sandbox, account: Make
    ) -> None:
        dns = account().dns
        (first,) = dns.present([ONE])
        handles = dns.present([ONE, TWO])
        assert first in handles
        assert {handle.record for handle in handles} == {ONE, TWO}
        assert len(box.records()) == 2
        dns.remove(handles)
        assert box.records() == []

    def test_those_of_an_answer_that_was_lost_are_adopted(self, box: Sandbox, account: Make) -> None:
        dns = account().dns
        box.api.plan(Fault(method="POST", path_suffix=BATCH, status=None, after_effect=True))
        with pytest.raises(Transient):
            dns.present([ONE, TWO])
        dns.remove(dns.present([ONE, TWO]))
        assert box.records() == []

    def test_the_records_of_others_under_the_same_name_are_left_alone(
        self, box: Sandbox, account: Make
    ) -> None:
        box.zones["example.com"].add(ONE.name, "TXT", '"of another program"')
        dns = account().dns
        dns.remove(dns.present([ONE]))
        assert contents(box) == {'"of another program"'}

    def test_one_that_is_gone_does_not_keep_the_others(self, box: Sandbox, account: Make) -> None:
        dns = account().dns
        handles = dns.present([ONE, TWO])
        dns.remove(handles[:1])
        dns.remove(handles)
        assert box.records() == []
        dns.remove(handles)

    def test_what_the_first_zone_got_is_removed_when_the_second_fails(
        self, box: Sandbox, account: Make
    ) -> None:
        dns = account(known=kept_ids(box, "example.com", "example.net")).dns
        box.api.plan(Fault(path_suffix=box.zones["example.net"].id + BATCH, status=500))
        with pytest.raises(Transient):
            dns.present([ONE, NET])
        assert box.records() == []

    def test_a_zone_that_fails_does_not_keep_the_records_of_the_next(
        self, box: Sandbox, account: Make
    ) -> None:
        dns = account(known=kept_ids(box, "example.com", "example.net")).dns
        handles = dns.present([ONE, NET])
        box.api.plan(Fault(path_suffix=box.zones["example.com"].id + BATCH, status=500, times=math.inf))
        with pytest.raises(Transient):
            dns.remove(handles)
        assert contents(box) == {'"one"'}


class TestZones:
    def test_more_than_one_page_of_zones_is_asked_by_name(self, box: Sandbox, account: Make) -> None:
        account(ALL).dns.check(["_acme-challenge.a.zone49.test"])
        assert [call.query for call in box.calls()] == [
            {"per_page": "50"},
            {"name": "a.zone49.test"},
            {"name": "zone49.test"},
        ]

    def test_a_token_that_sees_no_zones_does_with_their_ids(self, box: Sandbox, account: Make) -> None:
        with pytest.raises(Refused):
            account(BLIND).dns.check([ONE.name])
        dns = account(BLIND, kept_ids(box, "example.com")).dns
        dns.check([ONE.name])
        dns.remove(dns.present([ONE]))
        assert box.records() == []

    def test_without_a_zone_a_person_is_told_what_to_look_at(self, account: Make) -> None:
        with pytest.raises(Refused, match=r"no zone.*shop\.example\.org") as caught:
            account().dns.check(["_acme-challenge.shop.example.org"])
        assert "token" in caught.value.hint
        assert "zone_ids" in caught.value.hint

    def test_the_zone_of_a_name_is_told_as_it_is_seen_now(self, box: Sandbox, account: Make) -> None:
        ours = account()
        ours.vault.keep_zones("cloudflare", {"example.com": "0" * 32})
        assert ours.again().zone(ONE.name) == box.zones["example.com"].id
        assert ours.again().zone("_acme-challenge.example.org") is None

    def test_a_busy_store_costs_a_look_up_and_nothing_else(self, box: Sandbox, account: Make) -> None:
        ours = account()
        with ours.vault.store.lease("zones.cloudflare", timedelta(minutes=1)):
            ours.dns.check([ONE.name])
        ours.again().check([ONE.name])
        assert asked(box) == ["GET /zones"] * 2

    def test_a_remembered_zone_that_was_made_anew_is_found_again(self, box: Sandbox, account: Make) -> None:
        ours = account()
        ours.vault.keep_zones("cloudflare", {"example.com": "0" * 32})
        with pytest.raises(RenewerError):
            ours.again().present([ONE])
        assert ours.again().present([ONE])
        assert contents(box) == {'"one"'}


class TestPatience:
    def test_one_call_too_many_is_made_again_after_exactly_the_time_told(
        self, box: Sandbox, account: Make
    ) -> None:
        ours = account()
        box.api.plan(Fault(path_suffix=BATCH, status=429, retry_after=7))
        assert len(ours.dns.present([ONE])) == 1
        assert ours.clock.slept == [7.0]
        assert [who for who, what in ours.notes.of("doing") if "7 seconds" in what] == ["cloudflare"]

    def test_a_minute_is_sat_out_and_a_second_more_is_left_to_the_next_run(
        self, box: Sandbox, account: Make
    ) -> None:
        ours = account()
        box.api.plan(Fault(status=429, retry_after=60))
        ours.dns.check([ONE.name])
        assert ours.clock.slept == [60.0]
        box.api.plan(Fault(path_suffix=BATCH, status=429, retry_after=61))
        with pytest.raises(Transient, match="code 971") as caught:
            ours.dns.present([ONE])
        assert caught.value.retry_after == timedelta(seconds=61)
        assert ours.clock.slept == [60.0]

    def test_who_is_told_to_wait_for_ever_gives_up(self, box: Sandbox, account: Make) -> None:
        ours = account()
        box.api.plan(Fault(status=429, retry_after=5, times=math.inf))
        with pytest.raises(Transient) as caught:
            ours.dns.check([ONE.name])
        assert caught.value.retry_after == timedelta(seconds=5)
        assert ours.clock.slept == [5.0, 5.0]

    def test_without_a_time_nobody_waits(self, box: Sandbox, account: Make) -> None:
        ours = account()
        box.api.plan(Fault(status=429))
        with pytest.raises(Transient):
            ours.dns.check([ONE.name])
        assert ours.clock.slept == []

    def test_to_be_asked_to_end_ends_the_wait(self, box: Sandbox, account: Make) -> None:
        box.api.plan(Fault(status=429, retry_after=5))
        with pytest.raises(Stopped):
            account(sleeps=0).dns.check([ONE.name])


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "code", "hint"),
        [
            (400, 6003, "malformed"),
            (401, 1000, "not valid"),
            (403, 9109, "revoked"),
            (403, 10000, "may not edit"),
            (403, 9103, "Global API Key"),
            (404, 7003, "zone_ids"),
            (403, 1009, "IP filter"),
            (403, 4242, "cloudflarestatus"),
        ],
    )
    def test_each_code_says_what_to_do(
        self, box: Sandbox, account: Make, status: int, code: int, hint: str
    ) -> None:
        box.api.plan(Fault(status=status, code=code, message="No.", times=3))
        dns = account(known=kept_ids(box, "example.com")).dns
        handle = Handle(box.zones["example.com"].id, "0" * 32, ONE)
        for call in (
            lambda: account().dns.check([ONE.name]),
            lambda: dns.present([ONE]),
            lambda: dns.remove([handle]),
        ):
            with pytest.raises(Refused, match=rf"No\. \(code {code}\)") as caught:
                call()
            assert hint in caught.value.hint

    @pytest.mark.parametrize(("token", "hint"), [("too-short", "malformed"), ("x" * 40, "revoked")])
    def test_the_words_of_the_stand_in_itself(self, account: Make, token: str, hint: str) -> None:
        with pytest.raises(Refused) as caught:
            account(token).dns.check([ONE.name])
        assert hint in caught.value.hint
        assert token not in f"{caught.value} {caught.value.hint}"

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(status=500),
            Fault(status=502, body=b"<html>Bad gateway</html>"),
            Fault(status=503, retry_after=600),
            Fault(status=None),
            Fault(status=200, body=b"<html>not JSON</html>"),
            Fault(status=200, body=b'{"success":true,"result":'),
            Fault(status=200, body=b"[]"),
            Fault(status=200, body=b'{"success":true,"errors":[],"messages":[],"result":7}'),
            Fault(status=200, body=b'{"success":true,"errors":[],"messages":[],"result":{"posts":[7]}}'),
        ],
        ids=["500", "502", "503", "cut", "html", "half", "list", "number", "odd record"],
    )
    def test_what_is_broken_over_there_may_pass(self, box: Sandbox, account: Make, fault: Fault) -> None:
        box.api.plan(Fault(**vars(fault)))
        with pytest.raises(Transient) as caught:
            account(known=kept_ids(box, "example.com")).dns.present([ONE])
        if fault.retry_after:
            assert caught.value.retry_after == timedelta(seconds=fault.retry_after)

    def test_a_list_of_zones_that_makes_no_sense_may_pass(self, box: Sandbox, account: Make) -> None:
        box.api.plan(Fault(status=200, body=b'{"success":true,"errors":[],"messages":[],"result":[7]}'))
        with pytest.raises(Transient):
            account().dns.check([ONE.name])

    def test_a_service_that_is_not_there_may_come_back(self) -> None:
        with (
            client(FEW, "http://127.0.0.1:1") as api,
            pytest.raises(Transient, match="cannot be reached") as caught,
        ):
            provider(api).check([ONE.name])
        assert "base_url" in caught.value.hint


def test_what_is_asked_is_what_the_sdk_s_own_classes_ask() -> None:
    """They are left out of the program only for the time that it takes to load them."""
    seen: list[Request] = []

    def note(request: Request) -> Reply:
        seen.append(request)
        posts = [{"id": "1", "name": ONE.name, "content": f'"{ONE.value}"', "type": "TXT", "ttl": TTL}]
        result = {"posts": posts} if request.path.endswith(BATCH) else []
        return Reply(200, compact({"success": True, "errors": [], "messages": [], "result": result}))

    with ApiServer(note) as server, client(FEW, server.url) as api:
        known = {"example.com": "an id/with a slash"}
        ours = provider(api, known)
        ours.find(ours.present([ONE]) and [ONE])
        ours.remove([Handle("an id/with a slash", "1", ONE)])
        with pytest.raises(Refused):
            ours.check(["_acme-challenge.example.net"])
        mine, seen = seen, []
        records, zone = api.dns.records, known["example.com"]
        records.batch(
            zone_id=zone,
            posts=[{"type": "TXT", "name": ONE.name, "content": '"one"', "ttl": TTL, "comment": COMMENT}],
        )
        records.list(zone_id=zone, type="TXT", name={"exact": ONE.name}, per_page=100)
        records.batch(zone_id=zone, deletes=[{"id": "1"}])
        api.zones.list(per_page=PER_PAGE)
    assert mine == seen


def test_nothing_in_the_environment_reaches_cloudflare(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Request] = []

    def note(request: Request) -> Reply:
        seen.append(request)
        zones: list[dict[str, str]] = []
        return Reply(200, compact({"success": True, "errors": [], "messages": [], "result": zones}))

    for name, value in {
        "API_TOKEN": "a-token-from-elsewhere",
        "API_KEY": "a-key-from-elsewhere",
        "API_EMAIL": "somebody@elsewhere.example",
        "API_USER_SERVICE_KEY": "v1.0-elsewhere",
        "CUSTOM_HEADERS": "Authorization: Bearer elsewhere\nX-Elsewhere: yes",
        "BASE_URL": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(f"CLOUDFLARE_{name}", value)
    with ApiServer(note) as server, client(FEW, server.url) as api, pytest.raises(Refused):
        provider(api).check([ONE.name])
    (request,) = seen
    assert request.headers["authorization"] == f"Bearer {FEW}"
    assert "elsewhere" not in json.dumps(dict(request.headers))

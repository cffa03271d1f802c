"""The sandbox as its users see it: the stand-in for Cloudflare by the real SDK, name servers by DNS."""

import stat
import time
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cloudflare
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver
import pytest
from cloudflare import Cloudflare

from sandbox import Fault, Sandbox, Token
from sandbox.listener import Request

OTHER = "another-token-that-sees-only-one-of-zones"
OWNED = "a-token-that-belongs-to-no-user-but-account"
EXPIRED = "a-token-whose-time-is-over-since-some-days"
BLIND = "a-token-that-edits-records-without-seeing"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    zones = ("example.com", "example.net", "example.org")
    tokens = {
        "the-one-token-that-may-do-everything-here": Token(zones),
        OTHER: Token(("example.net",)),
        BLIND: Token(("example.com",), zone_read=False),
    }
    with Sandbox(tmp_path, zones, tokens=tokens, ca=False) as sandbox:
        yield sandbox


Sdk = Callable[..., Cloudflare]


@pytest.fixture
def sdk(box: Sandbox) -> Iterator[Sdk]:
    """The real SDK, with the sandbox's first token or another."""
    made: list[Cloudflare] = []

    def make(token: str = box.token) -> Cloudflare:
        made.append(Cloudflare(api_token=token, base_url=box.api_url, max_retries=0))
        return made[-1]

    yield make
    for client in made:
        client.close()


def code(error: cloudflare.APIStatusError) -> int | None:
    return error.errors[0].code


def txt(name: str, content: str = '"value"', **more: object) -> Any:
    return {"type": "TXT", "name": name, "content": content, "ttl": 60, **more}


def ask(box: Sandbox, address: str, name: str, kind: str = "TXT") -> dns.message.Message:
    port = int(box.resolver.partition(":")[2])
    return dns.query.udp(dns.message.make_query(name, kind), address, port=port, timeout=2)


def texts(message: dns.message.Message) -> set[str]:
    return {rdata.to_text() for rrset in message.answer for rdata in rrset}


class TestToken:
    def test_a_good_token_is_verified(self, sdk: Sdk) -> None:
        verified = sdk().user.tokens.verify()
        assert verified is not None
        assert verified.status == "active"

    def test_a_token_of_the_account_is_known_there_only(self, box: Sandbox, sdk: Sdk) -> None:
        box.tokens[OWNED] = Token(("example.com",), owned=True, expires_on="2099-01-01T00:00:00Z")
        with pytest.raises(cloudflare.AuthenticationError) as caught:
            sdk(OWNED).user.tokens.verify()
        assert code(caught.value) == 1000
        account = sdk(OWNED).zones.list(per_page=50).result[0].account.id
        assert account is not None
        verified = sdk(OWNED).accounts.tokens.verify(account_id=account)
        assert verified is not None
        assert (verified.status, verified.expires_on) == ("active", datetime(2099, 1, 1, tzinfo=UTC))

    def test_a_token_that_has_expired_opens_nothing(self, box: Sandbox, sdk: Sdk) -> None:
        box.tokens[EXPIRED] = Token(("example.com",), status="expired")
        verified = sdk(EXPIRED).user.tokens.verify()
        assert verified is not None
        assert verified.status == "expired"
        with pytest.raises(cloudflare.PermissionDeniedError) as caught:
            sdk(EXPIRED).zones.list()
        assert code(caught.value) == 9109

    def test_an_unknown_token_is_invalid(self, sdk: Sdk) -> None:
        with pytest.raises(cloudflare.AuthenticationError) as caught:
            sdk("x" * 40).user.tokens.verify()
        assert code(caught.value) == 1000

    def test_an_unknown_token_sees_no_zones(self, sdk: Sdk) -> None:
        with pytest.raises(cloudflare.PermissionDeniedError) as caught:
            sdk("x" * 40).zones.list()
        assert code(caught.value) == 9109

    def test_a_token_without_its_scheme_is_malformed(self, box: Sandbox) -> None:
        bare = Request("GET", "/zones", {}, {"authorization": box.token}, b"")
        reply = box.api.turn(bare)
        assert reply is not None
        assert reply.status == 400

    def test_a_malformed_token_names_the_header(self, sdk: Sdk) -> None:
        with pytest.raises(cloudflare.BadRequestError) as caught:
            sdk("too-short").zones.list()
        assert code(caught.value) == 6003
        assert caught.value.response.json()["errors"][0]["error_chain"][0]["code"] == 6111

    def test_a_zone_of_somebody_else_cannot_be_edited(self, box: Sandbox, sdk: Sdk) -> None:
        with pytest.raises(cloudflare.PermissionDeniedError) as caught:
            sdk(OTHER).dns.records.list(zone_id=box.zones["example.com"].id)
        assert code(caught.value) == 10000

    def test_without_zone_read_records_can_be_edited_and_zones_not_seen(self, box: Sandbox, sdk: Sdk) -> None:
        client, zone_id = sdk(BLIND), box.zones["example.com"].id
        assert client.zones.list().result == []
        client.dns.records.create(zone_id=zone_id, type="TXT", name="a.example.com", content='"1"', ttl=60)
        with pytest.raises(cloudflare.PermissionDeniedError) as caught:
            client.zones.get(zone_id=zone_id)
        assert code(caught.value) == 9109


class TestZones:
    def test_iterating_follows_the_pages_until_an_empty_one(self, box: Sandbox, sdk: Sdk) -> None:
        names = [zone.name for zone in sdk().zones.list(per_page=2)]
        assert names == ["example.com", "example.net", "example.org"]
        assert [call.query["page"] for call in box.calls()[1:]] == ["2", "3"]

    def test_a_page_says_how_many_there_are(self, box: Sandbox, sdk: Sdk) -> None:
        raw = sdk().zones.with_raw_response.list(per_page=2)
        info = raw.http_response.json()["result_info"]
        assert info == {"page": 1, "per_page": 2, "count": 2, "total_count": 3, "total_pages": 2}
        assert b": " not in raw.http_response.content
        assert len(box.calls()) == 1

    def test_a_zone_is_found_by_its_name(self, box: Sandbox, sdk: Sdk) -> None:
        found = sdk().zones.list(name="example.net", per_page=5).result
        assert [zone.id for zone in found] == [box.zones["example.net"].id]
        assert found[0].name_servers == ["ns1.sandbox.test", "ns2.sandbox.test"]

    def test_a_token_sees_its_own_zones_only(self, sdk: Sdk) -> None:
        assert [zone.name for zone in sdk(OTHER).zones.list()] == ["example.net"]

    def test_a_malformed_identifier_leads_nowhere(self, sdk: Sdk) -> None:
        with pytest.raises(cloudflare.NotFoundError) as caught:
            sdk().dns.records.list(zone_id="example.com")
        assert code(caught.value) == 7003


class TestRecords:
    @pytest.fixture
    def zone_id(self, box: Sandbox) -> str:
        return box.zones["example.com"].id

    def test_a_record_comes_back_as_it_was_sent(self, sdk: Sdk, zone_id: str) -> None:
        records = sdk().dns.records
        made = records.create(
            zone_id=zone_id, type="TXT", name="A.example.com", content='"v"', ttl=120, comment="renewer"
        )
        assert made is not None
        again = records.get(made.id, zone_id=zone_id)
        assert again == made
        assert (made.name, made.content, made.ttl, made.comment) == ("a.example.com", '"v"', 120, "renewer")

    def test_a_relative_name_gets_the_zone(self, sdk: Sdk, zone_id: str) -> None:
        made = sdk().dns.records.create(zone_id=zone_id, type="TXT", name="a.other.org", content="v", ttl=1)
        assert made is not None
        assert made.name == "a.other.org.example.com"

    def test_records_are_filtered_and_paged(self, sdk: Sdk, zone_id: str) -> None:
        records = sdk().dns.records
        posts = [txt(f"{name}.example.com", comment="renewer 1") for name in "abc"]
        records.batch(zone_id=zone_id, posts=[*posts, txt("d.example.com")])
        exact = records.list(zone_id=zone_id, type="TXT", name={"exact": "B.example.com"})
        assert [record.name for record in exact.result] == ["b.example.com"]
        mine = records.list(zone_id=zone_id, comment={"contains": "renewer"}, per_page=2)
        assert [record.name for record in mine] == ["a.example.com", "b.example.com", "c.example.com"]
        assert records.list(zone_id=zone_id, content={"exact": '"other"'}).result == []

    def test_a_record_is_edited_and_written_anew(self, sdk: Sdk, zone_id: str) -> None:
        records = sdk().dns.records
        made = records.create(zone_id=zone_id, type="TXT", name="a", content='"1"', ttl=60, comment="kept")
        assert made is not None
        edited = records.edit(made.id, zone_id=zone_id, type="TXT", name="a", content='"2"', ttl=60)
        assert edited is not None
        assert (edited.id, edited.content, edited.comment) == (made.id, '"2"', "kept")
        anew = records.update(made.id, zone_id=zone_id, type="TXT", name="a", content='"3"', ttl=60)
        assert anew is not None
        assert (anew.content, anew.comment) == ('"3"', None)

    def test_a_record_is_deleted_once(self, box: Sandbox, sdk: Sdk, zone_id: str) -> None:
        records = sdk().dns.records
        made = records.create(zone_id=zone_id, type="TXT", name="a.example.com", content="v", ttl=60)
        assert made is not None
        gone = records.delete(made.id, zone_id=zone_id)
        assert gone is not None
        assert gone.id == made.id
        assert box.records() == []
        with pytest.raises(cloudflare.NotFoundError) as caught:
            records.delete(made.id, zone_id=zone_id)
        assert code(caught.value) == 81044

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"content": "same"}, 81058),
            ({"content": '"same"'}, 81058),
            ({"content": '"sa" "me"'}, 81058),
            ({"ttl": 59}, 9021),
            ({"ttl": 86401}, 9021),
            ({"name": "a..example.com"}, 9000),
            ({"name": "x" * 64}, 9000),
            ({"comment": "c" * 101}, 9313),
            ({"content": "x" * 5000}, 9015),
            ({"type": "A", "content": "localhost"}, 9005),
            ({"type": "CNAME", "content": "b.example.com"}, 81053),
            ({"name": "alias.example.com"}, 81054),
            ({"type": "HINFO"}, 9207),
        ],
    )
    def test_what_cloudflare_refuses(
        self, box: Sandbox, sdk: Sdk, zone_id: str, fields: dict[str, object], expected: int
    ) -> None:
        box.zones["example.com"].add("a.example.com", "TXT", '"same"')
        box.zones["example.com"].add("alias.example.com", "CNAME", "b.example.com")
        with pytest.raises(cloudflare.BadRequestError) as caught:
            sdk().dns.records.batch(zone_id=zone_id, posts=[txt("a.example.com") | fields])
        assert code(caught.value) == expected

    def test_the_values_of_one_name_have_a_common_limit(self, sdk: Sdk, zone_id: str) -> None:
        posts = [txt("a.example.com", str(number) * 3000) for number in range(3)]
        with pytest.raises(cloudflare.BadRequestError) as caught:
            sdk().dns.records.batch(zone_id=zone_id, posts=posts)
        assert code(caught.value) == 83011


class TestBatch:
    def test_it_deletes_before_it_posts_and_answers_in_order(self, box: Sandbox, sdk: Sdk) -> None:
        zone = box.zones["example.com"]
        old = zone.add("a.example.com", "TXT", '"1"')
        posts = [txt("a.example.com", f'"{number}"') for number in (1, 2, 3)]
        done = sdk().dns.records.batch(zone_id=zone.id, posts=posts, deletes=[{"id": old.id}])
        assert done is not None
        assert [record.id for record in done.deletes or ()] == [old.id]
        assert [record.content for record in done.posts or ()] == ['"1"', '"2"', '"3"']
        assert (done.patches, done.puts) == (None, None)

    def test_it_is_all_or_nothing(self, box: Sandbox, sdk: Sdk) -> None:
        zone = box.zones["example.com"]
        kept = zone.add("a.example.com", "TXT", '"1"')
        before = zone.now
        with pytest.raises(cloudflare.BadRequestError):
            sdk().dns.records.batch(
                zone_id=zone.id, deletes=[{"id": kept.id}], posts=[txt("b"), txt("b", "value")]
            )
        assert zone.now is before

    def test_a_record_that_is_gone_spoils_it(self, box: Sandbox, sdk: Sdk) -> None:
        zone_id = box.zones["example.com"].id
        with pytest.raises(cloudflare.NotFoundError) as caught:
            sdk().dns.records.batch(zone_id=zone_id, deletes=[{"id": "0" * 32}], posts=[txt("b")])
        assert code(caught.value) == 81044
        assert box.records() == []


class TestFaults:
    def test_a_rate_limit_says_how_long(self, box: Sandbox, sdk: Sdk) -> None:
        box.api.plan(Fault(method="GET", path_suffix="/zones", status=429, retry_after=3))
        with pytest.raises(cloudflare.RateLimitError) as caught:
            sdk().zones.list()
        assert caught.value.response.headers["retry-after"] == "3"
        assert code(caught.value) == 971
        assert sdk().zones.list().result
        assert [call.status for call in box.calls()] == [429, 200]

    def test_an_answer_is_lost_after_the_effect(self, box: Sandbox, sdk: Sdk) -> None:
        box.api.plan(Fault(method="POST", path_suffix="/batch", status=None, after_effect=True))
        with pytest.raises(cloudflare.APIConnectionError):
            sdk().dns.records.batch(zone_id=box.zones["example.com"].id, posts=[txt("a.example.com")])
        assert [record.name for record in box.records()] == ["a.example.com"]
        assert box.calls()[-1].status == 0

    def test_a_gateway_answers_in_html(self, box: Sandbox, sdk: Sdk) -> None:
        box.api.plan(Fault(status=502, body=b"<html>bad gateway</html>"))
        with pytest.raises(cloudflare.InternalServerError):
            sdk().zones.list()

    def test_healing_forgets_what_was_planned(self, box: Sandbox, sdk: Sdk) -> None:
        box.api.plan(Fault(times=float("inf")))
        with pytest.raises(cloudflare.InternalServerError):
            sdk().zones.list()
        box.api.heal()
        assert sdk().zones.list().result

    def test_latency_is_that_of_each_call(self, box: Sandbox, sdk: Sdk) -> None:
        box.api.latency = 0.08
        sdk().zones.list()
        assert 0.08 <= box.calls()[-1].seconds < 0.5

    def test_the_api_goes_away_and_comes_back_where_it_was(self, box: Sandbox, sdk: Sdk) -> None:
        client = sdk()
        assert client.zones.list().result
        box.api.__exit__(None, None, None)
        with pytest.raises(cloudflare.APIConnectionError):
            client.zones.list()
        box.api.__enter__()
        assert client.zones.list().result


class TestNameservers:
    def test_each_shows_a_change_after_its_own_delay(self, box: Sandbox) -> None:
        quick, slow = box.nameservers
        slow.delay = 0.4
        zone = box.zones["example.com"]
        zone.add("_acme-challenge.example.com", "TXT", '"here"')
        asked = "_acme-challenge.example.com"
        assert texts(ask(box, quick.address, asked)) == {'"here"'}
        assert ask(box, slow.address, asked).rcode() == dns.rcode.NXDOMAIN
        assert ask(box, "127.0.0.1", asked).rcode() == dns.rcode.NXDOMAIN
        assert texts(ask(box, slow.address, "example.com", "SOA")) != texts(
            ask(box, quick.address, "example.com", "SOA")
        )
        time.sleep(0.45)
        assert texts(ask(box, slow.address, asked)) == {'"here"'}
        assert texts(ask(box, "127.0.0.1", asked)) == {'"here"'}

    def test_authority_and_recursion_are_told_apart(self, box: Sandbox) -> None:
        authoritative, recursive = (ask(box, one, "example.com", "SOA") for one in ("127.0.0.2", "127.0.0.1"))
        assert authoritative.flags & dns.flags.AA
        assert not authoritative.flags & dns.flags.RA
        assert recursive.flags & dns.flags.RA
        assert not recursive.flags & dns.flags.AA

    def test_a_resolver_finds_the_zone_and_its_servers(self, box: Sandbox) -> None:
        address, _, port = box.resolver.partition(":")
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [address], int(port)
        zone = dns.resolver.zone_for_name("_acme-challenge.a.example.com", resolver=resolver)
        assert zone.to_text() == "example.com."
        hosts = [rdata.to_text() for rdata in resolver.resolve(zone, "NS")]
        assert sorted(hosts) == ["ns1.sandbox.test.", "ns2.sandbox.test."]
        found = {rdata.to_text() for host in hosts for rdata in resolver.resolve(host, "A")}
        assert found == {server.address for server in box.nameservers}

    def test_a_cname_is_followed_into_another_zone(self, box: Sandbox) -> None:
        box.zones["example.com"].add("_acme-challenge.example.com", "CNAME", "a.example.net")
        box.zones["example.net"].add("a.example.net", "TXT", '"there"')
        answer = ask(box, "127.0.0.1", "_acme-challenge.example.com")
        assert texts(answer) == {"a.example.net.", '"there"'}

    def test_no_data_is_not_the_same_as_no_such_name(self, box: Sandbox) -> None:
        box.zones["example.com"].add("a.b.example.com", "A", "192.0.2.1")
        for name, rcode in [
            ("a.b.example.com", dns.rcode.NOERROR),
            ("b.example.com", dns.rcode.NOERROR),
            ("c.example.com", dns.rcode.NXDOMAIN),
        ]:
            answer = ask(box, "127.0.0.2", name)
            assert answer.rcode() == rcode
            assert not answer.answer
            assert answer.authority[0].rdtype == dns.rdatatype.SOA

    def test_a_foreign_zone_is_refused(self, box: Sandbox) -> None:
        assert ask(box, "127.0.0.2", "example.edu").rcode() == dns.rcode.REFUSED
        assert ask(box, "127.0.0.1", "example.edu").rcode() == dns.rcode.NXDOMAIN

    def test_a_large_answer_is_truncated_and_whole_over_tcp(self, box: Sandbox) -> None:
        for number in range(5):
            box.zones["example.com"].add("a.example.com", "TXT", '"' + str(number) * 200 + '"')
        assert ask(box, "127.0.0.2", "a.example.com").flags & dns.flags.TC
        port = int(box.resolver.partition(":")[2])
        query = dns.message.make_query("a.example.com", "TXT")
        assert len(texts(dns.query.tcp(query, "127.0.0.2", port=port, timeout=2))) == 5

    def test_what_may_go_wrong(self, box: Sandbox) -> None:
        one = box.nameservers[0]
        box.zones["example.com"].add("a.example.com", "TXT", '"1"')
        box.zones["example.com"].add("a.example.com", "TXT", '"2"')
        one.hide = 1
        assert texts(ask(box, one.address, "a.example.com")) == {'"1"'}
        one.tcp_only = True
        assert ask(box, one.address, "a.example.com").flags & dns.flags.TC
        one.servfail = True
        assert ask(box, one.address, "a.example.com").rcode() == dns.rcode.SERVFAIL
        one.silent = True
        port = int(box.resolver.partition(":")[2])
        with pytest.raises(dns.exception.Timeout):
            dns.query.udp(dns.message.make_query("example.com", "SOA"), one.address, port=port, timeout=0.2)
        assert [question.type for question in one.questions] == ["TXT", "TXT", "TXT", "SOA"]


class TestConfiguration:
    def test_it_names_a_secret_file_and_the_addresses(self, box: Sandbox, tmp_path: Path) -> None:
        written = tomllib.loads(box.toml(tmp_path / "state", token=OTHER, zone_ids=True))
        secret = Path(written["cloudflare"]["token_file"])
        assert secret.read_text().strip() == OTHER
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert written["cloudflare"]["base_url"] == box.api_url
        assert written["cloudflare"]["zone_ids"]["example.com"] == box.zones["example.com"].id
        assert written["propagation"]["resolver"] == box.resolver
        assert "acme" not in written

    def test_without_a_ca_there_is_no_directory(self, box: Sandbox) -> None:
        with pytest.raises(LookupError):
            _ = box.directory

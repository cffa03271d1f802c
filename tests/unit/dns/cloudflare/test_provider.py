"""What is left at Cloudflare when it refuses in the middle: nothing that nobody knows of."""

import json
from collections.abc import Iterator, Mapping

import cloudflare
import httpx
import pytest
from support.fakes import FakeClock, MemStore, Notes

from renewer.core.errors import Refused, RenewerError, Transient
from renewer.core.journal import TxtRecord
from renewer.dns.cloudflare.client import PER_PAGE, Answer, Api
from renewer.dns.cloudflare.provider import CloudflareDns
from renewer.dns.cloudflare.token import Token
from renewer.store.state import State

ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
THERE = TxtRecord("_acme-challenge.example.com", "there")
MISSING = TxtRecord("_acme-challenge.example.com", "missing")


class Zone:
    """A zone that has one record already and takes no more; `removes` is how it answers to a removal."""

    def __init__(self) -> None:
        self.refusal, self.removes = 403, 200
        self.removed: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return _told(200, [{"id": "id1", "type": "TXT", "name": THERE.name, "content": '"there"'}])
        wanted = json.loads(request.content)
        if deletes := wanted.get("deletes"):
            self.removed += [one["id"] for one in deletes]
            return _told(self.removes, {"deletes": []})
        identical = len(wanted["posts"]) > 1
        return _told(400, None, 81058) if identical else _told(self.refusal, None, 10000)


def _told(status: int, result: object, code: int = 0) -> httpx.Response:
    errors = [{"code": code, "message": "no"}] if code else []
    return httpx.Response(status, json={"success": not errors, "errors": errors, "result": result})


@pytest.fixture
def zone() -> Zone:
    return Zone()


@pytest.fixture
def dns(zone: Zone) -> Iterator[CloudflareDns]:
    with httpx.Client(transport=httpx.MockTransport(zone.answer)) as http:
        api = cloudflare.Cloudflare(
            api_token="made-up", base_url="https://api.example", max_retries=0, http_client=http
        )
        yield CloudflareDns(
            Api(lambda: api, FakeClock(), Notes()), {"example.com": ZONE}, State(MemStore(), Notes())
        )


@pytest.mark.parametrize(("refusal", "error"), [(403, Refused), (429, Transient), (500, Transient)])
def test_what_was_adopted_is_removed_when_the_rest_is_refused(
    dns: CloudflareDns, zone: Zone, refusal: int, error: type[RenewerError]
) -> None:
    zone.refusal = refusal
    with pytest.raises(error, match="Cloudflare said"):
        dns.present([THERE, MISSING])
    assert zone.removed == ["id1"]


def test_what_cannot_be_removed_then_is_told_and_looked_for_later(dns: CloudflareDns, zone: Zone) -> None:
    zone.refusal, zone.removes = 429, 503
    with pytest.raises(Transient, match="removed") as caught:
        dns.present([THERE, MISSING])
    assert not caught.value.undone


class Listing:
    """An API that has two zones of one name, and `more` of others."""

    def __init__(self, *statuses: str, more: int = 0) -> None:
        same = [{"name": "example.com", "id": status, "status": status} for status in statuses]
        self._zones = [*same, *({"name": f"{n}.test", "id": str(n), "status": "active"} for n in range(more))]

    def get(self, _: str, query: Mapping[str, str | int]) -> Answer:
        return {"result": [zone for zone in self._zones if query.get("name") in {None, zone["name"]}]}

    def post(self, _: str, body: Mapping[str, object]) -> Answer:
        raise AssertionError(body)


@pytest.mark.parametrize("more", [0, PER_PAGE])
@pytest.mark.parametrize("statuses", [("active", "moved"), ("pending", "active")])
def test_of_two_zones_with_one_name_the_active_one_is_taken(statuses: tuple[str, str], more: int) -> None:
    listing = Listing(*statuses, more=more)
    dns = CloudflareDns(listing, {}, State(MemStore(), Notes()))
    assert dns.zone(THERE.name) == "active"
    assert {zone.name: zone.status for zone in Token(listing).zones()}["example.com"] == "active"

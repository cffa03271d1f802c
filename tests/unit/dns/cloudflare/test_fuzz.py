"""Whatever Cloudflare says, each parser gives a value, a told problem or an error of the program."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress

import cloudflare
import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import FakeClock, MemStore, Notes
from support.fuzz import NAME, RECORD, ZONE, anything_like, often

from renewer.core.errors import RenewerError
from renewer.core.journal import Handle, Progress
from renewer.dns.cloudflare import client as calls
from renewer.dns.cloudflare.provider import CloudflareDns
from renewer.store.state import State


class Api:
    """An API that answers as Cloudflare would, but for one call, which it answers with `odd`."""

    def __init__(self) -> None:
        self.odd: tuple[str, int, bytes, Mapping[str, str]] | None = None
        transport = httpx.MockTransport(self.answer)
        http = httpx.Client(transport=transport, base_url="https://api.example/")
        self.sdk = cloudflare.Cloudflare(
            api_token="made-up", base_url="https://api.example", max_retries=0, http_client=http
        )
        self.calls = calls.Api(lambda: self.sdk, FakeClock(), Notes())

    def answer(self, request: httpx.Request) -> httpx.Response:
        call = request.url.path.rpartition("/")[2]
        if self.odd and self.odd[0] == call:
            return httpx.Response(self.odd[1], content=self.odd[2], headers=self.odd[3])
        return httpx.Response(200, content=right(call))


def right(call: str) -> bytes:
    page = {"page": 1, "per_page": 50, "count": 1, "total_count": 1, "total_pages": 1}
    rest = {"success": True, "errors": [], "messages": []}
    record = {
        "id": "372e67954025e0ba6aaa6d586b9e0b59",
        "type": "TXT",
        "name": RECORD.name,
        "content": '"value"',
    }
    result: object = {"posts": [record], "deletes": [record]} if call == "batch" else [record]
    if call == "zones":
        result = [{"id": ZONE, "name": NAME}]
    return json.dumps({**rest, "result": result, "result_info": page}).encode()


REFUSAL = {
    "success": False,
    "errors": [{"code": 81057, "message": "exists", "error_chain": [{"code": 6003, "message": "bad"}]}],
    "result": None,
}
api_answers = st.sampled_from(["zones", "batch", "dns_records"]).flatmap(
    lambda call: st.tuples(
        st.just(call),
        st.sampled_from([200, 200, 200, 400, 403, 404, 429, 500, 502]),
        anything_like(right(call)) | anything_like(json.dumps(REFUSAL).encode()),
        st.fixed_dictionaries(
            {},
            optional={
                "retry-after": st.integers(0, 10**12).map(str) | st.just("soon"),
                "content-type": st.sampled_from(
                    ["application/json", "text/html", "text/plain; charset=x", ""]
                ),
            },
        ),
    )
)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    canned = Api()
    yield canned
    canned.sdk.close()


class TestWhatCloudflareSays:
    @often(15)
    @given(api_answers, st.sampled_from(["check", "present", "find", "remove"]))
    def test_it_is_a_value_of_the_right_type_or_an_error_of_the_program(
        self, api: Api, odd: tuple[str, int, bytes, Mapping[str, str]], ask: str
    ) -> None:
        api.odd = odd
        vault = State(MemStore(), Notes())
        known = {} if odd[0] == "zones" else {NAME: ZONE}
        provider = CloudflareDns(api.calls, known, vault)
        handles = [Handle(ZONE, "id", RECORD), Handle(ZONE, "other", RECORD)]
        found: object = ()
        with suppress(RenewerError):
            match ask:
                case "check":
                    provider.check([RECORD.name])
                case "present":
                    found = provider.present([RECORD])
                case "find":
                    found = provider.find([RECORD])
                case _:
                    provider.remove(handles)
        journal = Progress(handles=tuple(found))  # type: ignore[arg-type] # a sequence of handles
        assert msgspec.json.decode(msgspec.json.encode(journal), type=Progress) == journal

    def test_a_huge_answer_is_an_error_of_the_program(self, api: Api) -> None:
        api.odd = ("zones", 200, json.dumps({"result": "x" * 20_000_000}).encode(), {})
        provider = CloudflareDns(api.calls, {}, State(MemStore(), Notes()))
        with pytest.raises(RenewerError):
            provider.check([RECORD.name])

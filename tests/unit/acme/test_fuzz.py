"""Whatever the CA says, each parser gives a value, a told problem or an error of the program."""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from support import fake_world
from support.fakes import (
    DAY,
    NOW,
    SERVER,
    FakeClock,
    FakePropagation,
    FakeProvider,
    MemJournal,
    MemStore,
    Notes,
    spec,
)
from support.fuzz import CA, CHAIN, KEPT, NAME, anything_like, bent, damaged, noise, often

from renewer.acme import client, issuer, problems
from renewer.acme.dns01 import Dns01
from renewer.config.acme import Acme
from renewer.core import http_headers
from renewer.core import x509 as keys
from renewer.core.errors import RenewerError
from renewer.core.journal import PendingOrder, Progress
from renewer.core.model import Account, KeyKind, Material, Reason
from renewer.store.state import State

HOME = "https://ca.example"


class Canned(BaseAdapter):
    """A CA that answers what RFC 8555 says, but for one path, where it answers `odd`."""

    def __init__(self) -> None:
        super().__init__()
        self.odd: tuple[str, int, bytes, Mapping[str, str]] | None = None
        self.journal = MemJournal()
        self.statuses = iter(("pending", "ready", "valid"))

    def right(self, path: str) -> bytes:  # noqa: PLR0911 - one for each kind of answer
        match path:
            case "/directory":
                names = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo")
                return json.dumps({name: f"{HOME}/{name}" for name in names} | {"meta": {}}).encode()
            case "/newAccount":
                return json.dumps({"status": "valid", "orders": f"{HOME}/orders"}).encode()
            case "/newOrder" | "/order" | "/finalize":
                return self.order(next(self.statuses, "valid"))
            case "/authorization":
                return json.dumps(AUTHORIZATION).encode()
            case "/certificate":
                pending = self.journal.load().order
                life = (NOW - DAY, NOW + 89 * DAY)
                return CA.issue([NAME], *life, pending.key if pending else None)[1].encode()
            case "/orders":
                return json.dumps({"orders": [f"{HOME}/order"]}).encode()
            case _ if path.startswith("/renewalInfo/"):
                window = {"start": (NOW + DAY).isoformat(), "end": (NOW + 2 * DAY).isoformat()}
                return json.dumps({"suggestedWindow": window}).encode()
            case _:
                return b"{}"

    def order(self, status: str) -> bytes:
        urls = {"finalize": f"{HOME}/finalize", "certificate": f"{HOME}/certificate"}
        identifiers = [{"type": "dns", "value": NAME}]
        rest = {"identifiers": identifiers, "authorizations": [f"{HOME}/authorization"]}
        return json.dumps({"status": status, **rest, **urls}).encode()

    def send(self, request: requests.PreparedRequest, *_args: object, **_more: object) -> requests.Response:
        assert request.url
        path = requests.utils.urlparse(request.url).path or "/"
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = 200, request.url, request
        answer.headers.update({"Replay-Nonce": "bm9uY2U", "Location": f"{HOME}{self.location(path)}"})
        body = self.right(path)
        if self.odd and self.odd[0] == path.partition("/renewalInfo/")[0] + (
            "/renewalInfo" * ("/renewalInfo/" in path)
        ):
            _, answer.status_code, body, headers = self.odd
            answer.headers.update(headers)
        answer.raw = io.BytesIO(body)
        return answer

    def location(self, path: str) -> str:
        return {"/newAccount": "/account", "/newOrder": "/order"}.get(path, path)

    def close(self) -> None:
        """Nothing is open."""


AUTHORIZATION = {
    "status": "pending",
    "identifier": {"type": "dns", "value": NAME},
    "challenges": [
        {"type": "dns-01", "url": f"{HOME}/challenge", "token": "dG9rZW4" * 5, "status": "pending"}
    ],
}
INVALID = json.loads(Canned().order("invalid"))
PROBLEM = {
    "type": "urn:ietf:params:acme:error:rateLimited",
    "detail": "too many",
    "subproblems": [{"type": "x", "detail": "no", "identifier": {"type": "dns", "value": NAME}}],
}
PATHS = (
    "/directory",
    "/newNonce",
    "/newAccount",
    "/newOrder",
    "/order",
    "/authorization",
    "/challenge",
    "/finalize",
    "/certificate",
    "/orders",
    "/account",
    "/renewalInfo",
    "/revokeCert",
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Retry-After": st.text(max_size=12)
        | st.integers(0, 10**12).map(str)
        | st.just("Wed, 21 Oct 2026 07:28:00 GMT"),
        "Replay-Nonce": st.text(max_size=8),
        "Location": st.text(max_size=8) | st.sampled_from(["", "https://[", "//", "https://ca.example:x/"]),
        "Date": st.text(max_size=12) | st.just("Mon, 23 Nov 2026 12:00:00 GMT"),
        "Link": st.text(max_size=12) | st.just('<https://ca.example/orders>;rel="next"'),
        "Content-Type": st.text(max_size=8) | st.just("application/problem+json"),
    },
)


def like_at(path: str) -> st.SearchStrategy[bytes]:
    invalid = {**AUTHORIZATION, "challenges": [{**AUTHORIZATION["challenges"][0], "error": PROBLEM}]}  # type: ignore[dict-item]
    also = {"/order": {**INVALID, "error": PROBLEM}, "/authorization": invalid}.get(path, PROBLEM)
    if path == "/certificate":
        return damaged(CHAIN.encode()) | noise
    probe = path + "/x" * (path == "/renewalInfo")
    return anything_like(Canned().right(probe)) | anything_like(json.dumps(also).encode())


odd_answers = st.sampled_from(PATHS).flatmap(
    lambda path: st.tuples(
        st.just(path),
        st.sampled_from([200, 200, 200, 201, 204, 400, 403, 404, 409, 429, 500, 503]),
        like_at(path),
        headers,
    )
)


@pytest.fixture(scope="module")
def ca() -> Iterator[Canned]:
    """Let every connection to a CA be one to the canned one."""
    canned = Canned()

    class Network(client._Network):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.session.mount("https://", canned)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_Network", Network)
        yield canned


class At:
    """An engine with the real issuer, for the canned CA."""

    def __init__(self, ca: Canned, odd: tuple[str, int, bytes, Mapping[str, str]] | None) -> None:
        ca.__init__()  # type: ignore[misc] # as if it were new
        ca.odd = odd
        self.store, self.notes, self.clock = MemStore(), Notes(), FakeClock()
        self.vault = State(self.store, self.notes)
        dns01 = Dns01(FakeProvider(), FakePropagation(), timedelta(minutes=1), self.notes)
        self.issuer = issuer.AcmeIssuer(Acme(), dns01, self.vault, self.clock, self.notes)
        with self.vault.certificate(NAME) as ledger:
            self.ledger = ledger
        ca.journal = self  # type: ignore[assignment] # it only loads

    def load(self) -> Progress:
        return self.vault.progress(NAME)

    def run(self) -> None:
        """Run a cycle, and the next one over what it left."""
        engine = fake_world.engine(
            spec(), state=self.vault, issuer=self.issuer, clock=self.clock, report=self.notes
        )
        for _ in range(2):
            engine.run()
            assert self.notes.of("bug") == []


class TestWhatTheCaSays:
    def test_a_ca_that_makes_sense_issues(self, ca: Canned) -> None:
        world = At(ca, None)
        world.run()
        assert world.vault.material(NAME)

    @often(40)
    @given(odd_answers)
    def test_an_odd_answer_is_never_a_bug(
        self, ca: Canned, odd: tuple[str, int, bytes, Mapping[str, str]]
    ) -> None:
        At(ca, odd).run()

    @often(10)
    @given(odd_answers)
    def test_an_odd_answer_to_a_run_that_goes_on_is_never_a_bug(
        self, ca: Canned, odd: tuple[str, int, bytes, Mapping[str, str]]
    ) -> None:
        world = At(ca, odd)
        world.vault.keep_account(SERVER, Account(keys.account_key(), f"{HOME}/account"))
        key = keys.generate(KeyKind.EC256)
        pending = PendingOrder(KeyKind.EC256, (NAME,), SERVER, key, keys.csr(key, [NAME]), f"{HOME}/order")
        with world.vault.certificate(NAME) as ledger:
            ledger.save(Progress(order=pending))
        world.run()

    @often(10)
    @given(odd_answers)
    def test_an_odd_answer_to_a_revocation_is_never_a_bug(
        self, ca: Canned, odd: tuple[str, int, bytes, Mapping[str, str]]
    ) -> None:
        world = At(ca, odd)
        with suppress(RenewerError):
            world.issuer.revoke(Material((KEPT,), SERVER), Reason.SUPERSEDED)

    @often(10)
    @given(st.integers(300, 599), st.binary(max_size=40) | bent(json.dumps(PROBLEM).encode()), headers)
    def test_a_problem_is_told_in_words(self, status: int, body: bytes, told: Mapping[str, str]) -> None:
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        wait = http_headers.retry_after(told.get("Retry-After", ""), NOW)
        error = problems.Problem(status, document, wait).explained(SERVER)
        assert str(error)

    @often(20)
    @given(
        bent(b'{"suggestedWindow": {"start": "2026-11-23T12:00:00Z", "end": "0001-01-01T00:00:00+23:59"}}')
    )
    def test_renewal_information_is_a_window_or_an_error(self, body: bytes) -> None:
        with suppress(RenewerError):
            window = issuer.suggested(json.loads(body), None)
            assert window.start < window.end

"""A CA that is hostile or broken: bounded memory, an end, no way elsewhere, nothing sent that is not ours."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from support.chains import BEGIN, END, Authority
from support.fakes import FakeClock, FakePropagation, FakeProvider, MemJournal, MemStore, Notes, spec
from support.hostile.server import ENDLESS, LARGE, LITTLE, Answer, Hostile, netrc, redirect, secured, whole

from renewer.acme.client import AUTHORIZATIONS, LISTED_ORDERS, LISTED_PAGES, Connection, translated
from renewer.acme.dns01 import Dns01
from renewer.acme.issuer import AcmeIssuer
from renewer.acme.order import PairOrder
from renewer.acme.rate_limiter import Allowance
from renewer.acme.resources import Order
from renewer.config.acme import Acme
from renewer.core import x509
from renewer.core.errors import RenewerError, Transient
from renewer.core.journal import PendingOrder, Progress
from renewer.core.model import CertSpec, KeyKind
from renewer.store.state import State
from renewer.system.clock import SystemClock
from renewer.system.http_bounds import Astray


class Ca(Hostile):
    """A CA that answers what RFC 8555 says, but for what `odd` has: a path, and what is answered there."""

    NAMES = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo")

    def __init__(self, folder: Path) -> None:
        tls, self.bundle = secured(folder)
        super().__init__(self._answer, tls)
        self.odd: dict[str, Callable[[], Answer]] = {}

    def connect(self) -> Connection:
        """Return a connection as an account."""
        with translated(self.url):
            ca = Connection(f"{self.url}/directory", SystemClock(), self.bundle)
        ca.sign_with(x509.account_key())
        ca.use(f"{self.url}/account")
        return ca

    def order(self, **changed: object) -> dict[str, object]:
        urls = {"finalize": f"{self.url}/finalize", "certificate": f"{self.url}/certificate"}
        names = {"identifiers": [{"type": "dns", "value": "example.com"}]}
        return {"status": "pending", "authorizations": [f"{self.url}/authz"], **names, **urls, **changed}

    def _answer(self, _: str, path: str) -> Answer:
        if path in self.odd:
            return self.odd[path]()
        if path == "/directory":
            return whole({name: f"{self.url}/{name}" for name in self.NAMES} | {"meta": {}})
        if path == "/account":
            return whole({"status": "valid", "orders": f"{self.url}/orders"})
        created = {"Location": f"{self.url}/made"}
        return whole(self.order(), created, "201 Created")


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ca]:
    with Ca(tmp_path_factory.mktemp("ca")) as found:
        yield found


@pytest.fixture
def ca(listening: Ca) -> Ca:
    listening.odd.clear()
    listening.requests.clear()
    listening.sent = 0
    return listening


def steps(ca: Ca, on: Connection) -> Mapping[str, Callable[[], object]]:
    """Return all that is asked of a CA, by the path that is asked first."""
    url = f"{ca.url}/order"
    order = Order(url, "ready", frozenset(), (), f"{ca.url}/finalize")
    csr = x509.csr(x509.generate(KeyKind.EC256), ["example.com"])
    _, chain = Authority().issue(["example.com"], BEGIN, END)
    return {
        "/newNonce": lambda: on.twin().order(url),
        "/newAccount": lambda: on.register(None, None),
        "/newOrder": lambda: on.new_order(["example.com"], None, None),
        "/order": lambda: on.order(url),
        "/authz": lambda: on.challenge(f"{ca.url}/authz"),
        "/finalize": lambda: on.finalize(order, csr),
        "/certificate": lambda: on.download(f"{ca.url}/certificate"),
        "/orders": lambda: list(on.orders()),
        "/renewalInfo/x.y": lambda: on.renewal_info("x.y"),
        "/revokeCert": lambda: on.revoke(chain, 0),
    }


STEPS = (
    *("/newNonce", "/newAccount", "/newOrder", "/order", "/authz", "/finalize", "/certificate", "/orders"),
    *("/renewalInfo/x.y", "/revokeCert"),
)


class TestCa:
    @pytest.mark.parametrize("attack", LARGE)
    def test_the_largest_answer_costs_little(self, ca: Ca, attack: str, peak: Callable[[], int]) -> None:
        answer, said = LARGE[attack]
        ca.odd["/directory"] = answer
        with pytest.raises(Transient, match=said) as caught:
            ca.connect()
        assert f"localhost:{ca.port}" in str(caught.value)
        assert caught.value.hint
        assert peak() < LITTLE
        assert ca.sent < LITTLE

    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize("attack", ENDLESS)
    def test_an_answer_without_an_end_has_one(self, ca: Ca, attack: str) -> None:
        ca.odd["/directory"] = ENDLESS[attack]
        with pytest.raises(Transient, match="within 0") as caught:
            ca.connect()
        assert f"localhost:{ca.port}" in str(caught.value)
        assert caught.value.hint

    @pytest.mark.parametrize("step", STEPS)
    def test_no_redirect_is_followed(self, ca: Ca, inside: Hostile, step: str) -> None:
        on = ca.connect()
        ask = steps(ca, on)[step]
        ca.odd[step] = partial(redirect, f"{inside.url}/blind")
        with pytest.raises(Astray, match=f"{inside.url}/blind") as caught:
            ask()
        assert f"localhost:{ca.port}" in str(caught.value)

    def test_nor_one_to_itself(self, ca: Ca) -> None:
        ca.odd["/directory"] = partial(redirect, f"{ca.url}/elsewhere")
        with pytest.raises(Astray):
            ca.connect()
        assert len(ca.requests) == 1

    @pytest.mark.parametrize(
        "step", ["/newNonce", "/newAccount", "/newOrder", "/renewalInfo/x.y", "/revokeCert"]
    )
    def test_an_address_of_its_directory_that_is_not_https_is_not_asked(
        self, ca: Ca, inside: Hostile, step: str
    ) -> None:
        led = {one: f"{ca.url}/{one}" for one in Ca.NAMES} | {step.split("/")[1]: inside.url, "meta": {}}
        ca.odd["/directory"] = partial(whole, led)
        ask = steps(ca, ca.connect())[step]
        with pytest.raises(Astray, match=inside.url):
            ask()

    @pytest.mark.parametrize("part", ["authorizations", "finalize", "certificate", "Location"])
    def test_an_order_that_leads_to_what_is_not_https_is_not_kept(
        self, ca: Ca, inside: Hostile, part: str
    ) -> None:
        led = [inside.url] if part == "authorizations" else inside.url
        place = inside.url if part == "Location" else f"{ca.url}/made"
        ca.odd["/newOrder"] = partial(whole, ca.order(**{part: led}), {"Location": place}, "201 Created")
        on = ca.connect()
        with pytest.raises(Astray, match=inside.url):
            on.new_order(["example.com"], None, None)

    def test_an_account_that_is_not_https_is_not_taken(self, ca: Ca, inside: Hostile) -> None:
        ca.odd["/newAccount"] = partial(whole, {"status": "valid"}, {"Location": inside.url}, "201 Created")
        with pytest.raises(Astray, match=inside.url):
            ca.connect().register(None, None)

    def test_a_kept_order_that_is_not_https_makes_way_for_a_new_one(self, ca: Ca, inside: Hostile) -> None:
        journal = MemJournal(Progress(order=_pending(ca, inside.url)))
        assert _issuance(ca, journal)._resume() is None

    def test_an_order_with_more_authorizations_than_any_has_is_refused(self, ca: Ca) -> None:
        many = [f"{ca.url}/authz/{number}" for number in range(AUTHORIZATIONS + 1)]
        ca.odd["/order"] = partial(whole, ca.order(authorizations=many))
        with pytest.raises(Transient, match=str(len(many))), translated(ca.url):
            ca.connect().order(f"{ca.url}/order")
        ca.odd["/order"] = partial(whole, ca.order(authorizations=many[1:]))
        assert len(ca.connect().order(f"{ca.url}/order").authorizations) == AUTHORIZATIONS

    def test_a_list_of_orders_without_an_end_is_read_to_a_bound(self, ca: Ca) -> None:
        listed = {"orders": [f"{ca.url}/order"] * 100}
        ca.odd["/orders"] = partial(whole, listed, {"Link": f'<{ca.url}/orders>;rel="next"'})
        assert len(list(ca.connect().orders())) == LISTED_ORDERS
        asked = [request.split(" ")[1] for request in ca.requests]
        assert (asked.count("/orders"), asked.count("/order")) == (LISTED_PAGES, LISTED_ORDERS)

    @pytest.mark.usefixtures("impatient")
    def test_nonces_that_are_refused_for_ever_end_with_the_time(self, ca: Ca) -> None:
        problem = {"type": "urn:ietf:params:acme:error:badNonce"}

        def slowly() -> Answer:
            time.sleep(0.3)
            return whole(problem, None, "400 Bad Request", "problem+json")

        ca.odd["/order"] = slowly
        with pytest.raises(RenewerError), translated(ca.url):
            ca.connect().order(f"{ca.url}/order")
        assert 1 <= sum("/order" in request for request in ca.requests) <= 3

    def test_what_is_in_netrc_is_sent_to_nobody(
        self, ca: Ca, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in netrc(tmp_path).items():
            monkeypatch.setenv(name, value)
        list(ca.connect().orders())
        assert len(ca.headers) > 2
        assert [sent["authorization"] for sent in ca.headers if "authorization" in sent] == []
        assert {sent["accept-encoding"] for sent in ca.headers} == {"identity"}

    def test_the_proxy_of_the_environment_is_still_taken(
        self, ca: Ca, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Hostile(lambda *_: whole(b"", None, "403 Forbidden")) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            with pytest.raises(Transient):
                ca.connect()
            assert proxy.requests[0].startswith(f"CONNECT localhost:{ca.port} ")
            monkeypatch.setenv("NO_PROXY", "localhost")
            assert ca.connect()


def _pending(ca: Ca, url: str) -> PendingOrder:
    wanted = _spec(ca)
    return PendingOrder(KeyKind.EC256, wanted.domains, wanted.directory_url, "KEY", "CSR", url)


def _spec(ca: Ca) -> CertSpec:
    return replace(spec(), directory_url=f"{ca.url}/directory")


def _issuance(ca: Ca, journal: MemJournal) -> PairOrder:
    dns01 = Dns01(FakeProvider(), FakePropagation(), timedelta(minutes=5), Notes())
    around = AcmeIssuer(Acme(server=ca.url), dns01, State(MemStore(), Notes()), FakeClock(), Notes())
    return PairOrder(
        connections=around._connections,
        ca=ca.connect(),
        spec=_spec(ca),
        kind=KeyKind.EC256,
        journal=journal,
        dns01=dns01,
        allowance=Allowance(ca.url, (), around.vault, FakeClock()),
        clock=FakeClock(),
        report=Notes(),
    )

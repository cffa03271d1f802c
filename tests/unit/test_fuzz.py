"""Whatever comes from outside, each parser gives a value, a told problem or an error of the program."""

import base64
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import cloudflare
import dns.message
import dns.rdatatype
import dns.rrset
import httpx
import msgspec
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from support import chains
from support.fakes import (
    DAY,
    NOW,
    SERVER,
    FakeClock,
    FakeDeployer,
    FakeIssuer,
    FakePropagation,
    FakeProvider,
    MemJournal,
    MemStore,
    Notes,
    material,
    spec,
)

from renewer.acme import client, issuer, problems
from renewer.acme.dns01 import Dns01
from renewer.config import fields, load, secrets
from renewer.config.acme import Acme
from renewer.core import domains, http_headers
from renewer.core import x509 as keys
from renewer.core.errors import ConfigError, LockBusy, Refused, RenewerError
from renewer.core.failure import Deploys, Failure, Stage
from renewer.core.journal import Handle, PendingOrder, Progress, TxtRecord
from renewer.core.model import Account, KeyKind, Material, Pair, Reason, Revocation, Suggestion
from renewer.core.provenance import Origin, Provenance
from renewer.core.rate_limits import Event, EventKind, Exemption, History, Told
from renewer.core.site import Kept, Key, Ring
from renewer.dns.cloudflare import client as calls
from renewer.dns.cloudflare.provider import CloudflareDns
from renewer.dns.crowd import Crowd
from renewer.dns.resolver import _values
from renewer.dns.watch import NameServer, Watch
from renewer.engine.cycle import Engine
from renewer.nginx import configuration, control, generations, processes, targets
from renewer.nginx import helper as request
from renewer.nginx.error_log import ErrorLog
from renewer.nginx.layout import Layout, folder_named
from renewer.store.files import FileStore
from renewer.store.state import State

NAME = "example.com"
ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
DEEP = 1_500


def often(times: int) -> settings:
    """Return settings for `times` as many examples as a property test of the rest draws."""
    return settings(max_examples=times * settings().max_examples, deadline=None)


texts = st.text(st.characters(exclude_categories=()), max_size=20)
"""Lone surrogates are among them: JSON can spell them."""

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
noise = (
    st.binary(max_size=60)
    | st.sampled_from([b"[" * DEEP, b'{"a":' * DEEP, b"<!doctype html><title>502</title>", b'"\xff"'])
    | values.map(lambda value: json.dumps(value).encode())
)


def places(document: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where something stands in a JSON document."""
    yield path
    inner = document.items() if isinstance(document, dict) else ()
    for step, value in enumerate(document) if isinstance(document, list) else inner:
        yield from places(value, (*path, step))


def changed(document: Any, path: tuple[Any, ...], value: object) -> Any:
    """Return the document with another value there."""
    if not path:
        return value
    copied = document.copy()
    copied[path[0]] = changed(copied[path[0]], path[1:], value)
    return copied


def without(document: Any, path: tuple[Any, ...]) -> Any:
    """Return the document without what stands there."""
    copied = document.copy()
    if len(path) > 1:
        copied[path[0]] = without(copied[path[0]], path[1:])
    else:
        del copied[path[0]]
    return copied


@st.composite
def bent(draw: st.DrawFn, document: bytes) -> bytes:
    """Draw a JSON document that is right but for one place."""
    right = json.loads(document)
    path = draw(st.sampled_from(list(places(right))))
    if path and draw(st.booleans()):
        return json.dumps(without(right, path)).encode()
    return json.dumps(changed(right, path, draw(values))).encode()


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw the bytes cut short, or with some of them replaced."""
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 8)) | st.just(len(data)))
    return data[:start] + draw(st.binary(max_size=8)) + data[end:]


def anything_like(document: bytes) -> st.SearchStrategy[bytes]:
    return bent(document) | damaged(document) | noise


# -- what a person writes -----------------------------------------------------------------------------------

toml_values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.datetimes() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = [line.split("=")[0].strip("# ") for line in Path("examples/renewer.toml").read_text().splitlines()]
tables = st.dictionaries(
    st.sampled_from([key for key in KEYS if re.fullmatch(r"[a-z_]+", key)]) | st.text(max_size=8),
    toml_values
    | st.sampled_from(["1d", "https://a.example", "a.example", "/a", [["a"]], {"a": "1/7d"}, "a.example:53"]),
    max_size=5,
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "state": toml_values,
        "acme": tables | st.fixed_dictionaries({"fallback": st.lists(tables, max_size=2), "limits": tables}),
        "cloudflare": tables,
        "propagation": tables,
        "certificate": st.dictionaries(st.sampled_from([NAME, "a", "../a", ""]), tables, max_size=2),
        "nginx": tables,
        "site": st.dictionaries(st.text(max_size=3), tables, max_size=2),
        "hook": tables | st.fixed_dictionaries({"command": st.lists(tables, max_size=2)}),
    },
)


def written(value: object) -> str:
    """Write a value as TOML."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {written(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case str() | bool():
            return json.dumps(value)
        case float():
            return repr(value)
        case _:
            return str(value)


class TestWhatAPersonWrites:
    @often(6)
    @given(documents)
    def test_a_document_is_a_configuration_or_a_configuration_error(self, document: dict[str, Any]) -> None:
        text = "".join(f"{key} = {written(value)}\n" for key, value in document.items())
        with suppress(ConfigError):
            known = load.parse(text, "f")
            assert len(known.specs) + len(known.site_specs)

    @often(6)
    @given(damaged(Path("examples/renewer.toml").read_bytes()))
    def test_the_example_with_a_slip_is_a_configuration_or_a_configuration_error(self, data: bytes) -> None:
        with suppress(ConfigError):
            load.parse(data.decode(errors="surrogateescape"), "f")

    @often(4)
    @given(noise | damaged(b'[certificate."a.example"]\ndomains = ["a.example"]\n'))
    def test_a_file_of_any_bytes_is_text_or_a_configuration_error(
        self, tmp_path_factory: pytest.TempPathFactory, data: bytes
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "any.toml"
        path.write_bytes(data)
        with suppress(ConfigError):
            load.load(path)

    @often(2)
    @given(
        st.sampled_from([fields.duration, fields.address, fields.file_mode, domains.domain, fields.origin]),
        texts | st.from_regex(r"\[?[0-9a-f:.]{1,20}\]?(:[0-9]{0,9})?") | st.from_regex(r"[0-9]{1,12}[smhd]?"),
    )
    def test_a_single_value_is_read_or_a_configuration_error(
        self, read: Callable[[str], object], text: str
    ) -> None:
        with suppress(ConfigError):
            read(text)

    @often(4)
    @given(noise | st.binary(max_size=50).map(base64.urlsafe_b64encode))
    def test_a_secret_s_file_is_a_word_or_a_configuration_error(
        self, tmp_path_factory: pytest.TempPathFactory, data: bytes
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "any.secret"
        path.touch(0o600)
        path.write_bytes(data)
        for read in (lambda: secrets.read_secret(path, "here"), lambda: secrets.eab_hmac_key(path)):
            with suppress(ConfigError):
                assert re.fullmatch("[!-~]+", read())


# -- what lies in the state folder --------------------------------------------------------------------------

PAIR = material(spec(), ari="key.serial").pairs[0]
RECORD = TxtRecord(f"_acme-challenge.{NAME}", "value")
STORED: Mapping[str, object] = {
    f"certificate/{NAME}": Material((PAIR,), SERVER, NOW - DAY),
    f"suggestion/{NAME}": Suggestion("key.serial", NOW, NOW, NOW + DAY, NOW, "https://ca.example/why"),
    f"failure/{NAME}": Failure(Stage.ISSUE, 2, NOW - DAY, NOW + DAY, "no", "why", 1, binding=True, since=NOW),
    f"deploys/{NAME}": Deploys("00", Failure(Stage.DEPLOY, 1, NOW - DAY, NOW, "no", bound={SERVER: NOW})),
    f"journal/{NAME}": Progress(
        (PAIR,),
        PendingOrder(KeyKind.EC256, (NAME,), SERVER, "KEY", "CSR"),
        (Handle("z", "id", RECORD),),
        (RECORD,),
    ),
    f"provenance/{NAME}": Provenance((Origin(PAIR.fingerprint, SERVER, NOW + DAY, Reason.SUPERSEDED),)),
    f"revocation/{NAME}": Revocation(material(), Reason.SUPERSEDED),
    "account/ca.example%2Fdirectory": Account("KEY", "https://ca.example/account"),
    "limits/ca.example%2Fdirectory": History(
        (Event(NOW, EventKind.ORDER, (NAME,), Exemption.ARI),), (Told(NOW + DAY, (NAME,)),)
    ),
    "zones/cloudflare": {NAME: ZONE},
    "site/nodered": Kept(Ring(Key("k1", "00" * 32), Key("k2", "11" * 32), NOW, NOW + DAY, 2), None),
}
READS: Mapping[str, Callable[[State], object]] = {
    "certificate": lambda vault: vault.material(NAME),
    "suggestion": lambda vault: vault.suggestion(NAME),
    "failure": lambda vault: vault.failure(NAME),
    "deploys": lambda vault: vault.deploys(NAME),
    "journal": lambda vault: vault.progress(NAME),
    "provenance": lambda vault: vault.known(NAME),
    "revocation": lambda vault: vault.revocation(NAME),
    "account": lambda vault: vault.account(SERVER),
    "limits": lambda vault: vault.history(SERVER),
    "zones": lambda vault: vault.zones("cloudflare"),
    "site": lambda vault: vault.site("nodered"),
}
stored = st.sampled_from(list(STORED)).flatmap(
    lambda key: st.tuples(st.just(key), anything_like(msgspec.json.encode(STORED[key])))
)


class TestWhatIsStored:
    @often(20)
    @given(stored)
    def test_it_is_a_value_or_absent_and_told_or_refused(self, found: tuple[str, bytes]) -> None:
        key, data = found
        store, notes = MemStore(), Notes()
        store.values[key] = data
        kind = key.partition("/")[0]
        absent = READS[kind](State(MemStore(), Notes()))
        try:
            value = READS[kind](State(store, notes))
        except Refused as refused:
            assert kind in {"account", "site"}
            assert refused.hint  # noqa: PT017 - it need not be raised
        else:
            assert value == absent if notes.of("problem") else value is not None

    @often(20)
    @given(st.lists(stored, min_size=1, max_size=2))
    def test_a_cycle_over_it_ends_with_an_outcome(self, found: list[tuple[str, bytes]]) -> None:
        store, notes = MemStore(), Notes()
        store.values = {key: msgspec.json.encode(value) for key, value in STORED.items()} | dict(found)
        engine = Engine((spec(),), State(store, notes), FakeIssuer(), FakeDeployer(), FakeClock(), notes)
        engine.status()
        engine.run(dry_run=True)
        assert [one.name for one in engine.run().certificates] == [NAME]
        assert notes.of("bug") == []

    @often(2)
    @given(noise, noise)
    def test_files_of_any_bytes_are_read_and_locked(
        self, tmp_path_factory: pytest.TempPathFactory, value: bytes, lock: bytes
    ) -> None:
        folder = tmp_path_factory.getbasetemp() / "state"
        for path, data in ((folder / "store/zones/a.json", value), (folder / "lock/zones.a", lock)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        vault = State(FileStore(folder), Notes())
        vault.zones("a")
        with suppress(LockBusy):
            vault.keep_zones("a", {NAME: ZONE})
            assert vault.zones("a") == {NAME: ZONE}


# -- what the CA says ---------------------------------------------------------------------------------------

CA = chains.Authority()
KEY, CHAIN = CA.issue([NAME, f"*.{NAME}"], NOW - DAY, NOW + 89 * DAY)
KEPT = keys.read_pair(KeyKind.EC256, KEY, CHAIN)
LEAF, INTERMEDIATE = (
    one.public_bytes(serialization.Encoding.DER) for one in x509.load_pem_x509_certificates(CHAIN.encode())
)
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
        engine = Engine((spec(),), self.vault, self.issuer, FakeDeployer(), self.clock, self.notes)
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


# -- the certificates that the CA sends ---------------------------------------------------------------------


def pem(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"


@st.composite
def bit_flips(draw: st.DrawFn, der: bytes) -> bytes:
    """Draw a certificate with some bytes changed and none missing, so that its structure mostly holds."""
    data = bytearray(der)
    for place in draw(st.lists(st.integers(0, len(der) - 1), min_size=1, max_size=3)):
        data[place] = draw(st.integers(0, 255))
    return bytes(data)


pems = (
    st.text()
    | damaged(CHAIN.encode()).map(lambda data: data.decode(errors="replace"))
    | bit_flips(LEAF).map(lambda der: pem(der) + pem(INTERMEDIATE))
    | bit_flips(INTERMEDIATE).map(lambda der: pem(LEAF) + pem(der))
    | noise.map(pem)
)


# A serial number that is not positive: a warning of the library today, a refusal of it tomorrow.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
class TestPem:
    @often(40)
    @given(pems)
    def test_what_the_ca_sends_is_a_pair_or_refused(self, chain: str) -> None:
        with suppress(Refused):
            keys.check_pair(keys.read_pair(KeyKind.EC256, KEY, chain), [NAME], NOW)

    @often(10)
    @given(st.text() | damaged(KEY.encode()).map(lambda data: data.decode(errors="replace")))
    def test_a_key_that_cannot_be_read_is_refused(self, key: str) -> None:
        with suppress(Refused):
            keys.check_pair(
                Pair(KeyKind.EC256, key, CHAIN, (), NOW, NOW + DAY, KEPT.fingerprint), [NAME], NOW
            )

    @often(10)
    @given(pems)
    def test_a_fingerprint_is_told_or_refused(self, chain: str) -> None:
        with suppress(Refused):
            assert re.fullmatch("[0-9a-f]{64}", keys.fingerprint(chain))
            keys.leaf(chain)


# -- what Cloudflare says -----------------------------------------------------------------------------------


class Api:
    """An API that answers as Cloudflare would, but for one call, which it answers with `odd`."""

    def __init__(self) -> None:
        self.odd: tuple[str, int, bytes, Mapping[str, str]] | None = None
        transport = httpx.MockTransport(self.answer)
        http = httpx.Client(transport=transport, base_url="https://api.example/")
        self.sdk = cloudflare.Cloudflare(
            api_token="made-up", base_url="https://api.example", max_retries=0, http_client=http
        )
        self.calls = calls.Api(self.sdk, FakeClock(), Notes())

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


# -- nginx and the DNS --------------------------------------------------------------------------------------

words = st.sampled_from(
    [
        "http",
        "server",
        "listen",
        "include",
        "ssl_certificate",
        "ssl_certificate_key",
        "server_name",
        "set",
        "$rn_scope",
        "pid",
        "error_log",
        "if",
        "ssl",
        "on",
        "proxy_protocol",
        "443",
        "[::]:443",
        "unix:/x",
        "*:99999",
        "{",
        "}",
        "{",
        "}",
        ";",
        ";",
        ";",
        '"',
        "'",
        "\\",
        "#",
        "~",
        "(",
        ")",
        "*.conf",
        "main.conf",
        "/etc/p*",
    ]
)
nginx_texts = (
    st.lists(words, max_size=25).map(" ".join).map(str.encode)
    | damaged(b'http { ssl on; server { listen [::1]:443 ssl; server_name .a.example; set $rn_scope "x"; } }')
    | noise
)


class TestNginx:
    @often(20)
    @given(nginx_texts)
    def test_any_configuration_is_read(self, tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
        folder = tmp_path_factory.getbasetemp() / "nginx"
        folder.mkdir(exist_ok=True)
        main = folder / "main.conf"
        main.write_bytes(text)
        read = configuration.read(str(main))
        targets.discover(read, Layout(folder), spec(), None)
        control.Control("nginx", str(main), "auto", FakeClock()).resolved(read.pid or "/x", "--pid-path")

    @often(10)
    @given(st.text(max_size=20) | words | st.from_regex(r"(\[[0-9a-f:]*\]|[0-9.]*)(:[0-9]{0,6}){0,2}"))
    def test_any_address_is_one_or_none(self, text: str) -> None:
        found = configuration.endpoint(text)
        assert found is None or 0 <= found[1] <= 65535

    @often(10)
    @given(noise | st.integers().map(str).map(str.encode) | st.just(b"9" * 5000))
    def test_any_pid_file_names_a_process_or_none(
        self, tmp_path_factory: pytest.TempPathFactory, text: bytes
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "nginx.pid"
        path.write_bytes(text)
        processes.accepting(processes.master(path))

    @often(10)
    @given(
        st.lists(noise | st.just(b"2026/11/23 12:00:00 [emerg] 1#1: bind() failed"), max_size=4).map(
            b"\n".join
        ),
        st.integers(0, 2**70),
    )
    def test_any_error_log_has_a_last_word_or_none(
        self, tmp_path_factory: pytest.TempPathFactory, text: bytes, mark: int
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "error.log"
        path.write_bytes(text)
        ErrorLog(path).since(min(mark, path.stat().st_size * 2))
        control.words(text.decode(errors="replace"))

    @often(10)
    @given(noise, noise)
    def test_any_title_of_a_process_is_read(
        self, tmp_path_factory: pytest.TempPathFactory, name: bytes, title: bytes
    ) -> None:
        proc = tmp_path_factory.getbasetemp() / "proc"
        (proc / "1/task/1").mkdir(parents=True, exist_ok=True)
        (proc / "2").mkdir(exist_ok=True)
        (proc / "1/task/1/children").write_text("2 3 ")
        (proc / "2/cmdline").write_bytes(title + b"nginx: worker process")
        (proc / "2/stat").write_bytes(b"2 (" + name[:15] + b") S " + b"1 " * 40)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(processes, "_PROC", proc)
            assert processes.accepting(processes.Master(1)) == {2}
            assert processes.all_since(processes.Master(1), 0.0) is True

    @often(10)
    @given(
        noise
        | st.builds(
            lambda folder: b"ssl_certificate %s/fullchain.pem;" % folder,
            st.sampled_from(
                [b"/a", b"HOME/g000001", b"HOME/g\0", b"HOME/..", b"HOME/\xff", b"//", b"HOME/" + b"g" * 300]
            ),
        )
    )
    def test_any_text_in_the_place_of_a_pointer_names_a_whole_generation_or_none(
        self, tmp_path_factory: pytest.TempPathFactory, text: bytes
    ) -> None:
        layout = Layout(tmp_path_factory.getbasetemp() / "pointers")
        home = layout.home(NAME)
        for folder in (home, layout.include(NAME).parent):
            folder.mkdir(parents=True, exist_ok=True)
        layout.include(NAME).write_bytes(text.replace(b"HOME", str(home).encode()))
        on_disk = generations.Generations(layout)
        assert on_disk.shown(NAME) is None
        assert on_disk.published(NAME, Material((KEPT,), SERVER)) is False
        on_disk.sweep(NAME)
        folder_named(text)

    @often(4)
    @given(noise | st.lists(noise, max_size=5).map(lambda lines: b"\n".join([b"0123456789abcdef", *lines])))
    def test_any_answer_of_the_reload_helper_is_one_or_none(
        self, tmp_path_factory: pytest.TempPathFactory, text: bytes
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "result"
        path.write_bytes(text)
        helper = request.Helper(path.with_name("request"), path)
        answer = helper._answer("0123456789abcdef")
        assert answer is None or control.words(answer.text)


class TestDns:
    @often(20)
    @given(st.data())
    def test_any_answer_of_a_name_server_shows_something_or_is_told(self, data: st.DataObject) -> None:
        answer = dns.message.make_response(dns.message.make_query(RECORD.name, "TXT"))
        answer.answer = [dns.rrset.from_text(f"{RECORD.name}.", 60, "IN", "TXT", '"one" "two"', '"\\255"')]
        wire = data.draw(damaged(answer.to_wire()) | bit_flips(answer.to_wire()) | st.binary(max_size=60))
        server = NameServer("ns.example", "127.0.0.1")
        watch = Watch({server: {RECORD.name: {"value"}}}, _values, FakeClock(), Crowd())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("renewer.dns.resolver._ask", lambda *_: dns.message.from_wire(wire))
            assert "\n" not in watch._lack(server)

"""No secret in the words for a value, in an error, or in what a library logs while it works for us."""

import json
import logging
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import httpx
import msgspec
import pytest
from cloudflare import Cloudflare
from support.fakes import DAY, NOW, SERVER, FakeClock, MemStore, Notes, material, spec

from renewer.config import load, secrets
from renewer.core.errors import ConfigError, Refused, RenewerError
from renewer.core.journal import PendingOrder, Progress
from renewer.core.model import (
    Account,
    KeyKind,
    Material,
    Observation,
    Pair,
    Publish,
    Reason,
    Revocation,
    Snapshot,
)
from renewer.core.policy import decide
from renewer.core.site import Gate, Guard, Kept, Key, Retiring, Ring, SiteSpec
from renewer.core.x509 import account_key, check_pair
from renewer.dns.cloudflare import settings
from renewer.dns.cloudflare.client import Api
from renewer.dns.cloudflare.provider import CloudflareDns
from renewer.dns.cloudflare.settings import Settings
from renewer.engine.outcome import CertificateRun
from renewer.store.state import State

SECRET = "5ec2e700" * 8
TOKEN = "a-made-up-token-of-forty-characters-abcd"

PAIR = replace(material().pairs[0], key=SECRET)
HELD = Material((PAIR,), SERVER)
ORDER = PendingOrder(KeyKind.EC256, ("a.example",), SERVER, SECRET, "CSR")
KEY = Key("k1", SECRET)
RING = Ring(KEY, KEY, NOW, NOW + DAY, 1, (Retiring(KEY, NOW),))
VALUES = [
    PAIR,
    HELD,
    ORDER,
    Progress((PAIR,), ORDER),
    Account(SECRET, "https://ca.example/account"),
    Revocation(HELD, Reason.UNSPECIFIED),
    Snapshot(spec(), Observation(published=True, served=True), HELD),
    CertificateRun(decide(Snapshot(spec(), Observation(published=True, served=True), HELD), NOW)),
    Publish(spec(), HELD),
    KEY,
    RING,
    Kept(RING, RING),
    Guard((Gate(SiteSpec("a", "https://a.example"), RING),)),
]


class TestValues:
    @pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
    def test_their_words_hold_no_secret(self, value: object) -> None:
        assert is_dataclass(value)
        assert SECRET not in f"{value!r} {value!s} {value}"
        assert SECRET in msgspec.json.encode(value).decode() or not fields(value)  # it is in there


class TestErrors:
    @pytest.mark.parametrize(
        "text", [f"{SECRET} {SECRET}", f"{SECRET}\n{SECRET}", f"{SECRET}é", f'"{SECRET} "']
    )
    def test_a_token_that_cannot_be_right_is_not_shown(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "token"
        path.touch(0o600)
        path.write_text(text)
        for read in (
            lambda: secrets.read_secret(path, "cloudflare.token_file"),
            lambda: secrets.eab_hmac_key(path),
            lambda: settings.token(Settings(), {"CLOUDFLARE_API_TOKEN": text}),
        ):
            with pytest.raises(ConfigError) as caught:
                read()
            assert SECRET not in words(caught.value)

    @pytest.mark.parametrize(
        "text", [SECRET, f"http://hc.example/{SECRET}", f"ftp://{SECRET}", f"a {SECRET}"]
    )
    def test_an_address_that_cannot_be_right_is_not_shown(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "address"
        path.touch(0o600)
        path.write_text(text)
        with pytest.raises(ConfigError) as caught:
            secrets.ping_address(path, "notify.ping_file")
        assert SECRET not in words(caught.value)
        path.write_text(f"json://a.example/\n{SECRET}")
        with pytest.raises(ConfigError) as caught:
            secrets.read_addresses(path, "notify.urls_file")
        assert SECRET not in words(caught.value)

    def test_a_configuration_does_not_show_what_it_pings(self) -> None:
        text = f"[notify]\nping = 'https://hc.example/{SECRET}'\n[site.a]\nhost = 'https://a.example'"
        assert SECRET not in repr(load.parse(text, "f"))

    def test_a_global_api_key_is_not_shown(self) -> None:
        secret = "0123456789abcdef" * 2 + "01234"
        with pytest.raises(ConfigError) as caught:
            settings.token(Settings(), {"CLOUDFLARE_API_TOKEN": secret})
        assert secret not in words(caught.value)

    @pytest.mark.parametrize(
        "line",
        [
            "[cloudflare]\ntoken = 'X'",
            "[cloudflare]\ntoken_file = 'X'",
            "[cloudflare]\nbase_url = 'X'",
            "[cloudflare]\nbase_url = 'https://X@api.example/'",
            "[cloudflare]\nzone_ids = { 'a.example' = 'X' }",
            "[acme]\neab_kid = 'a'\neab_hmac_key_file = 'X'",
            "[acme]\nemail = 'X'",
            "[notify]\nping = 'X'",
            "[notify]\nping = 'http://hc.example/X'",
            "[notify]\nurls_file = 'json://X@a.example'",
            "[acme]\nserver = 'X'",
            "[cloudflare]\ntoken_file = X",
            "[cloudflare]\ntoken_file = 'X",
        ],
    )
    def test_a_secret_in_the_wrong_line_is_not_repeated(self, line: str) -> None:
        with pytest.raises(ConfigError) as caught:
            load.parse(line.replace("X", SECRET), "f")
        assert SECRET not in words(caught.value)

    def test_a_key_that_cannot_be_read_is_not_shown(self) -> None:
        pem = account_key().replace("PRIVATE KEY", f"PRIVATE {SECRET} KEY")
        broken = Pair(KeyKind.EC256, pem, "", (), NOW, NOW + DAY, PAIR.fingerprint)
        with pytest.raises(Refused) as caught:
            check_pair(broken, (), NOW)
        assert SECRET not in words(caught.value)

    @pytest.mark.parametrize(
        "key", ["account/ca.example%2Fdirectory", "certificate/a", "journal/a", "site/a"]
    )
    def test_a_stored_value_that_cannot_be_read_is_not_shown(self, key: str) -> None:
        store, notes = MemStore(), Notes()
        store.values[key] = json.dumps(
            {"key": [SECRET], "pairs": [SECRET], "done": SECRET, "served": SECRET}
        ).encode()
        vault, said = State(store, notes), ""
        for read in (lambda: vault.account(SERVER), lambda: vault.site("a")):
            try:
                read()
            except Refused as refused:
                said += words(refused)
        vault.material("a")
        vault.progress("a")
        assert said or notes.told
        assert SECRET not in said + str(notes.told)


def words(error: BaseException) -> str:
    """Return all that could be written of an error."""
    told = f"{error} {error!r} {getattr(error, 'hint', '')}"
    inner = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told + (words(inner) if inner else "")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that any library logs."""
    caplog.set_level(logging.DEBUG)
    for name in (
        "acme",
        "acme.client",
        "cloudflare",
        "cloudflare._base_client",
        "httpx",
        "httpcore",
        "urllib3",
    ):
        caplog.set_level(logging.DEBUG, name)
    return caplog


class TestLibraries:
    @pytest.mark.parametrize("status", [200, 400, 403, 500])
    def test_the_token_is_in_no_line_that_the_sdk_logs(
        self, log: pytest.LogCaptureFixture, status: int
    ) -> None:
        asked: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(
                status, json={"success": False, "errors": [{"code": 6003, "message": "no"}]}
            )

        with httpx.Client(transport=httpx.MockTransport(answer)) as http:
            api = Cloudflare(api_token=TOKEN, base_url="https://api.example", max_retries=0, http_client=http)
            provider = CloudflareDns(Api(lambda: api, FakeClock(), Notes()), {}, State(MemStore(), Notes()))
            with pytest.raises(RenewerError) as caught:
                provider.check(["_acme-challenge.a.example"])
        assert TOKEN in asked[0].headers["authorization"]
        assert TOKEN not in log.text + words(caught.value)
        assert log.records

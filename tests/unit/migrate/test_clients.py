"""The folders of other clients: each layout, and whatever may be wrong with one."""

import base64
import json
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from josepy.jwk import JWK, JWKEC, JWKRSA
from support import certs
from support.facts import missing

from renewer.config.acme import DIRECTORIES
from renewer.core import x509
from renewer.core.errors import Refused
from renewer.core.model import KeyKind
from renewer.migrate import acme_sh, certbot, folder, lego
from renewer.migrate import keys as inherited
from renewer.migrate.model import Estate

LE = DIRECTORIES["letsencrypt"]
HOST = "acme-v02.api.letsencrypt.org"
TOKEN = "a-token-that-is-as-long-as-they-are-usually"
DAY = timedelta(days=1)
KEY, CHAIN = certs.CA.issue(("example.com",), certs.NOW - DAY, certs.NOW + 60 * DAY)
ACCOUNT = x509.account_key()

Write = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files below a folder, by their paths."""

    def written(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return written


def jwk(key_pem: str) -> str:
    return json.dumps(JWK.load(key_pem.encode()).to_json())


def lineage(name: str, renewal: str = f"server = {LE}\naccount = abc\n") -> dict[str, str]:
    """Return the files of a lineage of certbot."""
    return {
        f"renewal/{name}.conf": f"version = 5.8.0\n[renewalparams]\n{renewal}",
        f"live/{name}/privkey.pem": KEY,
        f"live/{name}/fullchain.pem": CHAIN,
    }


def certbot_account() -> dict[str, str]:
    home = f"accounts/{HOST}/directory/abc"
    return {
        f"{home}/private_key.json": jwk(ACCOUNT),
        f"{home}/regr.json": '{"body": {}, "uri": "https://x/1"}',
    }


def troubles(estate: Estate) -> dict[str, str]:
    return {one.subject: str(one.error) for one in estate.troubles}


def read_certbot(root: Path) -> Estate:
    return certbot.read(folder.opened(root), "")


def test_certbot(write: Write) -> None:
    estate = read_certbot(write(lineage("example.com") | certbot_account()))
    (one,), (login,) = estate.lineages, estate.logins
    assert (one.name, one.key, one.chain, one.directory_url) == ("example.com", KEY, CHAIN, LE)
    assert (login.directory_url, login.url, login.key) == (LE, "https://x/1", ACCOUNT)
    assert (estate.troubles, estate.token) == ([], None)


def test_one_lineage_that_is_broken_does_not_hold_up_the_others(write: Write) -> None:
    root = write(lineage("good.example") | lineage("lost.example") | lineage("loop.example"))
    (root / "live/lost.example/fullchain.pem").unlink()
    loop = root / "live/loop.example/privkey.pem"
    loop.unlink()
    loop.symlink_to("privkey.pem")
    (root / "renewal" / "bytes.example.conf").write_bytes(b"\xff\xfe\x00")
    estate = read_certbot(root)
    assert [one.name for one in estate.lineages] == ["good.example"]
    told = troubles(estate)
    assert missing(told["lost.example"], "fullchain.pem", "no such file") == []
    assert "loop of links" in told["loop.example"] or "too many levels" in told["loop.example"]
    assert "text" in told["bytes.example"]


def test_what_leads_out_of_the_folder_is_not_read(
    write: Write, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.pem"
    outside.write_text(KEY)
    root = write(lineage("example.com"))
    key = root / "live/example.com/privkey.pem"
    key.unlink()
    key.symlink_to(outside)
    assert missing(troubles(read_certbot(root))["example.com"], "privkey.pem", root) == []
    far = write(lineage("far.example", "server = https://x/../../../../etc\naccount = ../../..\n"))
    assert "leads out of" in troubles(read_certbot(far))["account at https://x/../../../../etc"]


def test_huge_files_pipes_and_folders_are_no_keys(write: Write) -> None:
    root = write(lineage("huge.example") | lineage("pipe.example") | lineage("folder.example"))
    (root / "live/huge.example/privkey.pem").write_text("x" * (folder.LONGEST + 1))
    for name, make in (("pipe.example", os.mkfifo), ("folder.example", os.mkdir)):
        key = root / "live" / name / "privkey.pem"
        key.unlink()
        make(key)
    told = troubles(read_certbot(root))
    assert "too long" in told["huge.example"]
    assert "regular file" in told["pipe.example"]
    assert "directory" in told["folder.example"]


def test_a_name_that_would_play_with_the_terminal_is_nobodys(write: Write) -> None:
    assert read_certbot(write(lineage("x\x1b[2J"))).lineages == []


@pytest.mark.parametrize(
    "text", ["", "[]", '"x"', "{", "[" * 10_000, '{"kty": "RSA", "n": 1}', '{"kty": "oct"}']
)
def test_an_account_that_cannot_be_read_is_told(write: Write, text: str) -> None:
    root = write(lineage("example.com") | certbot_account())
    (root / f"accounts/{HOST}/directory/abc/private_key.json").write_text(text)
    estate = read_certbot(root)
    assert (len(estate.lineages), estate.logins, len(estate.troubles)) == (1, [], 1)


@pytest.mark.parametrize(
    ("ini", "value", "refused"),
    [
        (f"# mine\ndns_cloudflare_api_token = {TOKEN}\n", TOKEN, ""),
        (f'dns_cloudflare_api_token="{TOKEN}"', TOKEN, ""),
        ("dns_cloudflare_email = a@b.de\ndns_cloudflare_api_key = 0123\n", "", "Global API Key"),
        (None, "", "cannot be read"),
    ],
)
def test_the_token_of_certbot(write: Write, ini: str | None, value: str, refused: str) -> None:
    root = write({} if ini is None else {"cf.ini": ini})
    write(lineage("example.com", f"server = {LE}\ndns_cloudflare_credentials = {root}/cf.ini\n"))
    token = read_certbot(root).token
    assert token is not None
    assert token.value == value
    assert refused in token.refused
    assert TOKEN not in repr(token)


def acme_home(conf: str = f"Le_API='{LE}'\n", home: str = "example.com_ecc") -> dict[str, str]:
    name = home.removesuffix("_ecc")
    return {
        "account.conf": "",
        f"{home}/{name}.conf": conf,
        f"{home}/{name}.key": KEY,
        f"{home}/fullchain.cer": CHAIN,
    }


@pytest.mark.parametrize("ca", [f"ca/{HOST}/directory", f"ca/{HOST}"])
def test_acme_sh(write: Write, ca: str) -> None:
    account = {
        f"{ca}/account.key": ACCOUNT,
        f"{ca}/ca.conf": "ACCOUNT_URL='https://x/2'\nCA_EMAIL='a@b.de'\n",
    }
    encoded = base64.b64encode(TOKEN.encode()).decode()
    secret = {"account.conf": f"SAVED_CF_Token='__ACME_BASE64__START_{encoded}__ACME_BASE64__END_'\n"}
    estate = acme_sh.read(folder.opened(write(acme_home() | account | secret)), "")
    (one,), (login,) = estate.lineages, estate.logins
    assert (one.name, one.key, one.chain, one.directory_url) == ("example.com_ecc", KEY, CHAIN, LE)
    assert (login.directory_url, login.url, login.email) == (LE, "https://x/2", "a@b.de")
    assert login.key == ACCOUNT
    assert estate.token is not None
    assert estate.token.value == TOKEN


def test_acme_sh_whose_last_order_failed(write: Write) -> None:
    root = write(acme_home() | acme_home(home="other.example"))
    (root / "other.example" / "fullchain.cer").unlink()
    estate = acme_sh.read(folder.opened(root), "")
    assert [one.name for one in estate.lineages] == ["example.com_ecc"]
    assert set(troubles(estate)) == {"other.example", f"account at {LE}"}


@pytest.mark.parametrize("conf", ["SAVED_CF_Key='0123'\n", "SAVED_CF_Email='a@b.de'\nCF_Key='0'\n"])
def test_acme_sh_with_a_global_key(write: Write, conf: str) -> None:
    token = acme_sh.read(folder.opened(write(acme_home() | {"account.conf": conf})), "").token
    assert token is not None
    assert "Global API Key" in token.refused


def lego_files(host: str, account: Mapping[str, object], key: str) -> dict[str, str]:
    home = f"accounts/{host}/a@b.de"
    return {
        f"{home}/account.json": json.dumps(account),
        f"{home}/{key}": ACCOUNT,
        "certificates/_.example.com.key": KEY,
        "certificates/_.example.com.crt": CHAIN,
        "certificates/_.example.com.json": json.dumps({"certUrl": f"https://{HOST}/acme/cert/1"}),
    }


def test_lego_4_and_5(write: Write) -> None:
    url = f"https://{HOST}/acme/acct/1"
    older = lego_files(HOST, {"email": "a@b.de", "registration": {"uri": url}}, "keys/a@b.de.key")
    newer = {"id": "a@b.de", "email": "a@b.de", "server": LE, "registration": {"accountURL": url}}
    for files in (older, lego_files("elsewhere", newer, "a@b.de.key")):
        estate = lego.read(folder.opened(write(files)), "")
        (one,) = estate.lineages
        assert (one.name, one.directory_url, one.chain) == ("_.example.com", LE, CHAIN)
        assert {(login.directory_url, login.url, login.email) for login in estate.logins} == {
            (LE, url, "a@b.de")
        }
        assert estate.troubles == []


def test_lego_without_the_chain_in_the_certificate(write: Write) -> None:
    leaf, _, chain = CHAIN.partition("-----END CERTIFICATE-----\n")
    files = lego_files(HOST, {"registration": None}, "keys/a@b.de.key")
    files |= {
        "certificates/_.example.com.crt": f"{leaf}-----END CERTIFICATE-----\n",
        "certificates/_.example.com.issuer.crt": chain,
    }
    (one,) = lego.read(folder.opened(write(files)), "").lineages
    assert one.chain == CHAIN


def test_lego_at_a_ca_that_nothing_names(write: Write) -> None:
    files = lego_files(
        "ca.example_14000", {"registration": {"uri": "https://ca.example:14000/1"}}, "a@b.de.key"
    )
    files["certificates/_.example.com.json"] = '{"certUrl": "https://ca.example:14000/c/1"}'
    root = write(files)
    unknown = lego.read(folder.opened(root), "")
    assert (unknown.logins, unknown.lineages[0].directory_url) == ([], "")
    assert "--server URL" in unknown.troubles[0].error.hint
    named = lego.read(folder.opened(root), "https://ca.example:14000/dir")
    assert [named.logins[0].directory_url, named.lineages[0].directory_url] == [
        "https://ca.example:14000/dir"
    ] * 2


@pytest.mark.parametrize("place", ["nowhere", "file"])
def test_a_folder_that_is_none(write: Write, place: str) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        folder.opened(write({"file": ""}) / place)


# -- keys and chains ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [KeyKind.EC256, KeyKind.EC384, KeyKind.RSA2048])
def test_a_pair_of_each_kind_is_kept_in_our_form(kind: KeyKind) -> None:
    key = x509.private_key(x509.generate(kind))
    older = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    _, chain = certs.CA.issue(("example.com",), certs.NOW, certs.NOW + DAY, older)
    pair = inherited.pair(older, chain)
    assert (pair.kind, pair.domains, pair.key) == (kind, ("example.com",), x509.private_pem(key))
    x509.check_pair(pair, ["example.com"], certs.NOW)


def locked(format_: serialization.PrivateFormat) -> str:
    secret = serialization.BestAvailableEncryption(b"secret")
    return x509.private_key(KEY).private_bytes(serialization.Encoding.PEM, format_, secret).decode()


@pytest.mark.parametrize(
    ("key", "chain", "why"),
    [
        (x509.generate(KeyKind.EC256), CHAIN, "do not match"),
        (locked(serialization.PrivateFormat.PKCS8), CHAIN, "password"),
        (locked(serialization.PrivateFormat.TraditionalOpenSSL), CHAIN, "password"),
        ("", CHAIN, "private key"),
        ("schlüssel", CHAIN, "private key"),
        (KEY, "", r"certificate.*read"),
        (KEY, "zertifikät", r"certificate.*read"),
        (KEY, CHAIN[: CHAIN.index("-----END") + 26], "chain"),
        (KEY, CHAIN[: CHAIN.index("-----END") + 26] + certs.Authority().intermediate_pem, "chain"),
    ],
)
def test_what_does_not_go_together_is_told(key: str, chain: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        inherited.pair(key, chain)


def test_a_size_that_we_do_not_make_is_told() -> None:
    odd = x509.private_pem(rsa.generate_private_key(public_exponent=65537, key_size=2304))
    _, chain = certs.CA.issue(("example.com",), certs.NOW, certs.NOW + DAY, odd)
    with pytest.raises(Refused, match="rsa2304"):
        inherited.pair(odd, chain)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_account_keys_of_curves(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    document = JWKEC(key=key).to_json()
    assert inherited.account_key_of_jwk(document) == inherited.account_key(x509.private_pem(key))


def test_account_keys_of_rsa() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert inherited.account_key_of_jwk(JWKRSA(key=key).to_json()) == x509.private_pem(key)
    weak = x509.private_pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505 - that is the point
    with pytest.raises(Refused, match="no CA"):
        inherited.account_key(weak)

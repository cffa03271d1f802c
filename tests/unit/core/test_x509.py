"""Keys, signing requests, and the look at what the CA sent."""

import base64
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from support.chains import Authority
from support.hostile.text import MARK, harm

from renewer.core import x509 as keys
from renewer.core.errors import Refused
from renewer.core.model import KeyKind, Pair

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BEGIN, END = NOW - timedelta(hours=1), NOW + timedelta(days=90)
DOMAINS = ("example.com", "*.example.com")
AUTHORITY = Authority()
KEY, CHAIN = AUTHORITY.issue(DOMAINS, BEGIN, END)
LEAF = CHAIN[: CHAIN.index(AUTHORITY.intermediate_pem)]


def pair(key: str = KEY, chain: str = CHAIN) -> Pair:
    return keys.read_pair(KeyKind.EC256, key, chain)


def odd_leaf(**oddities: object) -> str:
    names = [x509.DNSName(domain) for domain in DOMAINS]
    return AUTHORITY.chain(AUTHORITY.leaf(names, BEGIN, END, KEY, **oddities))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "bits"), [(KeyKind.EC256, 256), (KeyKind.EC384, 384), (KeyKind.RSA2048, 2048)]
)
def test_a_key_is_pkcs8_of_the_kind_asked_for(kind: KeyKind, bits: int) -> None:
    pem = keys.generate(kind)
    key = load_pem_private_key(pem.encode(), password=None)
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert key.key_size == bits  # type: ignore[union-attr]
    assert type(key).__name__.startswith(kind.value[:2].upper())


@pytest.mark.parametrize("kind", [KeyKind.RSA3072, KeyKind.RSA4096])
def test_rsa_sizes(kind: KeyKind, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    asked: list[int] = []
    small = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def note(*, public_exponent: int, key_size: int) -> rsa.RSAPrivateKey:
        asked.extend((public_exponent, key_size))
        return small

    # A real one takes seconds; the figure asked for is what is ours.
    monkeypatch.setattr(rsa, "generate_private_key", note)
    keys.generate(kind)
    assert asked == [65537, int(kind.removeprefix("rsa"))]


def test_an_account_key_is_p256_and_new_each_time() -> None:
    one, other = keys.account_key(), keys.account_key()
    assert one != other
    assert load_pem_private_key(one.encode(), password=None).key_size == 256  # type: ignore[union-attr]


def test_a_request_asks_for_the_names_and_nothing_else() -> None:
    request = keys.read_csr(keys.csr(KEY, DOMAINS))
    assert request.is_signature_valid
    assert request.subject == x509.Name([])
    (extension,) = request.extensions
    assert extension.value == x509.SubjectAlternativeName([x509.DNSName(domain) for domain in DOMAINS])


def test_a_pair_tells_what_its_leaf_says() -> None:
    it = pair()
    leaf = x509.load_pem_x509_certificate(LEAF.encode())
    assert (it.kind, it.key, it.chain) == (KeyKind.EC256, KEY, CHAIN)
    assert (it.domains, it.not_before, it.not_after) == (DOMAINS, BEGIN, END)
    assert it.fingerprint == leaf.fingerprint(hashes.SHA256()).hex()
    assert "PRIVATE" not in repr(it)


@pytest.mark.parametrize(
    ("serial", "end"), [(0x8765_4321, "AIdlQyE"), (0x7F, "fw"), (0x80, "AIA"), (0x0100, "AQA")]
)
def test_the_identifier_for_ari_is_that_of_rfc_9773(serial: int, end: str) -> None:
    issuer = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
    chain = odd_leaf(serial=serial, key_identifier=issuer)
    assert pair(chain=chain).ari == f"aYhba4dGQEHhs3uEe6CuLN4ByNQ.{end}"


@pytest.mark.parametrize(
    "beside", ["\n", "\r\n", "subject=CN = a\n", f"{MARK}\x1b]52;c;eA==\x07\n", "\r<0>x\n"]
)
def test_beside_the_certificates_of_a_chain_nothing_is_kept_that_a_terminal_obeys(beside: str) -> None:
    found = pair(chain=f"{LEAF}{beside}{AUTHORITY.intermediate_pem}{beside}")
    plain = beside.removesuffix("\n").removesuffix("\r")
    assert [*harm(found.chain.replace("\r\n", "\n"))] == []
    assert (beside in found.chain) == plain.isprintable()
    keys.check_pair(found, DOMAINS, NOW)


def test_no_identifier_without_the_issuers_key() -> None:
    _, certificate = keys.self_signed(DOMAINS, NOW)
    assert pair(chain=certificate).ari == ""


GARBAGE = {
    "nothing": "",
    "words": "<html>502 Bad Gateway</html>",
    "not ascii": "äöü",
    "a key": keys.account_key(),
    "an empty block": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "no base64": "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n",
    "no DER": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "cut off": CHAIN[:500],
}


@pytest.mark.parametrize("chain", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_chain_is_refused(chain: str) -> None:
    with pytest.raises(Refused, match=r"read|certificate"):
        pair(chain=chain)
    with pytest.raises(Refused, match="read"):
        keys.check_pair(replace(pair(), chain=chain), DOMAINS, NOW)


def test_what_was_asked_for_passes_in_any_order_and_case() -> None:
    keys.check_pair(pair(), ("*.EXAMPLE.com", "Example.com"), NOW)


@pytest.mark.parametrize("kind", [KeyKind.EC256, KeyKind.EC384, KeyKind.RSA2048])
def test_every_kind_of_key_passes(kind: KeyKind) -> None:
    key, chain = AUTHORITY.issue(DOMAINS, BEGIN, END, keys.generate(kind))
    keys.check_pair(keys.read_pair(kind, key, chain), DOMAINS, NOW)


def wrong_pairs() -> dict[str, tuple[Pair, str]]:
    address = [x509.DNSName("example.com"), x509.IPAddress(IPv4Address("192.0.2.1"))]
    stranger = Authority("Stranger")
    return {
        "another key": (pair(key=keys.account_key()), "another key"),
        "another kind": (replace(pair(), kind=KeyKind.EC384), "ec256.*ec384"),
        "a name more": (
            pair(chain=AUTHORITY.issue((*DOMAINS, "evil.test"), BEGIN, END, KEY)[1]),
            r"evil\.test",
        ),
        "an address": (
            pair(chain=AUTHORITY.chain(AUTHORITY.leaf(address, BEGIN, END, KEY))),
            r"192\.0\.2\.1",
        ),
        "a name less": (
            pair(chain=AUTHORITY.issue(DOMAINS[:1], BEGIN, END, KEY)[1]),
            r"\*\.example\.com",
        ),
        "no names": (pair(chain=AUTHORITY.issue((), BEGIN, END, KEY)[1]), "example\\.com"),
        "ended": (pair(chain=AUTHORITY.issue(DOMAINS, BEGIN, NOW, KEY)[1]), r"2026-11-23 12:00:00 UTC"),
        "to come": (
            pair(chain=AUTHORITY.issue(DOMAINS, NOW + timedelta(hours=1, seconds=1), END, KEY)[1]),
            "2026-11-23 13:00:01 UTC",
        ),
        "a CA": (pair(chain=odd_leaf(ca=True)), "itself a CA"),
        "alone": (pair(chain=LEAF), r"without.*chain"),
        "another issuer": (pair(chain=LEAF + stranger.intermediate_pem), "certificate 1"),
        "another root": (pair(chain=CHAIN + stranger.root_pem), "certificate 2"),
        "a forged issuer": (pair(chain=LEAF + Authority().intermediate_pem), "certificate 1"),
    }


WRONG = wrong_pairs()


@pytest.mark.parametrize(("wrong", "fact"), WRONG.values(), ids=WRONG.keys())
def test_what_was_not_asked_for_is_refused(wrong: Pair, fact: str) -> None:
    with pytest.raises(Refused, match=fact) as refusal:
        keys.check_pair(wrong, DOMAINS, NOW)
    assert refusal.value.hint


def test_a_root_at_the_end_of_the_chain_is_fine() -> None:
    keys.check_pair(pair(chain=CHAIN + AUTHORITY.root_pem), DOMAINS, NOW)


def test_a_chain_as_long_as_none_is_refused_though_each_is_signed_by_the_next() -> None:
    longest = CHAIN + AUTHORITY.root_pem * (keys.LONGEST_CHAIN - 2)
    keys.check_pair(pair(chain=longest), DOMAINS, NOW)
    with pytest.raises(Refused, match=str(keys.LONGEST_CHAIN + 1)):
        keys.check_pair(pair(chain=longest + AUTHORITY.root_pem), DOMAINS, NOW)


def test_a_clock_an_hour_slow_is_fine() -> None:
    keys.check_pair(pair(), DOMAINS, BEGIN - timedelta(hours=1))


@pytest.mark.parametrize("key", ["", "no key", KEY[:100], "ä"], ids=["empty", "words", "cut", "not ASCII"])
def test_a_key_that_cannot_be_read_is_told_without_showing_it(key: str) -> None:
    with pytest.raises(Refused, match="private key") as refusal:
        keys.check_pair(replace(pair(), key=key), DOMAINS, NOW)
    assert refusal.value.__cause__ is None


def test_the_placeholder_calls_itself_one() -> None:
    key, pem = keys.self_signed(DOMAINS, NOW)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    it = keys.read_pair(KeyKind.EC256, key, pem)
    assert load_pem_private_key(key.encode(), password=None).public_key() == certificate.public_key()
    certificate.verify_directly_issued_by(certificate)
    assert {str(part.value) for part in certificate.subject} == {keys.PLACEHOLDER}
    assert it.domains == DOMAINS
    assert (it.not_before, it.not_after) == (NOW - timedelta(days=1), NOW + timedelta(days=3652))


def test_the_fingerprint_is_that_of_the_first_certificate() -> None:
    leaf = x509.load_pem_x509_certificate(LEAF.encode()).fingerprint(hashes.SHA256()).hex()
    assert keys.fingerprint(CHAIN) == keys.fingerprint(f"\n{LEAF}\n") == leaf


@pytest.mark.parametrize("text", ["", "words", base64.b64encode(b"x").decode()])
def test_no_fingerprint_of_what_is_no_certificate(text: str) -> None:
    with pytest.raises(Refused, match="certificate"):
        keys.fingerprint(text)


def test_looking_at_a_fingerprint_does_not_load_cryptography() -> None:
    program = f"import sys; from renewer.core import x509; x509.fingerprint({LEAF!r}); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert "renewer.core.x509" in loaded.split()
    assert "cryptography" not in loaded.split()


@pytest.mark.parametrize(
    ("serial", "der"), [(-5, b"\xfb"), (-129, b"\xff\x7f"), (128, b"\x00\x80"), (127, b"\x7f")]
)
def test_the_serial_number_is_a_signed_integer_of_der(
    monkeypatch: pytest.MonkeyPatch, serial: int, der: bytes
) -> None:
    """RFC 5280 wants it positive; certificates of old, on disk for an import, are otherwise."""
    monkeypatch.setattr(keys, "_extension", lambda *_: SimpleNamespace(key_identifier=b"id"))
    told = keys._ari(SimpleNamespace(serial_number=serial))  # type: ignore[arg-type]
    assert base64.urlsafe_b64decode(told.partition(".")[2] + "==") == der

"""Keys, signing requests and chains: the parts of a certificate, and the check of what the CA sent.

Everything is PEM text. `cryptography` is imported inside the functions, because a run with nothing to do must
not pay for it.
"""
# ruff: noqa: PLC0415  (see above: the late imports are the point)

import base64
import hashlib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from renewer.core.errors import Refused
from renewer.core.model import Fingerprint, KeyKind, Pair

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey
    PublicKey = EllipticCurvePublicKey | RSAPublicKey

PLACEHOLDER = "renewer placeholder, not a certificate"
"""The subject of the self-signed placeholder."""

PLACEHOLDER_LIFE = timedelta(days=3652)
"""Ten years, so that it does not expire unnoticed."""

CLOCK_SKEW = timedelta(hours=1)
"""How far in the future the start of a new certificate may be."""

_Extension = TypeVar("_Extension", bound="x509.ExtensionType")
_RSA_BITS = {KeyKind.RSA2048: 2048, KeyKind.RSA3072: 3072, KeyKind.RSA4096: 4096}
_TIME = "%Y-%m-%d %H:%M:%S"
BEGIN = "-----BEGIN CERTIFICATE-----"
"""The first line of a certificate (RFC 7468, section 5)."""

_END_OF_PEM = "-----END CERTIFICATE-----"
LONGEST_CHAIN = 10
"""Most certificates of a chain: nginx sends all in each handshake, and real chains have two to four."""

_NOTHING_KEPT = "nothing of it was stored; if it happens again, contact the CA"


def generate(kind: KeyKind) -> str:
    """Return a new private key (PKCS#8 PEM)."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if kind in _RSA_BITS:
        return private_pem(rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS[kind]))
    curve = ec.SECP384R1() if kind is KeyKind.EC384 else ec.SECP256R1()
    return private_pem(ec.generate_private_key(curve))


def account_key() -> str:
    """Return a new private key for an account at a CA: P-256, for signatures with ES256."""
    return generate(KeyKind.EC256)


def csr(key_pem: str, domains: Sequence[str]) -> str:
    """Return a signing request (PKCS#10 PEM) for the key and exactly these domains.

    The subject is empty and the only extension is the list of domains: no CN, no key usage, no must-staple,
    so that the CA's profile alone decides on the rest.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    request = x509.CertificateSigningRequestBuilder(x509.Name([]))
    signed = request.add_extension(_alternative_names(domains), critical=False).sign(
        private_key(key_pem), hashes.SHA256()
    )
    return signed.public_bytes(serialization.Encoding.PEM).decode("ascii")


def read_csr(csr_pem: str) -> "x509.CertificateSigningRequest":
    """Return a signing request as an object for the ACME library."""
    from cryptography import x509

    return x509.load_pem_x509_csr(csr_pem.encode())


def read_pair(kind: KeyKind, key_pem: str, chain_pem: str) -> Pair:
    """Return a chain from the CA (PEM, leaf first) with its key and the data of the leaf.

    Raises `Refused` if it cannot be read; `check_pair` checks whether it is the right one.
    """
    with _readable():
        leaf = _chain(chain_pem)[0]
        return Pair(
            kind=kind,
            key=key_pem,
            chain=_plain(chain_pem),
            domains=_names(leaf),
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            fingerprint=fingerprint(chain_pem),
            ari=_ari(leaf),
        )


def known_pair(key_pem: str, chain_pem: str) -> Pair:
    """Return a chain and its key from disk, with the kind of the key.

    Raises `Refused` if they cannot be read, if the key is another certificate's, or if it is of another kind.
    """
    with _readable():
        key = private_key(key_pem).public_key()
        if _chain(chain_pem)[0].public_key() != key:
            raise Refused("the key does not match the certificate", hint="find the key that does")
        kind = kind_of(key)
    if kind not in set(KeyKind):
        hint = f"it must be one of {', '.join(KeyKind)}"
        raise Refused(f"the key is {kind}, a kind that renewer does not support", hint=hint)
    return read_pair(KeyKind(kind), key_pem, chain_pem)


def leaf(chain_pem: str) -> "x509.Certificate":
    """Return the first certificate of a chain; raises `Refused` if it cannot be read."""
    with _readable():
        return _chain(chain_pem)[0]


def names(chain_pem: str) -> tuple[str, ...]:
    """Return the alternative names of the first certificate of a chain; raises `Refused` as `leaf`."""
    with _readable():
        return _names(_chain(chain_pem)[0])


def check_pair(pair: Pair, domains: Sequence[str], now: datetime) -> None:
    """Raise `Refused` unless the CA sent the requested certificate.

    That is a leaf for this key and exactly these domains, valid now, and a chain in which every certificate
    is signed by the next.
    """
    with _readable():
        chain = _chain(pair.chain)
        _check_key(pair, chain[0])
        _check_names(chain[0], domains)
        _check_dates(pair, now)
        _check_chain(chain)


def chained(chain_pem: str) -> bool:
    """Return whether a chain (PEM) is longer than its leaf, and each certificate is signed by the next."""
    with _readable():
        chain = _chain(chain_pem)
        return len(chain) > 1 and all(_issued(subject, issuer) for subject, issuer in pairwise(chain))


def self_signed(domains: Sequence[str], now: datetime) -> tuple[str, str]:
    """Return the key and the certificate (PEM) of a placeholder."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    key_pem = generate(KeyKind.EC256)
    key = private_key(key_pem)
    oids = (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    name = x509.Name([x509.NameAttribute(oid, PLACEHOLDER) for oid in oids])
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + PLACEHOLDER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_alternative_names(domains), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key_pem, certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def fingerprint(cert_pem: str) -> Fingerprint:
    """Return the fingerprint of the first certificate of the text; raises `Refused` if there is none.

    It does not use `cryptography`, because every run calls it.
    """
    leaf = cert_pem.partition(_END_OF_PEM)[0].strip() + "\n" + _END_OF_PEM
    try:
        return Fingerprint(hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf)).hexdigest())
    except ValueError as error:
        raise Refused("what should be a certificate is not one") from error


def private_pem(key: "PrivateKey") -> str:
    """Return a private key in the form in which it is stored: PKCS#8, no password."""
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode("ascii")


def private_key(key_pem: str) -> "PrivateKey":
    """Read a private key (PEM); raises `Refused` if it is unreadable, or neither RSA nor EC."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        key = serialization.load_pem_private_key(key_pem.encode("ascii"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # "from None", because the message of the cause could contain part of the key.
        raise Refused("the private key cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise Refused("the private key is neither RSA nor EC")
    return key


def _alternative_names(domains: Sequence[str]) -> "x509.SubjectAlternativeName":
    from cryptography import x509

    return x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains])


def _chain(chain_pem: str) -> "Sequence[x509.Certificate]":
    from cryptography import x509

    return x509.load_pem_x509_certificates(chain_pem.encode("ascii"))


def _plain(chain_pem: str) -> str:
    """Return a chain, without the text beside its certificates if a terminal would interpret some of it.

    A CA sends no such text (RFC 8555, section 9.1), and a person may look at the files.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    if all(line.removesuffix("\r").isprintable() for line in chain_pem.split("\n")):
        return chain_pem
    return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in _chain(chain_pem))


def _extension(certificate: "x509.Certificate", kind: type[_Extension]) -> _Extension | None:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _names(leaf: "x509.Certificate") -> tuple[str, ...]:
    """Return every alternative name, including those that are not domains, so that none goes unseen."""
    from cryptography import x509

    return tuple(str(name.value).lower() for name in _extension(leaf, x509.SubjectAlternativeName) or ())


def _ari(leaf: "x509.Certificate") -> str:
    """Return the identifier of RFC 9773, section 4.1: issuer key identifier, dot, serial number."""
    from cryptography import x509

    issuer = _extension(leaf, x509.AuthorityKeyIdentifier)
    if issuer is None or issuer.key_identifier is None:
        return ""
    serial = leaf.serial_number
    # A DER integer is signed: one whose highest bit is set gets a leading zero byte.
    der = serial.to_bytes(serial.bit_length() // 8 + 1, "big", signed=True)
    return f"{_base64url(issuer.key_identifier)}.{_base64url(der)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _check_key(pair: Pair, leaf: "x509.Certificate") -> None:
    key = private_key(pair.key).public_key()
    if leaf.public_key() != key:
        raise Refused("the CA sent a certificate for another key", hint=_NOTHING_KEPT)
    if (kind := kind_of(key)) != pair.kind:
        raise Refused(f"the certificate's key is {kind}, but {pair.kind} was requested", hint=_NOTHING_KEPT)


def kind_of(key: "PublicKey") -> str:
    """Return the kind of a key, named like a `KeyKind`; it need not be one."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return f"rsa{key.key_size}" if isinstance(key, rsa.RSAPublicKey) else f"ec{key.key_size}"


def _check_names(leaf: "x509.Certificate", domains: Sequence[str]) -> None:
    sent, asked = set(_names(leaf)), {domain.lower() for domain in domains}
    if foreign := sent - asked:
        raise Refused(f"the CA's certificate has {_listed(foreign)}, not requested", hint=_NOTHING_KEPT)
    if missing := asked - sent:
        raise Refused(f"the CA's certificate lacks {_listed(missing)}", hint=_NOTHING_KEPT)


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _check_dates(pair: Pair, now: datetime) -> None:
    clock = "check this machine's clock"
    if now >= pair.not_after:
        raise Refused(f"the CA's certificate has already expired ({pair.not_after:{_TIME}} UTC)", hint=clock)
    if now < pair.not_before - CLOCK_SKEW:
        raise Refused(f"the CA's certificate is only valid from {pair.not_before:{_TIME}} UTC", hint=clock)


def _check_chain(chain: "Sequence[x509.Certificate]") -> None:
    from cryptography import x509

    constraints = _extension(chain[0], x509.BasicConstraints)
    if constraints and constraints.ca:
        raise Refused("the CA sent a certificate that is itself a CA's", hint=_NOTHING_KEPT)
    if len(chain) == 1:
        raise Refused("the CA sent the certificate without its chain", hint=_NOTHING_KEPT)
    if len(chain) > LONGEST_CHAIN:
        raise Refused(f"the CA sent a chain of {len(chain)} certificates", hint=_NOTHING_KEPT)
    for place, (subject, issuer) in enumerate(pairwise(chain), start=1):
        if not _issued(subject, issuer):
            message = f"certificate {place} of the CA's chain is not signed by the next one"
            raise Refused(message, hint=_NOTHING_KEPT)


def _issued(subject: "x509.Certificate", issuer: "x509.Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


@contextmanager
def _readable() -> Iterator[None]:
    """Turn the errors of `cryptography` about an unreadable certificate into `Refused`."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    strange = (
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
        UnsupportedAlgorithm,
    )
    try:
        yield
    except (ValueError, TypeError, *strange) as error:
        raise Refused("what the CA sent cannot be read as a certificate", hint=_NOTHING_KEPT) from error

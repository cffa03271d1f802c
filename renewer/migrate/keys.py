"""Keys and chains from another client: check that they match, and convert them to our format.

Unlike in `x509`, nothing here was made by renewer, so every oddity gets its own message. `cryptography` is
imported inside the functions, as there.
"""
# ruff: noqa: PLC0415  (see above: the late imports are the point)

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING

from renewer.core import x509
from renewer.core.errors import Refused
from renewer.core.model import KeyKind, Pair

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

LEAST_RSA_BITS = 2048
"""The shortest RSA key that CAs accept for an account."""

_CHAIN = "append the CA's intermediate certificates to its file, and import again"

_CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""The curves ACME signs with (RFC 8555, section 6.2)."""


def pair(key_pem: str, chain_pem: str) -> Pair:
    """Return a key and its chain (PEM, leaf first); raises `Refused` if they do not match."""
    key = x509.private_key(_without_password(key_pem))
    name = x509.kind_of(key.public_key())
    if name not in set(KeyKind):
        raise Refused(
            f"its key is {name}, a kind that renewer does not make",
            hint=f"have it reissued with one of {', '.join(KeyKind)}",
        )
    try:
        found = x509.read_pair(KeyKind(name), x509.private_pem(key), chain_pem)
        own, whole = x509.leaf(chain_pem).public_key() == key.public_key(), x509.chained(chain_pem)
    except (Refused, UnicodeEncodeError, IndexError):
        raise Refused("its certificate cannot be read") from None
    if not own:
        raise Refused("its key and its certificate do not match")
    if not whole:
        raise Refused("the chain of its certificate is incomplete or does not match", hint=_CHAIN)
    return found


def account_key(key_pem: str) -> str:
    """Return the private key of an account as PKCS#8; raises `Refused` for one that no CA accepts."""
    key = x509.private_key(_without_password(key_pem))
    _refuse_weak(key)
    return x509.private_pem(key)


def account_key_of_jwk(document: Mapping[str, object]) -> str:
    """Return the private key in a JWK (RFC 7517; RFC 7518, section 6) as PKCS#8 PEM."""
    try:
        key = _of_jwk({name: str(value) for name, value in document.items()})
    except (KeyError, ValueError, binascii.Error):
        # "from None", because the message of the cause could contain part of the key.
        raise Refused("it is not the private key of an account (JWK)") from None
    _refuse_weak(key)
    return x509.private_pem(key)


def _of_jwk(jwk: Mapping[str, str]) -> "EllipticCurvePrivateKey | RSAPrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if jwk["kty"] == "EC":
        curves: Mapping[str, ec.EllipticCurve] = {
            "P-256": ec.SECP256R1(),
            "P-384": ec.SECP384R1(),
            "P-521": ec.SECP521R1(),
        }
        return ec.derive_private_key(_number(jwk["d"]), curves[jwk["crv"]])
    if jwk["kty"] != "RSA":
        raise ValueError
    public = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"]))
    return rsa.RSAPrivateNumbers(
        p=_number(jwk["p"]),
        q=_number(jwk["q"]),
        d=_number(jwk["d"]),
        dmp1=_number(jwk["dp"]),
        dmq1=_number(jwk["dq"]),
        iqmp=_number(jwk["qi"]),
        public_numbers=public,
    ).private_key()


def _number(text: str) -> int:
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    return int.from_bytes(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True), "big")


def _without_password(key_pem: str) -> str:
    if "ENCRYPTED" in key_pem:
        raise Refused(
            "its private key is protected by a password",
            hint="remove it (openssl pkey -in KEY -out KEY), or have a new certificate ordered",
        )
    return key_pem


def _refuse_weak(key: "EllipticCurvePrivateKey | RSAPrivateKey") -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    weak = isinstance(key, rsa.RSAPrivateKey) and key.key_size < LEAST_RSA_BITS
    odd = not isinstance(key, rsa.RSAPrivateKey) and key.curve.name not in _CURVES
    if weak or odd:
        raise Refused(f"no CA accepts the account's key ({x509.kind_of(key.public_key())})")

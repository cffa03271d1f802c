"""A CA in miniature: a root, an intermediate, and chains as a real CA would send them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from renewer.core import x509 as keys
from renewer.core.model import KeyKind

BEGIN, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)
"""The life of the CA itself: wide enough for every date that a test makes up."""


class Authority:
    """A root that signs an intermediate that signs leaves; `root_pem` is what a client has to trust."""

    def __init__(self, name: str = "Test") -> None:
        root_key, self._key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root_name, self._name = _named(f"{name} Root"), _named(f"{name} Intermediate")
        self._root = self._sign_ca(root_name, root_name, root_key, root_key)
        self._intermediate = self._sign_ca(self._name, root_name, self._key, root_key)

    @property
    def root_pem(self) -> str:
        return _pem(self._root)

    @property
    def intermediate_pem(self) -> str:
        return _pem(self._intermediate)

    def issue(
        self,
        domains: Sequence[str],
        not_before: datetime,
        not_after: datetime,
        key_pem: str | None = None,
    ) -> tuple[str, str]:
        """Return the key and the chain (PEM, leaf first, without the root)."""
        key_pem = key_pem or keys.generate(KeyKind.EC256)
        names: list[x509.GeneralName] = [x509.DNSName(domain) for domain in domains]
        return key_pem, self.chain(self.leaf(names, not_before, not_after, key_pem))

    def chain(self, leaf: x509.CertificateBuilder) -> str:
        """Sign a leaf and put the intermediate under it."""
        return _pem(leaf.sign(self._key, hashes.SHA256())) + self.intermediate_pem

    def leaf(  # noqa: PLR0913 - each keyword is one oddity
        self,
        names: Sequence[x509.GeneralName],
        not_before: datetime,
        not_after: datetime,
        key_pem: str,
        *,
        ca: bool = False,
        serial: int | None = None,
        key_identifier: bytes | None = None,
    ) -> x509.CertificateBuilder:
        """Return a leaf that is not signed yet, for tests that want an odd one."""
        key = cast("ec.EllipticCurvePrivateKey", load_pem_private_key(key_pem.encode(), password=None))
        own = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()).digest
        issuer = x509.AuthorityKeyIdentifier(key_identifier or own, None, None)
        return (
            x509.CertificateBuilder(self._name, x509.Name([]), key.public_key())
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(issuer, critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
        )

    def _sign_ca(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        signer: ec.EllipticCurvePrivateKey,
    ) -> x509.Certificate:
        return (
            x509.CertificateBuilder(issuer, subject, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGIN)
            .not_valid_after(END)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(signer, hashes.SHA256())
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()

"""Certificates as a CA should never send them, for the key and the names of a signing request."""

from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from support.chains import Authority

DAY = timedelta(days=1)

_CA, _OTHER = Authority("Forger"), Authority("Somebody else")


def csr_of(payload: Mapping[str, object]) -> bytes:
    """Return the signing request (DER) of a finalization (RFC 8555, section 7.4)."""
    text = str(payload["csr"])
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sent(
    csr: bytes,
    names: Sequence[str] = (),
    *,
    begin: timedelta = -DAY,
    end: timedelta = 90 * DAY,
    own: bool = True,
) -> list[str]:
    """Return a chain for the request, with what is wrong; `own` is whether it is for the request's key."""
    request = x509.load_der_x509_csr(csr)
    asked = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    key = request.public_key() if own else ec.generate_private_key(ec.SECP256R1()).public_key()
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(_CA._name, x509.Name([]), key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begin)
        .not_valid_after(now + end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names] or asked), critical=False
        )
    )
    leaf = builder.sign(_CA._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    return [leaf, _CA.intermediate_pem]


FORGED: dict[str, Callable[[bytes], str]] = {
    "wrong names": lambda csr: "".join(sent(csr, ["else.example"])),
    "a name too few": lambda csr: "".join(sent(csr, ["example.com"])),
    "another key": lambda csr: "".join(sent(csr, own=False)),
    "already expired": lambda csr: "".join(sent(csr, begin=-90 * DAY, end=-DAY)),
    "not valid yet": lambda csr: "".join(sent(csr, begin=3000 * DAY, end=4000 * DAY)),
    "a truncated chain": lambda csr: sent(csr)[0],
    "another's chain": lambda csr: sent(csr)[0] + _OTHER.intermediate_pem,
    "a chain upside down": lambda csr: "".join(reversed(sent(csr))),
    "a certificate cut off": lambda csr: "".join(sent(csr))[:-300],
    "a leaf cut off": lambda csr: sent(csr)[0][:400],
    "no certificate at all": lambda _: "",
    "a page for people": lambda _: "<html>Welcome</html>",
    "a CA's own certificate": lambda _: _CA.intermediate_pem + _CA.root_pem,
}
"""What is wrong, and how it looks."""

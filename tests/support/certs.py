"""Certificates as they are stored, from the CA in miniature."""

from datetime import UTC, datetime, timedelta

from support.chains import Authority
from support.fakes import SERVER

from renewer.core import x509
from renewer.core.model import CertSpec, KeyKind, Material, Pair

NOW = datetime.now(UTC).replace(microsecond=0)
CA = Authority()


def spec(*domains: str, name: str = "", kinds: tuple[KeyKind, ...] = (KeyKind.EC256,)) -> CertSpec:
    return CertSpec(name or domains[0].removeprefix("*."), domains, SERVER, kinds)


def material(wanted: CertSpec, days: int = 90) -> Material:
    """Return a new certificate for it that ends in so many days."""
    return Material(tuple(pair(wanted, kind, days) for kind in wanted.keys), SERVER)


def pair(wanted: CertSpec, kind: KeyKind = KeyKind.EC256, days: int = 90) -> Pair:
    begin, end = NOW - timedelta(days=200), NOW + timedelta(days=days)
    key, chain = CA.issue(wanted.domains, begin, end, x509.generate(kind))
    return x509.read_pair(kind, key, chain)

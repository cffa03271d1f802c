"""The origin of a name's certificates, and which of them were revoked. Pure.

These facts about fingerprints stay true whatever is stored now; a generation on disk does not contain them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from renewer.core.errors import Declined
from renewer.core.model import Fingerprint, Material, Pair, Reason

KNOWN = 32
"""Certificates that are remembered at least: far more than stay on disk."""


@dataclass(frozen=True)
class Origin:
    """A certificate: the directory URL of its CA, its expiry, and why it was revoked, if it was.

    `directory_url` is empty if unknown.
    """

    fingerprint: Fingerprint
    directory_url: str
    not_after: datetime
    revoked: Reason | None = None


@dataclass(frozen=True)
class Provenance:
    """The known certificates of a name, the one stored last at the end."""

    certificates: tuple[Origin, ...] = ()

    def directory_url(self, fingerprints: Sequence[Fingerprint]) -> str:
        """Return the directory URL of the CA that issued all of these; empty if unknown."""
        known = {one.fingerprint: one.directory_url for one in self.certificates}
        directory_urls = {known.get(fingerprint, "") for fingerprint in fingerprints}
        return directory_urls.pop() if len(directory_urls) == 1 else ""

    def revoked(self, fingerprints: Sequence[Fingerprint]) -> Reason | None:
        """Return why one of these was revoked; `None` if none is known to be."""
        found = (one.revoked for one in self.certificates if one.fingerprint in fingerprints)
        return next(filter(None, found), None)

    def again(self, name: str, pairs: tuple[Pair, ...], now: datetime) -> Material:
        """Return a generation with its CA; raises `Declined` if it is revoked or has expired."""
        material = Material(pairs, directory_url="")
        if why := self.revoked(material.fingerprints):
            raise Declined(
                f"that generation of {name} was revoked ({why}) and must not be served again",
                hint=f"choose another: renewer list-generations {name}; or run: renewer renew",
            )
        if material.not_after <= now:
            raise Declined(f"that generation of {name} has expired", hint="choose a later one, or renew")
        return replace(material, directory_url=self.directory_url(material.fingerprints))

    def noted(self, material: Material, revoked: Reason | None = None) -> "Provenance":
        """Return the provenance with this certificate added; earlier facts about it are kept.

        Of those before the last `KNOWN`, only revoked certificates that could still be served are kept.
        """
        before = {one.fingerprint: one for one in self.certificates}
        new = []
        for pair in material.pairs:
            old = before.get(pair.fingerprint) or Origin(pair.fingerprint, "", pair.not_after)
            directory_url, why = material.directory_url or old.directory_url, revoked or old.revoked
            new.append(Origin(pair.fingerprint, directory_url, pair.not_after, why))
        others = [one for one in self.certificates if one.fingerprint not in material.fingerprints]
        lasting = [one for one in others[:-KNOWN] if one.revoked and one.not_after > material.not_before]
        return Provenance((*lasting, *others[-KNOWN:], *new))

"""Check certificates against each other, against the CA's limits, and by their state. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from renewer.core import rate_limits
from renewer.core.domains import covers
from renewer.core.failure import Failure
from renewer.core.finding import Finding, Group, Topic
from renewer.core.model import CertSpec, Material
from renewer.core.provenance import Provenance
from renewer.core.rate_limits import Exemption, History, Limit
from renewer.core.timefmt import at

MOST = {"classic": 100, "tlsserver": 25, "shortlived": 25}
"""Most domains of one Let's Encrypt certificate, by profile (letsencrypt.org/docs/profiles)."""

_CONFIGURATION, _RENEWAL = Topic(Group.CONFIGURATION), Topic(Group.RENEWAL)


def too_many(specs: Sequence[CertSpec]) -> Iterator[Finding]:
    """Yield the certificates with more domains than Let's Encrypt allows for their profile."""
    for spec in specs:
        most = MOST.get(spec.profile or "classic", len(spec.domains))
        if spec.directory_url in rate_limits.BUILT_IN and len(spec.domains) > most:
            yield _CONFIGURATION.error(
                "names",
                f"{spec.name} has {len(spec.domains)} domains, but profile {spec.profile} allows only {most}",
                "the CA refuses the order",
                "use a wildcard, split the domains over several certificates, or remove profile",
            )


def needless(specs: Sequence[CertSpec]) -> Iterator[Finding]:
    """Yield the certificates whose domains another certificate covers completely."""
    for spec in specs:
        for other in specs:
            if spec is not other and all(_held(name, other) for name in spec.domains):
                yield _CONFIGURATION.warning(
                    "twice",
                    f"every domain of {spec.name} is also in {other.name}",
                    "each renewal costs an order and counts against the CA's limits",
                    f"remove {spec.name}, and include the file of {other.name} in its server blocks",
                )
                break


def _held(name: str, other: CertSpec) -> bool:
    return name in other.domains or (not name.startswith("*.") and covers(other.domains, name))


def held(
    spec: CertSpec, history: History, own: Sequence[Limit], material: Material | None, now: datetime
) -> Iterator[Finding]:
    """Yield that an order for the certificate would be held back now, because of a rate limit of the CA."""
    same = material is not None and set(material.pairs[0].domains) == set(spec.domains)
    hold = rate_limits.held(history, own, spec.domains, now, Exemption.SAME_SET if same else Exemption.NONE)
    if hold is None:
        return
    what = f"{spec.name} cannot be ordered before {at(hold.until)}: {hold.reason}"
    hint = "it is ordered then automatically; do not use --force before"
    if material is None:
        yield _RENEWAL.error(
            "limits", what, "there is no certificate yet, and none can be issued before", hint
        )
    else:
        yield _RENEWAL.warning("limits", what, "the CA would refuse the order, and count it", hint)


def ending(
    spec: CertSpec, material: Material | None, known: Provenance, failure: Failure | None, now: datetime
) -> Iterator[Finding]:
    """Yield problems of the stored certificate, and of the last attempt to renew it."""
    if material and material.not_after <= now:
        yield _RENEWAL.error(
            "ended",
            f"the certificate {spec.name} expired on {at(material.not_after)}",
            "clients reject it",
            "run: renewer renew",
        )
    if material and (why := known.revoked(material.fingerprints)):
        yield _RENEWAL.error(
            "revoked",
            f"the certificate {spec.name} is revoked ({why})",
            "clients that check revocation reject it, and someone else may have its key",
            "run: renewer renew, which replaces it",
        )
    if failure:
        yield _RENEWAL.warning(
            "failure",
            f"the last attempt for {spec.name} failed ({at(failure.at)}): {failure.message}",
            f"{failure.count} failed in a row; the next attempt is at {at(failure.retry)}",
            failure.hint or "fix the cause, then run: renewer renew",
        )

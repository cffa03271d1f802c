"""The list of certificates: what is in it twice, more than a CA takes, or held by a rate limit. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from renewer.core import rate_limits
from renewer.core.domains import covers
from renewer.core.failure import Failure
from renewer.core.finding import Finding, Group, Topic
from renewer.core.model import CertSpec, Material
from renewer.core.provenance import Provenance
from renewer.core.rate_limits import Exemption, History, Limit

MOST = {"classic": 100, "tlsserver": 25, "shortlived": 25}
"""How many names Let's Encrypt puts into a certificate of a profile (letsencrypt.org/docs/profiles)."""

_CONFIGURATION, _RENEWAL = Topic(Group.CONFIGURATION), Topic(Group.RENEWAL)


def too_many(specs: Sequence[CertSpec]) -> Iterator[Finding]:
    """Yield which certificates have more names than Let's Encrypt takes for their profile."""
    for spec in specs:
        most = MOST.get(spec.profile or "classic", len(spec.domains))
        if spec.directory_url in rate_limits.BUILT_IN and len(spec.domains) > most:
            yield _CONFIGURATION.error(
                "names",
                f"{spec.name} has {len(spec.domains)} names, but profile {spec.profile} takes only {most}",
                "the CA refuses the order",
                "take a wildcard, spread the names over several certificates, or leave profile out",
            )


def needless(specs: Sequence[CertSpec]) -> Iterator[Finding]:
    """Yield which certificates hold nothing that another one does not hold as well."""
    for spec in specs:
        for other in specs:
            if spec is not other and all(_held(name, other) for name in spec.domains):
                yield _CONFIGURATION.warning(
                    "twice",
                    f"every name of {spec.name} is in {other.name} as well",
                    "each renewal costs an order and counts against the CA's limits",
                    f"take {spec.name} out, and let its servers include the file of {other.name}",
                )
                break


def _held(name: str, other: CertSpec) -> bool:
    return name in other.domains or (not name.startswith("*.") and covers(other.domains, name))


def held(
    spec: CertSpec, history: History, own: Sequence[Limit], material: Material | None, now: datetime
) -> Iterator[Finding]:
    """Yield that an order for the certificate would not be sent now, because of a limit of the CA."""
    same = material is not None and set(material.pairs[0].domains) == set(spec.domains)
    hold = rate_limits.held(history, own, spec.domains, now, Exemption.SAME_SET if same else Exemption.NONE)
    if hold is None:
        return
    what = f"no order for {spec.name} is sent before {_minute(hold.until)}: {hold.reason}"
    hint = "it is ordered then by itself; do not force anything until then"
    if material is None:
        yield _RENEWAL.error(
            "limits", what, "there is no certificate yet, and there will be none before", hint
        )
    else:
        yield _RENEWAL.warning("limits", what, "the CA would refuse it, and count the try", hint)


def ending(
    spec: CertSpec, material: Material | None, known: Provenance, failure: Failure | None, now: datetime
) -> Iterator[Finding]:
    """Yield what is wrong with the certificate that is stored, and with the last try to renew it."""
    if material and material.not_after <= now:
        yield _RENEWAL.error(
            "ended",
            f"the certificate {spec.name} ended on {_minute(material.not_after)}",
            "clients refuse it",
            "run: renewer renew",
        )
    if material and (why := known.revoked(material.fingerprints)):
        yield _RENEWAL.error(
            "revoked",
            f"the certificate {spec.name} is revoked ({why})",
            "clients that look for that refuse it, and its key may be in other hands",
            "run: renewer renew, which replaces it",
        )
    if failure:
        yield _RENEWAL.warning(
            "failure",
            f"the last try for {spec.name} failed ({_minute(failure.at)}): {failure.message}",
            f"it was number {failure.count} in a row; the next one is at {_minute(failure.retry)}",
            failure.hint or "mend what it names, then run: renewer renew",
        )


def _minute(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"

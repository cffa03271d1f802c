"""The CA: reachable, with the terms and the profile that are configured; and the system clock against it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from renewer.acme.directory import Directory
from renewer.acme.problems import HINTS
from renewer.check.context import Scene
from renewer.config import secrets
from renewer.config.acme import DIRECTORIES
from renewer.core.clock_skew import WrongClock, refuse_earlier_than
from renewer.core.errors import RenewerError
from renewer.core.finding import Finding, Group, Status, Topic
from renewer.core.model import Material
from renewer.core.timefmt import at

DRIFT = timedelta(minutes=5)
"""The difference between two clocks from which on it is reported."""

_TOPIC, _CLOCK = Topic(Group.CA), Topic(Group.CLOCK)
_WHY = "nothing can be ordered there"


def look(scene: Scene) -> Iterator[Finding]:
    """Yield the findings on every CA that may be used; for a fallback, errors become warnings."""
    settings = scene.config.acme
    others = [other.directory for other in settings.fallbacks]
    for directory_url in dict.fromkeys([settings.directory, *others, settings.rehearsal]):
        for finding in _at(scene, directory_url) if directory_url else ():
            grave = finding.status is Status.ERROR and directory_url != settings.directory
            yield replace(finding, status=Status.WARNING) if grave else finding
    if settings.directory == DIRECTORIES["letsencrypt-staging"]:
        what = "the CA is letsencrypt-staging, which is only for testing"
        hint = 'set server = "letsencrypt" under [acme] once everything works'
        yield _TOPIC.warning("staging", what, "browsers do not trust its certificates", hint)


def _at(scene: Scene, directory_url: str) -> Iterator[Finding]:
    """Yield the findings on one CA."""
    try:
        told = scene.directory(directory_url)
    except WrongClock:
        return  # reported under clock
    except RenewerError as error:
        yield _TOPIC.refused("reach", error, _WHY)
        return
    faults = [*_terms(scene, told), *_binding(scene, told), *_profiles(scene, told)]
    yield from faults
    if not faults:
        yield _TOPIC.ok("reach", f"{directory_url} answers; its terms: {told.terms}")


def _terms(scene: Scene, told: Directory) -> Iterator[Finding]:
    if not scene.config.acme.accept_terms and not _account(scene, told.directory_url):
        yield _TOPIC.error(
            "terms",
            f"accept_terms is false, and there is no account at {told.directory_url} yet",
            "without consent the CA creates no account, and without an account it issues no certificate",
            f"read {told.terms}, then set accept_terms = true under [acme]",
        )


def _binding(scene: Scene, told: Directory) -> Iterator[Finding]:
    """Yield problems with the external account binding a CA may require (RFC 8555, section 7.3.4)."""
    settings = scene.config.acme.at(told.directory_url)
    if settings.eab_hmac_key_file:
        try:
            secrets.eab_hmac_key(settings.eab_hmac_key_file)
        except RenewerError as error:
            yield _TOPIC.refused("binding", error, "without this key the CA creates no account")
    elif told.customers_only and not _account(scene, told.directory_url):
        yield _TOPIC.error(
            "binding",
            f"the CA at {told.directory_url} requires an external account binding",
            "without it the CA creates no account, and issues nothing",
            HINTS["externalAccountRequired"],
        )


def _profiles(scene: Scene, told: Directory) -> Iterator[Finding]:
    for spec in scene.config.specs:
        if spec.profile is None or told.directory_url != spec.directory_url or spec.profile in told.profiles:
            continue
        if told.profiles:
            what = f"{spec.name} has the profile {spec.profile}, which the CA does not offer"
            hint = f"set profile to one of {', '.join(sorted(told.profiles))}, or remove it"
            yield _TOPIC.error("profile", what, "the CA refuses an order with an unknown profile", hint)
        else:
            what = f"{spec.name} has the profile {spec.profile}, but the CA lists no profiles"
            hint = "remove profile for this CA"
            yield _TOPIC.warning("profile", what, "the CA may refuse the order, or ignore the profile", hint)


def _account(scene: Scene, directory_url: str) -> bool:
    """Return whether there is an account; an unreadable one counts, and is reported under state."""
    try:
        account = scene.vault.account(directory_url)
    except RenewerError:
        return True
    return account is not None and account.url is not None


def _stored(scene: Scene) -> Iterator[Material | None]:
    for spec in scene.config.specs:
        with suppress(RenewerError):  # an unreadable file is reported under state
            yield scene.vault.material(spec.name)


def clock(scene: Scene) -> Iterator[Finding]:
    """Yield the findings on the system clock, compared with the CA's and with stored certificates."""
    now = scene.clock.now()
    for material in _stored(scene):
        try:
            refuse_earlier_than(material.obtained if material else None, now)
        except RenewerError as error:
            yield _CLOCK.refused("past", error, "with this clock nothing becomes due, and nothing is renewed")
            return
    try:
        behind = scene.directory(scene.config.acme.directory).behind
    except WrongClock as error:
        yield _CLOCK.refused("ca", error, "with a wrong clock every certificate looks expired, or never due")
        return
    except RenewerError:
        behind = None
    if behind is None:
        yield _CLOCK.ok("ca", f"it shows {at(now)}; the CA's is not available to compare")
    elif abs(behind) > DRIFT:
        way = "behind" if behind > timedelta(0) else "ahead of"
        off = f"it is {abs(behind).total_seconds() / 60:.0f} minutes {way} the CA's"
        why = "signed links and renewal windows shift by as much, and the difference grows"
        yield _CLOCK.warning("ca", off, why, "set it: timedatectl set-ntp true")
    else:
        yield _CLOCK.ok("ca", f"it agrees with the CA's: {at(now)}")

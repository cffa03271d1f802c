"""The CA: reachable, with the terms and the profile that are wanted; and this machine's clock against it."""

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

DRIFT = timedelta(minutes=5)
"""By how much a clock may be wrong before that is worth a word."""

_TOPIC, _CLOCK = Topic(Group.CA), Topic(Group.CLOCK)
_WHY = "nothing can be ordered there"


def look(scene: Scene) -> Iterator[Finding]:
    """Yield what is found of every CA that may be asked; one that only steps in may bite at most."""
    settings = scene.config.acme
    others = [other.directory for other in settings.fallbacks]
    for directory_url in dict.fromkeys([settings.directory, *others, settings.rehearsal]):
        for finding in _at(scene, directory_url) if directory_url else ():
            grave = finding.status is Status.ERROR and directory_url != settings.directory
            yield replace(finding, status=Status.WARNING) if grave else finding
    if settings.directory == DIRECTORIES["letsencrypt-staging"]:
        what = "the CA is letsencrypt-staging, which is for trials"
        hint = 'set server = "letsencrypt" under [acme] once everything works'
        yield _TOPIC.warning("staging", what, "no browser trusts its certificates", hint)


def _at(scene: Scene, directory_url: str) -> Iterator[Finding]:
    """Yield what is found of one CA."""
    try:
        told = scene.directory(directory_url)
    except WrongClock:
        return  # see under clock
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
            "without consent the CA gives no account, and without an account no certificate",
            f"read {told.terms}, then set accept_terms = true under [acme]",
        )


def _binding(scene: Scene, told: Directory) -> Iterator[Finding]:
    """Yield what is wrong with the account elsewhere that a CA may want (RFC 8555, section 7.3.4)."""
    settings = scene.config.acme.at(told.directory_url)
    if settings.eab_hmac_key_file:
        try:
            secrets.eab_hmac_key(settings.eab_hmac_key_file)
        except RenewerError as error:
            yield _TOPIC.refused("binding", error, "without this key the CA gives no account")
    elif told.customers_only and not _account(scene, told.directory_url):
        yield _TOPIC.error(
            "binding",
            f"the CA at {told.directory_url} gives accounts only to its customers (external account binding)",
            "without an account it issues nothing",
            HINTS["externalAccountRequired"],
        )


def _profiles(scene: Scene, told: Directory) -> Iterator[Finding]:
    for spec in scene.config.specs:
        if spec.profile is None or told.directory_url != spec.directory_url or spec.profile in told.profiles:
            continue
        if told.profiles:
            what = f"{spec.name} wants the profile {spec.profile}, which the CA does not offer"
            hint = f"set profile to one of {', '.join(sorted(told.profiles))}, or leave it out"
            yield _TOPIC.error(
                "profile", what, "the CA refuses an order with a profile that it does not know", hint
            )
        else:
            what = f"{spec.name} wants the profile {spec.profile}, but the CA lists no profiles"
            hint = "leave profile out for this CA"
            yield _TOPIC.warning(
                "profile", what, "the CA may refuse the order, or take no notice of it", hint
            )


def _account(scene: Scene, directory_url: str) -> bool:
    """Return whether there is an account; one that cannot be read is there as well, and told under state."""
    try:
        account = scene.vault.account(directory_url)
    except RenewerError:
        return True
    return account is not None and account.url is not None


def _stored(scene: Scene) -> Iterator[Material | None]:
    for spec in scene.config.specs:
        with suppress(RenewerError):  # what cannot be read is told under state
            yield scene.vault.material(spec.name)


def clock(scene: Scene) -> Iterator[Finding]:
    """Yield what is found of this machine's clock: against the CA's, and against what is stored."""
    now = scene.clock.now()
    for material in _stored(scene):
        try:
            refuse_earlier_than(material.obtained if material else None, now)
        except RenewerError as error:
            yield _CLOCK.refused("past", error, "with this clock nothing is ever due, and nothing is renewed")
            return
    try:
        behind = scene.directory(scene.config.acme.directory).behind
    except WrongClock as error:
        yield _CLOCK.refused(
            "ca", error, "with a wrong clock every certificate looks expired, or fresh for ever"
        )
        return
    except RenewerError:
        behind = None
    if behind is None:
        yield _CLOCK.ok("ca", f"it says {now:%Y-%m-%d %H:%M} UTC; there is nobody to compare it with")
    elif abs(behind) > DRIFT:
        way = "behind" if behind > timedelta(0) else "ahead of"
        off = f"it is {abs(behind).total_seconds() / 60:.0f} minutes {way} the CA's"
        why = "signed links and windows for renewal shift by as much, and it gets worse by itself"
        yield _CLOCK.warning("ca", off, why, "set it: timedatectl set-ntp true")
    else:
        yield _CLOCK.ok("ca", f"it agrees with the CA's: {now:%Y-%m-%d %H:%M} UTC")

"""Cloudflare's part of `renewer check`: the token, the zones that it opens, where these are delegated to."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from renewer.core.domains import closest
from renewer.core.errors import ConfigError, Refused, RenewerError, Transient
from renewer.core.finding import Finding, Group, Topic, listed
from renewer.core.timefmt import at
from renewer.dns.cloudflare.client import Api, opened
from renewer.dns.cloudflare.errors import REMEDY
from renewer.dns.cloudflare.provider import CloudflareDns
from renewer.dns.cloudflare.settings import VARIABLE, Settings, origin, token
from renewer.dns.cloudflare.token import Token, Verdict, Zone
from renewer.dns.provider import Looks, Prove, Scene
from renewer.system.console import Silent
from renewer.system.once import Once

if TYPE_CHECKING:
    from renewer.dns.resolver import Delegation

SOON = timedelta(days=30)
"""A token that ends within this is worth a word."""

_TOKEN, _ZONES, _DNS = Topic(Group.TOKEN), Topic(Group.ZONES), Topic(Group.DNS)
_NO_TOKEN = "without a token no TXT record can be created, so nothing can be ordered or renewed"  # noqa: S105 - a sentence
_NO_ZONE = "the TXT records that prove control of a name go into its zone: without it nothing is issued"
_ASTRAY = "copy the Zone ID of the zone into zone_ids, from its page in Cloudflare's dashboard"


@dataclass(frozen=True)
class Place:
    """Where the records of a name go: a zone by name and identifier, and what Cloudflare tells of it."""

    zone: str
    id: str
    told: Zone | None = None


class Diagnosis:
    """The looks at Cloudflare; what several of them need is asked for once."""

    def __init__(self, settings: Settings, scene: Scene, prove: Prove) -> None:
        self._settings, self._scene, self._prove = settings, scene, prove
        self._api: Once[Api] = Once(lambda: opened(settings, scene.clock, Silent()), lasting=True)
        self._verdict: Once[Verdict] = Once(
            lambda: self._token().verdict(settings.zone_ids.values()), lasting=True
        )
        self._seen: Once[tuple[Zone, ...]] = Once(self._visible, lasting=True)

    @property
    def looks(self) -> Looks:
        """The looks by what they are at."""
        return {Group.TOKEN: self.token, Group.ZONES: self.zones, Group.DNS: self.delegated}

    def token(self) -> Iterator[Finding]:
        """Yield what is found of the token; the token itself is never told."""
        try:
            token(self._settings, os.environ)
        except ConfigError as error:
            yield _TOKEN.refused("shape", error, _NO_TOKEN)
            return
        yield self._source()
        try:
            verdict = self._verdict()
        except Transient as error:
            yield _TOKEN.refused("verify", error, "each order makes calls to Cloudflare's API")
        except RenewerError as error:
            yield _TOKEN.refused("verify", error, _NO_TOKEN)
        else:
            yield _judged(verdict, self._scene.clock.now())

    def zones(self) -> Iterator[Finding]:
        """Yield what is found of the zones: there for every name, in order, and open to the token."""
        if not self._openable():
            yield _ZONES.warning(
                "look",
                "they cannot be looked at before Cloudflare takes the token",
                "nobody knows yet whether every name has a zone",
                "see what is said of the token, then run this again",
            )
            return
        places: dict[str, Place] = {}
        missing: list[str] = []
        for challenge in self._challenges():
            place = self._place(challenge)
            if place is None:
                missing.append(challenge.removeprefix("_acme-challenge."))
            else:
                places[place.zone] = place
        yield from self._missing(missing)
        good = {}
        for zone, place in places.items():
            findings = list(self._order(place))
            yield from findings
            if not findings:
                good[zone] = place.id
        if good:
            provider = CloudflareDns(self._api(), good, self._scene.vault)
            yield from self._prove(provider, list(good), _ASTRAY)
        yield from self._needless(places)

    def delegated(self) -> Iterator[Finding]:
        """Yield whether each zone is delegated to the name servers that Cloudflare wants."""
        told: dict[str, tuple[Delegation, Place | None]] = {}
        for name in self._scene.bases:
            with suppress(RenewerError):  # told by the looks at the name servers and at the token
                challenge = self._scene.challenge(name)
                found = self._scene.delegation(challenge)
                told[found.zone] = (found, self._place(challenge))
        for delegation, place in told.values():
            if place:
                yield _compared(delegation, place)

    def _token(self) -> Token:
        return Token(self._api())

    def _visible(self) -> tuple[Zone, ...]:
        """Return what the token sees: nothing, for a good one without Zone:Read."""
        try:
            return self._token().zones()
        except Refused:
            self._verdict()
            return ()

    def _place(self, name: str) -> Place | None:
        """Return where a record of this name goes, `None` where the token sees no zone for it.

        Raises what keeps the token from seeing anything.
        """
        seen = {zone.name: zone for zone in self._seen()}
        known = {zone.name: zone.id for zone in seen.values()} | dict(self._settings.zone_ids)
        zone = closest(name, known)
        return Place(zone, known[zone], seen.get(zone)) if zone else None

    def _source(self) -> Finding:
        """Return where the token is from: what a person has in the environment is not what a service has."""
        source = origin(self._settings, os.environ)
        if source != f"${VARIABLE}":
            return _TOKEN.ok("shape", f"it is read from {source}")
        return _TOKEN.warning(
            "source",
            f"it comes from {source}",
            "cron and services have an environment of their own: what works here fails there",
            "put it into a file of mode 0600, and name that as token_file under [cloudflare]",
        )

    def _openable(self) -> bool:
        """Return whether the token lets anybody look; why it does not is told of the token."""
        try:
            self._seen()
            return self._verdict().good(self._scene.clock.now())
        except RenewerError:
            return False

    def _challenges(self) -> Iterator[str]:
        """Yield where the records of each domain go; what the DNS does not tell is told under dns."""
        for name in self._scene.bases:
            try:
                yield self._scene.challenge(name)
            except RenewerError:
                yield f"_acme-challenge.{name}"

    def _missing(self, names: Sequence[str]) -> Iterator[Finding]:
        if not names:
            return
        seen = [zone.name for zone in self._seen()]
        whose = listed(names)
        if seen:
            hint = (
                "check the spelling of the domain, and which zones the token is for in Cloudflare's dashboard"
            )
            sees = f"it sees only {listed(seen)}"
            yield _ZONES.error("missing", f"the token sees no zone for {whose}; {sees}", _NO_ZONE, hint)
        else:
            what = (
                f"the token sees no zone at all, so none for {whose}: it lacks Zone:Read, or covers no zone"
            )
            hint = f"add Zone:Zone:Read to the token, or set zone_ids under [cloudflare]; or {REMEDY}"
            yield _ZONES.error("missing", what, _NO_ZONE, hint)

    def _order(self, place: Place) -> Iterator[Finding]:
        """Yield what is wrong with a zone that is there."""
        zone = place.told
        if configured := self._settings.zone_ids.get(place.zone):
            zone = self._token().zone(configured)
            if wrong := self._misnamed(place.zone, configured, zone):
                yield wrong
                return
        if zone and zone.status != "active":
            servers = " and ".join(zone.name_servers) or "those that Cloudflare names"
            yield _ZONES.error(
                "status",
                f"{zone.name} is {zone.status} at Cloudflare, not active",
                "Cloudflare answers for it only once its domain is delegated there",
                f"set the domain's name servers to {servers} at your registrar",
            )
        if zone and zone.paused:
            yield _ZONES.warning(
                "paused",
                f"{zone.name} is paused at Cloudflare",
                "its DNS goes on, so certificates are not concerned,"
                " but nothing is proxied or protected there",
                "resume it in Cloudflare's dashboard, unless that is meant",
            )

    def _misnamed(self, zone: str, configured: str, told: Zone | None) -> Finding | None:
        """Return what is wrong with the identifier that `zone_ids` has for a zone."""
        if told is None and not self._token().edits(configured):
            what = f"Cloudflare lets the token at no zone with the identifier that zone_ids has for {zone}"
            hint = "copy the Zone ID from the zone's page in the dashboard, and see that the token covers it"
            return _ZONES.error("id", what, _NO_ZONE, hint)
        if told and told.name != zone:
            what = f"the identifier that zone_ids has for {zone} is that of {told.name}"
            hint = "copy the Zone ID from the zone's page in Cloudflare's dashboard"
            return _ZONES.error("id", what, "the records would go into the wrong zone", hint)
        return None

    def _needless(self, places: Mapping[str, Place]) -> Iterator[Finding]:
        """Yield that a token opens more than it has to."""
        more = [zone.name for zone in self._seen() if zone.name not in places]
        if more and places:
            yield _ZONES.warning(
                "wide",
                f"the token also sees {listed(more)}, for which no certificate is configured",
                "whoever gets hold of the token may be able to change the DNS of these zones too",
                "make a token for the zones that are needed: Zone Resources, Include, Specific zone",
            )


def _judged(verdict: Verdict, now: datetime) -> Finding:
    if verdict.not_before and verdict.not_before > now:
        what = f"it is not valid before {at(verdict.not_before)}"
        return _TOKEN.error("verify", what, _NO_TOKEN, f"wait until then, or {REMEDY}")
    if verdict.status == "expired" or (verdict.expires and verdict.expires <= now):
        when = f" on {at(verdict.expires)}" if verdict.expires else ""
        hint = f"roll it in Cloudflare's dashboard, or {REMEDY}"
        return _TOKEN.error("verify", f"it expired{when}", _NO_TOKEN, hint)
    if verdict.status != "active":
        what = f"Cloudflare says that it is {verdict.status}"
        return _TOKEN.error("verify", what, _NO_TOKEN, f"enable it in Cloudflare's dashboard, or {REMEDY}")
    if verdict.expires and verdict.expires - now < SOON:
        return _TOKEN.warning(
            "expiry",
            f"it expires on {at(verdict.expires)}",
            "from then on nothing can be renewed, and Cloudflare sends no reminder",
            "give it a later end, or none, in Cloudflare's dashboard",
        )
    whose = "an account's token" if verdict.owned else "a user's token"
    until = f", valid until {at(verdict.expires)}" if verdict.expires else ", without an end"
    return _TOKEN.ok("verify", f"Cloudflare knows it as valid: {whose}{until}")


def _compared(found: "Delegation", place: Place) -> Finding:
    """Return whether the domain leads to Cloudflare's name servers and to no others."""
    if found.zone != place.zone:
        return _DNS.error(
            "delegation",
            f"{found.zone} is delegated away from {place.zone}, to {', '.join(sorted(found.hosts))}",
            f"records that Cloudflare holds in {place.zone} are never seen by the CA",
            f"take its NS records out, or make its _acme-challenge a CNAME into {place.zone}",
        )
    wanted = place.told.name_servers if place.told else ()
    foreign = sorted(host for host in found.hosts if host not in wanted)
    if not wanted or not foreign:
        return _DNS.ok("delegation", f"{found.zone} is delegated to {', '.join(sorted(found.hosts))}")
    also = "also " if len(foreign) < len(found.hosts) else ""
    return _DNS.error(
        "delegation",
        f"{found.zone} is {also}delegated to {', '.join(foreign)}, not to Cloudflare's {', '.join(wanted)}",
        "the CA asks the name servers of the delegation, which know nothing of records at Cloudflare",
        f"set the domain's name servers to {' and '.join(wanted)} at your registrar",
    )

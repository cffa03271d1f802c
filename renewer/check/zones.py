"""The zones: there for every name, in order, and open to the token, which a record of our own proves."""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from renewer import app
from renewer.acme.dns01 import Dns01
from renewer.check.context import Place, Scene
from renewer.check.finding import Finding, Group, Topic
from renewer.core.errors import LockBusy, RenewerError, Stopped
from renewer.core.interfaces import Clock, Journal
from renewer.core.journal import Handle, TxtRecord
from renewer.dns.cloudflare.errors import REMEDY
from renewer.system.console import Silent

if TYPE_CHECKING:
    from renewer.dns.cloudflare.provider import CloudflareDns

LABEL = "_renewer-check"
"""What our record is called in a zone: no CA ever looks at it."""

PATIENCE = timedelta(seconds=12)
"""How long the name servers have to show the record; Cloudflare's need two or three seconds."""

TRYING = 20.0
"""Seconds after which no further zone is tried: the records have yet to be seen, and then to be removed."""

ABANDONED = timedelta(minutes=10)
"""How old a record of ours has to be for nobody to be at it any more: no check takes that long."""

LISTED = 5
"""How many names a sentence holds."""

_TOPIC = Topic(Group.ZONES)
_WHY = "the TXT records that prove control of a name go into its zone: without it nothing is issued"


def look(scene: Scene) -> Iterator[Finding]:
    """Yield what is found of the zones."""
    if not _openable(scene):
        yield _TOPIC.warning(
            "look",
            "they cannot be looked at before Cloudflare takes the token",
            "nobody knows yet whether every name has a zone",
            "see what is said of the token, then run this again",
        )
        return
    places: dict[str, Place] = {}
    missing: list[str] = []
    for challenge in _challenges(scene):
        place = scene.place(challenge)
        if place is None:
            missing.append(challenge.removeprefix("_acme-challenge."))
        else:
            places[place.zone] = place
    yield from _missing(scene, missing)
    good = {}
    for zone, place in places.items():
        findings = list(_order(scene, place))
        yield from findings
        if not findings:
            good[zone] = place.id
    yield from _prove(scene, good)
    yield from _needless(scene, places)


def _openable(scene: Scene) -> bool:
    """Return whether the token lets anybody look; why it does not is told of the token."""
    try:
        scene.zones()
        return scene.verdict().good(scene.clock.now())
    except RenewerError:
        return False


def _challenges(scene: Scene) -> Iterator[str]:
    """Yield where the records of each domain go; what the DNS does not tell is told under dns."""
    for name in scene.bases:
        try:
            yield scene.challenge(name)
        except RenewerError:
            yield f"_acme-challenge.{name}"


def _missing(scene: Scene, names: Sequence[str]) -> Iterator[Finding]:
    if not names:
        return
    seen = [zone.name for zone in scene.zones()]
    whose = _listed(names)
    if seen:
        hint = "check the spelling of the domain, and which zones the token is for in Cloudflare's dashboard"
        sees = f"it sees only {_listed(seen)}"
        yield _TOPIC.error("missing", f"the token sees no zone for {whose}; {sees}", _WHY, hint)
    else:
        what = f"the token sees no zone at all, so none for {whose}: it lacks Zone:Read, or covers no zone"
        hint = f"add Zone:Zone:Read to the token, or set zone_ids under [cloudflare]; or {REMEDY}"
        yield _TOPIC.error("missing", what, _WHY, hint)


def _order(scene: Scene, place: Place) -> Iterator[Finding]:
    """Yield what is wrong with a zone that is there."""
    configured = scene.config.cloudflare.zone_ids.get(place.zone)
    if configured:
        told = scene.token().zone(configured)
        if told is None and not scene.token().edits(configured):
            what = (
                f"Cloudflare lets the token at no zone with the identifier that zone_ids has for {place.zone}"
            )
            hint = "copy the Zone ID from the zone's page in the dashboard, and see that the token covers it"
            yield _TOPIC.error("id", what, _WHY, hint)
            return
        if told and told.name != place.zone:
            what = f"the identifier that zone_ids has for {place.zone} is that of {told.name}"
            hint = "copy the Zone ID from the zone's page in Cloudflare's dashboard"
            yield _TOPIC.error("id", what, "the records would go into the wrong zone", hint)
            return
        place = Place(place.zone, configured, told)
    zone = place.told
    if zone and zone.status != "active":
        servers = " and ".join(zone.name_servers) or "those that Cloudflare names"
        yield _TOPIC.error(
            "status",
            f"{zone.name} is {zone.status} at Cloudflare, not active",
            "Cloudflare answers for it only once its domain is delegated there",
            f"set the domain's name servers to {servers} at your registrar",
        )
    if zone and zone.paused:
        yield _TOPIC.warning(
            "paused",
            f"{zone.name} is paused at Cloudflare",
            "its DNS goes on, so certificates are not concerned, but nothing is proxied or protected there",
            "resume it in Cloudflare's dashboard, unless that is meant",
        )


def _needless(scene: Scene, places: Mapping[str, Place]) -> Iterator[Finding]:
    """Yield that a token opens more than it has to."""
    more = [zone.name for zone in scene.zones() if zone.name not in places]
    if more and places:
        yield _TOPIC.warning(
            "wide",
            f"the token also sees {_listed(more)}, for which no certificate is configured",
            "whoever gets hold of the token may be able to change the DNS of these zones too",
            "make a token for the zones that are needed: Zone Resources, Include, Specific zone",
        )


def _prove(scene: Scene, zones: Mapping[str, str]) -> Iterator[Finding]:
    """Create a TXT record of our own in each zone, see whether it is shown, and remove it."""
    if not zones:
        return
    provider = app.dns(scene.config, zones, scene.vault, scene.clock, Silent())
    proof = Dns01(provider, scene.authorities(), PATIENCE, Silent())
    try:
        with scene.journal() as journal:
            proof.sweep("check", journal)  # what a check that died has left
            right: list[TxtRecord] = []
            try:
                yield from _created(provider, journal, zones, right, scene.clock)
                yield from _shown(proof, right)
            finally:
                proof.sweep("check", journal)
            if journal.load().in_dns:
                hint = "the next check removes it; or do it by hand, in Cloudflare's dashboard"
                what = f"the record {LABEL}, created for a trial, cannot be removed"
                yield _TOPIC.error("remove", what, "a renewal could not clean up behind itself either", hint)
    except LockBusy as busy:
        why = "whether the token may edit the zones is not tried twice at once"
        yield _TOPIC.warning("edit", str(busy), why, busy.hint)


def trial(zone: str, now: datetime) -> TxtRecord:
    """Return a record of ours, which tells when it was made: a check that was killed may leave it."""
    return TxtRecord(f"{LABEL}.{zone}", f"{int(now.timestamp())}.{secrets.token_urlsafe(18)}")


def abandoned(record: TxtRecord, now: datetime) -> bool:
    """Return whether a record was left by a check that was killed."""
    made = re.fullmatch(r"([0-9]{10})\.[\w-]{24}", record.value)
    return made is not None and now - datetime.fromtimestamp(int(made[1]), UTC) > ABANDONED


def _created(
    provider: "CloudflareDns",
    journal: Journal,
    zones: Mapping[str, str],
    right: list[TxtRecord],
    clock: Clock,
) -> Iterator[Finding]:
    """Create a record in each zone, and add those that turn up where they should to `right`.

    What others left there long ago goes into the journal too, and so is removed with them.
    """
    begin, now = clock.monotonic(), clock.now()
    left = {zone: trial(zone, now) for zone in zones}
    handles: list[Handle] = []
    before = journal.load()  # with what could not be removed just now
    journal.save(before.with_announced((*before.announced, *left.values())))
    while left and clock.monotonic() - begin < TRYING:
        zone = next(iter(left))
        record = left.pop(zone)
        try:
            created = list(provider.present([record]))
            handles += created
            there = provider.named(record.name)
        except Stopped:
            raise
        except RenewerError as error:
            yield _TOPIC.refused(
                "edit", error, f"no record can be created in {zone}, so nothing is issued for it"
            )
            continue
        handles += (one for one in there if abandoned(one.record, now))
        if record in {one.record for one in there}:
            right.append(record)
            yield _TOPIC.ok("edit", f"{zone}: the token may create and remove records")
        else:
            yield _strange(zone)
    journal.save(before.with_handles((*before.handles, *handles)).with_announced(before.announced))
    yield from _untried(list(left))


def _strange(zone: str) -> Finding:
    what = f"a record for {zone} turns up elsewhere: the identifier is that of another zone"
    hint = "copy the Zone ID of the zone into zone_ids, from its page in Cloudflare's dashboard"
    return _TOPIC.error("id", what, "the CA would never see the records", hint)


def _untried(zones: Sequence[str]) -> Iterator[Finding]:
    if zones:
        what = f"no record is tried in {_listed(zones)}: the zones before took {TRYING:.0f} seconds"
        why = "whether the token may edit these zones is not known"
        hint = "if Cloudflare is slow (https://www.cloudflarestatus.com), run this again later"
        yield _TOPIC.warning("edit", what, why, hint)


def _shown(proof: Dns01, records: Sequence[TxtRecord]) -> Iterator[Finding]:
    if not records:
        return
    try:
        proof.propagation.wait(records, proof.timeout)
    except Stopped:
        raise
    except RenewerError as error:
        why = "before each order renewer waits until every name server shows the records, or gives up"
        yield _TOPIC.warning("shown", str(error), why, "see what is said of the name servers, under dns")
    else:
        yield _TOPIC.ok("shown", "every name server shows a new record within seconds")


def _listed(names: Sequence[str]) -> str:
    shown, more = sorted(names)[:LISTED], len(names) - LISTED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")

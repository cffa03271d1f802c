"""The zones: there for every name, and open to us, which a record of our own proves."""

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from renewer import app
from renewer.acme.dns01 import Dns01
from renewer.check.context import Scene
from renewer.core.errors import LockBusy, RenewerError, Stopped
from renewer.core.finding import Finding, Group, Topic, listed
from renewer.core.interfaces import Clock, DnsProvider, Journal
from renewer.core.journal import Handle, TxtRecord
from renewer.dns.provider import Provider, chosen
from renewer.system.console import Silent

LABEL = "_renewer-check"
"""What our record is called in a zone: no CA ever looks at it."""

PATIENCE = timedelta(seconds=12)
"""How long the name servers have to show the record; Cloudflare's need two or three seconds."""

TRYING = 20.0
"""Seconds after which no further zone is tried: the records have yet to be seen, and then to be removed."""

ABANDONED = timedelta(minutes=10)
"""How old a record of ours has to be for nobody to be at it any more: no check takes that long."""

_TOPIC = Topic(Group.ZONES)
_WHY = "the TXT records that prove control of a name go into its zone: without it nothing is issued"


def look(scene: Scene) -> Iterator[Finding]:
    """Yield what is found of the zones, for a provider that has no look of its own at them."""
    title = chosen(scene.config.dns).title
    try:
        provider = app.dns(scene.config, scene.vault, scene.clock, Silent())
        names = [scene.challenge(name).partition(".")[2] for name in scene.bases]
        zones = {name: provider.zone(f"{LABEL}.{name}") for name in names}
    except RenewerError as error:
        yield _TOPIC.refused("look", error, _WHY)
        return
    if missing := [name for name, zone in zones.items() if zone is None]:
        hint = f"check the spelling of the domain, and that its zone is at {title}"
        yield _TOPIC.error("missing", f"{title} has no zone for {listed(missing)}", _WHY, hint)
    first = {zone: name for name, zone in reversed(zones.items()) if zone is not None}
    if first:
        yield from prove(scene, provider, list(first.values()), f"check the zone at {title}")


def prove(scene: Scene, provider: DnsProvider, zones: Sequence[str], astray: str) -> Iterator[Finding]:
    """Create a TXT record of our own in each zone, see whether it is shown, and remove it.

    See `dns.provider.Prove`.
    """
    proof = Dns01(provider, scene.authorities(), PATIENCE, Silent())
    about = chosen(scene.config.dns)
    try:
        with scene.journal() as journal:
            proof.sweep("check", journal)  # what a check that died has left
            trials = Trials(provider, journal, scene.clock, about, astray)
            try:
                yield from trials.created(zones)
                yield from _shown(proof, trials.right)
            finally:
                proof.sweep("check", journal)
            if journal.load().in_dns:
                hint = f"the next check removes it; or do it by hand, at {about.title}"
                what = f"the record {LABEL}, created for a trial, cannot be removed"
                yield _TOPIC.error("remove", what, "a renewal could not clean up behind itself either", hint)
    except LockBusy as busy:
        why = "whether records can be created is not tried twice at once"
        yield _TOPIC.warning("edit", str(busy), why, busy.hint)


def trial(zone: str, now: datetime) -> TxtRecord:
    """Return a record of ours, which tells when it was made: a check that was killed may leave it."""
    return TxtRecord(f"{LABEL}.{zone}", f"{int(now.timestamp())}.{secrets.token_urlsafe(18)}")


def abandoned(record: TxtRecord, now: datetime) -> bool:
    """Return whether a record was left by a check that was killed."""
    made = re.fullmatch(r"([0-9]{10})\.[\w-]{24}", record.value)
    return made is not None and now - datetime.fromtimestamp(int(made[1]), UTC) > ABANDONED


@dataclass(frozen=True)
class Trials:
    """The trial records; those that turn up where they should are added to `right`.

    `astray` says what to do about one that turns up elsewhere.
    """

    provider: DnsProvider
    journal: Journal
    clock: Clock
    about: Provider
    astray: str
    right: list[TxtRecord] = field(default_factory=list)

    def created(self, zones: Sequence[str]) -> Iterator[Finding]:
        """Create a record in each zone.

        What others left there long ago goes into the journal too, and so is removed with them.
        """
        begin, now = self.clock.monotonic(), self.clock.now()
        left = {zone: trial(zone, now) for zone in zones}
        handles: list[Handle] = []
        before = self.journal.load()  # with what could not be removed just now
        self.journal.save(before.with_announced((*before.announced, *left.values())))
        while left and self.clock.monotonic() - begin < TRYING:
            zone = next(iter(left))
            record = left.pop(zone)
            try:
                handles += self.provider.present([record])
                there = self.provider.named(record.name)
            except Stopped:
                raise
            except RenewerError as error:
                why = f"no record can be created in {zone}, so nothing is issued for it"
                yield _TOPIC.refused("edit", error, why)
                continue
            handles += (one for one in there if abandoned(one.record, now))
            yield self._seen(zone, record, there)
        self.journal.save(before.with_handles((*before.handles, *handles)).with_announced(before.announced))
        yield from self._untried(list(left))

    def _seen(self, zone: str, record: TxtRecord, there: Sequence[Handle]) -> Finding:
        if record in {one.record for one in there}:
            self.right.append(record)
            return _TOPIC.ok("edit", f"{zone}: records can be created and removed")
        what = f"a record for {zone} turns up elsewhere: the identifier is that of another zone"
        return _TOPIC.error("id", what, "the CA would never see the records", self.astray)

    def _untried(self, zones: Sequence[str]) -> Iterator[Finding]:
        if zones:
            what = f"no record is tried in {listed(zones)}: the zones before took {TRYING:.0f} seconds"
            why = "whether records can be created in these zones is not known"
            where = f" ({self.about.status_page})" if self.about.status_page else ""
            hint = f"if {self.about.title} is slow{where}, run this again later"
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

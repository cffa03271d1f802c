"""TXT records at Cloudflare.

Two calls for a certificate when the zone is known (a batch that creates, a batch that removes), three when it
has to be found first; certificates of one zone that are worked on together share their calls.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from urllib.parse import quote

from renewer.core.domains import closest, within
from renewer.core.errors import LockBusy, Refused, RenewerError, Transient
from renewer.core.journal import Handle, TxtRecord
from renewer.dns.cloudflare.batch import Changes, ZoneBatch
from renewer.dns.cloudflare.client import PER_PAGE, Answer, Api, sensible
from renewer.dns.cloudflare.errors import ABSENT, IDENTICAL, REMEDY, Said, explained
from renewer.store.state import State

COMMENT = "renewer: ACME challenge, removed when answered"
"""Marks our records in Cloudflare's dashboard; it has no effect in the DNS."""

TTL = 60
"""Seconds; the least that Cloudflare takes from everybody (error 9021 outside of 60 to 86400)."""


class CloudflareDns:
    """The DNS provider; one for a run, safe to use from threads.

    `known` maps zone names to identifiers as the configuration gives them; others are looked up and kept.
    """

    def __init__(self, api: Api, known: Mapping[str, str], vault: State) -> None:
        self._api = api
        self._known = dict(known)
        self._vault = vault
        self._lookup = threading.Lock()
        self._found: dict[str, str] | None = None
        self._changes: dict[str, ZoneBatch] = {}

    def begin(self) -> None:
        """Load the SDK ahead; see `interfaces.DnsProvider`."""
        self._api.begin()

    def check(self, names: Sequence[str]) -> None:
        """Raise unless there is a zone for records of every name; remembers the zones."""
        for name in names:
            self._zone(name)

    def present(self, records: Sequence[TxtRecord]) -> Sequence[Handle]:
        """Create the records, all of a zone in one call; see `interfaces.DnsProvider`."""
        handles: list[Handle] = []
        try:
            for zone, wanted in self._by_zone(records).items():
                handles.extend(self._create(zone, wanted))
        except RenewerError as error:
            self._take_back(handles, error)
            raise
        return handles

    def find(self, records: Sequence[TxtRecord]) -> Sequence[Handle]:
        """Return those of the records that exist, a call for each name; see `interfaces.DnsProvider`."""
        return [
            handle for zone, there in self._by_zone(records).items() for handle in self._adopt(zone, there)
        ]

    def named(self, name: str) -> Sequence[Handle]:
        """Return every TXT record of this name; see `interfaces.DnsProvider`."""
        zone = self._zone(name)
        return [Handle(zone, id_, record) for record, id_ in self._there(zone, name).items()]

    def remove(self, handles: Sequence[Handle]) -> None:
        """Remove the records, all of a zone in one call; see `interfaces.DnsProvider`."""
        zones: dict[str, list[str]] = defaultdict(list)
        for handle in handles:
            zones[handle.zone].append(handle.id)
        failed: list[RenewerError] = []
        for zone, ids in zones.items():
            try:
                self._delete(zone, ids)
            except RenewerError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def zone(self, name: str) -> str | None:
        """Ask, unless it is configured, for the zone's identifier; see `interfaces.DnsProvider`."""
        with self._lookup:
            return _longest(name, self._known) or self._look_up(name)

    def _take_back(self, handles: Sequence[Handle], why: RenewerError) -> None:
        """Remove what was created in one zone because another refuses; raises `Transient` if that fails."""
        try:
            self.remove(handles)
        except RenewerError as error:
            raise Transient(f"{why}; and what was created cannot be removed now: {error}") from error

    def _create(self, zone: str, records: Sequence[TxtRecord]) -> list[Handle]:
        try:
            return self._batch(zone, records)
        except Said as answer:
            if not answer.codes & IDENTICAL:
                self._forget(zone)
                raise answer.explained() from answer
        adopted = self._adopt(zone, records)
        there = {handle.record for handle in adopted}
        missing = [record for record in records if record not in there]
        try:
            with explained():
                return [*adopted, *(self._batch(zone, missing) if missing else ())]
        except RenewerError as error:
            self._take_back(adopted, error)
            raise

    def _batch(self, zone: str, records: Sequence[TxtRecord]) -> list[Handle]:
        ids = self._together(zone).change(Changes(create=tuple(records)))
        return [Handle(zone, id_, record) for id_, record in zip(ids, records, strict=True)]

    def _together(self, zone: str) -> ZoneBatch:
        return self._changes.setdefault(zone, ZoneBatch(partial(self._change, zone)))

    def _change(self, zone: str, changes: Changes) -> Sequence[str]:
        """Make changes in one call: Cloudflare removes first, then creates, and does all of it or nothing."""
        body: dict[str, list[dict[str, object]]] = {}
        if changes.remove:
            body["deletes"] = [{"id": one} for one in changes.remove]
        if changes.create:
            body["posts"] = [_post(record) for record in changes.create]
        path = f"/zones/{quote(zone, safe='')}/dns_records/batch"
        answer = self._api.post(path, body)
        if not changes.create:
            return ()
        with sensible():
            posts = (answer.get("result") or {}).get("posts") or []
            created = {_record(post): _id(post) for post in posts}
        if len(created) != len(changes.create):
            raise Transient(f"Cloudflare created {len(created)} of {len(changes.create)} TXT records")
        # Each certificate removes its own: by name and content, and by place what is spelt in another way.
        other = (id_ for record, id_ in created.items() if record not in changes.create)
        return [created.get(record) or next(other) for record in changes.create]

    def _adopt(self, zone: str, records: Sequence[TxtRecord]) -> list[Handle]:
        """Return those of the records that exist already, whoever created them: the content is ours alone."""
        found: list[Handle] = []
        for name in dict.fromkeys(record.name for record in records):
            there = self._there(zone, name)
            found.extend(Handle(zone, there[record], record) for record in records if record in there)
        return found

    def _there(self, zone: str, name: str) -> Mapping[TxtRecord, str]:
        """Return the TXT records of a name, with their identifiers."""
        path = f"/zones/{quote(zone, safe='')}/dns_records"
        with explained(), sensible():
            listed = self._listed(path, {"type": "TXT", "name.exact": name, "per_page": 100})
            return {_record(answer): _id(answer) for answer in listed}

    def _delete(self, zone: str, ids: Sequence[str]) -> None:
        try:
            self._together(zone).change(Changes(remove=tuple(ids)))
        except Said as answer:
            if not answer.codes & ABSENT:
                raise answer.explained() from answer
            if len(ids) > 1:  # one that is gone spoils the batch for the others
                for one in ids:
                    self._delete(zone, [one])

    def _by_zone(self, records: Iterable[TxtRecord]) -> Mapping[str, list[TxtRecord]]:
        zones: dict[str, list[TxtRecord]] = defaultdict(list)
        for record in records:
            zones[self._zone(record.name)].append(record)
        return zones

    def _zone(self, name: str) -> str:
        """Return the identifier of the zone with the longest name that `name` ends in."""
        with self._lookup:
            if found := _longest(name, self._known):
                return found
            if self._found is None:
                self._found = self._vault.zones("cloudflare")
            found = _longest(name, self._found) or self._look_up(name)
        if found is None:
            zone = name.removeprefix("_acme-challenge.")
            raise Refused(
                f"the Cloudflare token sees no zone for {zone}",
                hint=f"check that the domain's zone is in the token's account and that the token covers it;"
                f" or {REMEDY}",
            )
        return found

    def _look_up(self, name: str) -> str | None:
        """Ask Cloudflare for the zone: one call while the token sees no more zones than fit one page."""
        with explained():
            with sensible():
                listed = self._listed("/zones", {"per_page": PER_PAGE})
                zones = _by_name(listed)
            if len(listed) >= PER_PAGE:
                zones = self._one_by_one(name)
        found = {zone: id_ for zone, id_ in zones.items() if within(name, zone)}
        if found:
            self._remember(found)
        return _longest(name, found)

    def _one_by_one(self, name: str) -> Mapping[str, str]:
        """Return the zone, asked for by name from the longest on."""
        labels = name.split(".")
        for start in range(len(labels) - 1):
            candidate = ".".join(labels[start:])
            if candidate.startswith("_"):
                continue
            with sensible():
                if found := _by_name(self._listed("/zones", {"name": candidate})):
                    return found
        return {}

    def _forget(self, zone: str) -> None:
        """Look a zone up again that was refused: it may have moved to another account since."""
        with self._lookup:
            if zone in (self._found or {}).values():
                self._found = {}
                self._remember({})

    def _remember(self, zones: Mapping[str, str]) -> None:
        self._found = {**(self._found or {}), **zones}
        try:
            self._vault.keep_zones("cloudflare", self._found)
        except LockBusy:
            return  # another process keeps its own; a look-up more is all it costs

    def _listed(self, path: str, query: Mapping[str, str | int]) -> Sequence[Answer]:
        """Return the first page of a list."""
        return list(self._api.get(path, query).get("result") or [])


def _post(record: TxtRecord) -> dict[str, object]:
    """Return a record as the API is asked for it."""
    return {
        "type": "TXT",
        "name": record.name,
        "content": f'"{record.value}"',
        "ttl": TTL,
        "comment": COMMENT,
    }


def _record(answer: Answer) -> TxtRecord:
    """Return what an answer is about."""
    return TxtRecord(str(answer["name"]), str(answer["content"]).strip('"'))


def _by_name(zones: Iterable[Answer]) -> Mapping[str, str]:
    """Return the identifiers of zones; of several with one name that of the one which Cloudflare answers for.

    A zone that moved, or that is pending in a second account, is listed too; its `status` says so.
    """
    active_last = sorted(zones, key=lambda zone: str(zone.get("status")) == "active")
    return {str(zone["name"]): _id(zone) for zone in active_last}


def _id(answer: Answer) -> str:
    found = answer["id"]
    if not isinstance(found, str):
        raise TypeError(f"{type(found).__name__} for an identifier")
    return found


def _longest(name: str, zones: Mapping[str, str]) -> str | None:
    """Return the identifier of the zone that the records of a name go into."""
    zone = closest(name, zones)
    return zone and zones[zone]

"""TXT records at Cloudflare, on its SDK `cloudflare`: the only file that knows it.

Two calls for a certificate when the zone is known (a batch that creates, a batch that removes), three when it
has to be found first.
"""

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TypeVar

import cloudflare
import httpx
from cloudflare.types.dns import RecordResponse, record_batch_params

from renewer.dns.refusals import ABSENT, IDENTICAL, REMEDY, Said, codes, explained
from renewer.errors import LockBusy, Refused, RenewerError, Transient
from renewer.journal import Handle, TxtRecord
from renewer.ports import Clock, Report
from renewer.problems import retry_after
from renewer.vault import Vault

Answer = TypeVar("Answer")

COMMENT = "renewer: ACME challenge, removed when answered"
"""Marks our records in Cloudflare's dashboard; it has no effect in the DNS."""

TTL = 60
"""Seconds; the least that Cloudflare takes from everybody (error 9021 outside of 60 to 86400)."""

PER_PAGE = 50
"""Zones in one answer; the most that Cloudflare gives."""

PATIENCE = timedelta(seconds=60)
"""The longest Retry-After that a run sits out; beyond it the run ends and the next one honours the rest."""

TRIES = 3
"""How often a call that was told to wait is made."""

TIMEOUT = httpx.Timeout(30.0, connect=10.0)

FOREIGN = ("API_KEY", "API_EMAIL", "API_USER_SERVICE_KEY", "CUSTOM_HEADERS", "BASE_URL")
"""The SDK would fill these in from CLOUDFLARE_… variables; a stray one would send the token elsewhere."""


def client(token: str, base_url: str) -> cloudflare.Cloudflare:
    """Return a connection to the API with this token and nothing from the environment."""
    for name in FOREIGN:
        os.environ.pop(f"CLOUDFLARE_{name}", None)
    return cloudflare.Cloudflare(api_token=token, base_url=base_url, max_retries=0, timeout=TIMEOUT)


class CloudflareDns:
    """The DNS provider; one client for a run, safe to use from threads.

    `known` maps zone names to identifiers as the configuration gives them; others are looked up and kept.
    """

    def __init__(
        self,
        api: cloudflare.Cloudflare,
        known: Mapping[str, str],
        vault: Vault,
        clock: Clock,
        report: Report,
    ) -> None:
        self._api = api
        self._known = dict(known)
        self._vault = vault
        self._clock = clock
        self._report = report
        self._lookup = threading.Lock()
        self._found: dict[str, str] | None = None

    def ask(self, path: str, **query: str | int) -> Mapping[str, object]:
        """Return the whole answer to a GET of the API; raises the error that a refusal means."""
        with explained():
            answer = self._call(lambda: self._api.get(path, cast_to=object, options={"params": dict(query)}))
        if not isinstance(answer, dict):
            raise _nonsense(TypeError("it is no object"))
        return answer

    def check(self, names: Sequence[str]) -> None:
        """Raise unless there is a zone for records of every name; remembers the zones."""
        for name in names:
            self._zone(name)

    def present(self, records: Sequence[TxtRecord]) -> Sequence[Handle]:
        """Create the records, all of a zone in one call; see `ports.DnsProvider`."""
        handles: list[Handle] = []
        try:
            for zone, wanted in self._by_zone(records).items():
                handles.extend(self._create(zone, wanted))
        except RenewerError as error:
            self._take_back(handles, error)
            raise
        return handles

    def find(self, records: Sequence[TxtRecord]) -> Sequence[Handle]:
        """Return those of the records that exist, a call for each name; see `ports.DnsProvider`."""
        return [
            handle for zone, there in self._by_zone(records).items() for handle in self._adopt(zone, there)
        ]

    def named(self, name: str) -> Sequence[Handle]:
        """Return every TXT record of this very name, whoever created it."""
        zone = self._zone(name)
        return [Handle(zone, id_, record) for record, id_ in self._there(zone, name).items()]

    def remove(self, handles: Sequence[Handle]) -> None:
        """Remove the records, all of a zone in one call; see `ports.DnsProvider`."""
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
        posts: list[record_batch_params.Post] = [
            {
                "type": "TXT",
                "name": record.name,
                "content": f'"{record.value}"',
                "ttl": TTL,
                "comment": COMMENT,
            }
            for record in records
        ]
        done = self._call(lambda: self._api.dns.records.batch(zone_id=zone, posts=posts))
        with _sensible():
            created = (done.posts if done else None) or []
            ids = {_record(answer): answer.id for answer in created}
        if len(created) != len(records):
            raise Transient(f"Cloudflare created {len(created)} of {len(records)} TXT records")
        return [
            Handle(zone, ids.get(record) or answer.id, record)
            for record, answer in zip(records, created, strict=True)
        ]

    def _adopt(self, zone: str, records: Sequence[TxtRecord]) -> list[Handle]:
        """Return those of the records that exist already, whoever created them: the content is ours alone."""
        found: list[Handle] = []
        for name in dict.fromkeys(record.name for record in records):
            there = self._there(zone, name)
            found.extend(Handle(zone, there[record], record) for record in records if record in there)
        return found

    def _there(self, zone: str, name: str) -> Mapping[TxtRecord, str]:
        """Return the TXT records of a name, with their identifiers."""
        with explained():
            page = self._call(
                partial(
                    self._api.dns.records.list, zone_id=zone, type="TXT", name={"exact": name}, per_page=100
                )
            )
        with _sensible():
            return {_record(answer): answer.id for answer in page.result or []}

    def _delete(self, zone: str, ids: Sequence[str]) -> None:
        try:
            self._call(
                lambda: self._api.dns.records.batch(zone_id=zone, deletes=[{"id": one} for one in ids])
            )
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
            page = self._call(lambda: self._api.zones.list(per_page=PER_PAGE))
            with _sensible():
                zones = {zone.name: zone.id for zone in page.result or []}
            if len(zones) >= PER_PAGE:
                zones = dict(self._one_by_one(name))
        found = {zone: id_ for zone, id_ in zones.items() if _covers(zone, name)}
        if found:
            self._remember(found)
        return _longest(name, found)

    def _one_by_one(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the zone, asked for by name from the longest on."""
        labels = name.split(".")
        for start in range(len(labels) - 1):
            candidate = ".".join(labels[start:])
            if candidate.startswith("_"):
                continue
            page = self._call(partial(self._api.zones.list, name=candidate))
            with _sensible():
                found = [(zone.name, zone.id) for zone in page.result or []]
            if found:
                yield found[0]
                return

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

    def _call(self, call: Callable[[], Answer]) -> Answer:
        """Make a call; one that is told to come back soon is made again then (429 with Retry-After)."""
        for _ in range(TRIES - 1):
            try:
                return _once(call, self._clock)
            except Said as answer:
                wait = answer.retry_after
                if not answer.limited or wait is None or wait > PATIENCE:
                    raise
                self._report.doing("cloudflare", f"asks to wait {wait.total_seconds():.0f} seconds")
                self._clock.sleep(wait.total_seconds())
        return _once(call, self._clock)


def _once(call: Callable[[], Answer], clock: Clock) -> Answer:
    try:
        with _sensible():
            return call()
    except cloudflare.APIStatusError as error:
        header = error.response.headers.get("retry-after", "")
        raise Said(error.status_code, codes(error.body), retry_after(header, clock.now())) from error
    except cloudflare.APIConnectionError as error:
        raise Transient(
            f"Cloudflare's API cannot be reached: {error.__cause__ or error}",
            hint="check [cloudflare] base_url and this machine's network; nothing is lost",
        ) from error
    except cloudflare.CloudflareError as error:
        raise _nonsense(error) from error


@contextmanager
def _sensible() -> Iterator[None]:
    """Tell an answer that is not what the API's description says from a bug of ours."""
    try:
        yield
    except (AttributeError, TypeError, ValueError) as error:
        raise _nonsense(error) from error


def _nonsense(error: Exception) -> Transient:
    return Transient(
        f"Cloudflare's answer makes no sense: {error}",
        hint="check [cloudflare] base_url; if that is right, it may pass by itself",
    )


def _record(answer: RecordResponse) -> TxtRecord:
    """Return what an answer is about; the SDK types it as any kind of record, so only this much is read."""
    return TxtRecord(str(answer.name), str(answer.content).strip('"'))


def _covers(zone: str, name: str) -> bool:
    return name == zone or name.endswith(f".{zone}")


def _longest(name: str, zones: Mapping[str, str]) -> str | None:
    covering = [zone for zone in zones if _covers(zone, name)]
    return zones[max(covering, key=len)] if covering else None

"""Zones, their records, and what they held at any earlier moment.

Every change is stamped with the monotonic clock, so that a name server that lags by `d` seconds can answer
with the zone as it was `d` seconds ago.
"""

import bisect
import math
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self


@dataclass(frozen=True)
class Record:
    """One DNS record as Cloudflare keeps it; `name` is complete, in lower case; `ttl` 1 means automatic."""

    id: str
    name: str
    type: str
    content: str
    ttl: int
    comment: str | None
    proxied: bool
    created_on: datetime
    modified_on: datetime

    @classmethod
    def plain(cls, name: str, kind: str, content: str, ttl: int = 300) -> Self:
        """Return a new record with neither comment nor proxy, past the API and its rules."""
        stamp = datetime.now(UTC)
        return cls(
            id=secrets.token_hex(16),
            name=name.lower(),
            type=kind,
            content=content,
            ttl=ttl,
            comment=None,
            proxied=False,
            created_on=stamp,
            modified_on=stamp,
        )


@dataclass(frozen=True)
class State:
    """A zone from one moment until the next change: its SOA serial and its records by id."""

    since: float
    serial: int
    records: Mapping[str, Record]

    def named(self, name: str) -> tuple[Record, ...]:
        """Return the records of one name."""
        return tuple(record for record in self.records.values() if record.name == name)

    def answering(self, name: str) -> tuple[Record, ...]:
        """Return the records that answer for a name: where it does not exist, a wildcard's (RFC 4592)."""
        encloser = name
        while encloser and not self.covers(encloser):
            encloser = encloser.partition(".")[2]
        return self.named(name if encloser == name else f"*.{encloser}")

    def covers(self, name: str) -> bool:
        """Tell whether the name exists: as a record's own, or as a name with others below it."""
        return any(
            record.name == name or record.name.endswith(f".{name}") for record in self.records.values()
        )


class Zone:
    """One zone and its history, safe to use from several threads; what it starts with was always there.

    What Cloudflare tells of it is set at any time: `status`, `paused`, and the `name_servers` that it wants
    the domain delegated to, where those are not the ones that serve it.
    """

    def __init__(self, name: str, records: Iterable[Record] = ()) -> None:
        self.name = name
        self.id = secrets.token_hex(16)
        self.status = "active"
        self.paused = False
        self.name_servers: tuple[str, ...] = ()
        self.created_on = datetime.now(UTC)
        self._lock = threading.Lock()
        self._history = [State(-math.inf, 1, {record.id: record for record in records})]

    @property
    def now(self) -> State:
        """What the zone holds at this moment."""
        return self._history[-1]

    def at(self, moment: float) -> State:
        """Return what the zone held at a moment of the monotonic clock."""
        with self._lock:
            after = bisect.bisect_right(self._history, moment, key=lambda state: state.since)
            return self._history[max(after, 1) - 1]

    @contextmanager
    def change(self) -> Iterator[dict[str, Record]]:
        """Yield the records by id to be changed; all of it becomes the zone, or nothing if that raises."""
        with self._lock:
            draft = dict(self.now.records)
            yield draft
            if draft != self.now.records:
                self._history.append(State(time.monotonic(), self.now.serial + 1, draft))

    def add(self, name: str, kind: str, content: str, ttl: int = 300) -> Record:
        """Put a record into the zone past the API and its rules; `name` is complete."""
        record = Record.plain(name, kind, content, ttl)
        with self.change() as draft:
            draft[record.id] = record
        return record


class Zones(Mapping[str, Zone]):
    """All zones, by name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._zones = {name: Zone(name) for name in names}

    def __getitem__(self, name: str) -> Zone:
        return self._zones[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._zones)

    def __len__(self) -> int:
        return len(self._zones)

    def by_id(self, zone_id: str) -> Zone | None:
        """Return the zone of that id, if there is one."""
        return next((zone for zone in self.values() if zone.id == zone_id), None)

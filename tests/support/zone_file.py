"""An example of a DNS provider: TXT records in a zone file (RFC 1035, section 5), which a name server reads.

Beside this an entry point is all that it takes, in the `pyproject.toml` of its package:

    [project.entry-points."renewer.dns"]
    zone_file = "support.zone_file:PROVIDER"

and a table in the configuration, which chooses it:

    [zone_file]
    folder = "/var/lib/nameserver"     # a file example.com.zone for each zone
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from renewer.config.fields import AbsolutePath
from renewer.config.providers import DnsTable
from renewer.core.domains import closest
from renewer.core.errors import Refused, Transient
from renewer.core.interfaces import Clock, DnsProvider, Report
from renewer.core.journal import Handle, TxtRecord
from renewer.dns.provider import Provider
from renewer.store.state import State

Change = Callable[[list[str], list[str]], list[str]]
"""Returns the lines of a file with a change in them, for the lines and those that are ours."""


class Settings(DnsTable, frozen=True):
    """`[zone_file]`: the keys are its fields, a function of `config.fields` says what each may hold."""

    provider: ClassVar[str] = "zone_file"
    folder: AbsolutePath


class ZoneFiles(DnsProvider):
    """The `DnsProvider`; a line of a file is the identifier of its record. Threads of one run share it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._guard = folder, threading.Lock()

    def zone(self, name: str) -> str | None:
        return closest(name, (file.stem for file in self._folder.glob("*.zone")))

    def check(self, names: Sequence[str]) -> None:
        for name in names:
            self._zone(name)

    def present(self, records: Sequence[TxtRecord]) -> Sequence[Handle]:
        handles = [Handle(self._zone(record.name), _line(record), record) for record in records]
        self._change(handles, lambda lines, ours: [*lines, *(one for one in ours if one not in lines)])
        return handles

    def named(self, name: str) -> Sequence[Handle]:
        zone, found = self._zone(name), [line.split(" ") for line in self._lines(self._zone(name))]
        there = [TxtRecord(name, line[-1].strip('"')) for line in found if line[0] == f"{name}."]
        return [Handle(zone, _line(record), record) for record in there]

    def find(self, records: Sequence[TxtRecord]) -> Sequence[Handle]:
        names = dict.fromkeys(record.name for record in records)
        return [one for name in names for one in self.named(name) if one.record in records]

    def remove(self, handles: Sequence[Handle]) -> None:
        self._change(handles, lambda lines, ours: [line for line in lines if line not in ours])

    def _zone(self, name: str) -> str:
        if zone := self.zone(name):
            return zone
        raise Refused(f"there is no file for the zone of {name}", hint=f"make one in {self._folder}")

    def _change(self, handles: Sequence[Handle], change: Change) -> None:
        with self._guard:
            for zone in dict.fromkeys(handle.zone for handle in handles):
                lines = change(self._lines(zone), [handle.id for handle in handles if handle.zone == zone])
                new = self._file(zone).with_suffix(".new")
                new.write_text("".join(f"{line}\n" for line in lines))
                new.replace(self._file(zone))

    def _lines(self, zone: str) -> list[str]:
        try:
            return self._file(zone).read_text().splitlines()
        except OSError as error:
            raise Transient(f"the file of the zone {zone} cannot be read: {error.strerror}") from error

    def _file(self, zone: str) -> Path:
        return self._folder / f"{zone}.zone"


def _line(record: TxtRecord) -> str:
    return f'{record.name}. 60 IN TXT "{record.value}"'


def _build(settings: Settings, memory: State, clock: Clock, report: Report) -> DnsProvider:
    del memory, clock, report  # a provider that has to remember, wait or tell something would use them
    return ZoneFiles(settings.folder)


PROVIDER = Provider(title="the zone file", settings=Settings, build=_build)

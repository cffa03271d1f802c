"""The dns-01 challenge (RFC 8555, section 8.4): create records, wait for them, always clean up."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from renewer.core.errors import Refused, RenewerError, Stopped, Transient
from renewer.core.interfaces import DnsProvider, Journal, PropagationCheck, Report
from renewer.core.journal import Progress, TxtRecord


@dataclass(frozen=True)
class Dns01:
    """Publishes TXT records for as long as the CA needs them."""

    provider: DnsProvider
    propagation: PropagationCheck
    timeout: timedelta
    report: Report

    def check(self, domains: Sequence[str]) -> None:
        """Raise, before an order is placed, if the records for these domains cannot be created."""
        names = dict.fromkeys(f"_acme-challenge.{domain.removeprefix('*.')}" for domain in domains)
        self.provider.check(list(self.propagation.canonical(list(names), self.timeout).values()))

    @contextmanager
    def shown(self, subject: str, records: Sequence[TxtRecord], journal: Journal) -> Iterator[None]:
        """Keep the records in the DNS; inside the context, every authoritative name server shows them.

        The journal lists the records before they are created. Raises `Transient` if they do not appear in
        time; then the CA must not validate, because a failed authorization counts.

        An interrupted run leaves its records in place, and the next run reuses them. If they were removed and
        created again, a slow name server would show the old ones, and then none when the CA checks.
        """
        wanted = self._canonical(records)
        self.sweep(subject, journal, keep=wanted)
        self._create(subject, wanted, journal)
        try:
            self.report.doing(subject, f"waiting until every name server shows {_count(wanted)}")
            self.propagation.wait(wanted, self.timeout)
            yield
        except Stopped:
            raise
        except BaseException:  # on any other error the records are removed; it is raised again
            self.sweep(subject, journal)
            raise
        self.sweep(subject, journal)

    def sweep(self, subject: str, journal: Journal, keep: Sequence[TxtRecord] = ()) -> None:
        """Remove the records in the journal, except those to `keep`.

        Records that cannot be removed now stay in the journal for the next run and do not fail the order. If
        their zone is no longer visible, they are given up.
        """
        kept, rest = journal.load().split(keep)
        if not rest.in_dns:
            return
        try:
            lost = self.provider.find(rest.announced) if rest.announced else ()
            self.provider.remove((*rest.handles, *lost))
        except RenewerError as error:
            if isinstance(error, Refused) and self._give_up(subject, journal, rest):
                self.sweep(subject, journal, keep)
            else:
                self.report.problem(subject, f"TXT records are left for the next run: {error}", error.hint)
        else:
            journal.save(kept)

    def _give_up(self, subject: str, journal: Journal, refused: Progress) -> bool:
        """Drop the records whose zone is no longer visible; return whether there are any."""
        try:
            zones = {name: self.provider.zone(name) for name in {record.name for record in refused.records}}
        except RenewerError:
            return False
        lost = [handle.record for handle in refused.handles if zones[handle.record.name] != handle.zone]
        lost += [record for record in refused.announced if zones[record.name] is None]
        if lost:
            journal.save(journal.load().split(lost)[1])
            names = ", ".join(sorted({record.name for record in lost}))
            what = f"TXT records are given up, their zone is seen no more: {names}"
            self.report.problem(
                subject, what, "remove them by hand where the zone is now, if they are still there"
            )
        return bool(lost)

    def _create(self, subject: str, wanted: Sequence[TxtRecord], journal: Journal) -> None:
        """Create the missing records, after listing them in the journal."""
        own, others = journal.load().split(wanted)
        standing = tuple(self.provider.find(own.records)) if own.records else ()
        missing = [record for record in wanted if record not in {handle.record for handle in standing}]
        before = others.with_handles((*others.handles, *standing)).with_announced(others.announced)
        if missing:
            self.report.doing(subject, f"creating {_count(missing)}")
            journal.save(before.with_announced((*others.announced, *missing)))
        try:
            handles = self.provider.present(missing) if missing else ()
        except RenewerError as error:
            if isinstance(error, Refused) or (isinstance(error, Transient) and error.undone):
                journal.save(before)  # a refused or undone request has created nothing
            raise
        done = before.with_handles((*before.handles, *handles)).with_announced(others.announced)
        if done != journal.load():
            journal.save(done)

    def _canonical(self, records: Sequence[TxtRecord]) -> tuple[TxtRecord, ...]:
        names = self.propagation.canonical(list({record.name for record in records}), self.timeout)
        return tuple(dict.fromkeys(replace(record, name=names[record.name]) for record in records))


def _count(records: Sequence[TxtRecord]) -> str:
    return "1 TXT record" if len(records) == 1 else f"{len(records)} TXT records"

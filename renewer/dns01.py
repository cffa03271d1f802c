"""The proof by DNS (RFC 8555, section 8.4): present, wait until seen, answer, always clean up."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from renewer.errors import Refused, RenewerError, Transient
from renewer.journal import TxtRecord
from renewer.ports import DnsProvider, Journal, Propagation, Report


@dataclass(frozen=True)
class Dns01:
    """Shows TXT records to the world for as long as the CA needs them."""

    provider: DnsProvider
    propagation: Propagation
    timeout: timedelta
    report: Report

    def check(self, domains: Sequence[str]) -> None:
        """Raise, before an order is spent, if the records for these domains could not be created."""
        names = dict.fromkeys(f"_acme-challenge.{domain.removeprefix('*.')}" for domain in domains)
        self.provider.check([self.propagation.canonical(name) for name in names])

    @contextmanager
    def shown(self, subject: str, records: Sequence[TxtRecord], journal: Journal) -> Iterator[None]:
        """Hold the records in the DNS; inside, every authoritative name server shows them.

        The journal knows the records before they are created. Raises `Transient` when they are not seen in
        time; the CA must then not be asked, since a failed authorization counts.
        """
        wanted = self._canonical(records)
        self.sweep(subject, journal)
        self._create(subject, wanted, journal)
        try:
            self.report.doing(subject, f"waiting until every name server shows {_count(wanted)}")
            self.propagation.wait(wanted, self.timeout)
            yield
        finally:
            self.sweep(subject, journal)

    def sweep(self, subject: str, journal: Journal) -> None:
        """Remove the records that the journal still knows of.

        What cannot be removed now stays in the journal for the next run: it must not cost a certificate.
        """
        progress = journal.load()
        if not progress.in_dns:
            return
        try:
            lost = self.provider.find(progress.announced) if progress.announced else ()
            self.provider.remove((*progress.handles, *lost))
        except RenewerError as error:
            self.report.problem(subject, f"TXT records are left for the next run: {error}", error.hint)
        else:
            journal.save(journal.load().with_handles(()))

    def _create(self, subject: str, wanted: Sequence[TxtRecord], journal: Journal) -> None:
        self.report.doing(subject, f"creating {_count(wanted)}")
        before = journal.load()
        journal.save(before.with_announced((*before.announced, *wanted)))
        try:
            handles = self.provider.present(wanted)
        except RenewerError as error:
            if isinstance(error, Refused) or (isinstance(error, Transient) and error.retry_after):
                journal.save(before)  # whoever says no, or not now, has created nothing
            raise
        standing = before.with_handles((*before.handles, *handles))
        journal.save(standing.with_announced(before.announced))

    def _canonical(self, records: Sequence[TxtRecord]) -> tuple[TxtRecord, ...]:
        names = {name: self.propagation.canonical(name) for name in {record.name for record in records}}
        return tuple(dict.fromkeys(replace(record, name=names[record.name]) for record in records))


def _count(records: Sequence[TxtRecord]) -> str:
    return "1 TXT record" if len(records) == 1 else f"{len(records)} TXT records"

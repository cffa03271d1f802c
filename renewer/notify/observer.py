"""Sends the notifications after each cycle.

There are three kinds: metrics, messages to people, and the ping of a monitor. None of them can fail a cycle,
or delay it longer than their adapters allow.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from renewer.core import policy
from renewer.core.errors import LockBusy, RenewerError
from renewer.core.interfaces import Clock, Follower, Gauges, Pulse, Recipients, Report
from renewer.core.metrics import CertificateReading, Readings
from renewer.core.model import CertSpec, Material, Observation, Outcome, Snapshot
from renewer.core.notice import LastSeen, Record, SubjectStatus
from renewer.notify import rules
from renewer.store.following import ALONE
from renewer.store.state import State

Save = Callable[[Record], None]
Trim = Callable[[Record], Record]


@dataclass(frozen=True)
class Audience:
    """The configured notifications; `share` is the share of life at which expiry is first notified."""

    gauges: Gauges | None = None
    recipients: Recipients | None = None
    pulse: Pulse | None = None
    share: float = 1 / 4


@dataclass(frozen=True)
class Observer:
    """Sends the notifications of cycles; an error of its own is only reported."""

    specs: tuple[CertSpec, ...]
    sites: tuple[str, ...]
    hooks: tuple[str, ...]
    vault: State
    audience: Audience
    clock: Clock
    report: Report
    host: str
    follower: Follower = ALONE

    def saw(self, outcome: Outcome, broke: RenewerError | None = None) -> None:
        """Notify of the outcome of a cycle; `broke` is the error that ended it early, if any.

        A message is sent only if the record of it can be written; otherwise it would be sent again and again.
        """
        now, known = self.clock.now(), self._recipients()
        kept = {spec.name: self._material(spec) for spec in self.specs}
        found = rules.findings(outcome, broke, kept)
        trimmed = self._trimmer(known)
        grown = partial(self._grown, outcome=outcome, found=found, now=now, trimmed=trimmed)
        record = grown(Record())
        with self._at_most_told("notices"):
            record = grown(self.vault.record())
        with self._at_most_told("notices"), self.vault.telling() as save:
            record = grown(before := self.vault.record())
            self._show(record, broke.exit_code if broke else outcome.exit_code, now)
            if record != before:
                save(record)
            self._deliver(found, record, save, now)
        self._beat(rules.verdict(found, record))

    def _material(self, spec: CertSpec) -> Material | None:
        with self._at_most_told(spec.name):
            return self.vault.material(spec.name)
        return None

    def _recipients(self) -> Sequence[str] | None:
        """Return the recipients of messages, or `None` if they are unknown for now."""
        if self.audience.recipients is None:
            return ()
        with self._at_most_told("notices"):
            return self.audience.recipients.known()
        return None

    def _grown(
        self,
        record: Record,
        outcome: Outcome,
        found: Sequence[SubjectStatus],
        now: datetime,
        trimmed: Trim,
    ) -> Record:
        """Return the record after a cycle, without subjects that are no longer configured."""
        seen = dict(record.seen)
        if self.audience.gauges:
            for one in outcome.certificates:
                before = seen.get(rules.certificate(one.name), LastSeen())
                success = before.success if one.error else now
                seen[rules.certificate(one.name)] = LastSeen(one.served, success)
        return trimmed(replace(record, troubles=rules.troubles(record.troubles, found, now), seen=seen))

    def _trimmer(self, known: Sequence[str] | None) -> Trim:
        """Return the function that removes unconfigured subjects, if this is the newest configuration."""
        subjects = [rules.certificate(spec.name) for spec in self.specs]
        subjects += [*map(rules.site, self.sites), *map(rules.hook, self.hooks)]
        newest = False
        with self._at_most_told("configuration"):
            newest = self.follower.outdated() is None

        def trimmed(record: Record) -> Record:
            recipients = tuple(record.heard) if known is None else known
            if newest:
                return record.of(subjects, recipients)
            return record.of([*subjects, *record.subjects], (*record.heard, *recipients))

        return trimmed

    # -- the three kinds of notifications -------------------------------------------------------------------

    def _show(self, record: Record, exit_code: int, now: datetime) -> None:
        if self.audience.gauges:
            certificates: dict[str, CertificateReading] = {}
            for spec in self.specs:
                with self._at_most_told(spec.name):  # an unreadable one must not hide the others
                    certificates[spec.name] = self._reading(spec, record, now)
            with self._at_most_told("metrics"):
                self.audience.gauges.show(Readings(now, exit_code, certificates, self._keys()))

    def _deliver(self, found: Sequence[SubjectStatus], record: Record, save: Save, now: datetime) -> None:
        """Send each recipient its news; recorded only once sent, so a crash in between sends it twice."""
        due = {who: rules.news(found, record, who, now, self.audience.share) for who in record.heard}
        messages = {who: rules.message(new, self.host, now) for who, new in due.items() if new}
        if self.audience.recipients and messages:
            taken = self.audience.recipients.deliver(messages)
            for who in taken:
                record = record.told(who, due[who])
            if taken:
                save(record)
            for title in dict.fromkeys(messages[who].title for who in taken):
                self.report.done("notices", f"sent: {title}")

    def _beat(self, good: bool | None) -> None:  # noqa: FBT001 - three answers
        if self.audience.pulse and good is not None:
            with self._at_most_told("ping"):
                self.audience.pulse.beat(good=good)

    def _reading(self, spec: CertSpec, record: Record, now: datetime) -> CertificateReading:
        material = self.vault.material(spec.name)
        failed = (self.vault.failure(spec.name), self.vault.deploys(spec.name).failure)
        seen = record.seen.get(rules.certificate(spec.name), LastSeen())
        failures = max(failure.count if failure else 0 for failure in failed)
        if material is None:
            return CertificateReading(served=seen.served, failures=failures, success=seen.success)
        known = Snapshot(
            spec, Observation(published=True, served=seen.served), material, self.vault.suggestion(spec.name)
        )
        return CertificateReading(
            material.not_before,
            material.not_after,
            policy.decide(known, now).renewal,
            seen.served,
            failures,
            seen.success,
        )

    def _keys(self) -> dict[str, datetime]:
        """Return the time since which each site's current key is current."""
        since: dict[str, datetime] = {}
        for name in self.sites:
            with self._at_most_told(name):
                kept = self.vault.site(name)
                if ring := kept.served or kept.wanted:
                    since[name] = ring.since
        return since

    @contextmanager
    def _at_most_told(self, subject: str) -> Iterator[None]:
        """Report an error and go on: the cycle is over, and its result stands."""
        try:
            yield
        except LockBusy:
            return  # another process is sending; the next cycle sends what that one did not know yet
        except RenewerError as error:
            self.report.problem(subject, str(error), error.hint)
        except Exception as bug:  # noqa: BLE001 - a bug in a notification must not spoil the cycle
            self.report.bug(subject, bug)

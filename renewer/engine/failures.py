"""What is kept of failures: when to try again, and that all is well."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from renewer.core import backoff, policy
from renewer.core.backoff import Attempt
from renewer.core.errors import LockBusy, RenewerError
from renewer.core.failure import Deploys, Stage
from renewer.core.interfaces import Clock, Report
from renewer.core.model import Snapshot
from renewer.store.state import CertificateState, State


@dataclass(frozen=True)
class Setbacks:
    """Writes them down, each stage for itself; what cannot be written is told."""

    vault: State
    clock: Clock
    report: Report

    def ordering(self, snapshot: Snapshot, error: RenewerError, directory_url: str) -> None:
        """Keep that an order failed, and at which CA, if it got so far."""
        attempt = self._attempt(Stage.ISSUE, directory_url)
        kept = backoff.failure(attempt, error, snapshot.failure, snapshot.material)
        self._note(snapshot.spec.name, lambda ledger: ledger.failed(kept))

    def deploying(self, snapshot: Snapshot, error: RenewerError | None) -> None:
        """Keep how a deploy ended: with an error, or well. What nobody sees served is known by that alone."""
        material, before = snapshot.material, snapshot.deploys
        after = replace(before, failure=None)
        if error:
            failed = backoff.failure(self._attempt(Stage.DEPLOY), error, before.failure, material)
            after = replace(before, failure=failed)
        elif material and snapshot.sight.served is None:
            after = Deploys(material.fingerprints[0])
        if after != before:
            self._note(snapshot.spec.name, lambda ledger: ledger.deployed(after))

    def mended(self, snapshot: Snapshot) -> bool:
        """Return whether a failure is on record that nothing is left of; the next must not count from it."""
        return self._made_good(snapshot) != snapshot

    def forget(self, snapshot: Snapshot, ledger: CertificateState) -> Snapshot:
        """Take out what nothing is left of."""
        after = self._made_good(snapshot)
        if after.failure != snapshot.failure:
            ledger.succeeded()
        if after.deploys != snapshot.deploys:
            ledger.deployed(after.deploys)
        return after

    def _made_good(self, snapshot: Snapshot) -> Snapshot:
        standing = policy.standing(snapshot, self.clock.now())
        kept = snapshot.deploys
        return replace(
            snapshot,
            failure=snapshot.failure if snapshot.failure in standing else None,
            deploys=kept if kept.failure in standing else replace(kept, failure=None),
        )

    def _note(self, name: str, write: Callable[[CertificateState], None]) -> None:
        try:
            with self.vault.certificate(name) as ledger:
                write(ledger)
        except LockBusy:
            return  # who works on it now will note what becomes of it
        except RenewerError as lost:
            self.report.problem(name, f"a failure could not be noted: {lost}", lost.hint)

    def _attempt(self, stage: Stage, directory_url: str = "") -> Attempt:
        return Attempt(stage, self.clock.now(), self.clock.fraction(), directory_url)

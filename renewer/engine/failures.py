"""Records failures: what failed, and when to retry; clears the record after a success."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from renewer.core import backoff, policy
from renewer.core.backoff import Attempt
from renewer.core.errors import LockBusy, RenewerError
from renewer.core.failure import Deploys, Stage
from renewer.core.interfaces import Clock, Report
from renewer.core.model import Snapshot
from renewer.core.policy import Decision
from renewer.store.state import CertificateState, State


@dataclass(frozen=True)
class Failures:
    """Records the failures of each stage separately; reports a failure that cannot be recorded."""

    state: State
    clock: Clock
    report: Report

    def order(self, snapshot: Snapshot, error: RenewerError, directory_url: str) -> None:
        """Record that an order failed, and at which CA if it got that far."""
        attempt = self._attempt(Stage.ISSUE, directory_url)
        failure = backoff.failure(attempt, error, snapshot.failure, snapshot.material)
        self._keep(snapshot.spec.name, lambda certificate: certificate.failed(failure))

    def deploy(self, snapshot: Snapshot, error: RenewerError | None) -> None:
        """Record the result of a deployment; if nginx cannot be checked, this is the only evidence."""
        material, before = snapshot.material, snapshot.deploys
        after = replace(before, failure=None)
        if error:
            failure = backoff.failure(self._attempt(Stage.DEPLOY), error, before.failure, material)
            after = replace(before, failure=failure)
        elif material and snapshot.sight.served is None:
            after = Deploys(material.fingerprints[0])
        if after != before:
            self._keep(snapshot.spec.name, lambda certificate: certificate.deployed(after))

    def clear(self, decision: Decision, certificate: CertificateState) -> Decision:
        """Clear failures that no longer apply; return the decision without them."""
        before = decision.snapshot
        order = before.failure if before.failure in decision.standing else None
        deploy = before.deploys.failure if before.deploys.failure in decision.standing else None
        if order != before.failure:
            certificate.succeeded()
        if deploy != before.deploys.failure:
            certificate.deployed(replace(before.deploys, failure=deploy))
        after = replace(before, failure=order, deploys=replace(before.deploys, failure=deploy))
        return policy.decide(after, self.clock.now())

    def _keep(self, name: str, write: Callable[[CertificateState], None]) -> None:
        try:
            with self.state.certificate(name) as certificate:
                write(certificate)
        except LockBusy:
            return  # the process that holds the lease records its own result
        except RenewerError as error:
            self.report.problem(name, f"a failure could not be noted: {error}", error.hint)

    def _attempt(self, stage: Stage, directory_url: str = "") -> Attempt:
        return Attempt(stage, self.clock.now(), self.clock.fraction(), directory_url)

"""Checks one certificate: reads the stored and observed state, and decides what it needs."""

from dataclasses import dataclass

from renewer.core import policy
from renewer.core.interfaces import Clock, Deployer
from renewer.core.model import CertSpec, Observation, Snapshot
from renewer.core.policy import Decision
from renewer.store.state import State

_NOTHING = Observation(published=False, served=None)


@dataclass(frozen=True)
class Look:
    """Reads the state and checks nginx; changes nothing, and contacts nobody else."""

    state: State
    deployer: Deployer
    clock: Clock

    def __call__(self, spec: CertSpec, *, forced: bool = False, sight: Observation | None = None) -> Decision:
        """Return what the certificate needs now; with `sight`, nginx is not checked again."""
        material, progress = self.state.material(spec.name), self.state.progress(spec.name)
        rehearsed = self.state.progress(spec.name, "rehearsal")
        snapshot = Snapshot(
            spec=spec,
            material=material,
            suggestion=self.state.suggestion(spec.name),
            failure=self.state.failure(spec.name),
            deploys=self.state.deploys(spec.name),
            sight=sight or self.deployer.look(spec, material),
            pending=progress.order is not None,
            revocation=self.state.revocation(spec.name),
            revoked=self.state.provenance(spec.name).revoked(material.fingerprints) if material else None,
            leftovers=progress.in_dns or rehearsed.in_dns or progress != progress.without(material),
            forced=forced,
        )
        return policy.decide(snapshot, self.clock.now())

    def blind(self, spec: CertSpec) -> Decision:
        """Return the decision for a certificate before any of its state has been read."""
        return policy.decide(Snapshot(spec, sight=_NOTHING), self.clock.now())

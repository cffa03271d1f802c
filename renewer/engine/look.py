"""One look at a certificate: what is stored, seen and on record, and what that calls for."""

from dataclasses import dataclass

from renewer.core import policy
from renewer.core.interfaces import Clock, Deployer
from renewer.core.model import CertSpec, Observation, Snapshot
from renewer.core.policy import Decision
from renewer.store.state import State

_NOTHING = Observation(published=False, served=None)


@dataclass(frozen=True)
class Look:
    """Reads the state and nginx, changes nothing, and asks nobody else."""

    state: State
    deployer: Deployer
    clock: Clock

    def __call__(self, spec: CertSpec, *, forced: bool = False, sight: Observation | None = None) -> Decision:
        """Return what the certificate needs now; with `sight`, nginx is not looked at again."""
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
        """Return what is known of a certificate before anything of it was read."""
        return policy.decide(Snapshot(spec, sight=_NOTHING), self.clock.now())

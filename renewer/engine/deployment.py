"""All that nginx has to take up in a cycle: certificates and the keys of sites, under one reload."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from renewer.core import site
from renewer.core.errors import DeployFailed, RenewerError, Stopped
from renewer.core.interfaces import Deployer, Sites
from renewer.core.model import CertSpec, Change, Publish
from renewer.core.site import Proposal, SiteContext, SiteOutcome
from renewer.store.state import State

Refusals = Mapping[str, RenewerError]
"""Why a change is not in force, by the owner of the change."""


@dataclass(frozen=True)
class DeploymentResult:
    """What nginx refused, and the outcomes of the sites.

    `error` is what went wrong for the sites where the configuration has none that could be told of it.
    """

    refusals: Refusals
    sites: tuple[SiteOutcome, ...]
    error: RenewerError | None = None


@dataclass(frozen=True)
class Deployment:
    """Brings nginx to serve what is stored, and to guard the sites as they should be."""

    state: State
    deployer: Deployer
    sites: Sites

    @property
    def site_names(self) -> list[str]:
        """The names of the sites, in the order of the configuration."""
        return [spec.name for spec in self.sites.specs]

    @property
    def followed(self) -> set[str]:
        """The names of the certificates whose renewal rotates the key of a site."""
        return {name for spec in self.sites.specs for name in spec.follows}

    def planned(self, context: SiteContext) -> tuple[SiteOutcome, ...]:
        """Return how the sites stand and what would be done for them, changing nothing."""
        return self._result(self._ask(self.sites.plan, context), {}, context).sites

    def deploy(self, specs: Sequence[CertSpec], context: SiteContext) -> DeploymentResult:
        """Deploy these certificates and what the sites propose."""
        plan = self._ask(self.sites.plan, context)
        if not specs and (isinstance(plan, RenewerError) or not plan.guard):
            return self._settle(plan, {}, context)
        try:
            with self.state.nginx():
                return self._deploy_held(specs, context)
        except RenewerError as error:
            result = self._result(error, {spec.name: error for spec in specs}, context)
            return replace(result, error=None) if specs else result

    def _deploy_held(self, specs: Sequence[CertSpec], context: SiteContext) -> DeploymentResult:
        """Deploy while this process alone may change nginx: what is stored is read again, under the lease."""
        stored = [(spec, self.state.material(spec.name)) for spec in specs]
        changes: list[Change] = [Publish(spec, material) for spec, material in stored if material]
        proposal = self._ask(self.sites.propose, context)
        if isinstance(proposal, Proposal) and proposal.guard:
            changes.append(proposal.guard)
        refusals = self._apply(changes) if changes else {}
        return self._settle(proposal, refusals, context)

    def _apply(self, changes: Sequence[Change]) -> Refusals:
        """Apply all at once, and each alone if that is refused: one must not hold up the others."""
        try:
            self.deployer.apply(changes)
        except Stopped:
            raise
        except RenewerError as error:
            if len(changes) > 1 and not (isinstance(error, DeployFailed) and not error.ours):
                return {name: why for change in changes for name, why in self._apply([change]).items()}
            return {change.owner: error for change in changes}
        return {}

    def _settle(
        self, proposal: Proposal | RenewerError, refusals: Refusals, context: SiteContext
    ) -> DeploymentResult:
        """Keep the keys that nginx works with now."""
        failed: Mapping[str, RenewerError] = {}
        if isinstance(proposal, Proposal) and proposal.guard:
            proposal = refusals.get(proposal.guard.owner) or proposal
        if isinstance(proposal, Proposal):
            try:
                failed = self.sites.settle(proposal)
            except RenewerError as error:
                proposal = error
        return self._result(proposal, refusals, context, failed)

    def _ask(
        self, question: Callable[[SiteContext], Proposal], context: SiteContext
    ) -> Proposal | RenewerError:
        """Ask the sites what they need; an error of theirs must not hold up a certificate."""
        try:
            return question(context)
        except RenewerError as error:
            return error

    def _result(
        self,
        proposal: Proposal | RenewerError,
        refusals: Refusals,
        context: SiteContext,
        failed: Mapping[str, RenewerError] | None = None,
    ) -> DeploymentResult:
        """Return the outcomes of the sites; an error concerns all of them, `failed` some."""
        specs = self.sites.specs
        if isinstance(proposal, RenewerError):
            outcomes = tuple(site.failed(spec, proposal, context.now) for spec in specs)
            return DeploymentResult(refusals, outcomes, None if specs else proposal)
        wrong = {
            spec.name: site.failed(spec, failed[spec.name], context.now)
            for spec in specs
            if failed and spec.name in failed
        }
        return DeploymentResult(refusals, tuple(wrong.get(one.name, one) for one in proposal.outcomes))

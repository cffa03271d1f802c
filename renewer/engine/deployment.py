"""Deploys certificates and the keys of sites to nginx, with one reload per cycle."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from renewer.core import site
from renewer.core.errors import DeployFailed, RenewerError, Stopped
from renewer.core.interfaces import Deployer, Sites
from renewer.core.model import CertSpec, Change, Publish
from renewer.core.site import Proposal, SiteAction, SiteContext, SiteOutcome
from renewer.store.state import State

Refusals = Mapping[str, RenewerError]
"""Why a change is not in effect, by the owner of the change."""


@dataclass(frozen=True)
class DeploymentResult:
    """The changes nginx refused, and the outcomes of the sites.

    `error` is an error of the sites if the configuration has no site to report it for.
    """

    refusals: Refusals
    sites: tuple[SiteOutcome, ...]
    error: RenewerError | None = None

    def after(self, earlier: "DeploymentResult | None") -> "DeploymentResult":
        """Return this result, with the sites rotated by an earlier deployment of the same cycle."""
        done = earlier.sites if earlier else ()
        rotated = {one.name for one in done if one.action is SiteAction.ROTATED}
        rotated &= {one.name for one in self.sites if one.action is SiteAction.KEPT}
        sites = (
            replace(one, action=SiteAction.ROTATED) if one.name in rotated else one for one in self.sites
        )
        return replace(self, sites=tuple(sites))


@dataclass(frozen=True)
class Deployment:
    """Makes nginx serve the stored certificates and guard the sites."""

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
        """Return the state of the sites and what is due for them; change nothing."""
        return self._result(self._ask(self.sites.plan, context), {}, context).sites

    def deploy(self, specs: Sequence[CertSpec], context: SiteContext) -> DeploymentResult:
        """Deploy these certificates and the changes that the sites propose."""
        plan = self._ask(self.sites.plan, context)
        if not specs and (isinstance(plan, RenewerError) or not plan.guard):
            return self._settle(plan, {}, context)
        try:
            with self.state.nginx():
                return self._deploy_held(specs, context)
        except RenewerError as error:
            result = self._result(error, {spec.name: error for spec in specs}, context)
            return replace(result, error=None) if specs else result

    def end_access(self, context: Callable[[], SiteContext]) -> DeploymentResult | None:
        """If somebody loses access, deploy the sites without waiting for a CA; otherwise return `None`."""
        try:
            return self.deploy((), context()) if self.sites.outsiders() else None
        except RenewerError:
            return None  # the deploy at the end of the cycle meets the error again, and reports it

    def _deploy_held(self, specs: Sequence[CertSpec], context: SiteContext) -> DeploymentResult:
        """Deploy under the lease on nginx, after reading the stored values again."""
        stored = [(spec, self.state.material(spec.name)) for spec in specs]
        changes: list[Change] = [Publish(spec, material) for spec, material in stored if material]
        proposal = self._ask(self.sites.propose, context)
        if isinstance(proposal, Proposal) and proposal.guard:
            changes.append(proposal.guard)
        refusals = self._apply(changes) if changes else {}
        return self._settle(proposal, refusals, context)

    def _apply(self, changes: Sequence[Change]) -> Refusals:
        """Apply all changes together; if nginx refuses, apply each alone, so that none blocks the others."""
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
        """Record the keys that nginx uses now."""
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
        """Return what the sites need, or their error, which must not block a certificate."""
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
        """Return the outcomes of the sites; an error concerns all of them, `failed` only some."""
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

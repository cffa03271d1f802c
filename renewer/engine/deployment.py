"""All that nginx has to take up in a cycle: certificates and what the hooks propose, under one reload."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from renewer.core import site
from renewer.core.errors import DeployFailed, RenewerError, Stopped
from renewer.core.interfaces import Deployer, Hook
from renewer.core.model import CertSpec, Change, Publish
from renewer.core.site import HookContext, Proposal, SiteOutcome
from renewer.store.state import State

Refusals = Mapping[str, RenewerError]
"""What stood in the way, by the owner of the change."""


@dataclass(frozen=True)
class DeploymentResult:
    """What became of it; `error` is what stood in the way of a hook that has no site left to tell it of."""

    refusals: Refusals
    sites: tuple[SiteOutcome, ...]
    error: RenewerError | None = None


Answer = Proposal | RenewerError
"""What a hook proposes, or why it cannot."""


@dataclass(frozen=True)
class Deployment:
    """Brings nginx to work with what is kept and proposed."""

    vault: State
    deployer: Deployer
    hooks: tuple[Hook, ...]

    def bring(self, specs: Sequence[CertSpec], cycle: HookContext) -> DeploymentResult:
        """Deploy these certificates and what the hooks propose; tell of refusals and of the sites."""
        plans = self._asked(lambda hook: hook.plan(cycle))
        if not specs and not any(isinstance(plan, Proposal) and plan.guard for plan in plans):
            return self._settled(plans, {}, cycle)
        try:
            with self.vault.nginx():
                return self._together(specs, cycle)
        except RenewerError as error:
            every = [site.failed(spec, error, cycle.now) for hook in self.hooks for spec in hook.specs]
            told = every or specs
            return DeploymentResult(
                {spec.name: error for spec in specs}, tuple(every), None if told else error
            )

    def planned(self, cycle: HookContext) -> tuple[SiteOutcome, ...]:
        """Return how the sites stand and what would be done for them, changing nothing."""
        plans = self._asked(lambda hook: hook.plan(cycle))
        return tuple(
            one for hook, plan in zip(self.hooks, plans, strict=True) for one in _told(hook, plan, cycle)
        )

    def _together(self, specs: Sequence[CertSpec], cycle: HookContext) -> DeploymentResult:
        kept = [(spec, self.vault.material(spec.name)) for spec in specs]
        changes: list[Change] = [Publish(spec, material) for spec, material in kept if material]
        proposals = self._asked(lambda hook: hook.propose(cycle))
        changes += [one.guard for one in proposals if isinstance(one, Proposal) and one.guard]
        refusals = self._apply(changes) if changes else {}
        return self._settled(proposals, refusals, cycle)

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

    def _asked(self, question: Callable[[Hook], Proposal]) -> list[Answer]:
        """Ask every hook; one that cannot answer must not hold up a certificate."""
        answers: list[Answer] = []
        for hook in self.hooks:
            try:
                answers.append(question(hook))
            except RenewerError as error:
                answers.append(error)
        return answers

    def _settled(self, answers: Sequence[Answer], refusals: Refusals, cycle: HookContext) -> DeploymentResult:
        """Let each hook keep what nginx took up, and tell what became of its sites."""
        found: list[SiteOutcome] = []
        orphan: RenewerError | None = None
        for hook, answer in zip(self.hooks, answers, strict=True):
            final, failed = answer, dict[str, RenewerError]()
            if isinstance(answer, Proposal):
                final = (answer.guard and refusals.get(answer.guard.owner)) or answer
            if isinstance(final, Proposal):
                try:
                    failed.update(hook.settle(final))
                except RenewerError as error:
                    final = error
            found += _told(hook, final, cycle, failed)
            if isinstance(final, RenewerError) and not hook.specs:
                orphan = orphan or final
        return DeploymentResult(refusals, tuple(found), orphan)


def _told(
    hook: Hook, answer: Answer, cycle: HookContext, failed: Mapping[str, RenewerError] = MappingProxyType({})
) -> tuple[SiteOutcome, ...]:
    """Return the outcomes of a hook's sites; an error concerns all of them, `failed` some."""
    if isinstance(answer, RenewerError):
        return tuple(site.failed(spec, answer, cycle.now) for spec in hook.specs)
    wrong = {
        spec.name: site.failed(spec, failed[spec.name], cycle.now)
        for spec in hook.specs
        if spec.name in failed
    }
    return tuple(wrong.get(outcome.name, outcome) for outcome in answer.outcomes)

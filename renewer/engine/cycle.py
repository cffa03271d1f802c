"""One cycle over everything: check, decide, issue, deploy, report. Start reading here.

`Engine.run` is the story of a renewal. Each run starts from the current state (store, files, handshake) and
takes the next step. So it finishes whatever was interrupted, and "renewed but never deployed" cannot last.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from renewer.core import clock_skew
from renewer.core.errors import (
    ConfigError,
    Declined,
    LockBusy,
    LostLease,
    OrderFailed,
    Outdated,
    RenewerError,
    Stopped,
    Unexpected,
)
from renewer.core.interfaces import Clock, Follower, Report
from renewer.core.model import CertOutcome, CertSpec, Material, Outcome, Pair, Reason, Revocation
from renewer.core.policy import Ask, Decision, Deploy, Issue, Rest
from renewer.core.site import Asked, SiteContext
from renewer.engine import outcome
from renewer.engine.deploy_hooks import DeployHooks
from renewer.engine.deployment import Deployment, DeploymentResult
from renewer.engine.failures import Failures
from renewer.engine.issuance import Issuance
from renewer.engine.look import Look
from renewer.engine.outcome import CertificateRun
from renewer.store.state import CertificateState, State

Result = TypeVar("Result")

SIDE_BY_SIDE = 32
"""How many certificates are processed at once; each also has threads for the name servers of its zone."""


@dataclass(frozen=True)
class Engine:
    """The single code path for one-shot, cron and daemon."""

    specs: tuple[CertSpec, ...]
    state: State
    look: Look
    issuance: Issuance
    failures: Failures
    deployment: Deployment
    deploy_hooks: DeployHooks
    follower: Follower
    clock: Clock
    report: Report

    # -- the story of a renewal -----------------------------------------------------------------------------

    def run(self, names: Sequence[str] = (), *, force: bool = False, dry_run: bool = False) -> Outcome:
        """Bring all certificates (or those named) and all sites as far as possible now."""
        specs = self.chosen(names)
        if dry_run:
            decisions = [self.look(spec, forced=force) for spec in specs]
            return self._preview([self._forecast(decision) for decision in decisions], decisions)
        blocked = self._try_to_prepare()
        ended = self.deployment.end_access(partial(self._context, ()))
        forgotten = self._end_what_is_forgotten()
        runs = _side_by_side(partial(self._renew, forced=force), specs)
        done = _failing(self._finish(runs, ended=ended), "what nginx includes", blocked)
        if blocked or forgotten or names or force:
            return done
        return replace(done, rest=outcome.rest(done, [run.decision for run in runs]))

    def _renew(self, spec: CertSpec, *, forced: bool) -> CertificateRun:
        """Take one certificate up to the common deployment; an error affects only this one."""
        decision = self.look.blind(spec)
        try:
            decision = self.look(spec, forced=forced)
            self.clock.sleep(0)  # start nothing new once stopping
            return self._advance(decision)
        except OrderFailed as order:
            return self._failed(decision, order.error, order.directory_url)
        except RenewerError as error:
            return self._failed(decision, error)
        except Exception as bug:  # noqa: BLE001 - the one place: a bug in one certificate must not starve the next
            self.report.bug(spec.name, bug)
            unexpected = Unexpected(
                f"{type(bug).__name__}: {bug}", hint="this is a bug of renewer: please report it"
            )
            unexpected.__cause__ = bug
            return self._failed(decision, unexpected)
        finally:
            self.report.idle(spec.name)

    def _advance(self, decision: Decision) -> CertificateRun:
        """Take the steps that need the certificate's lease; without such steps, take no lease."""
        spec, material = decision.snapshot.spec, decision.snapshot.material
        clock_skew.refuse_earlier_than(material.obtained if material else None, self.clock.now())
        settled = _settled(decision)
        if settled and not self._untidy(decision):
            return settled
        with self.state.certificate(spec.name) as certificate:
            decision = self.look(spec, forced=decision.snapshot.forced)
            certificate.set_aside()
            if not self.follower.outdated():
                decision = self._tidy(decision, certificate)
            try:
                run = self._obtain(decision, certificate)
            finally:
                refused = self.issuance.revoke(spec.name, decision.snapshot.revocations, certificate)
            return replace(run, error=refused)

    def _obtain(self, decision: Decision, certificate: CertificateState) -> CertificateRun:
        """Take step after step, but order only once; a new certificate that is due at once has to wait."""
        spec, forced, issued = decision.snapshot.spec, decision.snapshot.forced, False
        while True:
            match decision.step:
                case Issue() as step if not issued:
                    self._refuse_outdated(decision)
                    self.issuance.issue(decision.snapshot, certificate, step)
                    issued, forced = True, False
                    decision = self.look(spec)
                case Ask():
                    self.issuance.ask(decision.snapshot, certificate)
                    decision = self.look(spec, forced=forced, sight=decision.snapshot.sight)
                case _:
                    run = _settled(decision) or CertificateRun(decision, deploy=decision.undeployed)
                    return replace(run, issued=issued)

    def _finish(
        self,
        runs: Sequence[CertificateRun],
        asked: Asked | None = None,
        ended: DeploymentResult | None = None,
    ) -> Outcome:
        """Deploy, conclude, and run the deploy hooks: the common end of all commands.

        `ended` is the result of an earlier deployment in this cycle, which ended somebody's access.
        """
        deployed = self._deploy(runs, asked).after(ended)
        certificates = tuple(
            self._conclude(run, deployed.refusals.get(run.decision.snapshot.spec.name)) for run in runs
        )
        hooks = self.deploy_hooks.run(certificates, deployed.sites)
        if deployed.error:
            self.report.problem("secure links", str(deployed.error), deployed.error.hint)
        return _failing(Outcome(certificates, deployed.sites, hooks), "secure links", deployed.error)

    def _deploy(self, runs: Sequence[CertificateRun], asked: Asked | None) -> DeploymentResult:
        """Deploy the certificates nginx does not serve yet, and the changes of the sites, with one reload."""
        due = [run.decision.snapshot for run in runs if run.deploy]
        context = self._context([run.decision for run in runs], asked)
        result = self.deployment.deploy([snapshot.spec for snapshot in due], context)
        for snapshot in due:
            refusal = result.refusals.get(snapshot.spec.name)
            if not isinstance(refusal, LockBusy | Stopped):
                self.failures.deploy(snapshot, refusal)
        return result

    def _conclude(self, run: CertificateRun, refusal: RenewerError | None) -> CertOutcome:
        """Return the outcome of one certificate, checked again if anything may have changed."""
        decision, error = run.decision, run.error or refusal
        spec, sight = decision.snapshot.spec, decision.snapshot.sight
        try:
            # Another process may have changed it while this one waited for the others.
            changed = self.state.material(spec.name) != decision.snapshot.material
            if run.deploy or run.issued or changed:
                decision = self.look(spec)
            elif error or not decision.rests_until:
                decision = self.look(spec, sight=sight)
        except RenewerError as blind:
            error = error or blind
        return outcome.of(replace(run, decision=decision, error=error))

    # -- commands of a person -------------------------------------------------------------------------------

    def rotate(self, asked: Asked) -> Outcome:
        """Rotate the key of a site, with or without an overlap; certificates are not touched."""
        known = self.deployment.site_names
        if asked.site not in known:
            raise ConfigError(
                f"the configuration has no site named {asked.site}",
                hint=f"it has {', '.join(known) or 'none'}",
            )
        self._try_to_prepare()
        return self._finish((), asked)

    def revoke(self, name: str, reason: Reason) -> Outcome:
        """Revoke a certificate and replace it; the next cycles finish what cannot be done now."""
        (spec,) = self.chosen([name])
        with self.state.certificate(spec.name) as certificate:
            material = self.state.material(spec.name)
            if material is None:
                raise Declined(f"there is no certificate {name} yet", hint="see renewer status")
            # If its CA is unknown, it is most likely the configured one.
            directory_url = material.directory_url or spec.directory_url
            certificate.revoke(Revocation(replace(material, directory_url=directory_url), reason))
        return self.run([name])

    def restore(self, name: str, pairs: tuple[Pair, ...], hold: Callable[[str, Material], object]) -> Outcome:
        """Go back to an earlier certificate and deploy it; `hold` saves the present one to disk first."""
        (spec,) = self.chosen([name])
        with self.state.certificate(spec.name) as certificate, self.state.nginx():
            material = self.state.known(spec.name).again(spec.name, pairs, self.clock.now())
            certificate.set_aside()
            if stored := self.state.material(spec.name):
                hold(spec.name, stored)
            certificate.keep(material)
        return self._finish([CertificateRun(self.look(spec), deploy=True)])

    def status(self) -> Outcome:
        """Return what is stored, served and due; change nothing, and contact only nginx."""
        decisions = _side_by_side(self.look, self.specs)
        return self._preview([outcome.at_rest(decision) for decision in decisions], decisions)

    def chosen(self, names: Sequence[str]) -> tuple[CertSpec, ...]:
        """Return the certificates of these names, or all; raises `ConfigError` for an unknown one."""
        known = {spec.name: spec for spec in self.specs}
        if unknown := [name for name in names if name not in known]:
            raise ConfigError(
                f"the configuration has no certificate named {', '.join(unknown)}",
                hint=f"it has {', '.join(known) or 'none'}",
            )
        return tuple(known[name] for name in dict.fromkeys(names)) or self.specs

    def prepare(self) -> Sequence[str]:
        """Ensure that every file nginx may include exists; return the files written."""
        try:
            with self.state.nginx():
                return self.deployment.deployer.prepare(self.specs)
        except LockBusy:
            return ()  # the process that holds the lease on nginx does the same

    # -- details --------------------------------------------------------------------------------------------

    def _try_to_prepare(self) -> RenewerError | None:
        """Call `prepare` and return its error; certificates can still be obtained and stored."""
        try:
            self.prepare()
        except RenewerError as error:
            self.report.problem("nginx", str(error), error.hint)
            return error
        return None

    def _end_what_is_forgotten(self) -> bool:
        """Clean up after certificates no longer in the configuration; return whether there were any.

        Pending revocations are completed. Nothing is done if a newer configuration may have the certificates.
        """
        known = {spec.name for spec in self.specs}
        forgotten = [name for name in self.state.begun() if name not in known]
        for name in forgotten:
            try:
                with self.state.certificate(name) as certificate:
                    if not self.follower.outdated():
                        asked = self.state.revocation(name)
                        self.issuance.forget(name, asked.each if asked else (), certificate)
            except RenewerError as error:
                self.report.problem(name, str(error), error.hint)
        return bool(forgotten)

    def _untidy(self, decision: Decision) -> bool:
        """Return whether earlier runs left anything to finish, revoke, clear or set aside."""
        snapshot = decision.snapshot
        left = snapshot.leftovers or snapshot.revocation or decision.mended or decision.stray
        return bool(left or self.state.damaged(snapshot.spec.name))

    def _tidy(self, decision: Decision, certificate: CertificateState) -> Decision:
        """Drop orders no longer needed, remove their records, and clear failures that no longer apply."""
        if decision.snapshot.leftovers or decision.stray:
            self.issuance.tidy(decision, certificate)
        return self.failures.clear(decision, certificate)

    def _failed(self, decision: Decision, error: RenewerError, directory_url: str = "") -> CertificateRun:
        """Return the run of a certificate that failed, after recording the failure."""
        if not isinstance(error, Stopped | LockBusy | LostLease | Outdated):
            self.failures.order(decision.snapshot, error, directory_url)
        return CertificateRun(decision, deploy=decision.undeployed, error=error)

    def _refuse_outdated(self, decision: Decision) -> None:
        """Raise `Outdated` before an order that a newer configuration may want to be different."""
        replaces = decision.unlike or decision.snapshot.pending
        if replaces and (outdated := self.follower.outdated()):
            raise outdated

    def _preview(self, certificates: Sequence[CertOutcome], decisions: Sequence[Decision]) -> Outcome:
        """Return what a cycle would do, without doing it."""
        sites = self.deployment.planned(self._context(decisions))
        return Outcome(tuple(certificates), sites, self.deploy_hooks.planned(certificates, sites))

    def _forecast(self, decision: Decision) -> CertOutcome:
        """Return what a cycle would do next for a certificate (`--dry-run`)."""
        step = decision.step
        if isinstance(step, Issue):
            if hindrance := self.issuance.hindrance(decision.snapshot, step):
                return outcome.hindered(decision, hindrance)
            step = replace(step, reason=step.reason + self.issuance.cost(decision.snapshot))
        return outcome.planned(replace(decision, step=step))

    def _context(self, decisions: Iterable[Decision], asked: Asked | None = None) -> SiteContext:
        """Return what the sites need to know; a certificate outside of this run counts as stored."""
        kept = {one.snapshot.spec.name: one.snapshot.material for one in decisions}
        for name in self.deployment.followed - set(kept):
            kept[name] = self.state.material(name)
        known = {name: str(material.fingerprints[0]) for name, material in kept.items() if material}
        return SiteContext(self.clock.now(), known, asked)


def _settled(decision: Decision) -> CertificateRun | None:
    """Return the run if only the common deployment is left to do, or nothing."""
    match decision.step:
        case Deploy():
            return CertificateRun(decision, deploy=True)
        case Rest(held=held):
            return CertificateRun(decision, held=held)
        case _:
            return None


def _failing(done: Outcome, what: str, error: RenewerError | None) -> Outcome:
    """Return the outcome with an error that concerns the whole cycle, if there is one."""
    return replace(done, error=f"{what}: {error}", code=error.exit_code) if error else done


def _side_by_side(work: Callable[[CertSpec], Result], specs: Sequence[CertSpec]) -> list[Result]:
    if len(specs) <= 1:
        return [work(spec) for spec in specs]
    with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(specs))) as pool:
        return list(pool.map(work, specs))

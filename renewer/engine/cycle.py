"""One pass over everything: look, decide, obtain, keep, deploy, tell.

Level-triggered: each run starts from what is there (store, files, handshake) and takes the next step, so what
died anywhere before is finished here, and "renewed but never deployed" cannot last.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from renewer.core import policy
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
from renewer.core.interfaces import Clock, Deployer, DeployHook, Follower, Hook, Issuer, Report
from renewer.core.model import (
    CertificateRun,
    CertOutcome,
    CertSpec,
    Material,
    Observation,
    Outcome,
    Pair,
    Reason,
    Revocation,
    Snapshot,
)
from renewer.core.policy import Ask, Deploy, Issue, Rest
from renewer.core.site import Asked, HookContext
from renewer.engine import outcome
from renewer.engine.deploy_hooks import FollowUp
from renewer.engine.deployment import Deployment, DeploymentResult
from renewer.engine.failures import Setbacks
from renewer.engine.issuance import Ordering
from renewer.store.following import ALONE
from renewer.store.state import CertificateState, State

Result = TypeVar("Result")

SIDE_BY_SIDE = 32
"""How many certificates are worked on at once; each has a thread for every name server of its zone, too."""


@dataclass(frozen=True)
class Engine:
    """The one code path of one-shot, cron and daemon."""

    specs: tuple[CertSpec, ...]
    vault: State
    issuer: Issuer
    deployer: Deployer
    clock: Clock
    report: Report
    hooks: tuple[Hook, ...] = ()
    deploy_hooks: tuple[DeployHook, ...] = ()
    follower: Follower = ALONE

    def run(self, names: Sequence[str] = (), *, force: bool = False, dry_run: bool = False) -> Outcome:
        """Bring every certificate, or those named, and every site as far as they can get now."""
        specs = self.chosen(names)
        if dry_run:
            snapshots = [self._look(spec, forced=force) for spec in specs]
            forecasts = tuple(self._forecast(snapshot) for snapshot in snapshots)
            return self._ahead(forecasts, snapshots)
        failed = self._try_to_prepare()
        calm = [not failed, self._tidy_forgotten(), not (names or force)]
        turns = _side_by_side(partial(self._tend, forced=force), specs)
        done = self._finish(turns)
        done = _failing(done, "what nginx includes", failed)
        snapshots = [turn.snapshot for turn in turns]
        return replace(done, rest=outcome.rest(done, snapshots, self.clock.now()) if all(calm) else None)

    def rotate(self, asked: Asked) -> Outcome:
        """Give a site a new key, with the overlap or at once; no certificate is touched."""
        known = [spec.name for hook in self.hooks for spec in hook.specs]
        if asked.site not in known:
            raise ConfigError(
                f"the configuration has no site named {asked.site}",
                hint=f"it has {', '.join(known) or 'none'}",
            )
        self._try_to_prepare()
        return self._finish((), asked)

    def revoke(self, name: str, reason: Reason) -> Outcome:
        """Revoke a certificate and replace it; what of that cannot be done now the next cycles do."""
        (spec,) = self.chosen([name])
        with self.vault.certificate(spec.name) as ledger:
            material = self.vault.material(spec.name)
            if material is None:
                raise Declined(f"there is no certificate {name} yet", hint="see renewer status")
            # Where nothing tells which CA it is from, it is most likely the one that is configured.
            issued = (
                material if material.directory_url else replace(material, directory_url=spec.directory_url)
            )
            ledger.revoke(Revocation(issued, reason))
        return self.run([name])

    def chosen(self, names: Sequence[str]) -> tuple[CertSpec, ...]:
        """Return the certificates of these names, or all; raises `ConfigError` for an unknown one."""
        known = {spec.name: spec for spec in self.specs}
        if unknown := [name for name in names if name not in known]:
            raise ConfigError(
                f"the configuration has no certificate named {', '.join(unknown)}",
                hint=f"it has {', '.join(known) or 'none'}",
            )
        return tuple(known[name] for name in dict.fromkeys(names)) or self.specs

    def restore(self, name: str, pairs: tuple[Pair, ...], hold: Callable[[str, Material], object]) -> Outcome:
        """Go back to an earlier certificate and deploy it; what is stored now is put on disk with `hold`."""
        (spec,) = self.chosen([name])
        with self.vault.certificate(spec.name) as ledger, self.vault.nginx():
            material = self.vault.known(spec.name).again(spec.name, pairs, self.clock.now())
            ledger.set_aside()
            if stored := self.vault.material(spec.name):
                hold(spec.name, stored)
            ledger.keep(material)
        return self._finish([CertificateRun(self._look(spec, forced=False), deploy=True)])

    def prepare(self) -> Sequence[str]:
        """See to it that every file that nginx may include exists; return those that were written."""
        try:
            with self.vault.nginx():
                return self.deployer.prepare(self.specs)
        except LockBusy:
            return ()  # whoever holds nginx sees to it

    def _try_to_prepare(self) -> RenewerError | None:
        """Do `prepare`, and return what stood in its way: a certificate may still be obtained and kept."""
        try:
            self.prepare()
        except RenewerError as error:
            self.report.problem("nginx", str(error), error.hint)
            return error
        return None

    def status(self) -> Outcome:
        """Return what is stored, served and due, changing nothing and asking nobody but nginx."""
        snapshots = _side_by_side(partial(self._look, forced=False), self.specs)
        at_rest = tuple(outcome.at_rest(snapshot, self.clock.now()) for snapshot in snapshots)
        return self._ahead(at_rest, snapshots)

    def _ahead(self, certificates: tuple[CertOutcome, ...], snapshots: Sequence[Snapshot]) -> Outcome:
        """Return what is still to come, doing nothing of it."""
        sites = self._deployment.planned(self._cycle(snapshots))
        return Outcome(certificates, sites, self._follow_up.planned(certificates, sites))

    def _forecast(self, snapshot: Snapshot) -> CertOutcome:
        step = policy.decide(snapshot, self.clock.now())
        if isinstance(step, Issue):
            if hindrance := self._ordering.hindrance(snapshot, step):
                return outcome.hindered(snapshot, hindrance, self.clock.now())
            step = replace(step, reason=step.reason + self._ordering.cost(snapshot))
        return outcome.planned(snapshot, step, self.clock.now())

    @property
    def _ordering(self) -> Ordering:
        return Ordering(self.issuer, self.clock, self.report)

    @property
    def _setbacks(self) -> Setbacks:
        return Setbacks(self.vault, self.clock, self.report)

    # -- one certificate ------------------------------------------------------------------------------------

    def _tend(self, spec: CertSpec, *, forced: bool) -> CertificateRun:
        """Take one certificate as far as the common deploy; whatever goes wrong stays with it."""
        snapshot = Snapshot(spec, sight=Observation(published=False, served=None))
        failed: RenewerError
        ordered_at = ""
        try:
            snapshot = self._look(spec, forced=forced)
            self.clock.sleep(0)  # who is asked to end begins nothing more
            return self._advance(snapshot)
        except OrderFailed as order:
            failed, ordered_at = order.error, order.directory_url
        except RenewerError as error:
            failed = error
        except Exception as bug:  # noqa: BLE001 - the one place: a bug in one certificate must not starve the next
            self.report.bug(spec.name, bug)
            failed = Unexpected(
                f"{type(bug).__name__}: {bug}", hint="this is a bug of renewer: please report it"
            )
            failed.__cause__ = bug
        finally:
            self.report.idle(spec.name)
        if not isinstance(failed, Stopped | LockBusy | LostLease | Outdated):
            self._setbacks.ordering(snapshot, failed, ordered_at)
        return CertificateRun(snapshot, deploy=policy.undeployed(snapshot), error=failed)

    def _look(self, spec: CertSpec, *, forced: bool, sight: Observation | None = None) -> Snapshot:
        material, progress = self.vault.material(spec.name), self.vault.progress(spec.name)
        rehearsed = self.vault.progress(spec.name, "rehearsal")
        return Snapshot(
            spec=spec,
            material=material,
            suggestion=self.vault.suggestion(spec.name),
            failure=self.vault.failure(spec.name),
            deploys=self.vault.deploys(spec.name),
            sight=sight or self.deployer.look(spec, material),
            pending=progress.order is not None,
            revocation=self.vault.revocation(spec.name),
            revoked=self.vault.provenance(spec.name).revoked(material.fingerprints) if material else None,
            leftovers=progress.in_dns or rehearsed.in_dns or progress != progress.without(material),
            forced=forced,
        )

    def _advance(self, snapshot: Snapshot) -> CertificateRun:
        """Take the steps that need the certificate's lease; without one to take, none is held."""
        policy.refuse_wrong_clock(snapshot.material, self.clock.now())
        untidy = snapshot.leftovers or snapshot.revocation or self._setbacks.mended(snapshot)
        untidy = untidy or self._stray(snapshot) or bool(self.vault.damaged(snapshot.spec.name))
        if not untidy and (turn := self._settled(snapshot)):
            return turn
        with self.vault.certificate(snapshot.spec.name) as ledger:
            fresh = self._look(snapshot.spec, forced=snapshot.forced)
            ledger.set_aside()
            if not self.follower.outdated():
                if fresh.leftovers or self._stray(fresh):
                    self._ordering.tidy(fresh, ledger)
                fresh = self._setbacks.forget(fresh, ledger)
            try:
                turn = self._steps(fresh, ledger)
            finally:
                refused = self._ordering.revoke(fresh.spec.name, fresh.revocations, ledger)
            return replace(turn, error=refused)

    def _tidy_forgotten(self) -> bool:
        """End what was begun for certificates that the configuration has no more, revocations among it.

        Where a newer configuration may have them, it stays. Tell whether there was nothing to take out.
        """
        known = {spec.name for spec in self.specs}
        forgotten = [name for name in self.vault.begun() if name not in known]
        for name in forgotten:
            try:
                with self.vault.certificate(name) as ledger:
                    if not self.follower.outdated():
                        self._ordering.forget(name, ledger)
            except RenewerError as error:
                self.report.problem(name, str(error), error.hint)
        return not forgotten

    def _stray(self, snapshot: Snapshot) -> bool:
        """Return whether an order is written down that nobody needs any more."""
        return snapshot.pending and not policy.why_issue(snapshot, self.clock.now())

    def _settled(self, snapshot: Snapshot) -> CertificateRun | None:
        """Return the turn if nothing is left to do for the certificate alone."""
        match policy.decide(snapshot, self.clock.now()):
            case Deploy():
                return CertificateRun(snapshot, deploy=True)
            case Rest(held=held):
                return CertificateRun(snapshot, held=held)
            case _:
                return None

    def _steps(self, snapshot: Snapshot, ledger: CertificateState) -> CertificateRun:
        """Take step after step, but order only once: a new one that is due at once has to wait."""
        issued = False
        while True:
            match policy.decide(snapshot, self.clock.now()):
                case Issue() as step if not issued:
                    self._refuse_outdated(snapshot)
                    self._ordering.issue(snapshot, ledger, step)
                    issued = True
                    snapshot = self._look(snapshot.spec, forced=False)
                case Ask():
                    self._ordering.ask(snapshot, ledger)
                    snapshot = self._look(snapshot.spec, forced=snapshot.forced, sight=snapshot.sight)
                case _:
                    turn = self._settled(snapshot) or CertificateRun(
                        snapshot, deploy=policy.undeployed(snapshot)
                    )
                    return replace(turn, issued=issued)

    def _refuse_outdated(self, snapshot: Snapshot) -> None:
        """Raise `Outdated` before an order in the place of what a newer configuration may want."""
        other = policy.unlike(snapshot) or snapshot.pending
        if other and (outdated := self.follower.outdated()):
            raise outdated

    # -- all that nginx has to take up ----------------------------------------------------------------------

    @property
    def _deployment(self) -> Deployment:
        return Deployment(self.vault, self.deployer, self.hooks)

    @property
    def _follow_up(self) -> FollowUp:
        return FollowUp(self.vault, self.clock, self.report, self.deploy_hooks, self.follower)

    def _finish(self, turns: Sequence[CertificateRun], asked: Asked | None = None) -> Outcome:
        """Deploy, conclude, and tell the hooks: the end of whatever was begun."""
        brought = self._deploy(turns, asked)
        refused = brought.refusals
        concluded = tuple(self._conclude(turn, refused.get(turn.snapshot.spec.name)) for turn in turns)
        done = Outcome(concluded, brought.sites, self._follow_up.tell(concluded, brought.sites))
        if brought.error:
            self.report.problem("secure links", str(brought.error), brought.error.hint)
        return _failing(done, "secure links", brought.error)

    def _deploy(self, turns: Sequence[CertificateRun], asked: Asked | None) -> DeploymentResult:
        """Deploy what is not served, and whatever the hooks propose, with one reload."""
        due = [turn.snapshot for turn in turns if turn.deploy]
        cycle = self._cycle([turn.snapshot for turn in turns], asked)
        brought = self._deployment.bring([one.spec for one in due], cycle)
        for one in due:
            refusal = brought.refusals.get(one.spec.name)
            if not isinstance(refusal, LockBusy | Stopped):
                self._setbacks.deploying(one, refusal)
        return brought

    def _cycle(self, snapshots: Sequence[Snapshot], asked: Asked | None = None) -> HookContext:
        """Return what the hooks have to know; certificates that are not worked on count as they are kept."""
        kept = {snapshot.spec.name: snapshot.material for snapshot in snapshots}
        for name in {name for hook in self.hooks for spec in hook.specs for name in spec.follows} - set(kept):
            kept[name] = self.vault.material(name)
        known = {name: str(material.fingerprints[0]) for name, material in kept.items() if material}
        return HookContext(self.clock.now(), known, asked)

    def _conclude(self, turn: CertificateRun, refusal: RenewerError | None) -> CertOutcome:
        """Return what became of a certificate, as it is seen now."""
        spec, error = turn.snapshot.spec, turn.error or refusal
        try:
            # Somebody else may have been at it while others were waited for.
            anew = turn.deploy or turn.issued or self.vault.material(spec.name) != turn.snapshot.material
            sight = None if anew else turn.snapshot.sight
            untouched = sight and not error and policy.rest(turn.snapshot, self.clock.now())
            seen = turn.snapshot if untouched else self._look(spec, forced=False, sight=sight)
        except RenewerError as blind:
            seen, error = turn.snapshot, error or blind
        return outcome.of(replace(turn, snapshot=seen, error=error), self.clock.now())


def _failing(done: Outcome, what: str, error: RenewerError | None) -> Outcome:
    """Return the outcome with what stood in the way of all together, if anything did."""
    if error is None:
        return done
    return replace(done, error=f"{what}: {error}", code=error.exit_code)


def _side_by_side(work: Callable[[CertSpec], Result], specs: Sequence[CertSpec]) -> list[Result]:
    if len(specs) <= 1:
        return [work(spec) for spec in specs]
    with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(specs))) as pool:
        return list(pool.map(work, specs))

"""The outcome for a certificate, in the words of the JSON contract. Pure.

Stored texts are made printable again here, because an earlier version may have stored them unchanged.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from renewer.core import backoff
from renewer.core.errors import NotServed, RenewerError, Transient
from renewer.core.failure import Failure
from renewer.core.hook import HookAction
from renewer.core.model import Action, CertOutcome, Outcome
from renewer.core.policy import Ask, Decision, Deploy, Issue, Rest
from renewer.core.printable import LINE, printable
from renewer.core.site import SiteAction
from renewer.core.timefmt import exactly

_DEPLOYS = "run: renewer renew, which brings nginx to serve it or tells what stands in the way"


@dataclass(frozen=True)
class CertificateRun:
    """How far one certificate got in a cycle, and what the last look at it calls for.

    `deploy` says that nginx has to take it up, `held` why it has to wait.
    """

    decision: Decision
    issued: bool = False
    deploy: bool = False
    held: Failure | None = None
    error: RenewerError | None = None


def of(run: CertificateRun) -> CertOutcome:
    """Return the outcome of a cycle for one certificate; the decision is that of its final check."""
    decision, error = run.decision, run.error
    if error is not None:
        failed = _failed(decision, str(error), error.hint, error.exit_code)
        return replace(failed, next=max(failed.next, decision.now + backoff.SOONEST))
    if run.held is not None:
        return _held(decision, run.held)
    action = Action.ISSUED if run.issued else Action.DEPLOYED if run.deploy else Action.FRESH
    again = decision.reason if action is Action.DEPLOYED else ""
    return _outcome(decision, action, f"the next run replaces it: {again}" if again else "")


def planned(decision: Decision) -> CertOutcome:
    """Return what a cycle would do next (`--dry-run`)."""
    match decision.step:
        case Issue(reason=reason):
            return _outcome(decision, Action.ISSUED, reason)
        case Deploy(reason):
            return _outcome(decision, Action.DEPLOYED, reason)
        case Rest(held=Failure() as held):
            return _held(decision, held)
        case Ask() if decision.undeployed:
            return _outcome(decision, Action.DEPLOYED)
        case _:
            return _outcome(decision, Action.FRESH)


def hindered(decision: Decision, error: Transient) -> CertOutcome:
    """Return that the next step is blocked by an error, and when it is possible."""
    failed = _failed(decision, str(error), error.hint, error.exit_code)
    return replace(failed, next=decision.now + error.retry_after) if error.retry_after else failed


def at_rest(decision: Decision) -> CertOutcome:
    """Return what `status` reports: the last failure if there was no success since, else the current state.

    If nginx does not serve the stored certificate, that is a failure even before a cycle has noticed it.
    """
    if decision.standing:
        failure = decision.standing[0]
        return _failed(decision, failure.message, failure.hint, failure.exit_code)
    sight = decision.snapshot.sight
    if decision.snapshot.material and sight.served is False:
        return _failed(decision, sight.detail, sight.hint or _DEPLOYS, NotServed.exit_code)
    return planned(decision)


def rest(outcome: Outcome, decisions: Iterable[Decision]) -> datetime | None:
    """Return until when nothing is due, if a cycle found everything in order; otherwise `None`."""
    quiet = (
        outcome.error is None
        and all(one.action is Action.FRESH for one in outcome.certificates)
        and all(one.action is SiteAction.KEPT and not (one.due or one.error) for one in outcome.sites)
        and all(one.action is HookAction.KEPT for one in outcome.hooks)
    )
    dues = [decision.rests_until for decision in decisions] if quiet else [None]
    dues += [one.next for one in outcome.sites]
    known = [due for due in dues if due]
    return min(known) if known and len(known) == len(dues) else None


def _held(decision: Decision, held: Failure) -> CertOutcome:
    said = f"{held.message}; it is not tried again before {exactly(held.retry)}"
    return _failed(decision, said, held.hint, Transient.exit_code)


def _failed(decision: Decision, error: str, hint: str, exit_code: int) -> CertOutcome:
    plain = _outcome(decision, Action.FAILED)
    return replace(plain, error=printable(error, LINE), hint=printable(hint), exit_code=exit_code)


def _outcome(decision: Decision, action: Action, detail: str = "") -> CertOutcome:
    snapshot, page = decision.snapshot, decision.explanation_url
    material, sight = snapshot.material, snapshot.sight
    told = [
        detail or sight.detail,
        "the placeholder stands in" if sight.placeholder else "",
        f"the CA explains when it wants it renewed at {page}" if page else "",
    ]
    return CertOutcome(
        name=snapshot.spec.name,
        action=action,
        next=decision.next_due,
        not_after=material.not_after if material else None,
        fingerprint=material.fingerprints[0] if material else None,
        served=sight.served,
        detail=printable("; ".join(filter(None, told)), LINE),
        due=decision.next_due <= decision.now,
    )

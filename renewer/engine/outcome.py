"""What became of a certificate, in the words of the contract: pure.

What was seen and kept is made printable here once more: an earlier version may have kept it as it came.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from renewer.core import backoff, policy
from renewer.core.errors import NotServed, Transient
from renewer.core.failure import Failure
from renewer.core.hook import HookAction
from renewer.core.model import Action, CertificateRun, CertOutcome, Outcome, Snapshot
from renewer.core.policy import Ask, Deploy, Issue, Rest, Step
from renewer.core.printable import LINE, printable
from renewer.core.site import SiteAction

_DEPLOYS = "run: renewer renew, which brings nginx to serve it or tells what stands in the way"


def of(turn: CertificateRun, now: datetime) -> CertOutcome:
    """Return the outcome of a cycle for one certificate; the snapshot is the one taken at its end."""
    if turn.error is not None:
        error = turn.error
        failed = _failed(turn.snapshot, now, str(error), error.hint, error.exit_code)
        return replace(failed, next=max(failed.next, now + backoff.SOONEST))
    if turn.held is not None:
        return _held(turn.snapshot, turn.held, now)
    action = Action.ISSUED if turn.issued else Action.DEPLOYED if turn.deploy else Action.FRESH
    why = policy.why_issue(turn.snapshot, now) if action is Action.DEPLOYED else ""
    return _outcome(turn.snapshot, action, now, f"the next run replaces it: {why}" if why else "")


def planned(snapshot: Snapshot, step: Step, now: datetime) -> CertOutcome:
    """Return what a cycle would do next (`--dry-run`)."""
    match step:
        case Issue(reason=reason):
            return _outcome(snapshot, Action.ISSUED, now, reason)
        case Deploy(reason):
            return _outcome(snapshot, Action.DEPLOYED, now, reason)
        case Rest(held=Failure() as held):
            return _held(snapshot, held, now)
        case Ask() if policy.undeployed(snapshot):
            return _outcome(snapshot, Action.DEPLOYED, now)
        case _:
            return _outcome(snapshot, Action.FRESH, now)


def hindered(snapshot: Snapshot, error: Transient, now: datetime) -> CertOutcome:
    """Return that a cycle would not do what is next, and when it could."""
    failed = _failed(snapshot, now, str(error), error.hint, error.exit_code)
    return replace(failed, next=now + error.retry_after) if error.retry_after else failed


def at_rest(snapshot: Snapshot, now: datetime) -> CertOutcome:
    """Return what `status` says: the last failure if nothing has gone well since, else how things stand.

    That nginx is seen not to serve what is stored is a failure, whether or not a cycle has met it yet.
    """
    if failures := policy.standing(snapshot, now):
        failure = failures[0]
        return _failed(snapshot, now, failure.message, failure.hint, failure.exit_code)
    sight = snapshot.sight
    if snapshot.material and sight.served is False:
        return _failed(snapshot, now, sight.detail, sight.hint or _DEPLOYS, NotServed.exit_code)
    return planned(snapshot, policy.decide(snapshot, now), now)


def rest(outcome: Outcome, snapshots: Iterable[Snapshot], now: datetime) -> datetime | None:
    """Return until when nothing is due at all, if a cycle found everything as it has to be; else `None`."""
    quiet = (
        outcome.error is None
        and all(one.action is Action.FRESH for one in outcome.certificates)
        and all(one.action is SiteAction.KEPT and not (one.due or one.error) for one in outcome.sites)
        and all(one.action is HookAction.KEPT for one in outcome.hooks)
    )
    dues = [policy.rest(snapshot, now) for snapshot in snapshots] if quiet else [None]
    dues += [one.next for one in outcome.sites]
    known = [due for due in dues if due]
    return min(known) if known and len(known) == len(dues) else None


def _held(snapshot: Snapshot, held: Failure, now: datetime) -> CertOutcome:
    said = f"{held.message}; it is not tried again before {held.retry:%Y-%m-%d %H:%M:%S} UTC"
    return _failed(snapshot, now, said, held.hint, Transient.exit_code)


def _failed(snapshot: Snapshot, now: datetime, error: str, hint: str, exit_code: int) -> CertOutcome:
    plain = _outcome(snapshot, Action.FAILED, now)
    return replace(plain, error=printable(error, LINE), hint=printable(hint), exit_code=exit_code)


def _outcome(snapshot: Snapshot, action: Action, now: datetime, detail: str = "") -> CertOutcome:
    material, sight, due = snapshot.material, snapshot.sight, policy.next_due(snapshot, now)
    page = policy.explanation(snapshot)
    told = [
        detail or sight.detail,
        "the placeholder stands in" if sight.placeholder else "",
        f"the CA explains when it wants it renewed at {page}" if page else "",
    ]
    return CertOutcome(
        name=snapshot.spec.name,
        action=action,
        next=due,
        not_after=material.not_after if material else None,
        fingerprint=material.fingerprints[0] if material else None,
        served=sight.served,
        detail=printable("; ".join(filter(None, told)), LINE),
        due=due <= now,
    )

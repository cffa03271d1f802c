"""The one decision, pure: what a certificate needs next.

No I/O, no clock and no chance in here: the time is an argument, chance a number drawn by the caller.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from renewer.core.failure import Failure
from renewer.core.model import CertSpec, Material, Reason, Snapshot, Suggestion, Window
from renewer.core.timefmt import exactly


@dataclass(frozen=True)
class Issue:
    """Next: a new certificate from the CA at `directory_url`; `rehearse` is a CA to try it at before."""

    reason: str
    directory_url: str
    rehearse: str | None = None


@dataclass(frozen=True)
class Ask:
    """Next: ask the CA when it would like the certificate renewed (ARI)."""


@dataclass(frozen=True)
class Deploy:
    """Next: bring nginx to serve what is stored."""

    reason: str


@dataclass(frozen=True)
class Rest:
    """Next: nothing until `until`; `held` is the failure that keeps a due renewal waiting."""

    until: datetime
    held: Failure | None = None


Step = Issue | Ask | Deploy | Rest


@dataclass(frozen=True)
class Decision:
    """What a certificate needs, from one look at it at the time `now`.

    `step` is what to do next. `reason` says why a new certificate is needed, and is empty where none is;
    `unlike`, that the stored one is not what the configuration wants. `undeployed`: nginx has yet to take up
    what is stored. `standing` are the failures of which what failed is still to be done, the order's first.

    `renewal` is the instant from which the certificate is to be renewed. `next_due` is when anything is due,
    `now` where it is at once. `rests_until` is until when nothing at all is, `None` where anything is due or
    a failure is on record.
    """

    snapshot: Snapshot
    now: datetime
    step: Step
    reason: str
    unlike: bool
    undeployed: bool
    standing: tuple[Failure, ...]
    renewal: datetime
    next_due: datetime
    rests_until: datetime | None

    @property
    def stray(self) -> bool:
        """Whether an order is under way that nobody needs any more."""
        return self.snapshot.pending and not self.reason

    @property
    def mended(self) -> bool:
        """Whether a failure is on record that no longer applies; the next must not count from it."""
        known = (self.snapshot.failure, self.snapshot.deploys.failure)
        return any(failure and failure not in self.standing for failure in known)

    @property
    def explanation_url(self) -> str | None:
        """The page on which the CA explains its suggestion (RFC 9773, section 4.2), if it named one."""
        material, suggestion = self.snapshot.material, self.snapshot.suggestion
        if material is None or suggestion is None or not _concerns(suggestion, material):
            return None
        return suggestion.explanation_url


SHORT_LIFE = timedelta(days=10)
"""Certificates that live shorter are renewed at half their life, others at two thirds (Let's Encrypt)."""

REST = timedelta(hours=1)
"""How long a new certificate stays whatever speaks for renewing it; a tenth of its life if that is less.
With a wrong clock, or a window in the past, each would be due as soon as it is there."""

EMERGENCY = 19 / 20
"""The part of its life after which a certificate is renewed whatever the CA suggests."""

NEAR_THE_END = 4 / 5
"""The part of its life after which another CA may step in as soon as the first one fails."""

ASK_AT_LEAST, ASK_AT_MOST = timedelta(minutes=1), timedelta(hours=24)
"""The bounds within which a Retry-After on renewal information is honoured (RFC 9773, section 4.3.2)."""

ASK_DEFAULT = timedelta(hours=6)
"""When to look again if the CA gives no Retry-After (RFC 9773, section 4.3.3)."""


def decide(snapshot: Snapshot, now: datetime) -> Decision:
    """Return what a certificate needs."""
    reason, renewal = _why_issue(snapshot, now), _renewal(snapshot, now)
    undeployed = _undeployed(snapshot)
    step = _step(snapshot, reason, renewal, now, undeployed=undeployed)
    order = snapshot.failure if reason else None
    deploy = snapshot.deploys.failure if undeployed else None
    standing = tuple(failure for failure in (order, deploy) if failure)
    if standing:
        next_due = max(min(failure.retry for failure in standing), now)
    else:
        next_due = now if reason or undeployed else renewal
    return Decision(
        snapshot=snapshot,
        now=now,
        step=step,
        reason=reason,
        unlike=snapshot.material is None or bool(_difference(snapshot.spec, snapshot.material)),
        undeployed=undeployed,
        standing=standing,
        renewal=renewal,
        next_due=next_due,
        rests_until=_rests_until(snapshot, step),
    )


def _step(snapshot: Snapshot, reason: str, renewal: datetime, now: datetime, *, undeployed: bool) -> Step:
    directory_url = _choose_ca(snapshot, now)
    held = _held(snapshot, directory_url, now) if reason else None
    if reason and not held:
        return Issue(reason, directory_url, _rehearsal(snapshot, directory_url, now))
    if _asks(snapshot, now):
        return Ask()
    if undeployed:
        return Deploy(snapshot.sight.detail or "nginx does not serve what is stored")
    if held:
        return Rest(held.retry, held)
    return Rest(renewal)


def _rests_until(snapshot: Snapshot, step: Step) -> datetime | None:
    if not isinstance(step, Rest) or step.held or snapshot.failure or snapshot.deploys.failure:
        return None
    if snapshot.leftovers or snapshot.pending or snapshot.revocation:
        return None
    return min(step.until, snapshot.suggestion.ask_again) if snapshot.suggestion else step.until


def _choose_ca(snapshot: Snapshot, now: datetime) -> str:
    """Return the CA to order from: the first one, unless it failed and another may step in.

    Those that may take turns, each after the failure of the one before.
    """
    spec, failed = snapshot.spec, snapshot.failure
    if failed is None:
        return spec.directory_url
    near = snapshot.material is not None and now >= at_part_of_life(snapshot.material, NEAR_THE_END)
    down = now - failed.began
    ready = [other.directory_url for other in spec.fallbacks if near or down >= other.after]
    candidates = [spec.directory_url, *ready]
    if failed.directory_url not in candidates:
        return spec.directory_url
    return candidates[(candidates.index(failed.directory_url) + 1) % len(candidates)]


def _why_issue(snapshot: Snapshot, now: datetime) -> str:
    material = snapshot.material
    if material is None:
        return "there is none yet"
    if difference := _difference(snapshot.spec, material):
        return difference
    if why := _revoked(snapshot, material):
        return f"it is revoked ({why})"
    if snapshot.forced:
        return "it was asked for"
    if now >= _renewal(snapshot, now):
        return f"it is due (it ends {exactly(material.not_after)})"
    return ""


def _undeployed(snapshot: Snapshot) -> bool:
    """Return whether nginx has yet to take up what is stored; where nobody sees that, the record counts."""
    material, sight = snapshot.material, snapshot.sight
    if material is None:
        return False
    unseen = sight.served is None and snapshot.deploys.taken_up != material.fingerprints[0]
    return unseen or not sight.published or sight.served is False


def _renewal(snapshot: Snapshot, now: datetime) -> datetime:
    """Return the instant from which a certificate is to be renewed; `now` where there is none.

    What the CA suggests (ARI) goes first, bounded by an emergency rule near the end of life. A window that
    reaches beyond the end is no advice: some servers suggest the same days for every certificate. One that
    has just been obtained rests in any case.
    """
    material = snapshot.material
    if material is None:
        return now
    due = _suggested(material, snapshot.suggestion)
    if material.obtained is None:
        return due
    return max(due, material.obtained + min(REST, (material.not_after - material.not_before) / 10))


def _suggested(material: Material, suggestion: Suggestion | None) -> datetime:
    if suggestion is None or suggestion.instant is None or not _concerns(suggestion, material):
        return backstop(material)
    if suggestion.end is not None and suggestion.end >= material.not_after:
        return backstop(material)
    return min(suggestion.instant, at_part_of_life(material, EMERGENCY))


def backstop(material: Material) -> datetime:
    """Return when to renew without the CA's advice, from the certificate's own dates."""
    life = material.not_after - material.not_before
    return at_part_of_life(material, 1 / 2 if life < SHORT_LIFE else 2 / 3)


def at_part_of_life(material: Material, part: float) -> datetime:
    """Return the instant at which `part` (0 to 1) of the certificate's life is over."""
    return material.not_before + (material.not_after - material.not_before) * part


def choose(window: Window, ari: str, before: Suggestion | None, now: datetime, fraction: float) -> Suggestion:
    """Return the suggestion to keep for a window: its instant is drawn anew only when the window moved.

    `fraction` in [0, 1) is the chance that picks the instant (RFC 9773, section 4.2).
    """
    moved = before is None or (before.ari, before.start, before.end) != (ari, window.start, window.end)
    drawn = window.start + (window.end - window.start) * fraction
    return Suggestion(
        ari=ari,
        ask_again=now + min(max(window.retry_after, ASK_AT_LEAST), ASK_AT_MOST),
        start=window.start,
        end=window.end,
        instant=drawn if moved or before is None else before.instant,
        explanation_url=window.explanation_url,
    )


def unanswered(before: Suggestion | None, ari: str, now: datetime) -> Suggestion:
    """Return the suggestion to keep when the CA did not answer: the old one, to be asked again later."""
    if before is None or before.ari != ari:
        before = Suggestion(ari, ask_again=now)
    return replace(before, ask_again=now + ASK_DEFAULT)


def _revoked(snapshot: Snapshot, material: Material) -> Reason | None:
    asked = (one.reason for one in snapshot.revocations if one.concerns(material))
    return next(asked, snapshot.revoked)


def _difference(spec: CertSpec, material: Material) -> str:
    if not material.directory_url:
        return "nothing tells which CA the stored one is from"
    if material.directory_url not in spec.directory_urls:
        return f"the stored one is from another CA ({material.directory_url})"
    if any(set(pair.domains) != set(spec.domains) for pair in material.pairs):
        return "the configuration names other domains"
    if {pair.kind for pair in material.pairs} != set(spec.keys):
        return "the configuration wants other keys"
    return ""


def _held(snapshot: Snapshot, directory_url: str, now: datetime) -> Failure | None:
    """Return the failure that binds whoever would ask this CA, with until when."""
    failure = snapshot.failure
    if failure is None or failure.at > now:  # one of the future is of a wrong clock
        return None
    whole = failure.retry if failure.binding and failure.directory_url in {directory_url, ""} else now
    until = failure.bound.get(directory_url, whole)
    return replace(failure, retry=until) if now < until else None


def _rehearsal(snapshot: Snapshot, directory_url: str, now: datetime) -> str | None:
    """Return where to try an order from the first CA before: after a failure, unless time is running out."""
    material, rehearse = snapshot.material, snapshot.spec.rehearse
    if rehearse is None or directory_url != snapshot.spec.directory_url or snapshot.failure is None:
        return None
    return None if material and now >= at_part_of_life(material, EMERGENCY) else rehearse


def _asks(snapshot: Snapshot, now: datetime) -> bool:
    material, suggestion = snapshot.material, snapshot.suggestion
    if (
        material is None
        or not (material.directory_url and material.pairs[0].ari)
        or now >= material.not_after
    ):
        return False
    if suggestion is None or not _concerns(suggestion, material):
        return True
    wait = suggestion.ask_again - now
    return wait <= timedelta(0) or wait > ASK_AT_MOST  # the second is what a wrong clock left behind


def _concerns(suggestion: Suggestion, material: Material) -> bool:
    return suggestion.ari == material.pairs[0].ari

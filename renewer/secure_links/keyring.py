"""Decides which keys a site has next. Pure; see `core.site` for the phases."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from renewer.core.clock_skew import CLOCKS_DIFFER
from renewer.core.errors import RenewerError
from renewer.core.site import (
    AGAIN,
    Asked,
    Kept,
    Key,
    Retiring,
    Ring,
    SiteAction,
    SiteContext,
    SiteOutcome,
    SiteSpec,
)

Draw = Callable[[], str]
"""Returns a new master: 32 random bytes as hex."""


def wanted(spec: SiteSpec, kept: Kept, context: SiteContext, draw: Draw) -> Ring:
    """Return the keys that the site shall have now; the same as before if nothing is due.

    An earlier cycle's keys that nginx does not use yet come first, so a rotation is finished before the next
    one begins: a key that nginx may not know yet never becomes the current one.
    """
    before = kept.wanted or kept.served
    if before is None or _asked(spec, context) == Asked(spec.name, at_once=True):
        return _first(spec, before, context, draw)
    ring = before
    if _rotation_due(spec, ring, context) and not _rotating(kept):
        ring = _rotated(spec, ring, context, draw)
    retiring = tuple(one for one in ring.retiring if context.now < one.since + spec.grace)
    followed = (
        _followed(spec, context) if kept.served is None else {**_followed(spec, context), **ring.certificates}
    )
    certificates = {name: followed[name] for name in spec.follows if name in followed}
    return replace(ring, retiring=retiring, people=spec.people, certificates=certificates)


def rotation(spec: SiteSpec, ring: Ring) -> datetime:
    """Return when the next rotation is due at the latest.

    If keys rotate with the certificates, that is early enough for the last session of the current key to
    outlive the grace: a certificate that is not renewed must not lock people out.
    """
    return ring.since + spec.rotate if spec.rotate else ring.session_end - spec.grace


def honoured_until(spec: SiteSpec, ring: Ring) -> datetime | None:
    """Return when the oldest retiring key stops being accepted."""
    return min((one.since + spec.grace for one in ring.retiring), default=None)


def outcome(spec: SiteSpec, kept: Kept, ring: Ring, *, due: bool, detail: str = "") -> SiteOutcome:
    """Return the outcome for a site that gets these keys; `detail` says what is missing in nginx."""
    rotated = kept.served is None or kept.served.current != ring.current
    until, planned = honoured_until(spec, ring), rotation(spec, ring)
    return SiteOutcome(
        name=spec.name,
        action=SiteAction.ROTATED if rotated else SiteAction.KEPT,
        next=min(planned, until or planned),
        due=due,
        since=ring.since,
        rotation=planned,
        honoured_until=until,
        people=spec.people,
        detail=detail,
    )


def ahead(told: SiteOutcome, spec: SiteSpec, kept: Kept, now: datetime) -> SiteOutcome:
    """Return the outcome before it is applied, with the keys that the site has at present."""
    if not told.due:
        return told
    until = honoured_until(spec, kept.served) if kept.served else None
    return replace(
        told,
        next=now,
        since=kept.served.since if kept.served else None,
        rotation=now if told.action is SiteAction.ROTATED else told.rotation,
        honoured_until=until,
    )


def held(spec: SiteSpec, kept: Kept, error: RenewerError, now: datetime) -> SiteOutcome:
    """Return the outcome for a site whose keys and people are left alone, because of this error."""
    ring = kept.served
    return SiteOutcome(
        name=spec.name,
        action=SiteAction.KEPT,
        next=now + AGAIN,
        since=ring.since if ring else None,
        people=ring.people if ring else (),
        error=str(error),
        hint=error.hint,
        exit_code=error.exit_code,
    )


def _first(spec: SiteSpec, before: Ring | None, context: SiteContext, draw: Draw) -> Ring:
    """Return two new keys and no old one."""
    count = before.count if before else 0
    return Ring(
        published=Key(f"k{count + 2}", draw()),
        current=Key(f"k{count + 1}", draw()),
        since=context.now,
        session_end=context.now + spec.session,
        count=count + 2,
        people=spec.people,
        certificates=_followed(spec, context),
    )


def _rotated(spec: SiteSpec, ring: Ring, context: SiteContext, draw: Draw) -> Ring:
    return Ring(
        published=Key(f"k{ring.count + 1}", draw()),
        current=ring.published,
        since=context.now,
        session_end=context.now + spec.session,
        count=ring.count + 1,
        retiring=(*ring.retiring, Retiring(ring.current, context.now)),
        certificates=_followed(spec, context),
    )


def _rotation_due(spec: SiteSpec, ring: Ring, context: SiteContext) -> bool:
    if _asked(spec, context) or context.now >= rotation(spec, ring):
        return True
    if ring.since - context.now > CLOCKS_DIFFER:  # the clock was ahead: not due for too long
        return True
    renewed = (
        name for name in spec.follows if context.certificates.get(name, "") != ring.certificates.get(name)
    )
    return spec.rotate is None and any(
        name in ring.certificates and name in context.certificates for name in renewed
    )


def _rotating(kept: Kept) -> bool:
    """Return whether a rotation is under way that nginx has not taken up."""
    if kept.wanted is None:
        return False
    return kept.served is None or kept.served.published != kept.wanted.published


def _asked(spec: SiteSpec, context: SiteContext) -> Asked | None:
    return context.asked if context.asked and context.asked.site == spec.name else None


def _followed(spec: SiteSpec, context: SiteContext) -> Mapping[str, str]:
    return {name: context.certificates[name] for name in spec.follows if name in context.certificates}

"""Decides which messages to send after a cycle. Pure.

A problem is notified once, unless it is a "try later" that does not last; the expiry of a certificate at two
points of its life and at its end; a recovery once, to the recipients that were told of the problem.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from renewer.core.errors import RenewerError, Transient
from renewer.core.hook import HookOutcome
from renewer.core.model import CertOutcome, Material, Outcome
from renewer.core.notice import (
    CYCLE,
    Heard,
    Life,
    Message,
    Notice,
    NoticeKind,
    Record,
    SubjectStatus,
    Trouble,
    Warned,
)
from renewer.core.printable import printable
from renewer.core.site import SiteOutcome
from renewer.core.timefmt import at, distance

LASTING = timedelta(days=1)
"""How long a "try later" has to last to be notified."""

OF_LIFE = 1 / 10
"""How long at most, as a share of the certificate's life."""

_CALL = re.compile(r"<(?=\S)|(?<![\w.+-])@(?=[\w&!])|\](?=\()")
"""Text that chats interpret: `@everyone`, `<!channel>`, `<URL|a text>`, `[a text](URL)`."""

LONGEST = 3000
"""Characters of a message: some services accept no more than 4,096."""


def certificate(name: str) -> str:
    """Return the subject of a certificate."""
    return f"certificate/{name}"


def site(name: str) -> str:
    """Return the subject of a site."""
    return f"site/{name}"


def hook(name: str) -> str:
    """Return the subject of a deploy hook."""
    return f"hook/{name}"


def findings(
    outcome: Outcome, broke: RenewerError | None, kept: Mapping[str, Material | None]
) -> tuple[SubjectStatus, ...]:
    """Return the status of every subject; `broke` ended the cycle early, `kept` has what is stored."""
    looked = {one.name: one for one in outcome.certificates}
    certificates = (_certificate(name, looked.get(name), material) for name, material in kept.items())
    sites = (_whole(site(one.name), f"the site {one.name}", one) for one in outcome.sites)
    hooks = (_whole(hook(one.name), one.name, one) for one in outcome.hooks)
    whole = SubjectStatus(CYCLE, "renewer")
    if outcome.error:
        whole = replace(whole, error=outcome.error, exit_code=outcome.code)
    if broke:
        whole = replace(whole, error=str(broke), hint=broke.hint, exit_code=broke.exit_code)
    return (whole, *certificates, *sites, *hooks)


def troubles(
    before: Mapping[str, Trouble], found: Sequence[SubjectStatus], now: datetime
) -> Mapping[str, Trouble]:
    """Return the problems after a cycle; a subject that it did not check keeps its state."""
    after = dict(before)
    for finding in found:
        if finding.looked and finding.error is None:
            after.pop(finding.subject, None)
        elif finding.error is not None:
            known = before.get(finding.subject, Trouble(now))
            since = min(known.since, now)  # the clock may have been set back
            grave = finding.exit_code != Transient.exit_code or now - since >= _patience(finding.life)
            after[finding.subject] = Trouble(since, known.grave or grave)
    return after


def news(
    found: Sequence[SubjectStatus], record: Record, recipient: str, now: datetime, share: float
) -> tuple[Notice, ...]:
    """Return the notices that are due for this recipient."""
    heard = record.heard.get(recipient, {})
    told = (
        _notice(
            one,
            record.troubles.get(one.subject),
            heard.get(one.subject, Heard()),
            one.life.warned(now, share) if one.life else Warned.NOT,
        )
        for one in found
    )
    return tuple(notice for notice in told if notice)


def verdict(found: Sequence[SubjectStatus], record: Record) -> bool | None:
    """Return whether all is well (True) or a checked subject failed (False); otherwise `None`.

    It is `None` for a "try later", and for a problem of something that this cycle did not check.
    """
    standing = record.troubles
    if any(one.looked and one.subject in standing and standing[one.subject].grave for one in found):
        return False
    return None if standing else True


def message(notices: Sequence[Notice], host: str, now: datetime) -> Message:
    """Return the notices as one message."""
    first, rest = notices[0], len(notices) - 1
    host = printable(host)
    title = f"renewer on {host}: {first.finding.name} {first.kind}" + (f", and {rest} more" if rest else "")
    body, left = "", len(notices)
    for notice in notices:
        paragraph = _paragraph(notice, now)
        if body and len(body) + len(paragraph) > LONGEST:
            body += f"And {left} more: see renewer status on {host}.\n\n"
            break
        body += paragraph[:LONGEST] + "\n\n"
        left -= 1
    return Message(title, body.rstrip(), good=all(one.kind is NoticeKind.RECOVERED for one in notices))


def _certificate(name: str, outcome: CertOutcome | None, material: Material | None) -> SubjectStatus:
    life = Life(material.fingerprints[0], material.not_before, material.not_after) if material else None
    if outcome is None:
        return SubjectStatus(certificate(name), name, life=life, looked=False)
    return SubjectStatus(certificate(name), name, outcome.error, outcome.hint, outcome.exit_code, life)


def _whole(subject: str, name: str, outcome: SiteOutcome | HookOutcome) -> SubjectStatus:
    return SubjectStatus(subject, name, outcome.error, outcome.hint, outcome.exit_code)


def _patience(life: Life | None) -> timedelta:
    return min(LASTING, (life.end - life.begin) * OF_LIFE) if life else LASTING


def _notice(finding: SubjectStatus, trouble: Trouble | None, heard: Heard, warned: Warned) -> Notice | None:
    """Return the notice that is due for a subject, if any."""
    before = heard.of(finding.life)
    failing = trouble.since if trouble and trouble.grave else None
    fingerprint = finding.life.fingerprint if finding.life else ""
    after = Heard(heard.trouble or failing, fingerprint, max(warned, before, key=lambda one: one.rank))
    if warned.rank > before.rank:
        kind = NoticeKind.EXPIRED if warned is Warned.OVER else NoticeKind.EXPIRING
        return Notice(kind, finding, after, trouble.since if trouble else None)
    if failing and heard.trouble is None:
        return Notice(NoticeKind.FAILED, finding, after, failing)
    if not finding.looked or trouble:
        return None
    renewed = heard.warned is not Warned.NOT and fingerprint not in {"", heard.fingerprint}
    if heard.trouble or (renewed and warned is Warned.NOT):
        quiet = Heard() if after.warned is Warned.NOT else replace(after, trouble=None)
        return Notice(NoticeKind.RECOVERED, finding, quiet, heard.trouble)
    return None


def _harmless(text: str) -> str:
    """Return a sentence without mentions and without links under another text, for a chat."""
    return _CALL.sub(r"\g<0> ", text)


def _paragraph(notice: Notice, now: datetime) -> str:
    """Return what happened, since when, and what to do."""
    finding, life = notice.finding, notice.finding.life
    lines = [f"{finding.name} {notice.kind}."]
    if notice.kind is NoticeKind.RECOVERED:
        lines += [f"It had been failing since {at(notice.since)}."] if notice.since else []
    elif finding.error:
        lines += [f"Problem: {_harmless(finding.error)}"]
        lines += [f"Since: {at(notice.since)}"] if notice.since else []
        lines += [f"What to do: {_harmless(finding.hint) or 'see renewer status'}"]
    else:
        lines += ["What to do: see renewer status and renewer renew"]
    if life:
        lines.append(f"Its certificate expires {at(life.end)}, {distance(life.end - now)}.")
    return "\n".join(lines)

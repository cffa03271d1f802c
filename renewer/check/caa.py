"""Decide whether CAA records let a CA issue (RFC 8659, with the parameters of RFC 8657). Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

METHOD = "dns-01"
"""The challenge type renewer uses."""

CRITICAL = 128
"""The flag that forbids a CA to issue if it does not know the tag (RFC 8659, section 4.1)."""

_ISSUE, _ISSUE_WILD = "issue", "issuewild"
_KNOWN = {_ISSUE, _ISSUE_WILD, "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"}
_TEXT = re.compile(r'(?P<flags>\d{1,3})\s+(?P<tag>[A-Za-z0-9]+)\s+"?(?P<value>.*?)"?\s*')


@dataclass(frozen=True)
class Property:
    """One CAA record: flags, tag in lower case, value."""

    flags: int
    tag: str
    value: str


@dataclass(frozen=True)
class Applicant:
    """The CA that would issue: its names in CAA records, and the URL of our account, if there is one."""

    identities: frozenset[str]
    account: str | None = None


def read(texts: Iterable[str]) -> list[Property]:
    """Return the records from their presentation form (`0 issue "letsencrypt.org"`); skip malformed ones."""
    found = (_TEXT.fullmatch(text) for text in texts)
    return [Property(int(one["flags"]), one["tag"].lower(), one["value"]) for one in found if one]


def climb(name: str) -> Iterator[str]:
    """Yield the names whose records apply to `name`: its own, then its parents (RFC 8659, section 3)."""
    labels = name.removeprefix("*.").split(".")
    for start in range(len(labels)):
        yield ".".join(labels[start:])


def refusal(records: Sequence[Property], applicant: Applicant, *, wildcard: bool) -> str:
    """Return why the records of a name forbid the CA to issue for it; empty if they allow it."""
    for record in records:
        if record.flags & CRITICAL and record.tag not in _KNOWN:
            return f"they have a critical tag that CAs do not know ({record.tag})"
    relevant = [record.value for record in records if record.tag == _ISSUE]
    wild = [record.value for record in records if record.tag == _ISSUE_WILD]
    if wildcard and wild:
        relevant = wild
    if not relevant:
        return ""  # records such as iodef alone forbid nothing (section 4.2)
    reasons = [_against(value, applicant) for value in relevant]
    if "" in reasons:
        return ""
    return next((one for one in reasons if one != _OTHER), None) or _only(relevant)


ACCOUNT = "only for the account"
"""Part of a refusal that concerns the account, not the CA (RFC 8657, section 3)."""

_OTHER = "another CA"


def _against(value: str, applicant: Applicant) -> str:
    """Return why one `issue` or `issuewild` value does not allow the applicant; empty if it does."""
    domain, parameters = _parts(value)
    if not domain or domain not in applicant.identities:
        return _OTHER
    uri = parameters.get("accounturi")
    if uri is not None and uri != applicant.account:
        return f"they let {domain} issue {ACCOUNT} {uri}"
    methods = parameters.get("validationmethods")
    if methods is not None and METHOD not in [one.strip() for one in methods.split(",")]:
        return f"they let {domain} issue only by {methods}, not by {METHOD}"
    return ""


def _parts(value: str) -> tuple[str, dict[str, str]]:
    """Return the CA's domain and the parameters after it (RFC 8659, section 4.2)."""
    domain, *rest = (part.strip() for part in value.split(";"))
    pairs = (part.partition("=") for part in rest if part)
    return domain.lower().rstrip("."), {tag.strip().lower(): text.strip() for tag, _, text in pairs}


def _only(values: Iterable[str]) -> str:
    allowed = sorted({domain for value in values if (domain := _parts(value)[0])})
    return f"they let only {', '.join(allowed)} issue" if allowed else "they let nobody issue"

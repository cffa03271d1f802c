"""Check whether the CAA records of every domain let the CA issue."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from renewer.check import caa
from renewer.check.caa import Applicant, Property
from renewer.check.context import Scene
from renewer.core.errors import RenewerError
from renewer.core.finding import Finding, Group, Topic
from renewer.core.rate_limits import BUILT_IN

LETS_ENCRYPT = frozenset({"letsencrypt.org"})
"""Let's Encrypt's name in CAA records (letsencrypt.org/docs/caa)."""

_TOPIC = Topic(Group.DNS)
_WHY = "a CA must refuse what CAA records do not allow, and each attempt counts as a failure"


def look(scene: Scene) -> Iterator[Finding]:
    """Yield whether the CAA records of every domain let the CAs issue that may be used."""
    names = dict.fromkeys(domain for spec in scene.config.specs for domain in spec.domains)
    found: dict[str, Found] = {}
    for name in names:
        try:
            found[name] = _records(scene, name)
        except RenewerError as error:
            hint = f"{error.hint}; a CA that gets no answer refuses, too"
            yield _TOPIC.error("caa", f"the CAA records of {name}: {error}", _WHY, hint)
    if found and not any(records for _, records in found.values()):
        yield _TOPIC.ok("caa", "no CAA record forbids any CA to issue")
        return
    for place, directory_url in enumerate(_servers(scene)):
        yield from _at(_applicant(scene, directory_url), directory_url, found, first=place == 0)


Found = tuple[str, tuple[Property, ...]]
"""The name that holds the CAA records that apply, and those records."""


def _servers(scene: Scene) -> Iterable[str]:
    return dict.fromkeys(
        directory_url for spec in scene.config.specs for directory_url in spec.directory_urls
    )


def _records(scene: Scene, name: str) -> Found:
    """Return the records that apply to a name, and the name that holds them (RFC 8659, section 3)."""
    for holder in caa.climb(name):
        if records := caa.read(scene.authorities().caa(holder)):
            return holder, tuple(records)
    return name, ()


def _at(
    applicant: Applicant, directory_url: str, found: Mapping[str, Found], *, first: bool
) -> Iterator[Finding]:
    """Yield the findings for one CA, one for all names with the same reason."""
    verdicts: dict[tuple[Found, str], list[str]] = defaultdict(list)
    for name, (holder, records) in found.items():
        if records:
            why_not = caa.refusal(records, applicant, wildcard=name.startswith("*."))
            verdicts[(holder, records), why_not].append(name)
    for ((holder, _), why_not), names in verdicts.items():
        if not applicant.identities:
            yield _unknown(holder, directory_url)
            return
        ca, whose = min(applicant.identities), ", ".join(names)
        if not why_not:
            yield _TOPIC.ok("caa", f"the CAA records of {holder} let {ca} issue for {whose}")
            continue
        what = f"the CAA records of {holder} forbid {ca} to issue for {whose}: {why_not}"
        tag = "issuewild" if all(name.startswith("*.") for name in names) else "issue"
        hint = f'add this CAA record to {holder}: 0 {tag} "{ca}"; or choose another [acme] server'
        if caa.ACCOUNT in why_not:
            own = applicant.account or "not created yet: remove accounturi until the first renewal creates it"
            hint = f"set accounturi to the URL of the account used here: {own}"
        yield (_TOPIC.error if first else _TOPIC.warning)("caa", what, _WHY, hint)


def _unknown(holder: str, directory_url: str) -> Finding:
    what = f"{holder} has CAA records, and the CA at {directory_url} does not say its own name in them"
    hint = "look up the CA's CAA name in its documentation, and compare the records"
    return _TOPIC.warning("caa", what, _WHY, hint)


def _applicant(scene: Scene, directory_url: str) -> Applicant:
    """Return the CA's identities, known ones or those its directory lists, with our account."""
    names = LETS_ENCRYPT if directory_url in BUILT_IN else frozenset[str]()
    if not names:
        with suppress(RenewerError):
            names = frozenset(scene.directory(directory_url).caa_identities)
    try:
        account = scene.vault.account(directory_url)
    except RenewerError:
        account = None
    return Applicant(names, account.url if account else None)

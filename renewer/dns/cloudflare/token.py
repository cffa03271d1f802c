"""What Cloudflare tells of a token, and of the zones that it sees."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import quote

from renewer.core.errors import Refused, Transient
from renewer.dns.cloudflare.client import PER_PAGE, Answer, Api
from renewer.dns.cloudflare.errors import explained

PAGES, OWNERS = 20, 10
"""How many pages of zones are read at most, and how many accounts are asked about a token."""


@dataclass(frozen=True)
class Verdict:
    """What the API says of a token: `active`, `disabled` or `expired`, and the bounds of its time."""

    status: str
    not_before: datetime | None = None
    expires: datetime | None = None
    owned: bool = False
    """Whether it belongs to an account, not to a user."""

    def good(self, now: datetime) -> bool:
        """Return whether the token opens anything now."""
        begun = self.not_before is None or self.not_before <= now
        return self.status == "active" and begun and (self.expires is None or self.expires > now)


@dataclass(frozen=True)
class Zone:
    """A zone; `name_servers` are those that its domain has to be delegated to, `account` the owner's id."""

    id: str
    name: str
    status: str
    paused: bool
    name_servers: tuple[str, ...]
    account: str = ""


@dataclass(frozen=True)
class Token:
    """The token that an API was opened with."""

    api: Api

    def verdict(self, identifiers: Iterable[str]) -> Verdict:
        """Return what is said of the token; raises `Refused` for one that is not valid.

        One that belongs to an account is known there only. Where that cannot be asked, it is good as soon as
        it is let at a zone with one of these identifiers.
        """
        try:
            return _verdict(self._ask("/user/tokens/verify"))
        except Refused:
            owners = dict.fromkeys(zone.account for zone in self._visible() if zone.account)
            for account in islice(owners, OWNERS):
                with suppress(Refused):
                    told = self._ask(f"/accounts/{quote(account, safe='')}/tokens/verify")
                    return replace(_verdict(told), owned=True)
            if owners or any(self.edits(one) for one in identifiers):
                return Verdict("active", owned=True)
            raise

    def _visible(self) -> tuple[Zone, ...]:
        try:
            return self.zones()
        except Refused:
            return ()

    def zones(self) -> tuple[Zone, ...]:
        """Return the zones that the token sees, those that are active last: none without Zone:Read.

        So of several with one name the last is the one that records go into.
        """
        found: list[Zone] = []
        for page in range(1, PAGES + 1):
            answer = self._ask("/zones", page=page, per_page=PER_PAGE)
            listed = answer.get("result")
            rows = listed[:PER_PAGE] if isinstance(listed, list) else []
            found += map(_zone, rows)
            if len(rows) < PER_PAGE:
                break
        return tuple(sorted(found, key=lambda zone: zone.status == "active"))

    def zone(self, identifier: str) -> Zone | None:
        """Return the zone with this identifier, `None` where the token may not see it."""
        try:
            return _zone(self._ask(f"/zones/{identifier}").get("result"))
        except Refused:
            return None

    def _ask(self, path: str, **query: str | int) -> Answer:
        """Return the whole answer; raises the error that a refusal means."""
        with explained():
            return self.api.get(path, query)

    def edits(self, identifier: str) -> bool:
        """Return whether the token is let at the records of a zone."""
        try:
            self._ask(f"/zones/{identifier}/dns_records", per_page=5)
        except Refused:
            return False
        return True


def _verdict(answer: Mapping[str, object]) -> Verdict:
    told = answer.get("result")
    if not isinstance(told, dict):
        raise Transient("Cloudflare's answer about the token makes no sense")
    return Verdict(str(told.get("status")), _when(told.get("not_before")), _when(told.get("expires_on")))


def _zone(told: object) -> Zone:
    if not isinstance(told, dict) or not told.get("id") or not told.get("name"):
        raise Transient("Cloudflare's answer about a zone makes no sense")
    account = told.get("account")
    servers = told.get("name_servers")
    return Zone(
        id=str(told["id"]),
        name=str(told["name"]).lower(),
        status=str(told.get("status") or "active"),
        paused=told.get("paused") is True,
        name_servers=tuple(str(one).lower().rstrip(".") for one in servers)
        if isinstance(servers, list)
        else (),
        account=str(account.get("id") or "") if isinstance(account, dict) else "",
    )


def _when(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)

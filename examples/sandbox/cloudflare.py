"""A stand-in for Cloudflare's API v4, as far as a client for DNS-01 can see of it."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from sandbox import rules
from sandbox.listener import Reply, Request, compact, failure
from sandbox.rules import ApiError
from sandbox.zones import Record, Zone, Zones

ACCOUNT = "5f1b9c0d2e3a4b6c7d8e9f0a1b2c3d4e"
"""The identifier of the account that all zones belong to."""

_BEARER = re.compile(r"Bearer [A-Za-z0-9_-]{40,}")
_IDENTIFIER = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Token:
    """An API token: the zones that it is for, whether it may see them (Zone:Read) and edit their records.

    A `status` other than active opens nothing any more. One that is `owned` belongs to the account, not to a
    user; `expires_on` and `not_before` are told as they are.
    """

    zones: tuple[str, ...]
    zone_read: bool = True
    id: str = "ed17574386854bf78a67040be0a770b0"
    dns_edit: bool = True
    status: str = "active"
    owned: bool = False
    expires_on: str | None = None
    not_before: str | None = None


@dataclass(frozen=True)
class Answer:
    """What an endpoint gives for the envelope."""

    result: object
    info: Mapping[str, int] | None = None
    messages: Sequence[Mapping[str, object]] = ()


class Api:
    """The endpoints, over zones and tokens that are shared with whoever made them."""

    def __init__(self, zones: Zones, tokens: Mapping[str, Token], name_servers: Sequence[str]) -> None:
        self._zones = zones
        self._tokens = tokens
        self._name_servers = name_servers

    def answer(self, request: Request) -> Reply:
        """Answer one call with Cloudflare's envelope."""
        try:
            return _success(self._routed(request))
        except ApiError as refusal:
            return failure(refusal.status, _error(refusal))

    def _routed(self, request: Request) -> Answer:
        """Pass a call on: the form of its header is checked here, the token by the endpoint."""
        header = request.headers.get("authorization")
        if header is None:
            raise ApiError(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
        scheme, _, secret = header.partition(" ")
        token = self._tokens.get(secret) if scheme == "Bearer" else None
        if token is None and not _BEARER.fullmatch(header):
            raise ApiError(
                400, 6003, "Invalid request headers", (6111, "Invalid format for Authorization header")
            )
        endpoint, identifiers = _route(request)
        return endpoint(self, _Visit(request, token), *identifiers)

    def verify(self, visit: "_Visit") -> Answer:
        """Say whether a user's token is good."""
        if visit.token is None or visit.token.owned:
            raise ApiError(401, 1000, "Invalid API Token")
        return _verdict(visit.token)

    def verify_owned(self, visit: "_Visit", account_id: str) -> Answer:
        """Say whether a token of the account is good."""
        if visit.token is None or not visit.token.owned or account_id != ACCOUNT:
            raise ApiError(401, 1000, "Invalid API Token")
        return _verdict(visit.token)

    def list_zones(self, visit: "_Visit") -> Answer:
        """List the zones that the token may see; without Zone:Read there are none."""
        token = visit.reader()
        seen = [zone for zone in self._zones.values() if token.zone_read and zone.name in token.zones]
        wanted = [zone for zone in seen if _zone_meets(zone.name, visit.request.query)]
        return _page([self._zone_json(zone) for zone in wanted], visit.request.query, usual=20, most=50)

    def get_zone(self, visit: "_Visit", zone_id: str) -> Answer:
        """Show one zone."""
        token = visit.reader()
        zone = self._zones.by_id(zone_id)
        if zone is None or zone.name not in token.zones or not token.zone_read:
            raise ApiError(403, 9109, "Unauthorized to access requested resource")
        return Answer(self._zone_json(zone))

    def list_records(self, visit: "_Visit", zone_id: str) -> Answer:
        """List the records of a zone that pass the filters."""
        records = self._editable(visit, zone_id).now.records.values()
        wanted = [_record_json(record) for record in records if _record_meets(record, visit.request.query)]
        return _page(wanted, visit.request.query, usual=100, most=5_000_000)

    def create(self, visit: "_Visit", zone_id: str) -> Answer:
        """Make a record."""
        zone = self._editable(visit, zone_id)
        with zone.change() as draft:
            record = rules.admit(rules.created(visit.body(), zone), draft)
        return Answer(_record_json(record))

    def batch(self, visit: "_Visit", zone_id: str) -> Answer:
        """Do everything in the batch, or nothing."""
        zone, body = self._editable(visit, zone_id), visit.body()
        if sum(len(_entries(body, part)) for part in _BATCH) > rules.BATCH_LIMIT:
            raise rules.malformed()
        with zone.change() as draft:
            done = {
                part: [step(zone, draft, entry) for entry in _entries(body, part)]
                for part, step in _BATCH.items()
            }
        return Answer(
            {part: [_record_json(record) for record in records] or None for part, records in done.items()}
        )

    def get_record(self, visit: "_Visit", zone_id: str, record_id: str) -> Answer:
        """Show one record."""
        return Answer(_record_json(_existing(self._editable(visit, zone_id).now.records, record_id)))

    def edit(self, visit: "_Visit", zone_id: str, record_id: str) -> Answer:
        """Change what the body names of a record."""
        return self._one(visit, zone_id, _patch, visit.body() | {"id": record_id})

    def update(self, visit: "_Visit", zone_id: str, record_id: str) -> Answer:
        """Write a record anew."""
        return self._one(visit, zone_id, _put, visit.body() | {"id": record_id})

    def delete(self, visit: "_Visit", zone_id: str, record_id: str) -> Answer:
        """Take a record out."""
        self._one(visit, zone_id, _remove, {"id": record_id})
        return Answer({"id": record_id})

    def _one(self, visit: "_Visit", zone_id: str, step: "_Step", entry: Mapping[str, Any]) -> Answer:
        zone = self._editable(visit, zone_id)
        with zone.change() as draft:
            return Answer(_record_json(step(zone, draft, entry)))

    def _editable(self, visit: "_Visit", zone_id: str) -> Zone:
        zone, token = self._zones.by_id(zone_id), visit.token
        allowed = token is not None and token.dns_edit and token.status == "active"
        if zone is None or token is None or not allowed or zone.name not in token.zones:
            raise ApiError(403, 10000, "Authentication error")
        return zone

    def _zone_json(self, zone: Zone) -> dict[str, object]:
        created = _stamp(zone.created_on)
        return {
            "id": zone.id,
            "name": zone.name,
            "status": zone.status,
            "paused": zone.paused,
            "type": "full",
            "development_mode": 0,
            "name_servers": list(zone.name_servers or self._name_servers),
            "original_name_servers": None,
            "original_registrar": None,
            "original_dnshost": None,
            "modified_on": created,
            "created_on": created,
            "activated_on": created,
            "meta": {
                "step": 2,
                "custom_certificate_quota": 0,
                "page_rule_quota": 3,
                "phishing_detected": False,
            },
            "owner": {"id": None, "type": "user", "email": None},
            "account": {"id": ACCOUNT, "name": "sandbox"},
            "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:read"],
            "plan": {
                "id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
                "name": "Free Website",
                "legacy_id": "free",
                "price": 0,
            },
        }


@dataclass(frozen=True)
class _Visit:
    """A call and the token that it showed, None for one that is well-formed but unknown."""

    request: Request
    token: Token | None

    def reader(self) -> Token:
        """Return the token, or refuse an unknown one with the words of the zone endpoints."""
        if self.token is None or self.token.status != "active":
            raise ApiError(403, 9109, "Invalid access token")
        return self.token

    def body(self) -> dict[str, Any]:
        """Return the JSON object that was sent."""
        try:
            document = json.loads(self.request.body or b"{}")
        except ValueError as error:
            raise rules.malformed() from error
        if not isinstance(document, dict):
            raise rules.malformed()
        return document


_Step = Callable[[Zone, dict[str, Record], Mapping[str, Any]], Record]
_Endpoint = Callable[..., Answer]


def _remove(_zone: Zone, draft: dict[str, Record], entry: Mapping[str, Any]) -> Record:
    return draft.pop(_existing(draft, entry.get("id")).id)


def _patch(zone: Zone, draft: dict[str, Record], entry: Mapping[str, Any]) -> Record:
    return rules.admit(rules.patched(_existing(draft, entry.get("id")), entry, zone), draft)


def _put(zone: Zone, draft: dict[str, Record], entry: Mapping[str, Any]) -> Record:
    return rules.admit(rules.overwritten(_existing(draft, entry.get("id")), entry, zone), draft)


def _post(zone: Zone, draft: dict[str, Record], entry: Mapping[str, Any]) -> Record:
    return rules.admit(rules.created(entry, zone), draft)


# Cloudflare works through a batch in this order, whatever the order in the body.
_BATCH: dict[str, _Step] = {"deletes": _remove, "patches": _patch, "puts": _put, "posts": _post}

_ROUTES: tuple[tuple[str, str, _Endpoint], ...] = (
    ("GET", "/user/tokens/verify", Api.verify),
    ("GET", "/accounts/:id/tokens/verify", Api.verify_owned),
    ("GET", "/zones", Api.list_zones),
    ("GET", "/zones/:id", Api.get_zone),
    ("GET", "/zones/:id/dns_records", Api.list_records),
    ("POST", "/zones/:id/dns_records", Api.create),
    ("POST", "/zones/:id/dns_records/batch", Api.batch),
    ("GET", "/zones/:id/dns_records/:id", Api.get_record),
    ("PATCH", "/zones/:id/dns_records/:id", Api.edit),
    ("PUT", "/zones/:id/dns_records/:id", Api.update),
    ("DELETE", "/zones/:id/dns_records/:id", Api.delete),
)


def _verdict(token: Token) -> Answer:
    times = {"expires_on": token.expires_on, "not_before": token.not_before}
    told = {"id": token.id, "status": token.status} | {key: time for key, time in times.items() if time}
    if token.status != "active":
        return Answer(told)
    valid = {"code": 10000, "message": "This API Token is valid and active", "type": None}
    return Answer(told, messages=[valid])


def _route(request: Request) -> tuple[_Endpoint, list[str]]:
    """Return the endpoint of a call and the identifiers in its path."""
    known = False
    for method, pattern, endpoint in _ROUTES:
        found = re.fullmatch(pattern.replace(":id", "([^/]+)"), request.path)
        if found is None or not all(_IDENTIFIER.fullmatch(one) for one in found.groups()):
            continue
        known = True
        if method == request.method:
            return endpoint, list(found.groups())
    if known:
        raise ApiError(405, 7001, f"Method {request.method} not available for that URI.")
    message = f"Could not route to /client/v4{request.path}, perhaps your object identifier is invalid?"
    raise ApiError(404, 7003, message)


def _success(answer: Answer) -> Reply:
    envelope = {"result": answer.result, "success": True, "errors": [], "messages": answer.messages}
    if answer.info is not None:
        envelope["result_info"] = answer.info
    return Reply(200, compact(envelope))


def _error(refusal: ApiError) -> dict[str, object]:
    error: dict[str, object] = {"code": refusal.code, "message": refusal.message}
    if refusal.chained:
        error["error_chain"] = [{"code": code, "message": message} for code, message in refusal.chained]
    return error


def _page(rows: Sequence[object], query: Mapping[str, str], *, usual: int, most: int) -> Answer:
    """Return one page of the rows; the one after the last is empty, not an error."""
    page, size = _count(query, "page", 1), min(_count(query, "per_page", usual), most)
    cut = rows[(page - 1) * size : page * size]
    total = {"total_count": len(rows), "total_pages": ceil(len(rows) / size)}
    return Answer(cut, {"page": page, "per_page": size, "count": len(cut)} | total)


def _count(query: Mapping[str, str], name: str, usual: int) -> int:
    text = query.get(name, str(usual))
    if not text.isdecimal() or int(text) < 1:
        raise ApiError(400, 1001, f"Invalid value for {name}")
    return int(text)


def _entries(body: Mapping[str, Any], part: str) -> list[Mapping[str, Any]]:
    entries = body.get(part) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise rules.malformed()
    return entries


def _existing(records: Mapping[str, Record], record_id: object) -> Record:
    record = records.get(str(record_id))
    if record is None:
        raise ApiError(404, 81044, "Record does not exist.")
    return record


# How a filter compares what is asked for with what is there; case never counts.
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "exact": lambda asked, there: asked == there,
    "contains": lambda asked, there: asked in there,
    "startswith": lambda asked, there: there.startswith(asked),
    "endswith": lambda asked, there: there.endswith(asked),
    "present": lambda _, there: bool(there),
    "absent": lambda _, there: not there,
}


def _zone_meets(name: str, query: Mapping[str, str]) -> bool:
    operator, _, asked = query.get("name", "contains:").rpartition(":")
    plain = {"": "exact", "equal": "exact"}.get(operator, operator.replace("_", ""))
    return _meets(plain, asked, name) and query.get("status", "active") == "active"


def _record_meets(record: Record, query: Mapping[str, str]) -> bool:
    """Tell whether a record passes the filters: all of them, or with `match=any` at least one."""
    verdicts = [
        _meets(operator or "exact", asked, getattr(record, field) or "")
        for key, asked in query.items()
        for field, _, operator in (key.partition("."),)
        if field in {"type", "name", "content", "comment"}
    ]
    return not verdicts or (any(verdicts) if query.get("match") == "any" else all(verdicts))


def _meets(operator: str, asked: str, there: str) -> bool:
    if operator not in _OPERATORS:
        raise ApiError(400, 1001, f"Invalid filter operator {operator}")
    return _OPERATORS[operator](asked.lower(), there.lower())


def _record_json(record: Record) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": record.id,
        "name": record.name,
        "type": record.type,
        "content": record.content,
        "proxiable": record.type != "TXT",
        "proxied": record.proxied,
        "ttl": record.ttl,
        "settings": {},
        "meta": {},
        "comment": record.comment,
        "tags": [],
        "created_on": _stamp(record.created_on),
        "modified_on": _stamp(record.modified_on),
    }
    return shown | ({"comment_modified_on": shown["modified_on"]} if record.comment else {})


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

"""What Cloudflare accepts as a DNS record on a Free zone, and the words with which it refuses the rest."""

import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sandbox.zones import Record, Zone

AUTOMATIC_TTL = 1
LONGEST_COMMENT = 100
LONGEST_NAME = 253
LONGEST_STRING = 255
LONGEST_TXT_ON_WIRE = 4096
LONGEST_TXT_PER_NAME = 8192
BATCH_LIMIT = 200

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)|\*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


class ApiError(Exception):
    """A refusal: the HTTP status, Cloudflare's own code and message, and the errors that it chains to it."""

    def __init__(self, status: int, code: int, message: str, *chained: tuple[int, str]) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.chained = chained


def invalid(code: int, message: str) -> ApiError:
    """Return the refusal of a record that is not valid in itself."""
    return ApiError(400, code, message)


def malformed() -> ApiError:
    """Return the refusal of a body that is not of the form asked for."""
    return invalid(9207, "Request body is invalid.")


@dataclass(frozen=True)
class Fields:
    """What a caller may say about a record, each field with Cloudflare's default."""

    name: str
    type: str
    content: str
    ttl: int = AUTOMATIC_TTL
    comment: str | None = None
    proxied: bool = False


def created(body: Mapping[str, Any], zone: Zone) -> Record:
    """Return the new record that a POST asks for."""
    fields = _fields(body, zone)
    stamp = datetime.now(UTC)
    return Record(id=secrets.token_hex(16), created_on=stamp, modified_on=stamp, **vars(fields))


def overwritten(old: Record, body: Mapping[str, Any], zone: Zone) -> Record:
    """Return the record after a PUT: what the body leaves out falls back to its default."""
    return replace(old, modified_on=datetime.now(UTC), **vars(_fields(body, zone)))


def patched(old: Record, body: Mapping[str, Any], zone: Zone) -> Record:
    """Return the record after a PATCH: what the body leaves out stays."""
    kept = {name: getattr(old, name) for name in Fields.__dataclass_fields__}
    return overwritten(old, kept | dict(body), zone)


def admit(record: Record, draft: dict[str, Record]) -> Record:
    """Put the record into the draft of a zone, unless it clashes with what is there."""
    others = [one for one in draft.values() if one.name == record.name and one.id != record.id]
    if any(_identical(record, one) for one in others):
        raise invalid(81058, "An identical record already exists.")
    if record.type == "CNAME" and others:
        raise invalid(81053, "An A, AAAA, or CNAME record with that host already exists.")
    if any(one.type == "CNAME" for one in others):
        raise invalid(81054, "A CNAME record with that host already exists.")
    together = [record.content] + [one.content for one in others if one.type == record.type]
    if record.type == "TXT" and sum(map(len, together)) > LONGEST_TXT_PER_NAME:
        raise invalid(
            83011,
            "Combined content length of records with this name and type must not exceed 8192 characters.",
        )
    draft[record.id] = record
    return record


def strings(content: str) -> tuple[bytes, ...]:
    """Return the character strings of a TXT record, as they travel on the wire.

    Quoted strings are taken one by one; anything else is one string. What is longer than 255 bytes is split.
    """
    quoted = _QUOTED.findall(content) if content.startswith('"') else ()
    texts = [re.sub(r"\\(.)", r"\1", text) for text in quoted] or [content]
    return tuple(part for text in texts for part in _pieces(text.encode()))


def _pieces(text: bytes) -> list[bytes]:
    starts = range(0, len(text), LONGEST_STRING) if text else (0,)
    return [text[start : start + LONGEST_STRING] for start in starts]


def _identical(one: Record, other: Record) -> bool:
    if one.type != other.type:
        return False
    if one.type == "TXT":
        return b"".join(strings(one.content)) == b"".join(strings(other.content))
    return one.content.lower() == other.content.lower()


def _fields(body: Mapping[str, Any], zone: Zone) -> Fields:
    known = {name: body[name] for name in Fields.__dataclass_fields__ if name in body}
    try:
        fields = Fields(**known)
    except TypeError as missing:
        raise malformed() from missing
    if not all(isinstance(text, str) for text in (fields.name, fields.type, fields.content)):
        raise malformed()
    fields = replace(fields, name=_complete(fields.name, zone.name), type=fields.type.upper())
    _check_name(fields.name)
    _check_ttl(fields.ttl)
    _check_comment(fields.comment)
    _check_content(fields.type, fields.content)
    if fields.proxied and fields.type == "TXT":
        raise invalid(9004, "This record type cannot be proxied.")
    return replace(fields, ttl=int(fields.ttl))


def _complete(name: str, zone: str) -> str:
    """Return the complete name: one that does not end with the zone's is taken as relative to it."""
    name = name.lower().rstrip(".")
    if name in {"@", zone}:
        return zone
    return name if name.endswith(f".{zone}") else f"{name}.{zone}"


def _valid_name(name: str) -> bool:
    return len(name) <= LONGEST_NAME and all(_LABEL.fullmatch(label) for label in name.lower().split("."))


def _check_name(name: str) -> None:
    if not _valid_name(name):
        raise invalid(9000, "DNS name is invalid.")


def _check_ttl(ttl: object) -> None:
    if isinstance(ttl, bool) or not isinstance(ttl, int | float):
        raise malformed()
    if ttl != AUTOMATIC_TTL and not 60 <= ttl <= 86400:  # noqa: PLR2004  # the two figures of the message below
        raise invalid(9021, "TTL must be between 60 and 86400 seconds, or 1 for Automatic.")


def _check_comment(comment: object) -> None:
    if not isinstance(comment, str | None):
        raise malformed()
    if comment and len(comment) > LONGEST_COMMENT:
        raise invalid(9313, "DNS record comment exceeds the maximum length of 100 characters.")


def _check_content(kind: str, content: str) -> None:
    match kind:
        case "A":
            _check_address(
                ipaddress.IPv4Address, content, 9005, "Content for A record must be a valid IPv4 address."
            )
        case "AAAA":
            _check_address(
                ipaddress.IPv6Address, content, 9006, "Content for AAAA record must be a valid IPv6 address."
            )
        case "CNAME":
            if not _valid_name(content.rstrip(".")):
                raise invalid(9007, "Content for CNAME record is invalid.")
        case "TXT":
            _check_text(content)
        case _:
            raise malformed()


def _check_address(form: type, content: str, code: int, message: str) -> None:
    try:
        form(content)
    except ValueError as bad:
        raise invalid(code, message) from bad


def _check_text(content: str) -> None:
    if not content:
        raise malformed()
    if sum(1 + len(string) for string in strings(content)) > LONGEST_TXT_ON_WIRE:
        raise invalid(9015, "Record content exceeds the allowed length of 4096 wire format bytes.")

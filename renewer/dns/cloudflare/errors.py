"""What Cloudflare says when it says no: the codes of its API in plain words."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from renewer.core.errors import Refused, RenewerError, Transient
from renewer.core.printable import PART, printable

IDENTICAL = {81057, 81058}
"""The record exists already; the second code is for one that is the same to the letter."""

ABSENT = {81044}
"""No such record."""

MOST, DEPTH = 10, 3
"""How many errors of a list are read, and how far into their chains."""

TOO_MANY_REQUESTS, INTERNAL_SERVER_ERROR = 429, 500
"""HTTP statuses (RFC 6585; RFC 9110)."""

REMEDY = (
    "make an API token with Zone:DNS:Edit (and Zone:Zone:Read, unless zone_ids are configured)"
    " at https://dash.cloudflare.com/profile/api-tokens"
)

HINTS = {
    1000: f"the API token is not valid: {REMEDY}",
    1009: "the token does not allow this machine's address: mend its IP filter",
    6003: f"the API token is malformed; copy it again, whole and without quotes, or {REMEDY}",
    6111: f"the API token is malformed; copy it again, whole and without quotes, or {REMEDY}",
    7000: "check [cloudflare] zone_ids and base_url",
    7003: "check [cloudflare] zone_ids: the zone's page in the dashboard shows its identifier",
    9021: "Cloudflare does not take this TTL: please report it",
    9103: "this is a Global API Key or an unknown e-mail; renewer wants an API token: " + REMEDY,
    9109: f"the token is revoked, expired, or not allowed from this address: look at it, or {REMEDY}",
    10000: f"the token may not edit the DNS of this zone: {REMEDY}",
}
"""What to do about an error of Cloudflare, by its code."""


class Said(Exception):
    """Cloudflare's refusal with its codes."""

    def __init__(self, status: int, codes: Mapping[int, str], wait: timedelta | None) -> None:
        self.status = status
        self.codes = codes.keys()
        self.retry_after = wait
        words = "; ".join(f"{message} (code {code})" for code, message in codes.items())
        super().__init__(words or f"HTTP {status}, without a reason")

    @property
    def declined(self) -> bool:
        """Whether it was understood and not wanted; others of what it held may be."""
        return not self.limited and self.status < INTERNAL_SERVER_ERROR

    @property
    def limited(self) -> bool:
        """Whether it was one call too many."""
        return self.status == TOO_MANY_REQUESTS

    def explained(self) -> RenewerError:
        """Return the error that tells a person what to do."""
        said = f"Cloudflare said: {self}"
        if self.limited:
            hint = "its limit is 1,200 calls in 5 minutes for all programs of this user"
            return Transient(said, hint=hint, retry_after=self.retry_after, undone=True)
        if self.status >= INTERNAL_SERVER_ERROR:
            return Transient(said, hint="it is tried again later", retry_after=self.retry_after)
        hint = next((HINTS[code] for code in self.codes if code in HINTS), "")
        return Refused(said, hint=hint or "see https://www.cloudflarestatus.com and the token's permissions")


@contextmanager
def explained() -> Iterator[None]:
    """Turn a refusal into the error that tells a person what to do."""
    try:
        yield
    except Said as said:
        raise said.explained() from said


def codes(body: object, depth: int = DEPTH) -> dict[int, str]:
    """Return the errors of an answer, those of its error_chain included, by code."""
    found: dict[int, str] = {}
    listed = body.get("errors") if isinstance(body, dict) and depth else None
    for error in listed[:MOST] if isinstance(listed, list) else ():
        if isinstance(error, dict) and isinstance(error.get("code"), int):
            found[error["code"]] = printable(str(error.get("message", "")), PART)
            found.update(codes({"errors": error.get("error_chain")}, depth - 1))
    return found

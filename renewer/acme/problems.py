"""The error answers of a CA: problem documents (RFC 7807; RFC 8555, section 6.7) in plain words."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from renewer.core.errors import Refused, RenewerError, Transient
from renewer.core.printable import PART, printable

URN = "urn:ietf:params:acme:error:"

RATE_LIMITED = "rateLimited"

TRANSIENT = {RATE_LIMITED, "serverInternal", "badNonce", "orderNotReady"}
"""The error types that are temporary."""

BUSY = {429, 503}
"""Too Many Requests (RFC 6585) and Service Unavailable (RFC 9110)."""

NOT_FOUND, SERVER_ERROR = 404, 500

HINTS = {
    "accountDoesNotExist": "the CA does not know the account any more; the next run makes it anew",
    "badCSR": "the CA does not take such a key or such names: change keys or profile of the certificate",
    "caa": "the CAA records of the domain forbid this CA: allow it there, or take another [acme] server",
    "dns": "the CA could not look up the domain: check its delegation and its DNSSEC",
    "externalAccountRequired": "set [acme] eab_kid and eab_hmac_key_file as the CA gave them to you",
    "incorrectResponse": "the CA saw another TXT record: check the domain's name servers and any CNAME",
    "invalidContact": "set [acme] email to an address that exists, or leave it out",
    "invalidProfile": "set profile to one that the CA's directory lists, or leave it out",
    "rejectedIdentifier": "the CA does not issue for this name: check its spelling",
    "unauthorized": "check that the CA sees the same name servers for the domain as this machine does",
    "unsupportedContact": "set [acme] email to an ordinary address, or leave it out",
    "unsupportedIdentifier": "the CA does not issue for this kind of name",
    "userActionRequired": "the CA's terms have changed: read them at the address that it gives",
}
"""The hint for each type of error."""


class Problem(Exception):
    """An error answer of the CA with all its details, including Retry-After."""

    def __init__(self, status: int, document: object, retry_after: timedelta | None) -> None:
        known: Mapping[str, object] = document if isinstance(document, dict) else {}
        self.status = status
        self.kind = str(known.get("type", "")).removeprefix(URN)
        self.retry_after = retry_after
        super().__init__("; ".join(_details(known)) or f"HTTP {status}, without a reason")

    @property
    def passing(self) -> bool:
        """Whether the problem may be temporary."""
        return self.kind in TRANSIENT or self.status in BUSY or self.status >= SERVER_ERROR

    def explained(self, directory_url: str) -> RenewerError:
        """Return the error that tells a person what to do."""
        said = f"the CA at {directory_url} said: {self}"
        if self.passing:
            return Transient(said, hint="it is tried again later", retry_after=self.retry_after)
        if self.status == NOT_FOUND and not self.kind:
            return Refused(said, hint="check that [acme] server is the URL of an ACME directory")
        return Refused(said, hint=HINTS.get(self.kind, ""))


def _details(document: Mapping[str, object]) -> Iterator[str]:
    if detail := document.get("detail"):
        yield printable(str(detail), PART)
    subproblems = document.get("subproblems")
    for sub in subproblems if isinstance(subproblems, list) else ():
        if isinstance(sub, dict):
            identifier = sub.get("identifier")
            name = identifier.get("value", "") if isinstance(identifier, dict) else ""
            yield f"{printable(str(name), PART)}: {printable(str(sub.get('detail', '')), PART)}"

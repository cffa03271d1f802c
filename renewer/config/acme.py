"""`[acme]` of the configuration: the CAs, our accounts there, and their rate limits."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec

from renewer.config import fields
from renewer.config.fields import AbsolutePath, Duration
from renewer.config.reader import Table
from renewer.core import rate_limits
from renewer.core.errors import ConfigError
from renewer.core.rate_limits import Limit

DIRECTORIES = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
"""The CAs that can be configured by name."""


def server(text: str) -> str:
    """Return a CA: one of the names, or its directory URL (RFC 8555, section 7.1.1)."""
    if text in DIRECTORIES:
        return text
    if "://" not in text:
        raise ConfigError(f"is neither {' nor '.join(DIRECTORIES)} nor the https URL of an ACME directory")
    return fields.https_url(text)


def quota(text: str) -> tuple[int, timedelta]:
    """Return a count and a period, written like 300/3h."""
    count, slash, period = text.partition("/")
    if not slash or not re.fullmatch(r"[1-9][0-9]{0,8}", count):
        raise ConfigError("is not a limit; write it like 300/3h or 50/7d")
    length = fields.duration(period)
    if length > rate_limits.WEEK:
        raise ConfigError("has a period of more than 7d, the longest that renewer keeps track of")
    return int(count), length


Profile = Annotated[str, fields.matching(r"[!-~]+", "must be one word, as in the CA's directory")]
Quota = Annotated[tuple[int, timedelta], quota]
Server = Annotated[str, server]


class Limits(Table, frozen=True):
    """`[acme.limits]`: the rate limits of a CA; those of Let's Encrypt are built in."""

    orders: Quota | None = None
    certificates_per_domain: Quota | None = None
    certificates_per_set: Quota | None = None
    failed_authorizations: Quota | None = None

    def over(self, known: tuple[Limit, ...]) -> tuple[Limit, ...]:
        """Return the known limits of the CA, with the configured ones in their place."""
        own = {
            rate_limits.ORDERS: self.orders,
            rate_limits.PER_DOMAIN: self.certificates_per_domain,
            rate_limits.PER_SET: self.certificates_per_set,
            rate_limits.FAILURES: self.failed_authorizations,
        }
        found = {limit.rule: limit for limit in known}
        found |= {rule: Limit(rule, *quota) for rule, quota in own.items() if quota}
        return tuple(found.values())


class Authority(Table, frozen=True):
    """The settings that every CA has, with those of the account there."""

    server: Server = "letsencrypt"
    ca_bundle: AbsolutePath | None = None
    eab_kid: Annotated[str, fields.matching(r"[!-~]+", "must be one word, as the CA gave it")] | None = None
    eab_hmac_key_file: AbsolutePath | None = None
    limits: Limits = Limits()

    @property
    def directory(self) -> str:
        """The URL of the CA's directory."""
        return DIRECTORIES.get(self.server, self.server)

    def conflicts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield the missing half of an external account binding (RFC 8555, section 7.3.4)."""
        keys = ("eab_kid", "eab_hmac_key_file")
        if self.eab_kid is None and self.eab_hmac_key_file is not None:
            yield keys, "is missing, but eab_hmac_key_file is set; the CA issues both together"
        if self.eab_kid is not None and self.eab_hmac_key_file is None:
            yield keys[::-1], "is missing, but eab_kid is set; the CA issues both together"


class FallbackCa(Authority, frozen=True):
    """`[[acme.fallback]]`: another CA, used when those before it have failed for `after`."""

    server: Server
    after: Duration = timedelta(days=1)


class Acme(Authority, frozen=True):
    """`[acme]`: the main CA, and our account there."""

    email: Annotated[str, fields.email] | None = None
    accept_terms: bool = True
    profile: Profile | None = None
    rehearse: Server | None = None
    rehearse_ca_bundle: AbsolutePath | None = None
    fallbacks: tuple[FallbackCa, ...] = msgspec.field(default=(), name="fallback")

    @property
    def rehearsal(self) -> str | None:
        """The directory URL of the CA for rehearsals."""
        return DIRECTORIES.get(self.rehearse, self.rehearse) if self.rehearse else None

    def limits_at(self, directory: str) -> tuple[Limit, ...]:
        """Return the rate limits of the CA with this directory."""
        own = next((one for one in (self, *self.fallbacks) if one.directory == directory), None)
        known = rate_limits.BUILT_IN.get(directory, ())
        return own.limits.over(known) if own else known

    def bundle_at(self, directory: str) -> Path | None:
        """Return the file with the root certificates for this CA; `None` means the system's.

        A CA without a bundle of its own uses that of the main CA, unless it is a named one: those are public.
        """
        own = self.rehearse_ca_bundle if directory == self.rehearsal else self.at(directory).ca_bundle
        return own or (None if directory in DIRECTORIES.values() else self.ca_bundle)

    def at(self, directory: str) -> Authority:
        """Return the settings of the CA with this directory; for an unknown one, those of the main CA."""
        return next((other for other in self.fallbacks if other.directory == directory), self)

    def conflicts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield a CA that is configured twice, too."""
        yield from super().conflicts()
        others = [other.directory for other in self.fallbacks]
        if len({self.directory, *others}) <= len(others):
            yield ("fallback", "server"), "names a CA that is already configured; remove it"
        if self.rehearse and self.rehearsal in {self.directory, *others}:
            yield ("rehearse", "server"), "is the main CA; name a staging CA, such as letsencrypt-staging"

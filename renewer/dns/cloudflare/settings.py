"""`[cloudflare]` of the configuration: its keys, and where the token comes from that it leads to."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from renewer.config import fields, secrets
from renewer.config.fields import AbsolutePath
from renewer.config.providers import Credential, DnsTable
from renewer.core.domains import plain_domain

CREDENTIAL = "cloudflare_token"
"""The credential's name in systemd's `LoadCredential=`."""

VARIABLE = "CLOUDFLARE_API_TOKEN"

TOKEN_FILE = Path("/etc/renewer/cloudflare.token")
"""The default token file of a service."""

TOKEN_PAGE = "https://dash.cloudflare.com/profile/api-tokens"  # noqa: S105 - where one is made

_ADVICE = f"create an API token with Zone:DNS:Edit at {TOKEN_PAGE}"
_QUOTES = "\"'`"
_GLOBAL_API_KEY = re.compile(r"[0-9a-f]{37}")

ZoneId = Annotated[str, fields.matching(r"[0-9a-f]{32}", "is not a zone id, which has 32 of 0-9 and a-f")]


class Settings(DnsTable, frozen=True):
    """`[cloudflare]`: where the zones are."""

    provider: ClassVar[str] = "cloudflare"

    token_file: AbsolutePath | None = None
    base_url: Annotated[str, fields.https_or_local_url] = "https://api.cloudflare.com/client/v4"
    zone_ids: Mapping[Annotated[str, plain_domain], ZoneId] = {}

    @property
    def credentials(self) -> tuple[Credential, ...]:
        """The token."""
        place = "cloudflare.token_file"
        return (Credential(CREDENTIAL, "the Cloudflare token", place, self.token_file, TOKEN_FILE),)


def token(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return the token.

    It comes from `token_file`, else from systemd's credentials, else from the environment. If this user may
    not read `token_file`, systemd's credential is used: this is how an unprivileged service gets it. Raises
    `ConfigError` if there is no token, or one that cannot be valid.
    """
    place, value = _found(settings, environ)
    return _no_other_key(value, place)


def fit(value: str, place: str) -> str:
    """Return a token that was given at `place`; raises `ConfigError` for one that cannot be valid."""
    return _no_other_key(secrets.word(value.encode(errors="surrogateescape"), place), place)


def origin(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return the source of the token, in words; raises `ConfigError` like `token`."""
    place, _ = _found(settings, environ)
    return str(settings.token_file or place)


def _found(settings: Settings, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the source of the token, and the token."""
    written, handed = settings.token_file, secrets.source(None, CREDENTIAL, environ)
    if written and not (handed and secrets.denied(written)):
        place = "cloudflare.token_file"
        return place, secrets.read_secret(written, place)
    if handed:
        place = f"$CREDENTIALS_DIRECTORY/{CREDENTIAL}"
        return place, secrets.read_secret(handed, place)
    if VARIABLE in environ:
        place = f"${VARIABLE}"
        return place, secrets.word(environ[VARIABLE].encode(errors="surrogateescape"), place)
    ways = f"token_file under [cloudflare], systemd's LoadCredential={CREDENTIAL}, or ${VARIABLE}"
    raise secrets.fault("cloudflare", f"there is no token in {ways}", _ADVICE)


def _no_other_key(value: str, place: str) -> str:
    if _GLOBAL_API_KEY.fullmatch(value):
        raise secrets.fault(
            place, "this is a Global API Key, which gives access to the whole account", _ADVICE
        )
    if value[0] in _QUOTES or value[-1] in _QUOTES:
        raise secrets.fault(place, "the token is in quotes", "remove the quotes")
    return value

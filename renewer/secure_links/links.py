"""Makes the links that open a site. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from renewer.config import fields
from renewer.core import tokens
from renewer.core.errors import ConfigError, Refused
from renewer.core.site import Kept, Mode, Ring, SiteSpec

LIFE, URL_LIFE = timedelta(minutes=15), timedelta(days=1)
"""The default lifetimes of a link and of a signed URL."""


@dataclass(frozen=True)
class Wanted:
    """A requested link: for a person, or for the path of a URL; `end` is when it expires."""

    person: str | None
    uri: str | None
    end: datetime
    fragment: bool = False


def life(expires: str | None, uri: str | None) -> timedelta:
    """Return the lifetime of a link; raises `ConfigError`."""
    if expires is None:
        return URL_LIFE if uri else LIFE
    usual = "a day" if uri else "15 minutes"
    try:
        return fields.duration(expires)
    except ConfigError as error:
        raise ConfigError(f"--expires {error}", hint=f"omit it for {usual}, or write --expires 1h") from None


def find(specs: Sequence[SiteSpec], name: str) -> SiteSpec:
    """Return the site with this name; raises `ConfigError` if there is none."""
    for spec in specs:
        if spec.name == name:
            return spec
    known = ", ".join(spec.name for spec in specs)
    raise ConfigError(f"the configuration has no site named {name}", hint=f"its sites: {known or 'none'}")


def made(spec: SiteSpec, kept: Kept, wanted: Wanted) -> str:
    """Return the link, signed with a key that nginx is known to use; raises `RenewerError`."""
    ring = kept.served
    if ring is None:
        raise _not_yet(f"{spec.name} has no key in nginx yet")
    if kept.wanted and ring.current not in kept.wanted.honoured:
        raise _not_yet(f"the keys of {spec.name} are being replaced, and nginx does not use the new ones yet")
    if spec.mode is Mode.URL:
        return _url(spec, ring, wanted)
    return _opening(spec, ring, wanted)


def _url(spec: SiteSpec, ring: Ring, wanted: Wanted) -> str:
    if wanted.uri is None or wanted.person is not None or wanted.fragment:
        raise ConfigError(
            f"{spec.name} is in url mode: its links are signed URLs",
            hint=f"run: renewer link {spec.name} --uri /the/path",
        )
    return spec.host + tokens.url(ring.current, spec.name, wanted.uri, wanted.end)


def _opening(spec: SiteSpec, ring: Ring, wanted: Wanted) -> str:
    if wanted.person is None or wanted.uri is not None:
        raise ConfigError(
            f"{spec.name} is in session mode: its links are for a person",
            hint=f"run: renewer link {spec.name} {spec.people[0] if spec.people else 'PERSON'}",
        )
    if wanted.person not in spec.people:
        raise ConfigError(
            f"{spec.name} has no person {wanted.person}",
            hint=f"its people: {', '.join(spec.people) or 'none'}; see people in the configuration",
        )
    if wanted.person not in ring.people:
        raise _not_yet(f"nginx does not know {wanted.person} yet")
    token = tokens.link(ring.current, spec.name, wanted.person, wanted.end)
    return f"{spec.host}/.renewer/{'#' if wanted.fragment else 'enter?t='}{token}"


def _not_yet(why: str) -> Refused:
    return Refused(why, hint="run: renewer renew")

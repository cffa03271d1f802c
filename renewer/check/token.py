"""The Cloudflare token: whether one is there that could be right, and what Cloudflare says of it."""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta

from renewer.check.context import Scene
from renewer.check.finding import Finding, Group, Topic
from renewer.config import secrets
from renewer.core.errors import ConfigError, RenewerError, Transient
from renewer.dns.cloudflare.errors import REMEDY
from renewer.dns.cloudflare.token import Verdict

SOON = timedelta(days=30)
"""A token that ends within this is worth a word."""

_TOPIC = Topic(Group.TOKEN)
_WHY = "without a token no TXT record can be created, so nothing can be ordered or renewed"


def look(scene: Scene) -> Iterator[Finding]:
    """Yield what is found of the token; the token itself is never told."""
    try:
        secrets.token(scene.config, os.environ)
    except ConfigError as error:
        yield _TOPIC.refused("shape", error, _WHY)
        return
    yield from _source(scene)
    try:
        verdict = scene.verdict()
    except Transient as error:
        yield _TOPIC.refused("verify", error, "each order makes calls to Cloudflare's API")
        return
    except RenewerError as error:
        yield _TOPIC.refused("verify", error, _WHY)
        return
    yield _judged(verdict, scene.clock.now())


def _source(scene: Scene) -> Iterator[Finding]:
    """Yield that what a person has in the environment is not what a service has."""
    source = secrets.origin(scene.config, os.environ)
    if source != f"${secrets.VARIABLE}":
        yield _TOPIC.ok("shape", f"it is read from {source}")
        return
    yield _TOPIC.warning(
        "source",
        f"it comes from {source}",
        "cron and services have an environment of their own: what works here fails there",
        "put it into a file of mode 0600, and name that as token_file under [cloudflare]",
    )


def _judged(verdict: Verdict, now: datetime) -> Finding:
    if verdict.not_before and verdict.not_before > now:
        what = f"it is not valid before {_day(verdict.not_before)}"
        return _TOPIC.error("verify", what, _WHY, f"wait until then, or {REMEDY}")
    if verdict.status == "expired" or (verdict.expires and verdict.expires <= now):
        when = f" on {_day(verdict.expires)}" if verdict.expires else ""
        return _TOPIC.error(
            "verify", f"it expired{when}", _WHY, f"roll it in Cloudflare's dashboard, or {REMEDY}"
        )
    if verdict.status != "active":
        what = f"Cloudflare says that it is {verdict.status}"
        return _TOPIC.error("verify", what, _WHY, f"enable it in Cloudflare's dashboard, or {REMEDY}")
    if verdict.expires and verdict.expires - now < SOON:
        return _TOPIC.warning(
            "expiry",
            f"it expires on {_day(verdict.expires)}",
            "from then on nothing can be renewed, and Cloudflare sends no reminder",
            "give it a later end, or none, in Cloudflare's dashboard",
        )
    whose = "an account's token" if verdict.owned else "a user's token"
    until = f", valid until {_day(verdict.expires)}" if verdict.expires else ", without an end"
    return _TOPIC.ok("verify", f"Cloudflare knows it as valid: {whose}{until}")


def _day(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"

"""Everything that knows Cloudflare: settings, client, zones, records, errors, checks and set-up.

What is heavy is loaded when it is first needed: reading a configuration loads `settings` alone.
"""
# ruff: noqa: PLC0415  (see above: the late imports are the point)

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from renewer.core.interfaces import Clock, DnsProvider, Report
from renewer.dns.cloudflare.settings import Settings, fit
from renewer.dns.provider import Looks, Option, Prove, Provider, Scene, Setup

if TYPE_CHECKING:
    from renewer.store.state import State


def _build(settings: Settings, memory: "State", clock: Clock, report: Report) -> DnsProvider:
    """Return the provider; raises `ConfigError` where there is no token, or one that cannot be valid."""
    from renewer.dns.cloudflare.client import opened
    from renewer.dns.cloudflare.provider import CloudflareDns

    return CloudflareDns(opened(settings, clock, report), settings.zone_ids, memory)


def _diagnose(settings: Settings, scene: Scene, prove: Prove) -> Looks:
    """Return the looks at the token, at the zones and at where these are delegated to."""
    from renewer.dns.cloudflare.diagnose import Diagnosis

    return Diagnosis(settings, scene, prove).looks


def _setup(file: Path, options: Mapping[str, str | None]) -> Setup:
    """Return what asks for a token, and tries it."""
    from renewer.dns.cloudflare.setup import TokenSetup

    return TokenSetup(file, options.get("token_file"), options.get("base_url"))


PROVIDER = Provider(
    title="Cloudflare",
    settings=Settings,
    build=_build,
    diagnose=_diagnose,
    setup=_setup,
    options=(
        Option("--token-file", "FILE", "Cloudflare token file; created if missing."),
        Option("--base-url", "URL", "Base URL of Cloudflare's API.", Settings().base_url),
    ),
    fit=fit,
    status_page="https://www.cloudflarestatus.com",
)

"""Those outside who are told how cycles end: built from the configuration, loaded when somebody listens."""
# ruff: noqa: PLC0415  (the late imports are the point: where nobody listens, nothing of it is loaded)

import os
import socket
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from renewer.config import secrets
from renewer.config.schema import Config
from renewer.core.errors import ConfigError, Fault
from renewer.core.interfaces import Clock, Follower, Report
from renewer.store.files import FileStore
from renewer.store.state import State
from renewer.system import permissions, privileges

if TYPE_CHECKING:
    from renewer.notify.observer import Audience, Observer

EXTRAS = {"prometheus_client": "metrics", "apprise": "notify"}
"""The packages that are only there if somebody wants them, and the extra that brings each."""


Address = Callable[[], str]
"""How an address to ping is come by; raises `ConfigError` where its file has none."""


def observer(config: Config, clock: Clock, report: Report, follower: Follower) -> "Observer | None":
    """Return who tells those outside how cycles end, or `None` where nobody listens."""
    privileges.settle(config.state, config.secret_files, secrets.remember)
    audience = _audience(config, report)
    if audience is None:
        return None
    try:
        permissions.refuse_unsafe(config.state)
        follower.refuse_foreign()
    except ConfigError:
        return None  # `build` says so; nothing may be written there
    from renewer.notify.observer import Observer

    return Observer(
        config.specs,
        tuple(config.sites),
        hook_names(config),
        State(FileStore(config.state), report),
        audience,
        clock,
        report,
        socket.gethostname(),
        follower,
    )


def hook_names(config: Config) -> tuple[str, ...]:
    """Return what the hooks are called: by their places in the configuration."""
    return tuple(f"hook.command[{place}]" for place in range(len(config.hooks.commands)))


def unfit(config: Config) -> Iterator[Fault]:
    """Yield which packages are lacking for those whom the configuration wants told."""
    if config.metrics.textfile:
        yield from _lacking("metrics.textfile", "prometheus_client")
    if urls_file(config):
        yield from _lacking("notify.urls_file", "apprise")


def _audience(config: Config, report: Report) -> "Audience | None":
    gauges = recipients = pulse = None
    if config.metrics.textfile and find_spec("prometheus_client"):
        from renewer.notify.prometheus import Textfile

        gauges = Textfile(config.metrics.textfile)
    if urls := urls_file(config):
        from renewer.notify.messages import Addresses

        recipients = Addresses(urls, "notify.urls_file", report)
    if address := pinged(config):
        from renewer.notify.healthcheck import Ping

        pulse = Ping(address)
    if not (gauges or recipients or pulse):
        return None
    from renewer.notify.observer import Audience

    return Audience(gauges, recipients, pulse, config.notify.expiring)


def urls_file(config: Config) -> Path | None:
    """Return the file with the addresses of those who are told by message, if there is one."""
    return secrets.source(config.notify.urls_file, "notify_urls", os.environ)


def pinged(config: Config) -> Address | None:
    """Return how to come by the address to ping; a file is read for each cycle."""
    if address := config.notify.ping:
        return lambda: address
    path = secrets.source(config.notify.ping_file, "ping_url", os.environ)
    return (lambda: secrets.ping_address(path, "notify.ping_file")) if path else None


def _lacking(place: str, package: str) -> Iterator[Fault]:
    """Yield that a package is not installed, and how it is."""
    if find_spec(package) is None:
        ways = f"pipx inject renewer {package}, or: pip install 'renewer[{EXTRAS[package]}]'"
        yield Fault(place, f"needs the package {package}, which is not installed ({ways})")

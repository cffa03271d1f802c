"""Builds the notifications from the configuration; their modules are loaded only if they are configured."""
# ruff: noqa: PLC0415  (the late imports are the point: without notifications, nothing of them is loaded)

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
"""The optional packages, each with the extra that installs it."""


Address = Callable[[], str]
"""Returns an address to ping; raises `ConfigError` if its file contains none."""


def observer(config: Config, clock: Clock, report: Report, follower: Follower) -> "Observer | None":
    """Return the observer that sends the notifications of a cycle, or `None` if none are configured."""
    privileges.settle(config.state, config.secret_files, secrets.remember)
    audience = _audience(config, report)
    if audience is None:
        return None
    try:
        permissions.refuse_unsafe(config.state)
        follower.refuse_foreign()
    except ConfigError:
        return None  # `app.build` reports it; nothing may be written there
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
    """Return the names of the hooks: their places in the configuration."""
    return tuple(f"hook.command[{place}]" for place in range(len(config.hooks.commands)))


def unfit(config: Config) -> Iterator[Fault]:
    """Yield the packages that the configured notifications need but that are not installed."""
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
    """Return the file with the addresses for messages, if there is one."""
    return secrets.source(config.notify.urls_file, "notify_urls", os.environ)


def pinged(config: Config) -> Address | None:
    """Return a function that returns the address to ping; a file is read in each cycle."""
    if address := config.notify.ping:
        return lambda: address
    path = secrets.source(config.notify.ping_file, "ping_url", os.environ)
    return (lambda: secrets.ping_address(path, "notify.ping_file")) if path else None


def _lacking(place: str, package: str) -> Iterator[Fault]:
    """Yield that a package is not installed, and how to install it."""
    if find_spec(package) is None:
        ways = f"pipx inject renewer {package}, or: pip install 'renewer[{EXTRAS[package]}]'"
        yield Fault(place, f"needs the package {package}, which is not installed ({ways})")

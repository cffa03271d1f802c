"""Names in the configuration to objects: the only file that sees all adapters.

What is heavy is loaded and built when it is first needed: a run with nothing to do loads nothing of the CA's
and Cloudflare's libraries, and the daemon's parent nothing of a cycle.
"""
# ruff: noqa: PLC0415  (see above: the late imports are the point)

import os
import socket
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from renewer import credentials, disk, identity
from renewer.config import Config
from renewer.errors import ConfigError, Fault
from renewer.model import CertSpec, Material, Reason, Window
from renewer.ports import Clock, Issuer, Journal, Report
from renewer.store.files import FileStore
from renewer.vault import Vault

if TYPE_CHECKING:
    from renewer.cycle import Engine
    from renewer.observer import Audience, Observer

EXTRAS = {"prometheus_client": "metrics", "apprise": "notify"}
"""The packages that are only there if somebody wants them, and the extra that brings each."""


def build(config: Config, clock: Clock, report: Report) -> "Engine":
    """Build the program; raises `ConfigError` for what cannot work on this machine, nothing touched.

    Root becomes the owner of the state folder first.
    """
    from renewer.cycle import Engine
    from renewer.hooks.command import CommandHook
    from renewer.hooks.secure_link import SecureLink
    from renewer.nginx.deployer import NginxDeployer

    token = _settle(config)
    check(config)
    memory = Vault(FileStore(config.state), report)
    deployer = NginxDeployer(
        state=config.state,
        binary=str(config.nginx.binary),
        config=str(config.nginx.config),
        reload=config.nginx.reload,
        probe=None if config.nginx.probe == "auto" else config.nginx.probe,
        clock=clock,
        report=report,
    )
    issuer = _Late(lambda: _acme(config, token, memory, clock, report))
    hooks = (SecureLink(config.site_specs, memory, deployer),)
    commands = tuple(
        CommandHook(name, one.argv, one.timeout, config.state)
        for name, one in zip(_hook_names(config), config.hooks.commands, strict=True)
    )
    return Engine(config.specs, memory, issuer, deployer, clock, report, hooks, commands)


def observer(config: Config, clock: Clock, report: Report) -> "Observer | None":
    """Return who tells those outside how cycles end, or `None` where nobody listens."""
    audience = _audience(config, report)
    if audience is None:
        return None
    try:
        disk.refuse_unsafe(config.state)
    except ConfigError:
        return None  # `build` says so; nothing may be written there
    from renewer.observer import Observer

    return Observer(
        config.specs,
        tuple(config.sites),
        _hook_names(config),
        Vault(FileStore(config.state), report),
        audience,
        clock,
        report,
        socket.gethostname(),
    )


def _hook_names(config: Config) -> tuple[str, ...]:
    return tuple(f"hook.command[{place}]" for place in range(len(config.hooks.commands)))


def _audience(config: Config, report: Report) -> "Audience | None":
    gauges = recipients = pulse = None
    if config.metrics.textfile and find_spec("prometheus_client"):
        from renewer.outside.textfile import Textfile

        gauges = Textfile(config.metrics.textfile)
    if urls := _notify_urls(config):
        from renewer.outside.recipients import Addresses

        recipients = Addresses(urls, "notify.urls_file", report)
    if address := _ping(config):
        from renewer.outside.ping import Ping

        pulse = Ping(address)
    if not (gauges or recipients or pulse):
        return None
    from renewer.observer import Audience

    return Audience(gauges, recipients, pulse, config.notify.expiring)


def _notify_urls(config: Config) -> Path | None:
    return credentials.source(config.notify.urls_file, "notify_urls", os.environ)


def _ping(config: Config) -> Callable[[], str] | None:
    """Return how to come by the address to ping; a file is read for each cycle."""
    if address := config.notify.ping:
        return lambda: address
    path = credentials.source(config.notify.ping_file, "ping_url", os.environ)
    return (lambda: credentials.ping_address(path, "notify.ping_file")) if path else None


def vault(config: Config, report: Report) -> Vault:
    """Return the program's memory alone; raises `ConfigError` for a state folder that is not safe.

    Root becomes the owner of the state folder first.
    """
    _settle(config)
    disk.refuse_unsafe(config.state)
    return Vault(FileStore(config.state), report)


def check(config: Config) -> None:
    """Raise `ConfigError` for what this machine does not have, or a state folder that is not safe."""
    if faults := tuple(_unfit(config)):
        raise ConfigError(faults, hint="nothing was touched")
    disk.refuse_unsafe(config.state)


def _settle(config: Config) -> Callable[[], str]:
    """Let root become the owner of the state folder; return what gives the token, as root may read it."""
    owner = identity.owner_to_become(config.state)
    if owner is None:
        return lambda: credentials.token(config, os.environ)
    token = credentials.hold(config, os.environ)
    identity.become(owner)
    return token


def _unfit(config: Config) -> Iterator[Fault]:
    """Yield what the configuration names but this machine, or this version, does not have."""
    if not os.access(config.nginx.binary, os.X_OK):
        yield Fault("nginx.binary", f"{config.nginx.binary} cannot be run: install nginx, or name another")
    if not config.nginx.config.is_file():
        yield Fault("nginx.config", f"{config.nginx.config} is not there: name nginx's main configuration")
    bundles = {"acme": config.acme.ca_bundle}
    bundles |= {f"acme.fallback[{place}]": one.ca_bundle for place, one in enumerate(config.acme.fallbacks)}
    for table, bundle in bundles.items():
        if bundle and not _holds_roots(bundle):
            yield Fault(f"{table}.ca_bundle", f"{bundle} holds no certificate (PEM)")
    if config.metrics.textfile:
        yield from _lacking("metrics.textfile", "prometheus_client")
    if _notify_urls(config):
        yield from _lacking("notify.urls_file", "apprise")


def _lacking(place: str, package: str) -> Iterator[Fault]:
    """Yield that a package is not installed, and how it is."""
    if find_spec(package) is None:
        ways = f"pipx inject renewer {package}, or: pip install 'renewer[{EXTRAS[package]}]'"
        yield Fault(place, f"needs the package {package}, which is not installed ({ways})")


def _holds_roots(bundle: Path) -> bool:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(bundle)
    except OSError:
        return False
    return True


def _acme(config: Config, token: Callable[[], str], memory: Vault, clock: Clock, report: Report) -> Issuer:
    from renewer.dns.cloudflare import CloudflareDns, client
    from renewer.dns.resolver import Authorities
    from renewer.dns01 import Dns01
    from renewer.issuer.acme import AcmeIssuer

    api = client(token(), config.cloudflare.base_url)
    provider = CloudflareDns(api, config.cloudflare.zone_ids, memory, clock, report)
    authorities = Authorities(config.propagation.resolver, clock)
    dns01 = Dns01(provider, authorities, config.propagation.timeout, report)
    return AcmeIssuer(config.acme, dns01, memory, clock, report)


def zones(secret: str, config: Config, clock: Clock, report: Report) -> tuple[str, ...]:
    """Return the zones that this token sees; raises `Refused` for one that is not valid."""
    from renewer.dns import token
    from renewer.dns.cloudflare import CloudflareDns, client

    api = client(secret, config.cloudflare.base_url)
    return token.zones(CloudflareDns(api, {}, Vault(FileStore(config.state), report), clock, report))


class _Late:
    """An issuer that is built when it is first needed."""

    def __init__(self, build: Callable[[], Issuer]) -> None:
        self._build = build
        self._built: Issuer | None = None
        self._guard = threading.Lock()

    def issue(self, spec: CertSpec, replaces: Material | None, journal: Journal) -> Material:
        """See `ports.Issuer`."""
        return self._issuer().issue(spec, replaces, journal)

    def window(self, material: Material) -> Window | None:
        """See `ports.Issuer`."""
        return self._issuer().window(material)

    def revoke(self, material: Material, reason: Reason) -> None:
        """See `ports.Issuer`."""
        self._issuer().revoke(material, reason)

    def cost(self, spec: CertSpec) -> str:
        """See `ports.Issuer`."""
        return self._issuer().cost(spec)

    def tidy(self, name: str, journal: Journal) -> None:
        """See `ports.Issuer`."""
        self._issuer().tidy(name, journal)

    def _issuer(self) -> Issuer:
        with self._guard:
            self._built = self._built or self._build()
            return self._built

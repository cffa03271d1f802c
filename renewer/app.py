"""Names in the configuration to objects: the only file that sees all adapters.

What is heavy is loaded and built when it is first needed: a run with nothing to do loads nothing of the CA's
and the DNS provider's libraries, and the daemon's parent nothing of a cycle.
"""
# ruff: noqa: PLC0415  (see above: the late imports are the point)

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from renewer.config import secrets
from renewer.config.schema import Config
from renewer.core.errors import ConfigError, Fault
from renewer.core.followed import View
from renewer.core.interfaces import (
    Clock,
    Deployer,
    DeployHook,
    DnsProvider,
    Follower,
    Issuer,
    Journal,
    Report,
    Sites,
)
from renewer.core.model import CertSpec, Material, Reason, Window
from renewer.dns import provider
from renewer.notify import audience
from renewer.store.files import FileStore
from renewer.store.following import ALONE, Following
from renewer.store.state import State
from renewer.system import permissions, privileges, process
from renewer.system.once import Once

if TYPE_CHECKING:
    from renewer.engine.cycle import Engine
    from renewer.nginx.deployer import NginxDeployer
    from renewer.notify.command import CommandHook


def build(config: Config, clock: Clock, report: Report, follower: Follower = ALONE) -> "Engine":
    """Build the program; raises `ConfigError` for what cannot work on this machine, nothing touched.

    So it does for a state folder of another configuration. Root becomes the folder's owner first.
    """
    from renewer.secure_links.rotation import SecureLink

    privileges.settle(config.state, config.secret_files, secrets.remember)
    check(config)
    follower.refuse_foreign()
    state = State(FileStore(config.state), report)
    deployer = nginx(config, clock, report)
    issuer = _Late(lambda: _acme(config, state, clock, report))
    sites = SecureLink(config.site_specs, state, deployer, follower)
    parts = Parts(state, issuer, deployer, sites, commands(config), follower, clock, report)
    return engine(config.specs, parts)


@dataclass(frozen=True)
class Parts:
    """The adapters that an engine works with."""

    state: State
    issuer: Issuer
    deployer: Deployer
    sites: Sites
    hooks: "tuple[DeployHook, ...]"
    follower: Follower
    clock: Clock
    report: Report


def engine(specs: tuple[CertSpec, ...], parts: Parts) -> "Engine":
    """Return the engine for these certificates."""
    from renewer.engine.cycle import Engine
    from renewer.engine.deploy_hooks import DeployHooks
    from renewer.engine.deployment import Deployment
    from renewer.engine.failures import Failures
    from renewer.engine.issuance import Issuance
    from renewer.engine.look import Look

    state, clock, report = parts.state, parts.clock, parts.report
    return Engine(
        specs=specs,
        state=state,
        look=Look(state, parts.deployer, clock),
        issuance=Issuance(parts.issuer, clock, report),
        failures=Failures(state, clock, report),
        deployment=Deployment(state, parts.deployer, parts.sites),
        deploy_hooks=DeployHooks(state, clock, report, parts.hooks, parts.follower),
        follower=parts.follower,
        clock=clock,
        report=report,
    )


def follower(config: Config, view: View, clock: Clock, report: Report) -> Follower:
    """Return who knows whether a reading of the configuration is the newest."""
    memory = State(FileStore(config.state), report)
    return Following(memory, config.state, view, lambda other: not any(unfit(other)), clock, report)


def commands(config: Config) -> "tuple[CommandHook, ...]":
    """Return what is run once nginx serves what changed."""
    from renewer.notify.command import CommandHook

    return tuple(
        CommandHook(name, one.argv, one.timeout, config.state)
        for name, one in zip(audience.hook_names(config), config.hooks.commands, strict=True)
    )


def nginx(config: Config, clock: Clock, report: Report) -> "NginxDeployer":
    """Return what brings nginx to serve what is stored, and looks whether it does."""
    from renewer.nginx.deployer import NginxDeployer

    return NginxDeployer(
        state=config.state,
        binary=str(config.nginx.binary),
        config=str(config.nginx.config),
        reload=config.nginx.reload,
        probe=None if config.nginx.probe == "auto" else config.nginx.probe,
        clock=clock,
        report=report,
    )


def dns(config: Config, memory: State, clock: Clock, report: Report) -> DnsProvider:
    """Return the DNS provider that the configuration has chosen; raises `ConfigError`."""
    return provider.chosen(config.dns).build(config.dns, memory, clock, report)


def vault(config: Config, report: Report, follower: Follower) -> State:
    """Return the program's memory alone; raises `ConfigError` for a state folder not safe, or another's.

    Root becomes the owner of the state folder first.
    """
    privileges.settle(config.state, config.secret_files, secrets.remember)
    permissions.refuse_unsafe(config.state)
    follower.refuse_foreign()
    return State(FileStore(config.state), report)


def check(config: Config) -> None:
    """Raise `ConfigError` for what this machine does not have, or a state folder that is not safe."""
    if faults := tuple(unfit(config)):
        raise ConfigError(faults, hint="nothing was touched")
    permissions.refuse_unsafe(config.state)


def unfit(config: Config) -> Iterator[Fault]:
    """Yield what the configuration names but this machine, or this version, does not have."""
    if not os.access(config.nginx.binary, os.X_OK):
        yield Fault("nginx.binary", f"{config.nginx.binary} cannot be run: install nginx, or name another")
    if not config.nginx.config.is_file():
        yield Fault("nginx.config", f"{config.nginx.config} is not there: name nginx's main configuration")
    yield from _changeable(config)
    acme = config.acme
    bundles = {"acme.ca_bundle": acme.ca_bundle, "acme.rehearse_ca_bundle": acme.rehearse_ca_bundle}
    bundles |= {f"acme.fallback[{n}].ca_bundle": one.ca_bundle for n, one in enumerate(acme.fallbacks)}
    for place, bundle in bundles.items():
        if bundle and not _holds_roots(bundle):
            yield Fault(place, f"{bundle} holds no certificate (PEM)")
        elif bundle and (why := permissions.foreign(bundle)):
            yield Fault(place, f"{bundle} {why}; {permissions.alone(bundle)}")
    yield from audience.unfit(config)


def _changeable(config: Config) -> Iterator[Fault]:
    """Yield which programs others could change: they would be run with the rights of whoever runs this.

    Of nginx's configuration that is so where root has it tested: it names modules to load.
    """
    run = {"nginx.binary": str(config.nginx.binary)}
    if isinstance(config.nginx.reload, tuple):
        run["nginx.reload[0]"] = shutil.which(config.nginx.reload[0], path=process.PATH) or ""
    if os.geteuid() == 0:
        run["nginx.config"] = str(config.nginx.config)
    for place, path in run.items():
        if path and (why := permissions.foreign(Path(path))):
            yield Fault(place, f"{path} {why}; {permissions.alone(Path(path))}")


def _holds_roots(bundle: Path) -> bool:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(bundle)
    except OSError:
        return False
    return True


def _acme(config: Config, memory: State, clock: Clock, report: Report) -> Issuer:
    from renewer.acme.dns01 import Dns01
    from renewer.acme.issuer import AcmeIssuer
    from renewer.dns.resolver import AuthoritativeCheck

    authorities = AuthoritativeCheck(config.propagation.resolver, clock)
    dns01 = Dns01(dns(config, memory, clock, report), authorities, config.propagation.timeout, report)
    return AcmeIssuer(config.acme, dns01, memory, clock, report)


class _Late:
    """An issuer that is built when it is first needed: a run with nothing to order loads none of it."""

    def __init__(self, build: Callable[[], Issuer]) -> None:
        self._issuer = Once(build)

    def issue(self, spec: CertSpec, replaces: Material | None, journal: Journal) -> Material:
        """See `interfaces.Issuer`."""
        return self._issuer().issue(spec, replaces, journal)

    def window(self, material: Material) -> Window | None:
        """See `interfaces.Issuer`."""
        return self._issuer().window(material)

    def revoke(self, material: Material, reason: Reason) -> None:
        """See `interfaces.Issuer`."""
        self._issuer().revoke(material, reason)

    def cost(self, spec: CertSpec) -> str:
        """See `interfaces.Issuer`."""
        return self._issuer().cost(spec)

    def require(self, spec: CertSpec, replaces: Material | None) -> None:
        """See `interfaces.Issuer`."""
        self._issuer().require(spec, replaces)

    def tidy(self, name: str, journal: Journal) -> None:
        """See `interfaces.Issuer`."""
        self._issuer().tidy(name, journal)

"""Where to look for what nginx really serves: sockets and names of the servers that show a certificate."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from renewer.errors import ConfigError, Fault
from renewer.model import CertSpec
from renewer.nginx.configuration import Configuration, Server, endpoint
from renewer.nginx.layout import Layout

MADE_UP = "renewer-probe"
"""The label that stands for the `*` of a wildcard."""

_HOST_NAME = re.compile(r"(?=.*[a-z0-9])[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_ADDRESS = re.compile(r"[0-9.]+")


@dataclass(frozen=True)
class Target:
    """A handshake to try: where to connect to, and the name to ask for (SNI)."""

    host: str
    port: int
    name: str
    proxy_protocol: bool = False

    @property
    def address(self) -> str:
        """Host and port as nginx writes them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Found:
    """Where to look for a certificate; without a target, `detail` says why there is none."""

    targets: tuple[Target, ...]
    detail: str = ""


def discover(
    configuration: Configuration, layout: Layout, spec: CertSpec, probe: Sequence[str] | None
) -> Found:
    """Return the handshakes that show whether nginx serves the certificate.

    `probe` replaces the addresses that nginx's configuration gives, but not the names; `None` leaves them.
    """
    if probe is not None and not probe:
        return Found((), "not looked at: the check is switched off ([nginx] probe = [])")
    showing = configuration.showing(
        os.path.realpath(layout.snippet(spec.name)), os.path.realpath(layout.home(spec.name))
    )
    if not showing and not (probe and configuration.problem):
        nobody = f"no server in nginx's configuration includes {layout.snippet(spec.name)}"
        return Found((), configuration.problem or nobody)
    others = (server for server in configuration.servers if server not in showing)
    targets = _of_servers(showing, spec, (name for server in others for name in server.names))
    if probe:
        return Found(_elsewhere(targets, spec, probe))
    silent = f"the servers that include {layout.snippet(spec.name)} have no TCP socket with ssl to look at"
    return Found(targets, "" if targets else silent)


def address(text: str) -> tuple[str, int]:
    """Return host and port of an entry of `[nginx] probe`; raises `ConfigError`."""
    place = endpoint(text, default_port=443)
    if place is None:
        raise ConfigError(
            [Fault("nginx.probe", f"{text!r} is not an address")], hint='write it like "127.0.0.1:443"'
        )
    return place


def on_this_machine(text: str) -> bool:
    """Tell whether an entry of `[nginx] probe` leads to this machine for certain."""
    host, _ = address(text)
    return host in ("localhost", "::1") or host.startswith("127.")


def _of_servers(servers: Iterable[Server], spec: CertSpec, foreign: Iterable[str]) -> tuple[Target, ...]:
    """Return the handshakes; `foreign`, the names of all other servers, is read only where it matters."""
    taken: list[str] = []
    targets: list[Target] = []
    for server in servers:
        own = _own_names(server, spec)
        taken += [] if own else foreign
        names = own or _free_names(spec, taken)
        sockets = [listen for listen in server.listens if listen.ssl]
        targets += [
            Target(listen.host, listen.port, name, listen.proxy_protocol)
            for listen in sockets
            for name in names
        ]
    return tuple(dict.fromkeys(targets))


def _elsewhere(targets: Sequence[Target], spec: CertSpec, probe: Sequence[str]) -> tuple[Target, ...]:
    names = dict.fromkeys(target.name for target in targets) or _concrete(spec.domains)
    proxied = {(target.host, target.port) for target in targets if target.proxy_protocol}
    places = [address(text) for text in probe]
    return tuple(Target(*place, name, place in proxied) for place in places for name in names)


def _own_names(server: Server, spec: CertSpec) -> list[str]:
    """Return the server's own names that a client can ask for, best those that the certificate is for."""
    own = _concrete(server.names)
    return [name for name in own if _covers(spec.domains, name)] or own


def _free_names(spec: CertSpec, taken: Sequence[str]) -> list[str]:
    """Return the names that lead to a server for everything (`_`, a regular expression, no name at all).

    That is those of the certificate that no server with another certificate takes.
    """
    wanted = _concrete(spec.domains)
    return [name for name in wanted if not _covers(taken, name)] or wanted


def _concrete(names: Iterable[str]) -> list[str]:
    """Return names that a client can ask for: exact ones as they are, `*.x` and `.x` with a made-up label."""
    found: list[str] = []
    for name in (name.lower().rstrip(".") for name in names):
        if name.startswith("."):
            found += name[1:], f"{MADE_UP}{name}"
        else:
            found.append(re.sub(r"^\*\.", f"{MADE_UP}.", name))
    fit = (name for name in found if _HOST_NAME.fullmatch(name) and not _ADDRESS.fullmatch(name))
    return list(dict.fromkeys(fit))


def _covers(patterns: Iterable[str], name: str) -> bool:
    parent = name.partition(".")[2]
    return any(
        pattern.lower() in (name, f"*.{parent}", f".{parent}", f".{name}") for pattern in patterns if pattern
    )


def addresses(targets: Iterable[Target]) -> str:
    """Return the addresses for a sentence."""
    return ", ".join(dict.fromkeys(target.address for target in targets))

"""Finds the sockets and names that show which certificate nginx really serves."""

import errno
import os
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from renewer.core.errors import ConfigError, Fault
from renewer.core.model import CertSpec
from renewer.nginx.configuration import Configuration, Listen, Server, endpoint
from renewer.nginx.layout import Layout

MADE_UP = "renewer-probe"
"""The label in place of the `*` of a wildcard."""

_HOST_NAME = re.compile(r"(?=.*[a-z0-9])[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_ADDRESS = re.compile(r"[0-9.]+")
_NEAR6 = "::1"


@dataclass(frozen=True)
class Target:
    """A handshake to try: where to connect, and the server name to send (SNI)."""

    host: str
    port: int
    name: str
    proxy_protocol: bool = False

    @property
    def address(self) -> str:
        """Host and port in nginx's notation."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class ProbeTargets:
    """The handshakes for a certificate; if there are none, `detail` says why."""

    targets: tuple[Target, ...]
    detail: str = ""


def discover(
    configuration: Configuration, layout: Layout, spec: CertSpec, probe: Sequence[str] | None
) -> ProbeTargets:
    """Return the handshakes that show whether nginx serves the certificate.

    `probe` replaces the addresses of nginx's configuration, but not the names; `None` keeps them.
    """
    if probe is not None and not probe:
        return ProbeTargets((), "not checked: the check is switched off ([nginx] probe = [])")
    showing = configuration.showing(
        os.path.realpath(layout.include(spec.name)), os.path.realpath(layout.home(spec.name))
    )
    if not showing and not (probe and configuration.problem):
        nobody = f"no server in nginx's configuration includes {layout.include(spec.name)}"
        return ProbeTargets((), configuration.problem or nobody)
    others = (server for server in configuration.servers if server not in showing)
    targets = _of_servers(showing, spec, (name for server in others for name in server.names))
    if probe:
        return ProbeTargets(_elsewhere(targets, spec, probe))
    return ProbeTargets(targets, "" if targets else _silent(showing, layout.include(spec.name)))


def _silent(servers: Iterable[Server], include: Path) -> str:
    if any(listen.ssl for server in servers for listen in server.listens):
        return f"no name of the certificate leads to the servers that include {include}"
    return f"the servers that include {include} have no TCP socket with ssl to check"


def address(text: str) -> tuple[str, int]:
    """Return host and port of an entry of `[nginx] probe`; raises `ConfigError` for an invalid one."""
    place = endpoint(text, default_port=443)
    if place is None:
        raise ConfigError(
            [Fault("nginx.probe", f"{text!r} is not an address")], hint='write it like "127.0.0.1:443"'
        )
    return place


def _of_servers(servers: Iterable[Server], spec: CertSpec, foreign: Iterable[str]) -> tuple[Target, ...]:
    """Return the handshakes; `foreign`, the names of all other servers, is consumed only if needed."""
    taken: list[str] = []
    targets: list[Target] = []
    for server in servers:
        own = _own_names(server, spec)
        taken += [] if own else foreign
        names = own or _free_names(server, spec, taken)
        sockets = _reachable([listen for listen in server.listens if listen.ssl])
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
    """Return the server's names that a client can send, preferably those that the certificate covers."""
    own = _concrete(one for name in server.names for one in _completed(name, spec.domains))
    return [name for name in own if _covers(spec.domains, name)] or own


def _completed(name: str, domains: Iterable[str]) -> Iterator[str]:
    """Yield the name of a server; `cloud.*` is completed with the certificate's domains."""
    if not name.endswith(".*"):
        yield name
        return
    label = name[:-1].lower()
    for domain in (domain.removeprefix("*.") for domain in domains):
        yield domain if domain.startswith(label) else label + domain


def _free_names(server: Server, spec: CertSpec, taken: Sequence[str]) -> list[str]:
    """Return the names that lead to a catch-all server (`_` or no name), or to a regular expression.

    These are the certificate's names that no server with another certificate has. A regular expression that
    matches none of them cannot be checked.
    """
    wanted = _concrete(spec.domains)
    if expressions := [name for name in server.names if name.startswith("~")]:
        wanted = [name for name in wanted if _covers(expressions, name)]
    return [name for name in wanted if not _covers(taken, name)] or wanted


def _concrete(names: Iterable[str]) -> list[str]:
    """Return names that a client can send: exact ones unchanged, `*.x` and `.x` with a made-up label."""
    found: list[str] = []
    for name in (name.lower().rstrip(".") for name in names):
        if name.startswith("."):
            found += name[1:], f"{MADE_UP}{name}"
        else:
            found.append(re.sub(r"^\*\.", f"{MADE_UP}.", name))
    fit = (name for name in found if _HOST_NAME.fullmatch(name) and not _ADDRESS.fullmatch(name))
    return list(dict.fromkeys(fit))


def _covers(patterns: Iterable[str], name: str) -> bool:
    """Return whether one of a server's or certificate's names matches this one (`server_name`)."""
    parent = name.partition(".")[2]
    spelt = (name, f"*.{parent}", f".{parent}", f".{name}")
    return any(
        _fits(pattern[1:], name)
        if pattern.startswith("~")
        else pattern.lower() in spelt or (pattern.endswith(".*") and name.startswith(pattern[:-1].lower()))
        for pattern in patterns
    )


def _fits(expression: str, name: str) -> bool:
    """Return whether a regular expression of nginx matches; one that Python cannot read matches nothing."""
    if "[[" in expression:  # a POSIX character class, which means something else in Python
        return False
    try:
        return re.search(re.sub(r"\(\?<(?![=!])", "(?P<", expression), name, re.IGNORECASE) is not None
    except re.error:
        return False


def _reachable(sockets: Sequence[Listen]) -> Sequence[Listen]:
    """Leave out `::1` if this machine does not have it, unless there is nothing else."""
    others = [listen for listen in sockets if listen.host != _NEAR6]
    return others if others and len(others) < len(sockets) and not _has_near6() else sockets


def _has_near6() -> bool:
    """Return whether IPv6 is enabled; nginx binds `[::]` even if it is not (sysctl disable_ipv6)."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as trial:
            trial.bind((_NEAR6, 0))
    except OSError as error:
        return error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
    return True


def addresses(targets: Iterable[Target]) -> str:
    """Return the addresses, for a sentence."""
    return ", ".join(dict.fromkeys(target.address for target in targets))

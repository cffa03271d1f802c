"""The name servers as the CA sees them: delegation, each server over UDP and TCP, CNAMEs."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from renewer.check.context import Scene
from renewer.core.errors import RenewerError
from renewer.core.finding import Finding, Group, Topic
from renewer.dns.propagation import NameServer
from renewer.dns.provider import chosen
from renewer.dns.resolver import ADDRESSES, Delegation, serial

AT_ONCE = 16
"""Queries at the same time."""

PATIENCE = 10.0
"""Seconds for all name servers of a zone together."""

_TOPIC = Topic(Group.DNS)
_WAITS = "renewer waits before each order until every name server shows the records, or gives up"


def look(scene: Scene) -> Iterator[Finding]:
    """Yield the findings on CNAMEs, and on the name servers of every zone."""
    zones: dict[str, Delegation] = {}
    told: set[str] = set()
    for name in scene.bases:
        try:
            challenge = scene.challenge(name)
            found = scene.delegation(challenge)
        except RenewerError as error:
            why = f"the CA could not find the records of {name} either, and a failed attempt counts"
            if str(error) not in told:  # one resolver that does not answer fails for every name
                yield _TOPIC.refused("delegation", error, why)
            told.add(str(error))
            continue
        yield from _alias(name, challenge)
        zones[found.zone] = found
    for delegation in zones.values():
        yield from _servers(scene, delegation)


def _alias(name: str, challenge: str) -> Iterator[Finding]:
    if challenge != f"_acme-challenge.{name}":
        yield _TOPIC.ok("alias", f"the validation of {name} is delegated to {challenge} (CNAME)")


@dataclass(frozen=True)
class _Reply:
    """The reply of a name server over one transport: the zone's serial number, or a problem."""

    server: NameServer
    tcp: bool
    serial: int | None
    problem: str = ""


def _servers(scene: Scene, delegation: Delegation) -> Iterator[Finding]:
    servers: list[NameServer] = []
    if delegation.more:
        count = len(delegation.hosts)
        what = f"{delegation.zone} has {count + delegation.more} name servers; renewer checks only {count}"
        why = "the CA may ask one of the others, which may not show the records yet"
        hint = "remove those that are not needed, at your registrar"
        yield _TOPIC.warning("many", what, why, hint)
    for host in delegation.hosts:
        try:
            found = scene.authorities().addresses(host)
        except RenewerError as error:
            yield _TOPIC.refused("server", error, _WAITS)
            continue
        servers += found
        if not found:
            what = f"the name server {host} of {delegation.zone} has no address"
            yield _TOPIC.error("server", what, _WAITS, "fix the delegation of the zone at your registrar")
    replies = _asked(servers[:ADDRESSES], delegation.zone)
    silent = list(_silent(replies, delegation.zone))
    yield from silent
    serials = _serials(replies)
    if len(serials) > 1:
        told = "; ".join(f"{number}: {', '.join(sorted(hosts))}" for number, hosts in sorted(serials.items()))
        yield _TOPIC.warning(
            "serial",
            f"the name servers of {delegation.zone} have different versions of the zone ({told})",
            "new records appear late on some of them, and a renewal waits for those",
            f"run this again in a minute; if it persists, {_ask_provider(scene)}",
        )
    elif serials and not silent:
        yield _TOPIC.ok("server", f"all name servers of {delegation.zone} answer over UDP and TCP, and agree")


def _ask_provider(scene: Scene) -> str:
    provider = chosen(scene.config.dns)
    return f"see {provider.status_page}" if provider.status_page else f"ask {provider.title}"


def _asked(servers: Sequence[NameServer], zone: str) -> list[_Reply]:
    def ask(server: NameServer, *, tcp: bool) -> _Reply:
        try:
            return _Reply(server, tcp, serial(server, zone, tcp=tcp))
        except OSError as error:
            return _Reply(server, tcp, None, error.strerror or str(error) or type(error).__name__)

    pool = ThreadPoolExecutor(AT_ONCE)
    asked = {pool.submit(ask, server, tcp=tcp): (server, tcp) for server in servers for tcp in (False, True)}
    wait(asked, PATIENCE)
    pool.shutdown(wait=False, cancel_futures=True)  # do not wait for queries that have not started
    late = f"the name servers did not all answer within {PATIENCE:g} seconds"
    return [
        one.result() if one.done() and not one.cancelled() else _Reply(*whom, None, late)
        for one, whom in asked.items()
    ]


def _silent(replies: Sequence[_Reply], zone: str) -> Iterator[Finding]:
    """Yield the servers that do not answer, unless their whole address family is unreachable from here."""
    heard = {reply.server.family for reply in replies if reply.serial is not None}
    mute = {reply.server for reply in replies if reply.serial is None and not reply.tcp}
    for reply in replies:
        if reply.serial is not None or (heard and reply.server.family not in heard):
            continue
        if reply.tcp and reply.server in mute:
            continue
        way = "TCP" if reply.tcp else "UDP"
        problem = reply.problem.rstrip(".")
        what = f"{reply.server}, a name server of {zone}, does not answer over {way}: {problem}"
        if reply.tcp:
            why = "long answers come only over TCP, and the CA may need one"
            yield _TOPIC.warning("tcp", what, why, "allow outgoing TCP to port 53 in this machine's firewall")
        else:
            hint = (
                "allow outgoing port 53 in this machine's firewall; if it is allowed, the server is at fault"
            )
            yield _TOPIC.error("server", what, _WAITS, hint)


def _serials(replies: Sequence[_Reply]) -> Mapping[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for reply in replies:
        if reply.serial is not None and not reply.tcp:
            found[reply.serial].add(str(reply.server))
    return found

"""The DNS as the CA will see it: queries every authoritative name server, with `dnspython`.

A recursive resolver is used only to find the name servers of a zone and to follow aliases, never for the TXT
records, because its cache would show old ones.
"""

import math
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from itertools import islice

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from renewer.core.errors import ConfigError, Refused, Transient
from renewer.core.interfaces import Clock
from renewer.core.journal import TxtRecord
from renewer.dns.propagation import PORT, Crowd, NameServer, Watch

QUESTION = 2.0
"""Seconds to wait for an answer of a name server."""

NEAR = 0.3
"""Seconds to wait for a name server on this machine if there is another port to try."""

LIFETIME = 10.0
"""Seconds to wait for an answer of the resolver."""

GLANCE = 0.2
"""Seconds between checks for a timeout or an interruption while waiting for the watchers."""

ROUTE = 3.0
"""Seconds after which an address family in which no server has answered counts as unreachable."""

ALIASES = 16
"""The most CNAMEs that are followed."""

HOSTS, ADDRESSES = 13, 26
"""The most name servers of a zone that are queried, and the most addresses: as many as the root has."""

MADE_UP = "_renewer-probe"
"""The label of a name that does not exist, so that only a wildcard answers for it."""


@dataclass(frozen=True)
class Delegation:
    """A zone, and the host names of its name servers, in lower case; `more` is how many are left out."""

    zone: str
    hosts: tuple[str, ...]
    more: int = 0


class AuthoritativeCheck:
    """Queries the DNS; `resolver` is "address", "address:port", or `None` for the system's."""

    def __init__(self, resolver: str | None, clock: Clock) -> None:
        self._clock = clock
        self._crowd = Crowd()
        self._port = PORT
        if resolver is None:
            self._resolver = _system_resolver()
        else:
            address, self._port = _endpoint(resolver)
            self._resolver = dns.resolver.Resolver(configure=False)
            self._resolver.nameservers = [address]
            self._resolver.port = self._port
        # The servers of a zone are looked up once for all its certificates, as long as the answers are valid.
        self._resolver.cache = dns.resolver.LRUCache()

    def canonical(self, names: Sequence[str], timeout: timedelta) -> Mapping[str, str]:
        """Return the targets of the names' CNAMEs; see `interfaces.Propagation`.

        The CNAME of a wildcard no longer applies to a name with its own record (RFC 4592, section 2.2.1), so
        such a name is returned unchanged.
        """
        until = self._clock.monotonic() + timeout.total_seconds()
        return {name: self._followed(name, until) for name in names}

    def _followed(self, name: str, until: float) -> str:
        for _ in range(ALIASES):
            alias = self._first(name, "CNAME", until)
            if alias is None or alias == self._first(f"{MADE_UP}.{name.partition('.')[2]}", "CNAME", until):
                return name
            name = alias
        raise Refused(f"{name} is an alias of an alias, more than {ALIASES} times", hint="mend its CNAMEs")

    def wait(self, records: Sequence[TxtRecord], timeout: timedelta) -> None:
        """Wait until every authoritative server shows every record; see `interfaces.Propagation`."""
        end = self._clock.monotonic() + timeout.total_seconds()
        wanted = self._wanted(records, end)
        if not wanted:
            return
        watch = Watch(wanted, _values, self._clock, self._crowd)
        patience = self._clock.monotonic() + ROUTE
        with self._crowd.joined(len(wanted)):
            try:
                watch.begin()
                while not watch.satisfied(lenient=self._clock.monotonic() > patience):
                    if self._clock.monotonic() > end:
                        raise watch.complaint(timeout)
                    watch.seen.wait(GLANCE)
                    self._clock.sleep(0)  # raises if the program is asked to stop
            finally:
                watch.over.set()

    def _wanted(
        self, records: Sequence[TxtRecord], until: float
    ) -> Mapping[NameServer, Mapping[str, set[str]]]:
        """Return the names for which each name server is authoritative, with the expected values."""
        wanted: dict[NameServer, dict[str, set[str]]] = {}
        servers: dict[str, tuple[NameServer, ...]] = {}
        for record in records:
            if record.name not in servers:
                found = self._servers(record.name, until)
                servers[record.name] = tuple(islice(found, ADDRESSES))
            for server in servers[record.name]:
                wanted.setdefault(server, {}).setdefault(record.name, set()).add(record.value)
        return wanted

    def _servers(self, name: str, until: float) -> Iterator[NameServer]:
        """Yield every address of every name server of the zone that contains `name`."""
        for host in self.delegation(name, until).hosts:
            servers = self.addresses(host, until)
            if not servers:
                raise Transient(
                    f"the name server {host} of {name} has no address",
                    hint="check the delegation of the zone, and [propagation] resolver",
                )
            yield from servers

    def addresses(self, host: str, until: float = math.inf) -> Sequence[NameServer]:
        """Return every address of a name server; may be empty."""
        found = [*self._all(host, "A", until), *self._all(host, "AAAA", until)]
        return [NameServer(host, address, self._ports(address)) for address in found]

    def delegation(self, name: str, until: float = math.inf) -> "Delegation":
        """Return the zone that contains `name`, with the names of its name servers.

        It is the closest zone cut above `name`.
        """
        labels = name.split(".")
        for start in range(len(labels)):
            zone = ".".join(labels[start:])
            if hosts := sorted(host.lower() for host in self._all(zone, "NS", until)):
                return Delegation(zone, tuple(hosts[:HOSTS]), max(len(hosts) - HOSTS, 0))
        raise Refused(
            f"no name server is found for {name}",
            hint="check that the domain is registered and delegated, and [propagation] resolver",
        )

    def _ports(self, address: str) -> tuple[int, ...]:
        """Return the ports to try: 53, but first the resolver's port for a loopback address (a sandbox)."""
        if ip_address(address).is_loopback and self._port != PORT:
            return (self._port, PORT)
        return (PORT,)

    def caa(self, name: str) -> Sequence[str]:
        """Return the CAA records of exactly this name, or of its alias's target, in presentation form."""
        return self._all(name, "CAA")

    def _first(self, name: str, kind: str, until: float) -> str | None:
        return next(iter(self._all(name, kind, until)), None)

    def _all(self, name: str, kind: str, until: float = math.inf) -> Sequence[str]:
        """Return the resolver's answer for exactly this name and type; `until` is on the monotonic clock."""
        left = until - self._clock.monotonic()
        if left <= 0:
            raise Transient(
                f"the resolver is slow: no time is left to ask it for {name} {kind}",
                hint="check this machine's DNS, or set resolver or a longer timeout under [propagation]",
            )
        lifetime = min(LIFETIME, left)
        try:
            answer = self._resolver.resolve(
                dns.name.from_text(name), kind, lifetime=lifetime, raise_on_no_answer=False, search=False
            )
        except dns.resolver.NXDOMAIN:
            return ()
        except dns.exception.DNSException as error:
            raise Transient(
                f"the resolver gives no answer for {name} {kind}: {error}",
                hint="check this machine's DNS, or set [propagation] resolver",
            ) from error
        rrset = answer.rrset
        if rrset is None or (kind == "NS" and rrset.name != dns.name.from_text(name)):
            return ()
        return tuple(rdata.to_text().rstrip(".") for rdata in rrset)


def serial(server: NameServer, zone: str, *, tcp: bool) -> int:
    """Return the serial number of the zone (RFC 1035, section 3.3.13) at this server.

    Raises `OSError` that describes the problem with its answer, or that there is none.
    """
    question = dns.message.make_query(zone, dns.rdatatype.SOA, use_edns=0, payload=1232)
    question.flags &= ~dns.flags.RD
    answer = _answer(question, server, dns.query.tcp if tcp else _udp)
    if answer.rcode() != dns.rcode.NOERROR:
        raise OSError(f"the answer is {dns.rcode.to_text(answer.rcode())}")
    serials = [soa.serial for rrset in answer.answer if rrset.rdtype == dns.rdatatype.SOA for soa in rrset]
    if not serials or not answer.flags & dns.flags.AA:
        raise OSError(f"it does not answer for {zone}")
    return int(serials[0])


def _values(server: NameServer, name: str) -> set[str]:
    """Return the TXT values that a name server shows; raises `OSError` for no answer."""
    question = dns.message.make_query(name, dns.rdatatype.TXT, use_edns=0, payload=1232)
    question.flags &= ~dns.flags.RD
    answer = _answer(question, server)
    if answer.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise OSError(f"the answer is {dns.rcode.to_text(answer.rcode())}")
    return {
        b"".join(rdata.strings).decode(errors="replace")
        for rrset in answer.answer
        if rrset.rdtype == dns.rdatatype.TXT
        for rdata in rrset
    }


def _udp(question: dns.message.Message, address: str, *, timeout: float, port: int) -> dns.message.Message:
    """Query over UDP, and over TCP if the answer is truncated."""
    return dns.query.udp_with_fallback(question, address, timeout=timeout, port=port)[0]


def _answer(
    question: dns.message.Message, server: NameServer, send: Callable[..., dns.message.Message] = _udp
) -> dns.message.Message:
    """Return the answer; raises `OSError` with the reason if there is none."""
    try:
        return _ask(question, server, send)
    except (dns.exception.DNSException, EOFError, ValueError) as error:  # EOFError: TCP was closed
        raise OSError(str(error) or type(error).__name__) from error


def _ask(
    question: dns.message.Message, server: NameServer, send: Callable[..., dns.message.Message]
) -> dns.message.Message:
    """Send a query; if nothing listens on a port, try the next one."""
    *others, last = server.ports
    for port in others:
        try:
            return send(question, server.address, timeout=NEAR, port=port)
        except (ConnectionRefusedError, dns.exception.Timeout):
            continue
    return send(question, server.address, timeout=QUESTION, port=last)


def _system_resolver() -> dns.resolver.Resolver:
    try:
        return dns.resolver.Resolver()
    except dns.exception.DNSException as error:
        raise ConfigError(
            f"this machine has no usable DNS resolver: {error}",
            hint="mend /etc/resolv.conf, or set [propagation] resolver",
        ) from error


def _endpoint(text: str) -> tuple[str, int]:
    """Return address and port of "address", "address:port" or "[address]:port"; a host name is looked up."""
    host, port = text, str(PORT)
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":") or str(PORT)
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"[propagation] resolver is {text!r}: {error}",
            hint='name one that is there, such as "127.0.0.1:53"',
        ) from error
    return str(found[0][4][0]), int(port)

"""Authoritative name servers that each lag behind by their own delay, and a resolver in front of them.

Every server has an address of its own on the loopback; all share one port number, over UDP and over TCP.
"""

import socketserver
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.TXT import TXT

from sandbox.rules import AUTOMATIC_TTL, strings
from sandbox.zones import Record, State, Zone

NAMES_ZONE = "sandbox.test"
ROOT_ZONE = ""
AUTOMATIC_SECONDS = 300
PLAIN_UDP_SIZE = 512
LONGEST_CHAIN = 8
PORT_TRIES = 50


class Question(NamedTuple):
    """One line of a server's log: what was asked, and over which transport."""

    name: str
    type: str
    transport: str


class Nameserver:
    """One authoritative server for all the given zones; `delay` is how many seconds it lags behind.

    What can go wrong with it is set at any time: `silent` never answers, `servfail` answers nothing else,
    `tcp_only` answers over UDP that the answer is truncated, `udp_only` says nothing over TCP, and `hide`
    withholds that many of the values of a TXT name, the newest first.
    """

    recursive = False

    def __init__(
        self, address: str, zones: Mapping[str, Zone], names: Sequence[str], *, delay: float = 0.0
    ) -> None:
        self.address = address
        self.delay = delay
        self.silent = False
        self.servfail = False
        self.tcp_only = False
        self.udp_only = False
        self.hide = 0
        self.questions: list[Question] = []
        self._zones = zones
        self._names = names

    def respond(self, wire: bytes, transport: str) -> bytes | None:
        """Return the answer to one message, None for no answer at all."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if not query.question or query.flags & dns.flags.QR:
            return None
        asked = query.question[0]
        kind = dns.rdatatype.to_text(asked.rdtype)
        self.questions.append(Question(_text(asked.name), kind, transport))
        if self.silent or (self.udp_only and transport == "tcp"):
            return None
        response = self._response(query, transport)
        room = 65535 if transport == "tcp" else max(query.payload, PLAIN_UDP_SIZE)
        return response.to_wire(max_size=room, prefer_truncation=True)

    def state(self, zone: Zone) -> State:
        """Return what this server holds of a zone now."""
        return zone.at(time.monotonic() - self.delay)

    def shown(self, zone: Zone, name: str) -> list[Record]:
        """Return the records of a name as this server shows them now."""
        records = self.state(zone).answering(name)
        texts = [record for record in records if record.type == "TXT"]
        hidden = texts[max(len(texts) - self.hide, 0) :]
        return [record for record in records if record not in hidden]

    def _response(self, query: dns.message.Message, transport: str) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=self.recursive)
        if self.servfail:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif self.tcp_only and transport == "udp":
            response.flags |= dns.flags.TC
        else:
            self._fill(response)
        return response

    def _fill(self, response: dns.message.Message) -> None:
        """Answer the question, along CNAMEs for as long as they stay in zones that are had here."""
        name, kind = response.question[0].name, response.question[0].rdtype
        if self._holding(_text(name)) is None:
            response.set_rcode(dns.rcode.REFUSED)
            return
        if not self.recursive:
            response.flags |= dns.flags.AA
        for _ in range(LONGEST_CHAIN):
            zone = self._holding(_text(name))
            if zone is None:
                return
            found = self._rrset(zone, name, kind) or self._rrset(zone, name, dns.rdatatype.CNAME)
            if found is None:
                self._deny(response, zone, name)
                return
            response.answer.append(found)
            if found.rdtype == kind:
                return
            name = found[0].target

    def _deny(self, response: dns.message.Message, zone: Zone, name: dns.name.Name) -> None:
        """Say that the name has no such records (NODATA), or that it does not exist at all."""
        text = _text(name)
        below = any(other == text or other.endswith(f".{text}") for other in self._zones)
        if not below and not self.state(zone).covers(text):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(self._soa(zone))

    def _rrset(
        self, zone: Zone, name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> dns.rrset.RRset | None:
        if _text(name) == zone.name and kind == dns.rdatatype.SOA:
            return self._soa(zone)
        if _text(name) == zone.name and kind == dns.rdatatype.NS:
            return dns.rrset.from_text(name, 86400, "IN", "NS", *(f"{one}." for one in self._names))
        records = [one for one in self.shown(zone, _text(name)) if one.type == dns.rdatatype.to_text(kind)]
        if not records:
            return None
        ttl = min(AUTOMATIC_SECONDS if one.ttl == AUTOMATIC_TTL else one.ttl for one in records)
        return dns.rrset.from_rdata_list(name, ttl, [_rdata(record) for record in records])

    def _soa(self, zone: Zone) -> dns.rrset.RRset:
        text = f"{self._names[0]}. dns.{NAMES_ZONE}. {self.state(zone).serial} 10000 2400 604800 1800"
        return dns.rrset.from_text(f"{zone.name}.", 1800, "IN", "SOA", text)

    def _holding(self, name: str) -> Zone | None:
        """Return the closest zone that the name lies in."""
        labels = name.split(".")
        above = (".".join(labels[start:]) for start in range(len(labels) + 1))
        return next((self._zones[zone] for zone in above if zone in self._zones), None)


class Resolver(Nameserver):
    """A resolver that shows what the slowest name server shows, and knows no world beyond their zones.

    So a CA that asks it finds nothing as long as one name server may still show nothing.
    """

    recursive = True

    def __init__(
        self, address: str, servers: Sequence[Nameserver], zones: Mapping[str, Zone], names: Sequence[str]
    ) -> None:
        super().__init__(address, {**zones, ROOT_ZONE: Zone(ROOT_ZONE)}, names)
        self._servers = servers

    def state(self, zone: Zone) -> State:
        """Return what the slowest name server holds of a zone now."""
        return self._slowest().state(zone)

    def shown(self, zone: Zone, name: str) -> list[Record]:
        """Return the records of a name as the slowest name server shows them now."""
        return self._slowest().shown(zone, name)

    def _slowest(self) -> Nameserver:
        return max(self._servers, key=lambda server: (server.delay, server.hide))


class Dns:
    """The resolver on 127.0.0.1 and for each delay a name server on 127.0.0.2 and up, while in `with`."""

    def __init__(self, zones: Mapping[str, Zone], delays: Sequence[float]) -> None:
        self.names = tuple(f"ns{number + 1}.{NAMES_ZONE}" for number in range(len(delays)))
        hosts = [Record.plain(name, "A", _address(number), 86400) for number, name in enumerate(self.names)]
        known = {**zones, NAMES_ZONE: Zone(NAMES_ZONE, hosts)}
        self.servers = tuple(
            Nameserver(_address(number), known, self.names, delay=delay)
            for number, delay in enumerate(delays)
        )
        self.resolver = Resolver("127.0.0.1", self.servers, known, self.names)
        self.port = 0
        self._sockets: list[socketserver.TCPServer] = []

    def __enter__(self) -> Self:
        self._sockets = _bind((self.resolver, *self.servers))
        self.port = self._sockets[0].socket.getsockname()[1]
        for listening in self._sockets:
            threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Each takes a moment to notice, so all are told at once.
        with ThreadPoolExecutor(len(self._sockets)) as pool:
            pool.map(socketserver.BaseServer.shutdown, self._sockets)
        for listening in self._sockets:
            listening.server_close()


def _address(number: int) -> str:
    return f"127.0.0.{number + 2}"


def _bind(servers: Sequence[Nameserver]) -> list[socketserver.TCPServer]:
    """Bind every address, for UDP and TCP, to one port that happens to be free on all of them."""
    for _ in range(PORT_TRIES):
        with suppress(OSError):
            return _bind_once(servers)
    return _bind_once(servers)


def _bind_once(servers: Sequence[Nameserver]) -> list[socketserver.TCPServer]:
    port = 0
    bound: list[socketserver.TCPServer] = []
    with ExitStack() as undo:
        for server in servers:
            for listener in (_Udp, _Tcp):
                bound.append(listener(server, port))
                undo.callback(bound[-1].server_close)
                port = bound[-1].socket.getsockname()[1]
        undo.pop_all()
    return bound


class _Udp(socketserver.UDPServer):
    """The UDP socket of one server; answers are quick, so one thread does."""

    def __init__(self, nameserver: Nameserver, port: int) -> None:
        self.nameserver = nameserver
        super().__init__((nameserver.address, port), _Datagram)


class _Tcp(socketserver.ThreadingTCPServer):
    """The TCP socket of one server."""

    allow_reuse_address = (
        True  # a port just given back is free again, whatever connections linger in TIME_WAIT
    )
    daemon_threads = True

    def __init__(self, nameserver: Nameserver, port: int) -> None:
        self.nameserver = nameserver
        super().__init__((nameserver.address, port), _Stream)


class _Datagram(socketserver.BaseRequestHandler):
    server: _Udp

    def handle(self) -> None:
        wire, listening = self.request
        answer = self.server.nameserver.respond(wire, "udp")
        if answer is not None:
            listening.sendto(answer, self.client_address)


class _Stream(socketserver.StreamRequestHandler):
    server: _Tcp
    timeout = 10

    def handle(self) -> None:
        with suppress(OSError):
            for wire in self._messages():
                answer = self.server.nameserver.respond(wire, "tcp")
                if answer is not None:
                    self.wfile.write(len(answer).to_bytes(2) + answer)

    def _messages(self) -> Iterator[bytes]:
        while len(size := self.rfile.read(2)) == 2:  # noqa: PLR2004  # the two bytes of the length, RFC 1035
            yield self.rfile.read(int.from_bytes(size))


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower().removesuffix(".")


def _rdata(record: Record) -> Any:
    kind = dns.rdatatype.from_text(record.type)
    if record.type == "TXT":
        return TXT(dns.rdataclass.IN, kind, strings(record.content))
    # Contents are complete names, though without the dot at the end.
    return dns.rdata.from_text(
        dns.rdataclass.IN, kind, record.content, origin=dns.name.root, relativize=False
    )

"""An ACME server in memory whose every request may fail, and a wire that cuts the program off at any call."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

from cryptography import x509
from support import chains
from support.fakes import DAY, SERVER, FakeClock

from renewer.acme.client import Challenge, Connection, Order, refuse_wrong_clock, translated
from renewer.acme.issuer import AcmeIssuer
from renewer.acme.problems import URN, Problem
from renewer.core import x509 as keys
from renewer.core.journal import TxtRecord
from renewer.core.model import KeyKind, Material, Window
from renewer.core.rate_limits import WEEK

NAME = "a.example"
HOUR = timedelta(hours=1)
LIFE = 90 * DAY
LIMIT = 5
"""Certificates for an exact set of names in a week, as at Let's Encrypt."""

ORDERING = ("new_order", "order", "challenge", "answer", "finalize", "download")

AUTHORITY = chains.Authority()


class Killed(BaseException):
    """The process is gone: nothing of ours runs any more."""


class Slip(Exception):
    """A bug of ours."""


class Wire:
    """What every call of a port goes through; it can cut the program off before or after one."""

    def __init__(self) -> None:
        self.dead = False
        self.left: int | None = None
        self.end: type[BaseException] = Killed

    def cut(self, calls: int, end: type[BaseException]) -> None:
        self.left, self.end = calls, end

    def mend(self) -> None:
        self.dead, self.left = False, None

    def touch(self) -> None:
        if self.dead:
            raise Killed
        if self.left is None:
            return
        self.left -= 1
        if self.left <= 0:
            self.left, self.dead = None, self.end is Killed
            raise self.end

    def around(self, port: object) -> Any:
        return _Wired(port, self)


class _Wired:
    """A port, each call of which goes over the wire."""

    def __init__(self, port: object, wire: Wire) -> None:
        self._port, self._wire = port, wire

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return self._calling(found) if callable(found) else found

    def _calling(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            self._wire.touch()
            answer = method(*args, **named)
            self._wire.touch()
            return answer

        return call


class Clock(FakeClock):
    """This machine's clock, which may be wrong by `off`; `time` is what the CA's says."""

    off = timedelta(0)

    def now(self) -> datetime:
        return self.time + self.off


@dataclass
class Placed:
    """An order as the CA has it."""

    domains: frozenset[str]
    at: datetime
    exempt: bool
    status: str = "pending"
    csr: str = ""
    chain: str = ""
    proven: set[str] = field(default_factory=set)

    @property
    def open(self) -> bool:
        return self.status in {"pending", "ready", "processing"}


def passing(wait: timedelta | None) -> Callable[[], Exception]:
    kind = "rateLimited" if wait else "serverInternal"
    document = {"type": URN + kind, "detail": "not now"}
    return lambda: Problem(429 if wait else 500, document, wait)


def refusing() -> Exception:
    return Problem(403, {"type": f"{URN}unauthorized", "detail": "no"}, None)


class ToyCa:
    """An ACME server in memory, as `Connection` shows one; `fails` says by request what comes instead.

    `odd` is how what it issues is wrong. It keeps its limits, and checks that nobody asks too early.
    """

    def __init__(self, clock: Clock, seen: Callable[[TxtRecord], bool]) -> None:
        self.clock, self._seen = clock, seen
        self.orders: dict[str, Placed] = {}
        self.fails: dict[str, Callable[[], Exception]] = {}
        self.odd = ""
        self.stays = ""
        self.asked = Counter[str]()
        self.told: datetime | None = None
        self.issued: list[Placed] = []
        self.crossed: list[str] = []
        self.windows: dict[str, Window] = {}

    def connect(self) -> None:
        self._ask("directory")

    def placed(self, domains: Sequence[str], replaces: str | None) -> Order:
        self._ask("new_order")
        now, window = self.clock.time, self.windows.get(replaces or "")
        exempt = window is not None and window.start <= now <= window.end
        url = f"{SERVER}/{len(self.orders)}"
        self.orders[url] = Placed(frozenset(domains), now, exempt)
        return self._shown(url)

    def order(self, url: str) -> Order:
        try:
            self._ask("order")
        except Problem as problem:
            if not problem.passing:  # who is told that it is not there need not believe it is
                self.orders[url].status = "valid" if self.orders[url].chain else "invalid"
            raise
        return self._shown(url)

    def known(self) -> Iterator[Order]:
        self._ask("orders")
        return iter([self._shown(url) for url in reversed(self.orders)])

    def challenge(self, authorization: str) -> Challenge | None:
        self._ask("challenge")
        url, _, domain = authorization.rpartition("#")
        if domain in self.orders[url].proven:
            return None
        record = TxtRecord(f"_acme-challenge.{domain.removeprefix('*.')}", f"{url}#{domain}"[-40:])
        return Challenge(record, authorization)

    def answer(self, challenge: Challenge) -> None:
        self._ask("answer")
        url, _, domain = (challenge.url or "").rpartition("#")
        if not self._seen(challenge.record) or self.odd == "unseen":
            self.orders[url].status = "invalid"
        self.orders[url].proven.add(domain)

    def finalized(self, url: str, csr: str) -> Order:
        self._ask("finalize")
        order = self.orders[url]
        if order.status == "ready":
            order.status, order.csr = "processing", csr
            order.chain = self._signed(order)
            self._count(order)
        return self._shown(url)

    def download(self, url: str) -> str:
        self._ask("download")
        return self.orders[url.removesuffix("/cert")].chain

    def revoke(self) -> None:
        self._ask("revoke")

    def window(self, material: Material) -> Window:
        self._ask("window")
        begin = material.not_before + LIFE * 0.66
        return self.windows.setdefault(material.pairs[0].ari, Window(begin, begin + 2 * DAY, 6 * HOUR))

    def _ask(self, what: str) -> None:
        refuse_wrong_clock(format_datetime(self.clock.time, usegmt=True), self.clock.now())
        self.asked[what] += 1
        if fails := self.fails.get(what):
            error = fails()
            if isinstance(error, Problem) and error.retry_after and what in ORDERING:
                self.told = self.clock.time + error.retry_after
            raise error

    def _shown(self, url: str) -> Order:
        """Let time do its work on the order, and show it."""
        order = self.orders[url]
        if order.open and self.clock.time - order.at > WEEK:
            order.status = "invalid"
        elif order.status == "processing" and self.stays != "processing":
            order.status = "valid"
        elif order.status == "pending" and self.stays != "pending" and order.proven == order.domains:
            order.status = "ready"
        urls = tuple(f"{url}#{domain}" for domain in sorted(order.domains))
        return Order(url, order.status, order.domains, urls, f"{url}/finalize", f"{url}/cert")

    def _signed(self, order: Placed) -> str:
        names = sorted(order.domains) if self.odd != "names" else ["c.example"]
        begin = self.clock.time - HOUR - (LIFE * 2 if self.odd == "ended" else timedelta(0))
        san = [x509.DNSName(name) for name in names]
        leaf = AUTHORITY.leaf(san, begin, begin + LIFE, keys.generate(KeyKind.EC256))
        if self.odd != "key":
            leaf._public_key = keys.read_csr(order.csr).public_key()
        chain = AUTHORITY.chain(leaf)
        return chain[: len(chain) // 2] if self.odd == "cut" else chain

    def _count(self, order: Placed) -> None:
        self.issued.append(order)
        recent = [
            one
            for one in self.issued
            if one.domains == order.domains and not one.exempt and self.clock.time - one.at < WEEK
        ]
        if not order.exempt and len(recent) > LIMIT:
            self.crossed.append(f"{len(recent)} certificates for {sorted(order.domains)} in a week")


class Link:
    """What `Connection` shows of the toy CA."""

    round_trip = 0.0

    def __init__(self, ca: ToyCa) -> None:
        self.orders, self.order, self.challenge = ca.known, ca.order, ca.challenge
        self.answer, self.download, self._ca = ca.answer, ca.download, ca

    def new_order(self, domains: Sequence[str], profile: str | None, replaces: str | None) -> Order:
        assert profile is None
        return self._ca.placed(domains, replaces)

    def finalize(self, order: Order, csr: str) -> Order:
        return self._ca.finalized(order.url, csr)

    def complaints(self, order: Order) -> Iterator[tuple[str, str]]:
        yield "unauthorized", f"{order.url} is invalid"

    def revoke(self, chain: str, reason: int) -> None:
        assert chain, reason
        self._ca.revoke()


@dataclass
class Issuer(AcmeIssuer):
    """The real issuer, connected to the toy CA over the wire."""

    ca: ToyCa = field(kw_only=True)
    wire: Wire = field(kw_only=True)

    def _session(self, directory_url: str) -> Connection:
        assert directory_url == SERVER
        self.wire.around(self.ca).connect()
        return cast("Connection", self.wire.around(Link(self.ca)))

    def window(self, material: Material) -> Window | None:
        with translated(SERVER):
            return cast("Window", self.wire.around(self.ca).window(material))

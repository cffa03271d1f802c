"""One order, from newOrder to a verified chain, in the sequence of RFC 8555, section 7.4.

Every step continues from the journal, so the next run finishes the order of a run that was killed.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from renewer.acme.client import Connection
from renewer.acme.dns01 import Dns01
from renewer.acme.pool import Connections, Parallel
from renewer.acme.problems import HINTS, RATE_LIMITED, Problem
from renewer.acme.rate_limiter import Allowance
from renewer.acme.resources import Order
from renewer.core import x509
from renewer.core.errors import Refused, Transient
from renewer.core.interfaces import Clock, Journal, Report
from renewer.core.journal import PendingOrder
from renewer.core.model import CertSpec, KeyKind, Pair
from renewer.core.rate_limits import EventKind, Exemption
from renewer.system.http_bounds import Astray

FIRST_POLL, LAST_POLL = 0.02, 5.0
"""Bounds in seconds for the waits between polls of an order without a Retry-After, or with a shorter one.

The first wait is as long as the CA's last answer took: polling a slow CA more often gains nothing. Each
further wait is 1.5 times as long.
"""

PATIENCE = 300.0
"""The longest time in seconds for a CA to validate or to issue; some are slower than Let's Encrypt."""

PENDING, READY, VALID, INVALID = "pending", "ready", "valid", "invalid"
"""Statuses of an order (RFC 8555, section 7.1.6); the fifth is "processing"."""


@dataclass(frozen=True)
class PairOrder:
    """Obtains one pair for the certificate `spec`, with a key of this `kind`."""

    connections: Connections
    ca: Connection
    spec: CertSpec
    kind: KeyKind
    journal: Journal
    dns01: Dns01
    allowance: Allowance
    clock: Clock
    report: Report

    def run(self, replaces: str | None, exemption: Exemption = Exemption.NONE) -> Pair:
        """Return the pair; `replaces` is the ARI identifier of the certificate that it replaces.

        `exemption` says why the order does not count against the CA's rate limits.
        """
        order = self._resume()
        if order is None:
            self.dns01.sweep(self.spec.name, self.journal)  # the records of an earlier order
            order = self._place(replaces, exemption)
        if order.status == PENDING:
            order = self._prove(order, exemption)
        else:
            self.dns01.sweep(self.spec.name, self.journal)  # the records were left by a run that was killed
            order = self._finalize(order, exemption)
        if order.status != VALID:
            order = self._poll(order, "to issue", VALID)
        return self._download(order)

    def _resume(self) -> Order | None:
        """Return the order in the journal, if it matches this request and the CA still has it."""
        pending = self.journal.load().order
        if pending is None or not self._fits(pending):
            return None
        try:
            order = self.ca.order(pending.url) if pending.url else self._lost(pending)
        except Problem as problem:
            if problem.passing:
                raise
            return None
        except Astray:
            return None  # a new one shows whether the CA still leads to where nobody is asked
        if order is not None and order.status == INVALID:
            raise self._why_invalid(order)  # it failed after the earlier run was killed
        return order

    def _lost(self, pending: PendingOrder) -> Order | None:
        """Return an order whose URL was not recorded in time, if the CA lists the account's orders."""
        for order in self.ca.orders():
            if order.status in {PENDING, READY} and order.domains == set(pending.domains):
                self._keep(replace(pending, url=order.url))
                return order
        return None

    def _fits(self, pending: PendingOrder) -> bool:
        wanted = (self.kind, set(self.spec.domains), self.spec.directory_url)
        return (pending.kind, set(pending.domains), pending.directory_url) == wanted

    def _place(self, replaces: str | None, exemption: Exemption) -> Order:
        """Place a new order; record key and CSR in the journal before, and its URL right after."""
        domains, directory_url = self.spec.domains, self.spec.directory_url
        self.allowance.require(domains, exemption)
        self._doing("finding the DNS zone")
        self.dns01.check(domains)
        self._doing("placing an order")
        key = x509.generate(self.kind)
        pending = PendingOrder(self.kind, domains, directory_url, key, x509.csr(key, domains))
        self.allowance.spend(domains, exemption)
        self._keep(pending)
        order = self._ask_for_order(replaces)
        self._keep(replace(pending, url=order.url))
        return order

    def _ask_for_order(self, replaces: str | None) -> Order:
        try:
            return self.ca.new_order(self.spec.domains, self.spec.profile, replaces)
        except Problem as problem:
            if problem.retry_after:
                names = self.spec.domains if problem.kind == RATE_LIMITED else ()
                self.allowance.told(problem.retry_after, names)
            raise

    def _prove(self, order: Order, exemption: Exemption) -> Order:
        """Publish the TXT records, answer every challenge, wait for the CA's validation, and finalize.

        The records are removed while the CA issues.
        """
        parallel = Parallel(self.connections, self.ca, len(order.authorizations))
        wanted = [
            found for found in parallel.each(lambda ca, one: ca.challenge(one), order.authorizations) if found
        ]
        with self.dns01.shown(self.spec.name, [challenge.record for challenge in wanted], self.journal):
            self._doing("answering the CA's challenges")
            parallel.each(lambda ca, one: ca.answer(one), wanted)
            order = self._poll(replace(order, retry_after=None), "to validate", READY, VALID)
            return self._finalize(order, exemption)

    def _finalize(self, order: Order, exemption: Exemption) -> Order:
        """Send the CSR if the order is ready for it."""
        if order.status != READY:
            return order
        self._doing("finalizing the order")
        self.allowance.note(EventKind.CERTIFICATE, self.spec.domains, order.url, exemption)
        return self.ca.finalize(order, self._pending.csr)

    def _poll(self, order: Order, purpose: str, *until: str) -> Order:
        """Poll the order until it has one of the statuses; respects Retry-After."""
        self._doing(f"waiting for the CA {purpose}")
        end = self.clock.monotonic() + PATIENCE
        pause = min(max(self.ca.round_trip, FIRST_POLL), LAST_POLL)
        while order.status not in until:
            if order.status == INVALID:
                raise self._why_invalid(order)
            # A Retry-After of 0, or a date in the past by the system clock, means no wait.
            wait = max(pause, (order.retry_after or timedelta(0)).total_seconds())
            if self.clock.monotonic() + wait > end:
                raise Transient(
                    f"the CA takes more than {PATIENCE:.0f} seconds {purpose}",
                    hint="the next run goes on with the same order",
                )
            self.clock.sleep(wait)
            order = self.ca.order(order.url)
            pause = min(pause * 1.5, LAST_POLL)
        return order

    def _why_invalid(self, order: Order) -> Refused:
        """Return the CA's reasons as an error, and give up the order."""
        self._give_up()
        self.allowance.note(EventKind.FAILED_AUTHORIZATION, self.spec.domains, order.url)
        complaints = list(self.ca.complaints(order))
        said = "; ".join(sentence for _, sentence in complaints) or "it gives no reason"
        hint = next((HINTS[kind] for kind, _ in complaints if kind in HINTS), "")
        return Refused(f"the CA declared the order invalid: {said}", hint=hint, spent=True)

    def _download(self, order: Order) -> Pair:
        """Download the chain; accept it only if it matches the order."""
        pending = self._pending
        chain = self.ca.download(order.certificate or "")
        if x509.BEGIN not in chain:
            raise Transient(
                "what the CA sent is no certificate at all",
                hint="the next run asks for it again, with the same order",
            )
        try:
            pair = x509.read_pair(pending.kind, pending.key, chain)
            x509.check_pair(pair, self.spec.domains, self.clock.now())
        except Refused as refusal:
            self._give_up()  # it would be just as wrong next time
            raise Refused(str(refusal), hint=refusal.hint, spent=True) from refusal
        return pair

    def _give_up(self) -> None:
        self._keep(None)

    def _keep(self, order: PendingOrder | None) -> None:
        self.journal.save(self.journal.load().with_order(order))

    @property
    def _pending(self) -> PendingOrder:
        pending = self.journal.load().order
        if pending is None:
            raise Transient("the journal of the order is gone", hint="run this again for a new order")
        return pending

    def _doing(self, what: str) -> None:
        self.report.doing(self.spec.name, what)

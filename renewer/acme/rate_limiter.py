"""Applies a CA's rate limits, using a ledger of earlier orders and of the CA's answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from renewer.core import rate_limits
from renewer.core.errors import LockBusy, Transient
from renewer.core.interfaces import Clock
from renewer.core.rate_limits import Event, EventKind, Exemption, History, Limit, Told
from renewer.core.timefmt import exactly
from renewer.store.state import State
from renewer.system.batching import Batcher

TRIES, PAUSE = 100, 0.05
"""How often, and after how many seconds, to retry while another process writes the ledger."""


@dataclass
class _Entry:
    """A change that a thread wants to make to the ledger, and the reason if it is refused."""

    change: Callable[[History], History]
    error: Transient | None = None


class Allowance:
    """The ledger of one CA; safe to use from threads, whose changes are written together."""

    def __init__(self, directory_url: str, known: tuple[Limit, ...], vault: State, clock: Clock) -> None:
        self.directory_url = directory_url
        self.limits = known
        self.vault = vault
        self.clock = clock
        self._jointly = Batcher(self._write)

    def require(self, names: Sequence[str], exemption: Exemption) -> None:
        """Raise `Transient` with the time to wait if an order for these names would exceed a limit."""
        self._refuse(self.vault.history(self.directory_url), names, exemption)

    def spend(self, names: Sequence[str], exemption: Exemption) -> None:
        """Record that an order for these names is about to be sent; raises like `require`.

        Others may have ordered since `require`, so the limits are checked again here.
        """

        def spent(history: History) -> History:
            self._refuse(history, names, exemption)
            event = Event(self.clock.now(), EventKind.ORDER, tuple(sorted(names)), exemption)
            return rate_limits.noted(history, event, event.at)

        self._keep(spent)

    def _refuse(self, history: History, names: Sequence[str], exemption: Exemption) -> None:
        now = self.clock.now()
        hold = rate_limits.held(history, self.limits, names, now, exemption)
        if hold is None:
            return
        until = exactly(hold.until)
        raise Transient(
            f"no order is sent to the CA at {self.directory_url} before {until}: {hold.reason}",
            hint="the CA would refuse it; it is ordered then by itself",
            retry_after=hold.until - now,
        )

    def cost(self, names: Sequence[str]) -> str:
        """Return how much an order for these names would use; empty if no limit is known."""
        history = self.vault.history(self.directory_url)
        return ", ".join(rate_limits.cost(history, self.limits, names, self.clock.now()))

    def note(
        self, kind: EventKind, names: Sequence[str], order: str, exemption: Exemption = Exemption.NONE
    ) -> None:
        """Record the next request for the order with this URL, or that it has failed.

        An order counts once, however often this is called; a failed one no longer counts as a certificate.
        """
        event = Event(self.clock.now(), kind, tuple(sorted(names)), exemption, order)
        self._keep(lambda history: rate_limits.noted(history, event, event.at))

    def told(self, wait: timedelta, names: Sequence[str]) -> None:
        """Record that the CA asked to wait with orders for these names, or with all orders if empty."""
        now = self.clock.now()
        word = Told(now + wait, tuple(sorted(names)))
        self._keep(lambda history: rate_limits.told(history, word, now))

    def _keep(self, change: Callable[[History], History]) -> None:
        entry = _Entry(change)
        self._jointly.fulfil(entry)
        if entry.error is not None:
            raise entry.error

    def _write(self, entries: Sequence[_Entry]) -> None:
        """Write all changes at once, except those that a limit forbids."""

        def changed(history: History) -> History:
            for entry in entries:
                entry.error = None
                try:
                    history = entry.change(history)
                except Transient as full:
                    entry.error = full
            return history

        for _ in range(TRIES - 1):
            try:
                return self.vault.keep_history(self.directory_url, changed)
            except LockBusy:
                self.clock.sleep(PAUSE)
        return self.vault.keep_history(self.directory_url, changed)

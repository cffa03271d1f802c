"""Changes of one zone that travel together: what comes while a call is under way goes with the next one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from renewer.core.errors import RenewerError
from renewer.core.journal import TxtRecord
from renewer.dns.cloudflare.errors import Said
from renewer.system.batching import Batcher

MOST = 200
"""Changes in one call; what Cloudflare takes in the smallest of its plans."""


@dataclass(frozen=True)
class Changes:
    """Records to create, and the identifiers of those to remove."""

    create: tuple[TxtRecord, ...] = ()
    remove: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.create) + len(self.remove)


@dataclass
class _Wish:
    """What one thread wants done, and what became of it."""

    changes: Changes
    created: Sequence[str] = ()
    error: Exception | None = None


class ZoneBatch:
    """The changes of one zone; safe to use from threads.

    `send` makes one call, all of it or nothing, and returns the identifiers of what was created in the order
    of the records.
    """

    def __init__(self, send: Callable[[Changes], Sequence[str]]) -> None:
        self._send = send
        self._jointly = Batcher(self._serve, _fit)

    @property
    def waiting(self) -> int:
        """How many threads' changes are not under way yet."""
        return self._jointly.waiting

    def change(self, changes: Changes) -> Sequence[str]:
        """Return the identifiers of what was created; raises what `send` does for these changes."""
        wish = _Wish(changes)
        self._jointly.fulfil(wish)
        if wish.error is not None:
            raise wish.error
        return wish.created

    def _serve(self, wishes: Sequence[_Wish]) -> None:
        """Send all in one call; a refusal may be meant for one of them, so then each goes alone.

        After what may pass, or may have been done all the same, nothing is sent again.
        """
        changes = Changes(
            tuple(record for wish in wishes for record in wish.changes.create),
            tuple(one for wish in wishes for one in wish.changes.remove),
        )
        try:
            created = list(self._send(changes))
        except (Said, RenewerError) as error:
            if len(wishes) > 1 and isinstance(error, Said) and error.declined:
                for wish in wishes:
                    self._serve([wish])
            else:
                for wish in wishes:
                    wish.error = error
        else:
            for wish in wishes:
                count = len(wish.changes.create)
                wish.created, created = created[:count], created[count:]


def _fit(wishes: Sequence[_Wish]) -> int:
    """Return how many of these one call takes."""
    size = 0
    for count, wish in enumerate(wishes):
        size += len(wish.changes)
        if size > MOST:
            return count
    return len(wishes)

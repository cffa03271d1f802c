"""Changes of one zone that travel together: what comes while a call is under way goes out with the next one.

Nobody waits for company: who comes alone is sent at once.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from renewer.errors import RenewerError
from renewer.journal import TxtRecord

Created = Mapping[str, Any]
"""A record as the provider tells of it."""

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
    created: Sequence[Created] = ()
    error: Exception | None = None
    done: bool = False


@dataclass
class Together:
    """The changes of one zone; safe to use from threads.

    `send` makes one call, all of it or nothing, and returns what was created in the order of the records. It
    raises `refusals` for a call that was understood and declined.
    """

    send: Callable[[Changes], Sequence[Created]]
    refusals: type[Exception]
    _waiting: list[_Wish] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def change(self, changes: Changes) -> Sequence[Created]:
        """Return what was created; raises what `send` does for these changes."""
        wish = _Wish(changes)
        with self._guard:
            self._waiting.append(wish)
        while not wish.done:
            with self._turn:
                if not wish.done:  # somebody else's call may have taken it along
                    self._serve(self._next())
        if wish.error is not None:
            raise wish.error
        return wish.created

    def _next(self) -> list[_Wish]:
        """Return those who go together now: the longest waiting, as many as fit."""
        with self._guard:
            found: list[_Wish] = []
            size = 0
            for wish in self._waiting:
                size += len(wish.changes)
                if found and size > MOST:
                    break
                found.append(wish)
            del self._waiting[: len(found)]
        return found

    def _serve(self, wishes: Sequence[_Wish]) -> None:
        """Send all in one call; a refusal may be meant for one of them, so then each goes alone."""
        changes = Changes(
            tuple(record for wish in wishes for record in wish.changes.create),
            tuple(one for wish in wishes for one in wish.changes.remove),
        )
        try:
            created = list(self.send(changes))
        except self.refusals as error:
            if len(wishes) > 1:
                for wish in wishes:
                    self._serve([wish])
            else:
                _settle(wishes, error)
        except RenewerError as error:
            _settle(wishes, error)
        except BaseException as error:
            _settle(wishes, RuntimeError(f"the call they travelled with failed: {error!r}"))
            raise
        else:
            for wish in wishes:
                count = len(wish.changes.create)
                wish.created, created = created[:count], created[count:]
                wish.done = True


def _settle(wishes: Sequence[_Wish], error: Exception) -> None:
    for wish in wishes:
        wish.error, wish.done = error, True

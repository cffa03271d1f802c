"""Limits for servers we talk to over HTTP: the time and the size of an answer, and redirects.

A server may be broken or hostile: its answer may never end, unpack to any size, or redirect to a machine that
only this one can reach. None of that may cost more than the request.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from renewer.core.errors import Refused, Transient

Value = TypeVar("Value")

LARGEST = 1024 * 1024
"""Most bytes of an answer that are read; the longest in practice, a page of zones, has 150,000."""

LEFT = 4
"""Most abandoned requests to one server; beyond that it gets no more requests in this run."""

_SHOWN = 200
"""Characters of a foreign address that are shown."""

_left: Counter[str] = Counter()
_guard = threading.Lock()


class Astray(Refused):
    """An answer leads elsewhere: a redirect, or a URL that is not https."""


@dataclass(frozen=True)
class Peer:
    """An HTTP server: its name in messages, and the configuration key that names it."""

    name: str
    setting: str

    def within(self, seconds: float, ask: Callable[[], Value]) -> Value:
        """Return what `ask` returns, or raise what it raises; raise `Transient` if it takes too long.

        It runs in a thread, which is then abandoned: a socket's timeout starts anew with the lookup of a
        name, the next of many addresses, and each single byte.
        """
        with _guard:
            if _left[self.name] >= LEFT:
                raise self._endless(seconds)
        asked: Future[Value] = Future()
        try:
            threading.Thread(target=_fulfil, args=(asked, ask), daemon=True).start()
        except RuntimeError as error:
            raise Transient(
                f"no request to {self.name} can be sent: {error}",
                hint="raise the limit on threads (ulimit -u, or TasksMax= of the unit)",
            ) from error
        try:
            return asked.result(seconds)
        except TimeoutError:
            if asked.done():  # the timeout of `ask` itself
                raise
        with _guard:
            _left[self.name] += 1
        asked.add_done_callback(lambda _: self._ended())
        raise self._endless(seconds)

    def require_plain(self, status: int, location: str, encoding: str) -> None:
        """Raise if an answer is a redirect or compressed, given its status and these two headers."""
        if status // 100 == 3:  # noqa: PLR2004  (Redirection 3xx, RFC 9110, section 15.4)
            raise Astray(
                f"{self.name} redirects to {location[:_SHOWN] or 'nowhere'}, which is not followed",
                hint=f"check {self.setting}: it must name the server that answers itself",
            )
        if encoding.strip().lower() not in {"", "identity"}:
            raise self._odd(f"sends a compressed answer ({encoding[:_SHOWN]}), although none was requested")

    def whole(self, pieces: Iterable[bytes]) -> bytes:
        """Return the body from its pieces; raise `Transient` as soon as it is too large."""
        body = bytearray()
        for piece in pieces:
            body += piece
            if len(body) > LARGEST:
                raise self._odd(f"sends more than {LARGEST:,} bytes for one answer")
        return bytes(body)

    def _ended(self) -> None:
        with _guard:
            _left[self.name] -= 1

    def _endless(self, seconds: float) -> Transient:
        return self._odd(f"did not send a complete answer within {seconds:g} seconds")

    def _odd(self, what: str) -> Transient:
        hint = f"check {self.setting}, and any proxy or firewall between; nothing is lost"
        return Transient(f"{self.name} {what}", hint=hint)


def _fulfil(asked: "Future[Value]", ask: Callable[[], Value]) -> None:
    try:
        asked.set_result(ask())
    except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
        asked.set_exception(error)

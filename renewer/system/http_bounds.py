"""Bounds on what a server may do with us over HTTP: the time and the size of an answer, and where it leads.

Whoever answers may be broken or hostile. An answer may drip for ever, unpack to any size, or redirect a
request to a machine that only this one reaches; none of that may cost more than the request.
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
"""Bytes of an answer that are read at most; the longest there is, a page of zones, has 150,000."""

LEFT = 4
"""How many requests may be left behind at one server; beyond that it is asked nothing more in this run."""

_SHOWN = 200
"""How many characters of a foreign address are shown."""

_left: Counter[str] = Counter()
_guard = threading.Lock()


class Astray(Refused):
    """An answer leads to where nobody should be asked: a redirect, or a URL that is not https."""


@dataclass(frozen=True)
class Peer:
    """Who is asked over HTTP: its name in a sentence, and what names it in the configuration."""

    name: str
    setting: str

    def within(self, seconds: float, ask: Callable[[], Value]) -> Value:
        """Return what `ask` returns, or raise what it raises; raise `Transient` where that takes too long.

        It is run in a thread, which is left behind then: looking up a name, the next of many addresses, and
        each single byte begin the timeout of a socket anew.
        """
        with _guard:
            if _left[self.name] >= LEFT:
                raise self._endless(seconds)
        asked: Future[Value] = Future()
        try:
            threading.Thread(target=_fulfil, args=(asked, ask), daemon=True).start()
        except RuntimeError as error:
            raise Transient(
                f"{self.name} cannot be asked: {error}",
                hint="raise the limit of threads (ulimit -u, or TasksMax= of the unit)",
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
        """Raise unless an answer stays here and is not compressed, by its status and these two headers."""
        if status // 100 == 3:  # noqa: PLR2004  (Redirection 3xx, RFC 9110, section 15.4)
            raise Astray(
                f"{self.name} redirects to {location[:_SHOWN] or 'nowhere'}, which is not followed",
                hint=f"check {self.setting}: name there what answers by itself",
            )
        if encoding.strip().lower() not in {"", "identity"}:
            raise self._odd(f"sends a compressed answer ({encoding[:_SHOWN]}) that was not asked for")

    def whole(self, pieces: Iterable[bytes]) -> bytes:
        """Return a body that comes in pieces; raise `Transient` as soon as it is too large."""
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
        return self._odd(f"gives no whole answer within {seconds:g} seconds")

    def _odd(self, what: str) -> Transient:
        hint = f"check {self.setting}, and what stands between it and this machine; nothing is lost"
        return Transient(f"{self.name} {what}", hint=hint)


def _fulfil(asked: "Future[Value]", ask: Callable[[], Value]) -> None:
    try:
        asked.set_result(ask())
    except BaseException as error:  # noqa: BLE001 - who waits raises it
        asked.set_exception(error)

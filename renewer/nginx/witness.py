"""Waiting until nginx is seen to work with what it was given: new workers, then handshakes."""

from collections.abc import Sequence
from dataclasses import dataclass

from renewer.core.interfaces import Clock
from renewer.core.model import Fingerprint
from renewer.nginx.handshake import HandshakeResult, handshake
from renewer.nginx.processes import Master, accepting
from renewer.nginx.targets import Target

IN_A_ROW = 3
"""How many handshakes must agree: while a reload goes on, old and new workers both accept."""

_TICK = 0.03


@dataclass(frozen=True)
class Sought:
    """A certificate that a handshake has to show: any one of its fingerprints, one for each kind of key."""

    name: str
    target: Target
    fingerprints: tuple[Fingerprint, ...]


def replaced(old: frozenset[int] | None, master: Master, deadline: float, clock: Clock) -> bool:
    """Wait until new workers accept and none of the `old` does; tell whether that came about by the deadline.

    Where workers cannot be seen, that tells nothing: true, and the handshakes decide.
    """
    if old is None:
        return True
    while True:
        now = accepting(master)
        if now is None or (now and not now & old):
            return True
        if clock.monotonic() >= deadline:
            return False
        clock.sleep(_TICK)


def unserved(sought: Sequence[Sought], deadline: float, clock: Clock) -> dict[Sought, HandshakeResult]:
    """Look until everything was shown three times in a row; return what was seen instead by the deadline.

    What has begun to be shown by then is looked at to the end.
    """
    rows = dict.fromkeys(sought, 0)
    last: dict[Sought, HandshakeResult] = {}
    while True:
        for one in (one for one in sought if rows[one] < IN_A_ROW):
            if one in last and not rows[one] and clock.monotonic() >= deadline:
                continue  # each may take seconds
            last[one] = handshake(one.target)
            rows[one] = rows[one] + 1 if last[one].fingerprint in one.fingerprints else 0
        missing = {one: last[one] for one in sought if rows[one] < IN_A_ROW}
        if clock.monotonic() >= deadline and not all(rows[one] for one in missing):
            return missing
        if not missing:
            return {}
        clock.sleep(_TICK)

"""Waits until nginx works with its new files: first for new workers, then for handshakes."""

from collections.abc import Sequence
from dataclasses import dataclass

from renewer.core.interfaces import Clock
from renewer.core.model import Fingerprint
from renewer.nginx.handshake import HandshakeResult, handshake
from renewer.nginx.processes import Master, accepting
from renewer.nginx.targets import Target

IN_A_ROW = 3
"""Handshakes in a row that must agree: during a reload, both old and new workers accept connections."""

_TICK = 0.03


@dataclass(frozen=True)
class Sought:
    """A certificate that a handshake must show: any of its fingerprints, one for each kind of key."""

    name: str
    target: Target
    fingerprints: tuple[Fingerprint, ...]


def replaced(old: frozenset[int] | None, master: Master, deadline: float, clock: Clock) -> bool:
    """Wait until new workers accept and no `old` one does; return whether that happened by the deadline.

    If workers cannot be seen, return true and leave the decision to the handshakes.
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
    """Check until every certificate was shown three times in a row; return what is missing at the deadline.

    A certificate that has been shown by then is checked to the end.
    """
    rows = dict.fromkeys(sought, 0)
    last: dict[Sought, HandshakeResult] = {}
    while True:
        for one in (one for one in sought if rows[one] < IN_A_ROW):
            if one in last and not rows[one] and clock.monotonic() >= deadline:
                continue  # each handshake may take seconds
            last[one] = handshake(one.target)
            rows[one] = rows[one] + 1 if last[one].fingerprint in one.fingerprints else 0
        missing = {one: last[one] for one in sought if rows[one] < IN_A_ROW}
        if clock.monotonic() >= deadline and not all(rows[one] for one in missing):
            return missing
        if not missing:
            return {}
        clock.sleep(_TICK)

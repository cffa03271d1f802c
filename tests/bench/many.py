"""Many certificates that are due together, in one zone and in twenty.

With 1,000 of them the local CA may come to a stand (letsencrypt/pebble, issue 554: an order is locked for
reading twice): then nothing is answered any more, and the bench ends with what renewer said of that.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contest import USUAL, Certbot, Renewer, Setting, Spent, place
from measure import in_turns, median, paired


def measured(
    setting: Setting, counts: Sequence[int], zones: Sequence[int], certbot: int, against: Path | None
) -> list[dict[str, Any]]:
    """Measure each number of certificates over each number of zones; up to `certbot` of them certbot, too."""
    found = []
    for spread in zones:
        for count in counts:
            found.append(_measured(setting, count, spread, against, certbot=count <= certbot and spread == 1))
            found[-1]["growth"] = _growth([one for one in found if one["zones"] == spread])
    return found


def _measured(
    setting: Setting,
    count: int,
    spread: int,
    against: Path | None,
    *,
    certbot: bool,
) -> dict[str, Any]:
    owned = [f"zone{number}.example" for number in range(spread)]
    names = [f"c{number}.{owned[number % spread]}" for number in range(count)]
    with place(setting=setting, zones=owned) as world:
        acts = {"renewer": Renewer(world).first(names)}
        if against:
            acts["renewer before"] = Renewer(world, against).first(names)
        if certbot:
            acts["certbot"] = Certbot(world, None if setting == USUAL else 1).first(names)
        runs = in_turns(acts, 1)
    return {"certificates": count, "zones": spread} | {
        name: _told(count, spent, runs["renewer"]) for name, spent in runs.items()
    }


def _told(count: int, spent: list[Spent], ours: list[Spent]) -> dict[str, float]:
    return {
        "wall": median([run.cost.wall for run in spent]),
        "cpu": median([run.cost.cpu for run in spent]),
        "peak": median([run.cost.peak for run in spent]),
        "calls_each": median([run.calls / count for run in spent]),
        "requests_each": median([run.requests / count for run in spent]),
        "renewer_to_this": paired([run.cost.wall for run in ours], [run.cost.wall for run in spent]),
    }


def _growth(rows: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """Return the exponents with which time, CPU and memory grew from the last number: 1 is in proportion."""
    if len(rows) <= 1:
        return None
    before, now = rows[-2:]
    step = math.log(now["certificates"] / before["certificates"])
    return {
        what: math.log(now["renewer"][what] / before["renewer"][what]) / step
        for what in ("wall", "cpu", "peak")
    }

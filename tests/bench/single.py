"""One certificate: `example.com` and `*.example.com`, for the first time and again."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from contest import USUAL, Certbot, Place, Renewer, Setting, Spent, place
from measure import in_turns, median, paired

REQUESTS = {"first": 12, "renewal": 11}
"""What a CA has to be asked: directory, nonce, (account,) order, for each name an authorization and an
answer, a look at the order, finalize, another look, and the certificate."""

CALLS = {"first": 3, "renewal": 2}
"""What Cloudflare has to be asked: (the zone,) one batch that creates, one that removes."""


def measured(setting: Setting, rounds: int, against: Path | None, *, certbot: bool) -> dict[str, Any]:
    """Measure everybody in turns."""
    with place(setting=setting) as world:
        found = {
            kind: in_turns(_everybody(world, setting, against, kind, certbot=certbot), rounds)
            for kind in CALLS
        }
    return {
        kind: {name: _told(kind, setting, runs, found[kind]) for name, runs in found[kind].items()}
        for kind in found
    }


def _everybody(
    world: Place, setting: Setting, against: Path | None, kind: str, *, certbot: bool
) -> Mapping[str, Callable[[], Spent]]:
    patient = None if setting == USUAL else 1  # certbot's own wait is what it is measured with
    who: dict[str, Renewer | Certbot] = {"renewer": Renewer(world)}
    if certbot:
        who["certbot"] = Certbot(world, patient)
    if kind == "renewal":
        who["renewer, until nginx serves it"] = Renewer(world, nginx=True)
    if against:
        who["renewer before"] = Renewer(world, against)
    return {name: one.first() if kind == "first" else one.renewal() for name, one in who.items()}


def _told(
    kind: str, setting: Setting, runs: list[Spent], all_runs: Mapping[str, list[Spent]]
) -> dict[str, Any]:
    floors = [floor(kind, setting, run.round_trip) for run in runs]
    walls = [run.cost.wall for run in runs]
    return {
        "wall": median(walls),
        "cpu": median([run.cost.cpu for run in runs]),
        "peak": median([run.cost.peak for run in runs]),
        "calls": median([run.calls for run in runs]),
        "requests": median([run.requests for run in runs]),
        "floor": median(floors),
        "to_floor": paired(walls, floors),
        "wall_to": {
            name: paired(walls, [run.cost.wall for run in others]) for name, others in all_runs.items()
        },
        "cpu_to": {
            name: paired([run.cost.cpu for run in runs], [run.cost.cpu for run in others])
            for name, others in all_runs.items()
        },
        "walls": walls,
    }


def floor(kind: str, setting: Setting, round_trip: float) -> float:
    """Return the seconds that nobody can save: the slowest name server, the calls, the requests to the CA."""
    return max(setting.delays) + CALLS[kind] * setting.latency + REQUESTS[kind] * round_trip

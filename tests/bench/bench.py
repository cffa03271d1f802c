"""The whole bench: measures, and tells it as a Markdown table, JSON and a plot; see tests/bench/run."""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "examples"), str(HERE.parents[1])]

import contest  # noqa: E402
import gate  # noqa: E402
import idle  # noqa: E402
import many  # noqa: E402
import plot  # noqa: E402
import profiles  # noqa: E402
import resident  # noqa: E402
import served  # noqa: E402
import single  # noqa: E402
import tables  # noqa: E402
from contest import USUAL, Setting  # noqa: E402
from measure import ROOT  # noqa: E402

PAGE = ROOT / "examples" / "PERFORMANCE.md"
BEGIN, END = "<!-- the bench begins -->\n", "<!-- the bench ends -->\n"
"""The table on that page is between these lines."""


@dataclass(frozen=True)
class Extent:
    """How much is measured; `certbot`: up to how many certificates it takes part in single, many, idle."""

    setting: Setting = USUAL
    rounds: int = 7
    many: tuple[int, ...] = (1, 10, 100, 1000)
    zones: tuple[int, ...] = (1, 20)
    idle: tuple[int, ...] = (1, 1000, 10000)
    certbot: tuple[int, int, int] = (1, 10, 1000)
    cycles: tuple[int, int] = (10, 100)
    watched: float = 180.0
    gate: tuple[int, int] = (12, 3)
    reloads: tuple[int, int, int] = (10, 60, 4)


SHORT = Extent(
    setting=Setting(0.01, (0.0, 0.1)),
    rounds=1,
    many=(1, 2),
    zones=(1,),
    idle=(1, 3),
    certbot=(1, 0, 0),
    cycles=(1, 2),
    watched=1.0,
    gate=(1, 1),
    reloads=(1, 2, 1),
)
"""Enough to see that all of it works."""


def parts(extent: Extent, before: Path | None) -> dict[str, Callable[[], Any]]:
    """Return what can be measured."""
    early, cycles = extent.cycles
    one, some, fresh = extent.certbot
    return {
        "single": lambda: single.measured(extent.setting, extent.rounds, before, certbot=one > 0),
        "many": lambda: many.measured(extent.setting, extent.many, extent.zones, some, before),
        "idle": lambda: idle.measured(extent.idle, extent.rounds, fresh, before),
        "daemon": lambda: resident.measured(cycles, early, extent.watched, ROOT),
        "gate": lambda: gate.measured(*extent.gate),
        "served": lambda: served.measured(*extent.reloads),
        "profile": lambda: profiles.measured(extent.setting, ROOT, extent.rounds),
    }


def main() -> None:
    """Measure what the command line asks for."""
    asked = arguments()
    extent = SHORT if asked.short else Extent(rounds=asked.rounds)
    extent = replace(extent, many=tuple(count for count in extent.many if count <= asked.most))
    if asked.no_certbot:
        extent = replace(extent, certbot=(0, 0, 0))
    with ExitStack() as stack:
        before = stack.enter_context(contest.revision(asked.against)) if asked.against else None
        wanted = {name: act for name, act in parts(extent, before).items() if name in (asked.only or [name])}
        results: dict[str, Any] = {"about": about(asked)}
        for name, act in wanted.items():
            began = time.monotonic()
            results[name] = act()
            print(f"{name}: measured in {time.monotonic() - began:.0f} s", file=sys.stderr)
    results["about"]["load_after"] = os.getloadavg()[0]
    asked.into.mkdir(parents=True, exist_ok=True)
    (asked.into / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    plot.draw(results, asked.into / "results.svg")
    table = tables.told(results)
    (asked.into / "results.md").write_text(table)
    print(table)
    if asked.page:
        put_into(PAGE, tables.short(results))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    read = argparse.ArgumentParser(prog="tests/bench/run", description="Measures renewer beside certbot.")
    names = list(parts(SHORT, None))
    read.add_argument(
        "--short", action="store_true", help="only see whether the bench works; its figures mean nothing"
    )
    read.add_argument(
        "--rounds", type=int, default=Extent.rounds, help="how often each pair is measured [%(default)s]"
    )
    read.add_argument(
        "--most",
        type=int,
        default=Extent.many[-1],
        metavar="COUNT",
        help="how many certificates are due together at most [%(default)s]; 1,000 take ten minutes",
    )
    read.add_argument(
        "--only", action="append", choices=names, metavar="PART", help=f"one of {', '.join(names)}"
    )
    read.add_argument(
        "--against", metavar="REVISION", help="measure an earlier revision of renewer beside this one"
    )
    read.add_argument(
        "--no-certbot", action="store_true", help="leave certbot out, which takes most of the time"
    )
    read.add_argument("--page", action="store_true", help="put a short table into examples/PERFORMANCE.md")
    read.add_argument(
        "--into", type=Path, default=HERE / "results", help="where results.json, .md and .svg go"
    )
    return read.parse_args()


def about(asked: argparse.Namespace) -> dict[str, Any]:
    """Return what has to be known of a measurement: when, where, with what."""
    return {
        "command": shlex.join(["tests/bench/run", *sys.argv[1:]]),
        "day": f"{datetime.now(UTC):%Y-%m-%d}",
        "short": asked.short,
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "certbot": None if asked.no_certbot else contest.version(contest.CERTBOT),
    }


def put_into(file: Path, table: str) -> None:
    """Replace what stands between the two marks of a file."""
    text = file.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{file} has no place for the table: the lines {BEGIN.strip()} and {END.strip()}")
    file.write_text(f"{head}{BEGIN}{table}{END}{tail}")


if __name__ == "__main__":
    main()

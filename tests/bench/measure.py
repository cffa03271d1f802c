"""Programs as they are measured: whole processes that take turns, and the median of what they cost."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[2]
METER = Path(__file__).with_name("meter.py")

PATIENCE = 3600.0
"""Seconds after which a program has hung."""

KIB_IN_MIB = 1024

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """What one process cost, with all that it started: seconds, CPU seconds, MiB at its peak."""

    wall: float
    cpu: float
    peak: float


@dataclass(frozen=True)
class Program:
    """What is started, with nothing of this process's environment but these variables."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *, fails: bool = False) -> Cost:
        """Run it to its end; a program that failed is an error, unless it is known to do so."""
        with tempfile.TemporaryDirectory() as scratch:
            told = Path(scratch) / "told"
            done = subprocess.run(
                [sys.executable, "-I", "-S", METER, told, *self.argv],
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": scratch, **self.environment},
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=True,
            )
            wall, cpu, peak, code = map(float, told.read_text().split())
        if code and not fails:
            raise RuntimeError(f"{' '.join(self.argv)} ended with {code:.0f}:\n{done.stdout}\n{done.stderr}")
        return Cost(wall, cpu, peak / KIB_IN_MIB)


def in_turns(acts: Mapping[str, Callable[[], Result]], rounds: int) -> dict[str, list[Result]]:
    """Let each act once a round, every other round backwards, so that a busy machine is so for them all."""
    found: dict[str, list[Result]] = {name: [] for name in acts}
    for turn in range(rounds):
        for name in list(acts)[:: -1 if turn % 2 else 1]:
            found[name].append(acts[name]())
    return found


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def paired(values: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the ratios of what was measured in the same round."""
    return median([one / other for one, other in zip(values, others, strict=True)])

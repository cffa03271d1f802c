"""The daemon, from outside: its memory after many cycles, and how often it wakes up when nothing is due."""

import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contest import AT_ONCE, Renewer, place
from idle import fill
from measure import KIB_IN_MIB

SETTLES = 5.0
"""Seconds after the last cycle before wake-ups are counted: its end has some that no idle daemon has."""

PATIENCE = 60.0
"""Seconds after which no cycle will come any more."""


def measured(cycles: int, early: int, seconds: float, source: Path) -> dict[str, Any]:
    """Let it run cycles by SIGHUP, then leave it alone for these seconds."""
    with place(setting=AT_ONCE) as world:
        renewer = Renewer(world, source)
        config = renewer.configured(["example.com"])
        fill(config)
        with _running(renewer, config) as (pid, told):
            memory = []
            for _ in range(cycles):
                memory.append(_resident(pid))
                _send(pid, told)
            memory.append(_resident(pid))
            time.sleep(SETTLES)
            before, began = _switches(pid), time.monotonic()
            time.sleep(seconds)
            woken = (_switches(pid) - before) * 60 / (time.monotonic() - began)
    return {
        "cycles": cycles,
        "early": early,
        "resident_early": memory[early],
        "resident": memory[-1],
        "growth": memory[-1] - memory[early],
        "wakeups_a_minute": woken,
        "watched": seconds,
    }


@contextmanager
def _running(renewer: Renewer, config: Path) -> Iterator[tuple[int, socket.socket]]:
    """Start it; yield its process once the first cycle is over, and where it tells systemd of each."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(config.parent / "notify"))
        told.settimeout(PATIENCE)
        program = renewer.program(config, "run")
        environment = {**program.environment, "NOTIFY_SOCKET": told.getsockname(), "PATH": "/usr/bin:/bin"}
        with (
            (config.parent / "daemon.log").open("wb") as log,
            subprocess.Popen(program.argv, env=environment, stderr=log, stdout=log) as daemon,
        ):
            try:
                _cycle_ends(told)
                yield daemon.pid, told
            finally:
                daemon.terminate()


def _send(pid: int, told: socket.socket) -> None:
    subprocess.run(["kill", f"-{signal.SIGHUP.value}", str(pid)], check=True)
    _cycle_ends(told)


def _cycle_ends(told: socket.socket) -> None:
    """Wait until it has worked, and knows when to look next."""
    worked = False
    while True:
        said = told.recv(4096).decode()
        worked = worked or "running a cycle" in said
        if worked and "STATUS=next cycle" in said:
            return


def _resident(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / KIB_IN_MIB if found else 0.0


def _switches(pid: int) -> int:
    """Return how often any of its threads has gone to sleep, and so was woken up."""
    statuses = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum(
        int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)[0]) for text in statuses
    )

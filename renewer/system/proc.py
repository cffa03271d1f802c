"""What /proc shows of processes (proc(5)).

Only `os` and `time` are imported: a run with nothing to do loads this and little more.
"""

import os
import time

ROOT = "/proc"

_STATE, _STARTTIME = 0, 19
"""Where the fields `state` and `starttime` stand behind the name in /proc/PID/stat."""

_STILL = (b"T", b"t", b"Z", b"X")
"""States of a process that is stopped or dead."""

_MOST = 1 << 20
"""Bytes that are read of a file at most."""


def children(pid: int) -> list[int]:
    """Return the processes that this one started; none where they cannot be seen."""
    return sorted(map(int, read(f"{ROOT}/{pid}/task/{pid}/children").split()))


def began(pid: int, *, alive: bool = False) -> int | None:
    """Return when a process began, in ticks since the boot; `None` where it is hidden or gone.

    With `alive`, a process that is stopped or dead counts as gone.
    """
    fields = read(f"{ROOT}/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) <= _STARTTIME or (alive and fields[_STATE] in _STILL):
        return None
    return int(fields[_STARTTIME])


def age(ticks: int) -> float:
    """Return how many seconds ago that was, a suspend included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def boot() -> bytes:
    """Return what tells this boot of the machine from every other."""
    return read(f"{ROOT}/sys/kernel/random/boot_id")


def read(path: str) -> bytes:
    """Return what the file holds, nothing where it cannot be read; of a pipe, nothing either."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(handle, _MOST)
    except OSError:
        return b""
    finally:
        os.close(handle)

"""Which processes nginx is made of: as long as they are the same, it serves what it served.

A process of nginx reads a certificate once, before it begins: whatever lies on the disk by now, another one
is only shown by other workers. Only `os` and `time` are imported: a run at rest is this and little more.
"""

import os
import time

_STARTTIME = 19
"""Where the field `starttime` stands behind the name in /proc/PID/stat (proc(5)), in ticks since the boot."""

_STILL = (b"T", b"t", b"Z", b"X")
"""States of a process that answers nobody."""


def crew(pid_file: str) -> tuple[bytes, float] | None:
    """Return what tells the processes apart from all others, and the age of the youngest in seconds.

    That is the master that the file names, and its children. `None` where they cannot be seen, or one of them
    is stopped or dead.
    """
    boot = _read("/proc/sys/kernel/random/boot_id")
    master = _read(pid_file).strip()
    if not master.isdigit():
        return None
    children = _read(f"/proc/{master.decode()}/task/{master.decode()}/children").split()
    began = {pid: _began(pid) for pid in (master, *sorted(children))}
    if not children or None in began.values():
        return None
    ticks = max(int(when or 0) for when in began.values())
    told = b" ".join(b"%s since %s" % (pid, when) for pid, when in began.items() if when)
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return boot + told, age


def _began(pid: bytes) -> bytes | None:
    fields = _read(f"/proc/{pid.decode()}/stat").rpartition(b")")[2].split()
    return fields[_STARTTIME] if len(fields) > _STARTTIME and fields[0] not in _STILL else None


def _read(path: str) -> bytes:
    """Return what the file holds, nothing where it cannot be read; of a pipe, nothing either."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(handle, 1 << 20)
    except OSError:
        return b""
    finally:
        os.close(handle)

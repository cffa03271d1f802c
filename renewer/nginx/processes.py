"""nginx's processes in /proc: the master, and the workers that accept connections."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from renewer.system import proc, safe_paths

_LONGEST = 64
"""Bytes read of a pid file."""

_PID = re.compile(r"[0-9]{1,10}", re.ASCII)
_TICK = 1 / os.sysconf("SC_CLK_TCK")
"""Seconds."""


@dataclass(frozen=True)
class Master:
    """nginx's master process: its `pid`, or `None` if none was found; `sure`: then there is none."""

    pid: int | None = None
    sure: bool = False

    @property
    def down(self) -> bool:
        """Whether nginx is known to be down."""
        return self.sure and self.pid is None

    @property
    def ours_to_signal(self) -> bool:
        """Whether this user may signal it."""
        if self.pid is None:
            return False
        try:
            os.kill(self.pid, 0)
        except OSError:
            return False
        return True


def master(pid_file: Path | None) -> Master:
    """Return the master named in the pid file.

    If the file is missing, empty (as `nginx -t` leaves it) or names a dead process, nginx is down. An
    unreadable file leaves that open.
    """
    if pid_file is None:
        return Master()
    try:
        text = safe_paths.content(pid_file, _LONGEST).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return Master(sure=True)
    except OSError:
        return Master()
    pid = int(text) if _PID.fullmatch(text) else 0
    return Master(pid if pid and _alive(pid) else None, sure=True)


def accepting(master: Master) -> frozenset[int] | None:
    """Return the workers that accept connections, or `None` if they cannot be seen.

    They cannot in a container, with a hidden /proc, or without the directive `master_process`.
    """
    if master.pid is None:
        return None
    children = proc.children(master.pid)
    return frozenset(pid for pid in children if (_title(pid) or "").endswith("worker process")) or None


def all_since(master: Master, when: float) -> bool | None:
    """Return whether every worker that accepts connections started at `when` (seconds since 1970) or later.

    `None` if they cannot be seen. A worker reads no files again: it uses those that existed when it started.
    """
    workers = accepting(master)
    began = [_began(worker) for worker in workers or ()]
    seen = [one for one in began if one is not None]
    if not seen or len(seen) < len(began):
        return None
    return min(seen) + _TICK >= when


def _began(pid: int) -> float | None:
    """Return when a process started, in seconds since 1970; `None` if it is hidden or gone."""
    ticks = proc.began(pid)
    return None if ticks is None else time.time() - proc.age(ticks)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it exists, but is another user's
    title = _title(pid)
    return title is None or "nginx" in title.partition(" ")[0] or "master process" in title


def _title(pid: int) -> str | None:
    """Return the command line of a process, or `None` if it is hidden; that of a zombie is empty.

    A worker that is shutting down says so in it.
    """
    try:
        return (
            Path(proc.ROOT, str(pid), "cmdline")
            .read_text("utf-8", errors="replace")
            .replace("\0", " ")
            .strip()
        )
    except OSError:
        return None

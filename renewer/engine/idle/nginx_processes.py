"""Which processes nginx is made of: as long as they are the same, it serves what it served.

A process of nginx reads a certificate once, before it begins: whatever lies on the disk by now, another one
is only shown by other workers.
"""

from renewer.system import proc

_DIGITS = 10
"""The most that the number of a process has."""


def crew(pid_file: str) -> tuple[bytes, float] | None:
    """Return what tells the processes apart from all others, and the age of the youngest in seconds.

    That is the master that the file names, and its children. `None` where they cannot be seen, or one of them
    is stopped or dead.
    """
    named = proc.read(pid_file).strip()
    if not named.isdigit() or len(named) > _DIGITS:
        return None
    master = int(named)
    workers = proc.children(master)
    began = {pid: proc.began(pid, alive=True) for pid in (master, *workers)}
    known = [ticks for ticks in began.values() if ticks is not None]
    if not workers or len(known) < len(began):
        return None
    told = " ".join(f"{pid} since {ticks}" for pid, ticks in began.items())
    return proc.boot() + told.encode(), proc.age(max(known))

"""Identifies nginx's processes: as long as they are the same, nginx serves the same certificates.

A process of nginx reads a certificate once, when it starts. Whatever is on disk now, only new workers can
serve another certificate.
"""

from renewer.system import proc

_DIGITS = 10
"""The most digits of a process id."""


def crew(pid_file: str) -> tuple[bytes, float] | None:
    """Return text that identifies the processes, and the age of the youngest in seconds.

    They are the master named by the pid file, and its children. `None` if they cannot be seen, or one of them
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

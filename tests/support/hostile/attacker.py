"""A user who means harm: what he does to a folder of his own, with his own rights and no more."""

import os
from collections.abc import Callable
from pathlib import Path

_open, _rename, _symlink = (
    os.open,
    os.rename,
    os.symlink,
)  # those of the system, whatever a test puts in their place

UID = 4711
"""His number; he has no name, which makes no difference to the kernel."""


def own(path: Path) -> Path:
    """Give him a file or folder."""
    os.lchown(path, UID, UID)
    return path


def acts(folder: Path, harm: Callable[[int], object]) -> None:
    """Let him do something in a folder, whose handle he is given; it has to succeed."""
    handle = _open(folder, os.O_RDONLY | os.O_DIRECTORY)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(UID, UID, UID)
            os.setresuid(UID, UID, UID)
            harm(handle)
            code = 0
        finally:
            os._exit(code)
    os.close(handle)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def swap(folder: int, begins: str, target: str) -> None:
    """Put a link to `target` in the place of whatever has a name that begins so, which is kept beside it."""
    for name in os.listdir(folder):
        if name.startswith(begins) and not name.endswith(".away"):
            _rename(name, f"{name}.away", src_dir_fd=folder, dst_dir_fd=folder)
            _symlink(target, name, dir_fd=folder)

"""Handing a folder over to another user, without being led astray by what lies in it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from renewer.errors import Refused

ROOT = 0

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LINK = "current"
"""What the links in the state folder are called; no other belongs there."""


def foreign(folder: Path, uid: int) -> bool:
    """Tell whether the folder, or anything in it, belongs to somebody else than this user."""
    if folder.lstat().st_uid != uid:
        return True
    return any(
        os.stat(name, dir_fd=handle, follow_symlinks=False).st_uid != uid
        for _, name, handle in _within(folder)
    )


def give(folder: Path, uid: int, gid: int) -> None:
    """Give the folder and all in it to this user and group; what was broken off is finished by another call.

    No link is followed. Raises `Refused` for what could be another user's file by a second name and, when
    root takes the folder back, for links that renewer did not make.
    """
    if uid == ROOT:
        os.chown(folder, uid, gid, follow_symlinks=False)  # first, so that nobody meddles meanwhile
    for place, name, handle in _within(folder):
        _give(place / name, handle, (uid, gid))
    os.chown(folder, uid, gid, follow_symlinks=False)


def _give(path: Path, parent: int, owner: tuple[int, int]) -> None:
    mode = os.stat(path.name, dir_fd=parent, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        if owner[0] == ROOT and path.name != _LINK:
            raise Refused(f"{path} is a link, which renewer did not make", hint="look at it, and remove it")
        os.chown(path.name, *owner, dir_fd=parent, follow_symlinks=False)
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise Refused(f"{path} is neither a file nor a folder", hint="look at it, and remove it")
    handle = os.open(path.name, _READ, dir_fd=parent)
    try:
        status = os.fstat(handle)
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            raise Refused(
                f"{path} has a second name elsewhere (a hard link), so it may be another user's file",
                hint=f"see which: find / -xdev -samefile {path}; then remove one of them",
            )
        os.fchown(handle, *owner)
    finally:
        os.close(handle)


def _within(folder: Path) -> Iterator[tuple[Path, str, int]]:
    """Yield all that is in the folder, the deepest first: its folder, its name, and the folder's handle."""
    for place, folders, files, handle in os.fwalk(folder, topdown=False, follow_symlinks=False):
        for name in (*folders, *files):
            yield Path(place), name, handle

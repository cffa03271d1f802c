"""Whose the state folder is, and handing it over without being led astray by what lies in it.

A service shares it with root: the folder itself is root's, and so is what nginx includes, because nginx reads
that as root; all else is the service's. The folder is sticky, so that the service cannot rename root's own.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from renewer import disk, premises
from renewer.errors import Refused

ROOT = 0

SHARED = 0o1770
INCLUDED = "nginx"
"""The folder in the state folder that stays root's."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LINK = "current"
"""What the links in the state folder are called; no other belongs there."""

Owner = tuple[int, int]
"""A user and a group."""

Modes = tuple[int, int]
"""Those of folders and of files."""

_READ_BY_GROUP: Modes = (0o750, 0o640)
_PRIVATE: Modes = (0o700, 0o600)


def is_shared(state: Path, uid: int, gid: int) -> bool:
    """Tell whether all of the state folder is as a service of this user and group wants it."""
    top, included = state.lstat(), state / INCLUDED
    if (_owner(top), stat.S_IMODE(top.st_mode)) != ((ROOT, gid), SHARED) or not included.is_dir():
        return False
    return all(
        _owner(status) == ((ROOT, gid) if path.is_relative_to(included) else (uid, gid))
        for path, status, _ in _within(state)
    )


def share(state: Path, uid: int, gid: int) -> None:
    """Let the user and group work in the state folder, and root alone in what nginx includes.

    What was broken off is finished by another call. No link is followed. Raises `Refused` for what could be
    another user's file by a second name and, among what is root's, for links that renewer did not make.
    """
    _settle(state, (ROOT, gid), SHARED)  # first, so that nobody renames what comes next
    included = state / INCLUDED
    disk.folder(included, _READ_BY_GROUP[0])
    _take(included, gid, _READ_BY_GROUP)
    for path, _, handle in _within(state):
        if not path.is_relative_to(included):
            _give(path, handle, (uid, gid))


def is_roots(state: Path) -> bool:
    """Tell whether the state folder and all in it belongs to root alone."""
    return not premises.shared(state) and not any(
        status.st_uid for status in (state.lstat(), *(status for _, status, _ in _within(state)))
    )


def take_back(state: Path) -> None:
    """Give the state folder and all in it to root; raises `Refused` as `share` does."""
    _take(state, ROOT, _PRIVATE)


def _take(folder: Path, gid: int, modes: Modes) -> None:
    """Let root have the folder and all in it, from the top, so that nobody meddles meanwhile."""
    _settle(folder, (ROOT, gid), modes[0])
    for place, folders, files, handle in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            _give(Path(place, name), handle, (ROOT, gid), modes)


def _settle(folder: Path, owner: Owner, mode: int) -> None:
    handle = os.open(folder, _READ | os.O_DIRECTORY)
    try:
        os.fchown(handle, *owner)
        os.fchmod(handle, mode)
    finally:
        os.close(handle)


def _give(path: Path, parent: int, owner: Owner, modes: Modes | None = None) -> None:
    with suppress(FileNotFoundError):  # a cycle has taken it out meanwhile
        _hand_over(path, parent, owner, modes)


def _hand_over(path: Path, parent: int, owner: Owner, modes: Modes | None) -> None:
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
        if modes:
            os.fchmod(handle, modes[stat.S_ISREG(status.st_mode)])
    finally:
        os.close(handle)


def _owner(status: os.stat_result) -> Owner:
    return status.st_uid, status.st_gid


def _within(folder: Path) -> Iterator[tuple[Path, os.stat_result, int]]:
    """Yield all that is in the folder, the deepest first: its path, its status, and its folder's handle.

    What a cycle takes out meanwhile is left out.
    """
    for place, folders, files, handle in os.fwalk(folder, topdown=False, follow_symlinks=False):
        for name in (*folders, *files):
            try:
                status = os.stat(name, dir_fd=handle, follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield Path(place, name), status, handle

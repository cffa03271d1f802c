"""Whose the state folder is, and handing it over without being led astray by what lies in it.

A service shares it with root: the folder itself is root's, and so is what nginx includes, because nginx reads
that as root; all else is the service's. The folder is sticky, so that the service cannot rename root's own.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from renewer.core.errors import Refused
from renewer.core.printable import shell
from renewer.system import files as disk
from renewer.system import permissions, safe_paths

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
    """Return whether all of the state folder is as a service of this user and group wants it."""
    top, included = state.lstat(), state / INCLUDED
    if (_owner(top), stat.S_IMODE(top.st_mode)) != ((ROOT, gid), SHARED) or not included.is_dir():
        return False
    return all(
        _owner(status) == ((ROOT, gid) if path.is_relative_to(included) else (uid, gid))
        for path, status, _ in _within(state)
        if path.name == _LINK or not stat.S_ISLNK(status.st_mode)
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
    _hold(state)
    refused: list[Refused] = []
    for path, _, handle in _within(state):
        if not path.is_relative_to(included):
            try:
                _give(path, handle, (uid, gid))
            except Refused as error:  # all else goes to whom it belongs
                refused.append(error)
    top = os.open(state, _READ | os.O_DIRECTORY)  # the user may not get there from above
    with _acting((uid, gid)):
        _own_links(top, uid)
    os.close(top)
    if refused:
        raise refused[0]


def is_roots(state: Path) -> bool:
    """Return whether the state folder and all in it belongs to root alone."""
    return not permissions.shared(state) and not any(
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


def _hold(state: Path) -> None:
    """Let root have all other folders for now, so that nobody exchanges what is about to be given away."""
    for place, folders, _, handle in os.fwalk(state, follow_symlinks=False):
        folders[:] = [name for name in folders if Path(place, name) != state / INCLUDED]
        for name in folders:
            with suppress(FileNotFoundError, NotADirectoryError):  # a cycle has taken it out meanwhile
                inner = os.open(name, _READ | os.O_DIRECTORY, dir_fd=handle)
                os.fchown(inner, ROOT, -1)
                os.fchmod(inner, os.fstat(inner).st_mode & ~safe_paths.BY_OTHERS)
                os.close(inner)


@contextmanager
def _acting(owner: Owner) -> Iterator[None]:
    """Have the rights of a user for a while."""
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(owner[1])
    os.seteuid(owner[0])
    try:
        yield
    finally:
        os.seteuid(ROOT)
        os.setegid(group)
        os.setgroups(groups)


def _own_links(state: int, uid: int) -> None:
    """Let the user, whose rights are in effect, make the links anew: chown has no handle for a link."""
    for _, folders, files, handle in os.fwalk(".", follow_symlinks=False, dir_fd=state):
        for name in {_LINK}.intersection((*folders, *files)):
            status = os.stat(name, dir_fd=handle, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode) and status.st_uid != uid:
                _remake(name, handle)


def _remake(name: str, parent: int) -> None:
    aside = f"{disk.LINK}{os.urandom(8).hex()}"
    os.symlink(os.readlink(name, dir_fd=parent), aside, dir_fd=parent)
    os.rename(aside, name, src_dir_fd=parent, dst_dir_fd=parent)


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
        if owner[0] == ROOT:
            _remake(path.name, parent)
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise Refused(f"{path} is neither a file nor a folder", hint="look at it, and remove it")
    handle = os.open(path.name, _READ, dir_fd=parent)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise Refused(
                f"{path} was exchanged meanwhile", hint="stop what writes there, then run this again"
            )
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            raise Refused(
                f"{path} has a second name elsewhere (a hard link), so it may be another user's file",
                hint=f"see which: find / -xdev -samefile {shell(path)}; then remove one of them",
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

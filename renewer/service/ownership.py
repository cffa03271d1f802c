"""The owner of the state folder, and how to hand the folder over safely, whatever it contains.

A service shares it with root: the folder itself and the nginx includes are root's, because nginx reads those
as root; everything else is the service's. The folder is sticky, so that the service cannot rename root's
files.
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
"""The name of the links in the state folder; no others belong there."""

Owner = tuple[int, int]
"""A user and a group."""

Modes = tuple[int, int]
"""The modes of folders and of files."""

_READ_BY_GROUP: Modes = (0o750, 0o640)
_PRIVATE: Modes = (0o700, 0o600)


def is_shared(state: Path, uid: int, gid: int) -> bool:
    """Return whether the whole state folder is set up for a service of this user and group."""
    top, included = state.lstat(), state / INCLUDED
    if (_owner(top), stat.S_IMODE(top.st_mode)) != ((ROOT, gid), SHARED) or not included.is_dir():
        return False
    return all(
        _owner(status) == ((ROOT, gid) if path.is_relative_to(included) else (uid, gid))
        for path, status, _ in _within(state)
        if path.name == _LINK or not stat.S_ISLNK(status.st_mode)
    )


def share(state: Path, uid: int, gid: int) -> None:
    """Hand the state folder to the user and group, except for the nginx includes, which become root's.

    An interrupted call is completed by the next. No link is followed. Raises `Refused` for hard links, which
    could be another user's files, and among root's files for links that renewer did not make.
    """
    _settle(state, (ROOT, gid), SHARED)  # first, so that nobody can rename what follows
    included = state / INCLUDED
    disk.folder(included, _READ_BY_GROUP[0])
    _take(included, gid, _READ_BY_GROUP)
    _hold(state)
    refused: list[Refused] = []
    for path, _, handle in _within(state):
        if not path.is_relative_to(included):
            try:
                _give(path, handle, (uid, gid))
            except Refused as error:  # go on with the others
                refused.append(error)
    top = os.open(state, _READ | os.O_DIRECTORY)  # the user may not be able to reach it from above
    with _acting((uid, gid)):
        _own_links(top, uid)
    os.close(top)
    if refused:
        raise refused[0]


def is_roots(state: Path) -> bool:
    """Return whether the state folder and everything in it belongs to root."""
    return not permissions.shared(state) and not any(
        status.st_uid for status in (state.lstat(), *(status for _, status, _ in _within(state)))
    )


def take_back(state: Path) -> None:
    """Hand the state folder and everything in it to root; raises `Refused` as `share` does."""
    _take(state, ROOT, _PRIVATE)


def _take(folder: Path, gid: int, modes: Modes) -> None:
    """Hand the folder and everything in it to root, from the top, so that nobody can interfere."""
    _settle(folder, (ROOT, gid), modes[0])
    for place, folders, files, handle in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            _give(Path(place, name), handle, (ROOT, gid), modes)


def _hold(state: Path) -> None:
    """Hand all other folders to root for now, so that nobody can replace what is handed over next."""
    for place, folders, _, handle in os.fwalk(state, follow_symlinks=False):
        folders[:] = [name for name in folders if Path(place, name) != state / INCLUDED]
        for name in folders:
            with suppress(FileNotFoundError, NotADirectoryError):  # a cycle has removed it in the meantime
                inner = os.open(name, _READ | os.O_DIRECTORY, dir_fd=handle)
                os.fchown(inner, ROOT, -1)
                os.fchmod(inner, os.fstat(inner).st_mode & ~safe_paths.BY_OTHERS)
                os.close(inner)


@contextmanager
def _acting(owner: Owner) -> Iterator[None]:
    """Take on the privileges of a user temporarily."""
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
    """Make the links anew as the user, whose privileges are in effect: a link has no handle for chown."""
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
    with suppress(FileNotFoundError):  # a cycle has removed it in the meantime
        _hand_over(path, parent, owner, modes)


def _hand_over(path: Path, parent: int, owner: Owner, modes: Modes | None) -> None:
    mode = os.stat(path.name, dir_fd=parent, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        if owner[0] == ROOT and path.name != _LINK:
            raise Refused(f"{path} is a link that renewer did not make", hint="inspect it, and remove it")
        if owner[0] == ROOT:
            _remake(path.name, parent)
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise Refused(f"{path} is neither a file nor a folder", hint="inspect it, and remove it")
    handle = os.open(path.name, _READ, dir_fd=parent)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise Refused(
                f"{path} was replaced in the meantime", hint="stop what writes there, then run this again"
            )
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            raise Refused(
                f"{path} has a hard link elsewhere, so it may be another user's file",
                hint=f"find it: find / -xdev -samefile {shell(path)}; then remove one of them",
            )
        os.fchown(handle, *owner)
        if modes:
            os.fchmod(handle, modes[stat.S_ISREG(status.st_mode)])
    finally:
        os.close(handle)


def _owner(status: os.stat_result) -> Owner:
    return status.st_uid, status.st_gid


def _within(folder: Path) -> Iterator[tuple[Path, os.stat_result, int]]:
    """Yield everything in the folder, deepest first: path, status, and the handle of its folder.

    Files that a cycle removes in the meantime are left out.
    """
    for place, folders, files, handle in os.fwalk(folder, topdown=False, follow_symlinks=False):
        for name in (*folders, *files):
            try:
                status = os.stat(name, dir_fd=handle, follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield Path(place, name), status, handle

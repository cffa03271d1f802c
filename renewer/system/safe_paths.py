"""Follows paths by handle, one folder after the other, so that no other user decides where they lead.

Anyone who can write a folder can replace what is in it by a link or another folder. So a link on the way is
only followed if nobody but root and this user can have created it, and nothing is looked up by its path
twice. Only modules that every interpreter has loaded are imported, because a run with nothing to do uses
this.
"""
# ruff: noqa: PTH109, PTH118  (pathlib would take half the time of such a run)

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False  # importing `typing` would take time
if TYPE_CHECKING:
    from collections.abc import Iterator

BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH

_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = _PLACE | os.O_DIRECTORY
_NO_FOLDER = (errno.ENOTDIR, errno.ELOOP)
_MOST_LINKS = 40
"""The limit of Linux (path_resolution(7))."""


def trusted(folder: os.stat_result) -> bool:
    """Return whether only root and this user can replace what they own in the folder."""
    guarded = not folder.st_mode & BY_OTHERS or folder.st_mode & stat.S_ISVTX
    return _ours(folder) and bool(guarded)


def beside(path: str | os.PathLike[str], *, follow: bool = False) -> tuple[int, str]:
    """Return a handle (O_PATH) of the folder that a path leads to, and the path's last name.

    With `follow`, the last name is not a link: a link there is followed, too. Raises OSError, with ELOOP for
    a link that another user could have created.
    """
    names, links = _names(_whole(path)), 0
    here = os.open("/", _FOLDER)
    try:
        while True:
            name = names.pop() if names else "."
            if not names and not (follow and _is_link(name, here)):
                return here, name
            try:
                there = os.open(name, _FOLDER, dir_fd=here)
            except OSError as error:
                if error.errno not in _NO_FOLDER or not _is_link(name, here):
                    raise
                links += 1
                target = _target(name, here, links)
                names += _names(target)
                if not target.startswith("/"):
                    continue
                there = os.open("/", _FOLDER)
            os.close(here)
            here = there
    except BaseException:
        os.close(here)
        raise


def enter(path: str | os.PathLike[str], flags: int = os.O_RDONLY, *, follow: bool = False) -> int:
    """Open a folder; raises OSError as `beside` does, and without `follow` also if it is a link."""
    parent, name = beside(path, follow=follow)
    try:
        return os.open(name, flags | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except OSError as error:
        if error.errno == errno.ENOTDIR and _is_link(name, parent):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from None
        raise
    finally:
        os.close(parent)


def content(path: str | os.PathLike[str], most: int) -> bytes:
    """Return the first `most` bytes of a regular file; raises OSError for anything else.

    A link is followed if no other user can have created it. It never blocks.
    """
    handle = _plain(path)
    try:
        return os.read(handle, most)
    finally:
        os.close(handle)


def end(path: str | os.PathLike[str], most: int, start: int = 0) -> bytes:
    """Return the last `most` bytes of a regular file, none before `start`; raises OSError as `content`."""
    handle = _plain(path)
    try:
        return os.pread(handle, most, max(start, os.fstat(handle).st_size - most))
    finally:
        os.close(handle)


def _plain(path: str | os.PathLike[str]) -> int:
    parent, name = beside(path, follow=True)
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return handle


def stranger(path: str | os.PathLike[str]) -> str:
    """Return the first place on the way to a file that another user can change; empty if there is none.

    Places are the folders, the links that are followed, and the file itself. They are checked from the top,
    so that a place found safe stays safe. A missing file is safe.
    """
    return next((place for place, other in _places(path) if other), "")


def _places(path: str | os.PathLike[str]) -> Iterator[tuple[str, bool]]:
    """Yield every place on the way to the end of a path, and whether another user can change it."""
    names, links, place = _names(_whole(path)), 0, "/"
    here = os.open("/", _FOLDER)
    try:
        while names:
            folder, name = os.fstat(here), names.pop()
            yield place, not trusted(folder)
            entry = os.path.join(place, name)
            try:
                there = os.open(name, _PLACE, dir_fd=here)
            except FileNotFoundError:
                return
            status = os.fstat(there)
            if stat.S_ISLNK(status.st_mode):
                os.close(there)
                # In a folder that only its sticky bit protects, a link may be any user's.
                yield entry, not _ours(status) and bool(folder.st_mode & BY_OTHERS)
                links += 1
                target = _target(name, here, links)
                names += _names(target)
                if not target.startswith("/"):
                    continue
                there, entry = os.open("/", _FOLDER), "/"
            os.close(here)
            here, place = there, entry
        status = os.fstat(here)
        own = trusted(status) if stat.S_ISDIR(status.st_mode) else _ours(status) and not _open(status)
        yield place, not own
    finally:
        os.close(here)


def _target(name: str, folder: int, links: int) -> str:
    """Return the target of a link; raises OSError (ELOOP) if another user could have created it."""
    status, around = os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(folder)
    mine = trusted(around) and (_ours(status) or not around.st_mode & BY_OTHERS)
    if links > _MOST_LINKS or not mine:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
    return os.readlink(name, dir_fd=folder)


def _is_link(name: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _whole(path: str | os.PathLike[str]) -> str:
    return text if (text := os.fspath(path)).startswith("/") else os.path.join(os.getcwd(), text)


def _names(path: str) -> list[str]:
    """Return the names in a path, in reverse order."""
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]


def _ours(status: os.stat_result) -> bool:
    return status.st_uid in {0, os.geteuid()}


def _open(status: os.stat_result) -> bool:
    return bool(status.st_mode & BY_OTHERS)

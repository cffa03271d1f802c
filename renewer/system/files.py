"""Files written whole or not at all, and on disk when the call returns.

Everything is first written aside in the same folder and then renamed, all by the folder's handle; owner and
mode are given to the handle that wrote the file. No link that stands at the end of a path is ever followed,
and none on the way that another user can have put there (`trail`). What the disk refuses becomes `Refused`
(permission, something else in the way) or `Transient` (full, read-only, failing), with the path and what to
do; nothing half-written is left.
"""
# ruff: noqa: PTH208  (pathlib knows no handles)

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from renewer.core.errors import Refused, RenewerError, Transient
from renewer.core.printable import shell
from renewer.system import safe_paths
from renewer.system.permissions import user

FILE, TREE, LINK = ".tmp-", ".new-", ".cur-"
"""What the names of files, folders and links begin with while they are written aside."""

LARGEST = 64 << 20
"""Bytes; nothing that the program keeps is longer."""

_NEVER_FOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | _NEVER_FOLLOW
_IN_THE_WAY = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM}
_HINTS = {
    errno.ENOSPC: "free some space on that disk; the next run goes on from here",
    errno.EDQUOT: "raise the disk quota or delete something; the next run goes on from here",
    errno.EROFS: "mount that disk writable again; the next run goes on from here",
    errno.EIO: "the disk fails: look into the kernel's log (dmesg) before anything else",
    errno.ENOENT: "make the folder above it, or correct the path in the configuration",
}


def read(path: Path) -> bytes | None:
    """Return the file's content, or `None` where there is none; raises `Refused` for one without end."""
    with _border("read", path):
        try:
            with _beside(path) as (parent, name):
                return _read(name, parent)
        except FileNotFoundError:
            return None


def changed(path: Path) -> float:
    """Return when the file was last written, in seconds since 1970."""
    with _border("look at", path), _beside(path) as (parent, name):
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mtime


def holds(path: Path, data: bytes, owner: tuple[int, int], mode: int) -> bool:
    """Return whether the file holds this, belongs to this user and group (by number) and has this mode."""
    with _border("read", path):
        try:
            with _beside(path) as (parent, name):
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
                fit = (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (*owner, mode)
                return fit and status.st_size == len(data) and _read(name, parent) == data
        except FileNotFoundError:
            return False


def lock(path: Path) -> int:
    """Open the lock file, made if need be, and return its descriptor; whoever asked has to `let_go` of it."""
    with _border("open the lock", path), _beside(path) as (parent, name):
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | _NEVER_FOLLOW, 0o600, dir_fd=parent)


def let_go(handle: int) -> None:
    """Unlock the file (flock(2)) and close it; closing alone would not do where a program has a copy.

    One that another thread is just starting has copies of all handles, until it is executed.
    """
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


def note(handle: int, text: bytes, path: Path) -> None:
    """Write the text at the beginning of the lock file `path`, which is open."""
    with _border("write the lock", path):
        os.pwrite(handle, text, 0)


def names(folder: Path) -> tuple[str, ...]:
    """Return what lies in the folder, sorted; nothing where there is no folder."""
    with _border("list", folder):
        try:
            with _opened(folder) as handle:
                return tuple(sorted(os.listdir(handle)))
        except FileNotFoundError:
            return ()


def target(link: Path) -> str | None:
    """Return where the link leads, as it is written; `None` if there is no link."""
    with _border("read", link):
        try:
            with _beside(link) as (parent, name):
                return os.readlink(name, dir_fd=parent)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:  # something else stands there
                return None
            raise


def write(path: Path, data: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Put the file there with this content; `mode` as far as the umask allows.

    With `owner` (user and group by number) the mode holds whatever the umask. Such a file is for other
    programs and may go into another user's folder, but into none that everybody can write.
    """
    with _border("write", path), _opened(path.parent) as parent:
        if owner:
            _refuse_open(path.parent, parent)
        aside = _aside(f"{FILE}{path.name}-")
        try:
            _create(aside, data, mode, parent, owner)
            os.rename(aside, path.name, src_dir_fd=parent, dst_dir_fd=parent)
        finally:
            _unlink(aside, parent)
        os.fsync(parent)


def create(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a new file there; raises `Refused` where anything stands already, which stays as it is."""
    with _border("write", path), _opened(path.parent) as parent:
        aside = _aside(f"{FILE}{path.name}-")
        try:
            _create(aside, data, mode, parent)
            os.link(aside, path.name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            _unlink(aside, parent)
        os.fsync(parent)


def folder(path: Path, mode: int = 0o700) -> None:
    """Make the folder and those above it that are missing; one that is there stays as it is.

    Raises `Refused` where it would have to be made in another user's folder, who could exchange it at once.
    """
    with _border("make the folder", path):
        try:
            with _opened(path):
                return
        except FileNotFoundError:
            pass
        if path.parent != path:
            folder(path.parent, mode)
        with _opened(path.parent) as parent:
            if not safe_paths.trusted(os.fstat(parent)):
                raise Refused(
                    f"cannot make the folder {path}: others can exchange what is in {path.parent}",
                    hint=f"make it yourself: mkdir {shell(path)}; or name another in the configuration",
                )
            _make(path.name, mode, parent)


def tree(path: Path, files: Mapping[str, bytes]) -> None:
    """Put a new folder (0700) with these files (0600) there, all at once; `path` must be free."""
    with _border("write", path), _opened(path.parent) as parent:
        aside = _aside(TREE)
        try:
            os.mkdir(aside, 0o700, dir_fd=parent)
            inner = os.open(aside, _FOLDER, dir_fd=parent)
            try:
                for name, data in files.items():
                    _create(name, data, 0o600, inner)
                os.fsync(inner)
            finally:
                os.close(inner)
            os.rename(aside, path.name, src_dir_fd=parent, dst_dir_fd=parent)
        finally:
            _drop(aside, parent)
        os.fsync(parent)


def point(link: Path, to: str) -> None:
    """Let the link lead there; a file or folder in its place is moved to `NAME.replaced-TIME`."""
    with _border("write the link", link), _opened(link.parent) as parent:
        if target(link) is None and link.name in os.listdir(parent):
            replaced = f"{link.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
            os.rename(link.name, replaced, src_dir_fd=parent, dst_dir_fd=parent)
        aside = _aside(LINK)
        try:
            os.symlink(to, aside, dir_fd=parent)
            os.rename(aside, link.name, src_dir_fd=parent, dst_dir_fd=parent)
        finally:
            _drop(aside, parent)
        os.fsync(parent)


def remove(path: Path) -> None:
    """Take the file out; absent already is fine."""
    with _border("remove", path), suppress(FileNotFoundError), _opened(path.parent) as parent:
        os.unlink(path.name, dir_fd=parent)
        os.fsync(parent)


def set_aside(path: Path) -> Path:
    """Rename a file that is no good, so that nothing reads it any more; return where it is now."""
    when = datetime.fromtimestamp(changed(path), UTC)
    aside = path.with_name(f"{path.name}.corrupt-{when:%Y%m%dT%H%M%SZ}")
    with _border("rename", path), _opened(path.parent) as parent:
        os.rename(path.name, aside.name, src_dir_fd=parent, dst_dir_fd=parent)
        os.fsync(parent)
    return aside


def discard(path: Path) -> None:
    """Take the folder and the files in it out, so that nobody sees half of it; absent already is fine."""
    with _border("remove", path), suppress(FileNotFoundError), _opened(path.parent) as parent:
        aside = _aside(TREE)
        os.rename(path.name, aside, src_dir_fd=parent, dst_dir_fd=parent)
        _drop(aside, parent)
        os.fsync(parent)


def sweep(folder: Path, file: str = "") -> None:
    """Take out what a run that died left aside in the folder, for one file or for any.

    To be called while nobody else writes there. For one file nothing but files is removed: its folder may be
    another user's, who could have renamed a folder of others so.
    """
    begin = (f"{FILE}{file}-",) if file else (FILE, TREE, LINK)
    for name in names(folder):
        if name.startswith(begin):
            with _border("remove", folder / name), _opened(folder) as parent:
                (_unlink if file else _drop)(name, parent)


def _aside(kind: str) -> str:
    return kind + os.urandom(8).hex()


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = safe_paths.enter(folder)
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def _beside(path: Path) -> Iterator[tuple[int, str]]:
    """Open the folder of a file to look into it, which takes fewer rights than to list it."""
    handle, name = safe_paths.beside(path)
    try:
        yield handle, name
    finally:
        os.close(handle)


def _read(name: str, parent: int) -> bytes:
    """Return what a file holds; nothing for a pipe, which could hold the program up."""
    handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _NEVER_FOLLOW, dir_fd=parent)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return b""
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return data


def _make(name: str, mode: int, parent: int) -> None:
    """Make a folder; its mode holds whatever the umask, because another program may have to enter it."""
    made = False
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=parent)
        made = True
    handle = os.open(name, _FOLDER, dir_fd=parent)  # whoever was faster must have made a folder
    try:
        if made:
            os.fchmod(handle, mode)
    finally:
        os.close(handle)
    os.fsync(parent)


def _refuse_open(folder: Path, handle: int) -> None:
    if os.fstat(handle).st_mode & stat.S_IWOTH:
        raise Refused(
            f"cannot write into {folder}: everybody can write there, and put something else in its place",
            hint=f"run: chmod o-w {shell(folder)}; or name another in the configuration",
        )


def _create(name: str, data: bytes, mode: int, parent: int, owner: tuple[int, int] | None = None) -> None:
    """Write a new file. Owner and mode are given to the handle: its name may be another file's by then."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NEVER_FOLLOW
    handle = os.open(name, flags, 0o600 if owner else mode, dir_fd=parent)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        if owner:
            if owner != (os.geteuid(), os.getegid()):  # a service without rights may not even ask
                os.fchown(handle, *owner)
            os.fchmod(handle, mode)
        os.fsync(handle)


def _unlink(name: str, parent: int) -> None:
    """Take out a file or a link, as far as it is there and can be; never a folder."""
    with suppress(OSError):
        os.unlink(name, dir_fd=parent)


def _drop(name: str, parent: int) -> None:
    """Take out a file, a link or a folder of ours, as far as it is there and can be."""
    _unlink(name, parent)
    with suppress(OSError):
        handle = os.open(name, _FOLDER, dir_fd=parent)
        try:
            for inner in os.listdir(handle):
                _drop(inner, handle)
        finally:
            os.close(handle)
        os.rmdir(name, dir_fd=parent)


@contextmanager
def _border(doing: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _translated(error, f"cannot {doing} {path}", path) from error


def _translated(error: OSError, what: str, path: Path) -> RenewerError:
    code, cause = error.errno or 0, (error.strerror or str(error)).lower()
    if code in _DENIED:
        hint = f"let the user {user(os.geteuid())} in (ls -ld {shell(path)} {shell(path.parent)})"
        return Refused(f"{what}: {cause}", hint=hint)
    if code == errno.ELOOP:
        return Refused(f"{what}: a link stands there", hint="find out who put it there, then remove it")
    if code in _IN_THE_WAY:
        return Refused(f"{what}: {cause}", hint="something else stands there: move it away")
    return Transient(f"{what}: {cause}", hint=_HINTS.get(code, "the next run tries again"))

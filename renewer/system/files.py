"""Writes files whole or not at all, and on disk when the call returns.

Every file is written under a temporary name in the same folder and then renamed, all through the folder's
handle; owner and mode are set on the handle that wrote it. A link at the end of a path is never followed, and
none on the way that another user could have created (see `safe_paths`). Errors become `Refused` (no
permission, something else at the path) or `Transient` (full, read-only or failing disk), with the path and a
hint; nothing half-written is left.
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
"""The beginnings of the temporary names of files, folders and links."""

LARGEST = 64 << 20
"""Bytes; no file of the program is longer."""

_NEVER_FOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | _NEVER_FOLLOW
_IN_THE_WAY = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM}
_HINTS = {
    errno.ENOSPC: "free some space on that disk; the next run resumes here",
    errno.EDQUOT: "raise the disk quota or delete something; the next run resumes here",
    errno.EROFS: "mount that disk writable again; the next run resumes here",
    errno.EIO: "the disk is failing: check the kernel's log (dmesg) before anything else",
    errno.ENOENT: "create the folder above it, or correct the path in the configuration",
}


def read(path: Path) -> bytes | None:
    """Return the contents of the file, or `None` if there is none; raises `Refused` if it is too long."""
    with _border("read", path):
        try:
            with _beside(path) as (parent, name):
                return _read(name, parent)
        except FileNotFoundError:
            return None


def changed(path: Path) -> float:
    """Return when the file was last changed, in seconds since 1970."""
    with _border("stat", path), _beside(path) as (parent, name):
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mtime


def holds(path: Path, data: bytes, owner: tuple[int, int], mode: int) -> bool:
    """Return whether the file has this content, user and group (by number) and mode."""
    with _border("read", path):
        try:
            with _beside(path) as (parent, name):
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
                fit = (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (*owner, mode)
                return fit and status.st_size == len(data) and _read(name, parent) == data
        except FileNotFoundError:
            return False


def lock(path: Path) -> int:
    """Open the lock file, created if needed, and return its descriptor, to be closed with `let_go`."""
    with _border("open the lock", path), _beside(path) as (parent, name):
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | _NEVER_FOLLOW, 0o600, dir_fd=parent)


def let_go(handle: int) -> None:
    """Unlock the file (flock(2)) and close it; closing is not enough while another process has a copy.

    A process that another thread is starting has copies of all descriptors until its exec.
    """
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


def note(handle: int, text: bytes, path: Path) -> None:
    """Write the text to the beginning of the open lock file `path`."""
    with _border("write the lock", path):
        os.pwrite(handle, text, 0)


def names(folder: Path) -> tuple[str, ...]:
    """Return the names in the folder, sorted; none if it does not exist."""
    with _border("list", folder):
        try:
            with _opened(folder) as handle:
                return tuple(sorted(os.listdir(handle)))
        except FileNotFoundError:
            return ()


def target(link: Path) -> str | None:
    """Return the target of the link, as written; `None` if there is no link."""
    with _border("read", link):
        try:
            with _beside(link) as (parent, name):
                return os.readlink(name, dir_fd=parent)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:  # it is not a link
                return None
            raise


def write(path: Path, data: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Write the file with this content; `mode` is subject to the umask.

    With `owner` (user and group by number) it is not. Such a file is for other programs; its folder may be
    another user's, but not writable by everybody.
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
    """Write a new file; raises `Refused` if anything exists at the path, and leaves it alone."""
    with _border("write", path), _opened(path.parent) as parent:
        aside = _aside(f"{FILE}{path.name}-")
        try:
            _create(aside, data, mode, parent)
            os.link(aside, path.name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            _unlink(aside, parent)
        os.fsync(parent)


def folder(path: Path, mode: int = 0o700) -> None:
    """Create the folder and its missing parents; an existing one is not changed.

    Raises `Refused` if the parent is another user's, who could replace the folder at once.
    """
    with _border("create the folder", path):
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
                    f"cannot create the folder {path}: other users can replace what is in {path.parent}",
                    hint=f"create it yourself: mkdir {shell(path)}; or name another in the configuration",
                )
            _make(path.name, mode, parent)


def tree(path: Path, files: Mapping[str, bytes]) -> None:
    """Create a folder (0700) with these files (0600), all at once; `path` must not exist."""
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
    """Point the link at this target; a file or folder at its path is moved to `NAME.replaced-TIME`."""
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
    """Remove the file, if it exists."""
    with _border("remove", path), suppress(FileNotFoundError), _opened(path.parent) as parent:
        os.unlink(path.name, dir_fd=parent)
        os.fsync(parent)


def set_aside(path: Path) -> Path:
    """Rename an invalid file, so that nothing reads it any more; return its new path."""
    when = datetime.fromtimestamp(changed(path), UTC)
    aside = path.with_name(f"{path.name}.corrupt-{when:%Y%m%dT%H%M%SZ}")
    with _border("rename", path), _opened(path.parent) as parent:
        os.rename(path.name, aside.name, src_dir_fd=parent, dst_dir_fd=parent)
        os.fsync(parent)
    return aside


def discard(path: Path) -> None:
    """Remove the folder and its files, if it exists, so that nobody sees half of it."""
    with _border("remove", path), suppress(FileNotFoundError), _opened(path.parent) as parent:
        aside = _aside(TREE)
        os.rename(path.name, aside, src_dir_fd=parent, dst_dir_fd=parent)
        _drop(aside, parent)
        os.fsync(parent)


def sweep(folder: Path, file: str = "") -> None:
    """Remove the temporary files that a killed run left in the folder, for one file or for all.

    Call it only while nobody else writes there. For one file, only files are removed: the folder may be
    another user's, who could have renamed someone else's folder to such a name.
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
    """Open the folder of a file for lookups, which needs fewer permissions than listing it."""
    handle, name = safe_paths.beside(path)
    try:
        yield handle, name
    finally:
        os.close(handle)


def _read(name: str, parent: int) -> bytes:
    """Return the contents of a file; nothing for a pipe, which could block."""
    handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _NEVER_FOLLOW, dir_fd=parent)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return b""
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return data


def _make(name: str, mode: int, parent: int) -> None:
    """Create a folder with this mode whatever the umask, because other programs may have to enter it."""
    made = False
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=parent)
        made = True
    handle = os.open(name, _FOLDER, dir_fd=parent)  # if it existed already, it must be a folder
    try:
        if made:
            os.fchmod(handle, mode)
    finally:
        os.close(handle)
    os.fsync(parent)


def _refuse_open(folder: Path, handle: int) -> None:
    if os.fstat(handle).st_mode & stat.S_IWOTH:
        raise Refused(
            f"cannot write into {folder}: everybody can write there, and could replace the file",
            hint=f"run: chmod o-w {shell(folder)}; or name another in the configuration",
        )


def _create(name: str, data: bytes, mode: int, parent: int, owner: tuple[int, int] | None = None) -> None:
    """Write a new file. Owner and mode are set on the handle: the name may be another file's by then."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NEVER_FOLLOW
    handle = os.open(name, flags, 0o600 if owner else mode, dir_fd=parent)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        if owner:
            if owner != (os.geteuid(), os.getegid()):  # even a no-op chown is forbidden to the service
                os.fchown(handle, *owner)
            os.fchmod(handle, mode)
        os.fsync(handle)


def _unlink(name: str, parent: int) -> None:
    """Remove a file or a link, if that is possible; never a folder."""
    with suppress(OSError):
        os.unlink(name, dir_fd=parent)


def _drop(name: str, parent: int) -> None:
    """Remove a file, a link or a folder of ours, if that is possible."""
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
        hint = f"give the user {user(os.geteuid())} access (ls -ld {shell(path)} {shell(path.parent)})"
        return Refused(f"{what}: {cause}", hint=hint)
    if code == errno.ELOOP:
        return Refused(f"{what}: it is a link", hint="find out who created the link, then remove it")
    if code in _IN_THE_WAY:
        return Refused(f"{what}: {cause}", hint="something else has this name: move it away")
    return Transient(f"{what}: {cause}", hint=_HINTS.get(code, "the next run tries again"))

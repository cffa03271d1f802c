"""Files written whole or not at all, and on disk when the call returns.

Everything is first written aside in the same folder and then renamed. No link that stands at the end of a
path is ever followed. What the disk refuses becomes `Refused` (permission, something else in the way) or
`Transient` (full, read-only, failing), with the path and what to do; nothing half-written is left.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from renewer.errors import Refused, RenewerError, Transient
from renewer.premises import user

FILE, TREE, LINK = ".tmp-", ".new-", ".cur-"
"""What the names of files, folders and links begin with while they are written aside."""

_NEVER_FOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC
_IN_THE_WAY = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY}
_DENIED = {errno.EACCES, errno.EPERM}
_HINTS = {
    errno.ENOSPC: "free some space on that disk; the next run goes on from here",
    errno.EDQUOT: "raise the disk quota or delete something; the next run goes on from here",
    errno.EROFS: "mount that disk writable again; the next run goes on from here",
    errno.EIO: "the disk fails: look into the kernel's log (dmesg) before anything else",
    errno.ENOENT: "make the folder above it, or correct the path in the configuration",
}


def read(path: Path) -> bytes | None:
    """Return the file's content, or `None` where there is none."""
    with _border("read", path):
        try:
            # O_NONBLOCK, so that a pipe in its place cannot hold the program up.
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _NEVER_FOLLOW)
        except FileNotFoundError:
            return None
        with os.fdopen(handle, "rb") as file:
            return file.read()


def changed(path: Path) -> float:
    """Return when the file was last written, in seconds since 1970."""
    with _border("look at", path):
        return path.lstat().st_mtime


def held_by(path: Path, owner: tuple[int, int], mode: int) -> bool:
    """Tell whether the file belongs to this user and group (by number) and has this mode."""
    with _border("look at", path):
        status = path.lstat()
        return (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (*owner, mode)


def lock(path: Path) -> int:
    """Open the lock file, made if need be, and return its descriptor; whoever asked has to `let_go` of it."""
    with _border("open the lock", path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | _NEVER_FOLLOW, 0o600)


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
            return tuple(sorted(entry.name for entry in folder.iterdir()))
        except FileNotFoundError:
            return ()


def target(link: Path) -> str | None:
    """Return where the link leads, as it is written; `None` if there is no link."""
    with _border("read", link):
        try:
            return str(link.readlink()) if link.is_symlink() else None
        except FileNotFoundError:
            return None


def write(path: Path, data: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Put the file there with this content; `mode` as far as the umask allows.

    With `owner` (user and group by number) the mode holds whatever the umask.
    """
    with _border("write", path), _opened(path.parent) as parent:
        aside = _aside(f"{FILE}{path.name}-")
        try:
            _create(aside, data, 0o600 if owner else mode, parent)
            if owner:
                _hand_over(aside, owner, mode, parent)
            os.rename(aside, path.name, src_dir_fd=parent, dst_dir_fd=parent)
        finally:
            _drop(aside, parent)
        os.fsync(parent)


def create(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a new file there; raises `Refused` where anything stands already, which stays as it is."""
    with _border("write", path), _opened(path.parent) as parent:
        aside = _aside(f"{FILE}{path.name}-")
        try:
            _create(aside, data, mode, parent)
            os.link(aside, path.name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            _drop(aside, parent)
        os.fsync(parent)


def folder(path: Path, mode: int = 0o700) -> None:
    """Make the folder and those above it that are missing; one that is there stays as it is."""
    with _border("make the folder", path):
        if path.is_symlink():
            raise OSError(errno.ELOOP, "a link stands there", str(path))
        if path.is_dir():
            return
        if not path.parent.is_dir():
            folder(path.parent, mode)
        with suppress(FileExistsError):
            path.mkdir(mode)
            path.chmod(mode)  # whatever the umask: another program may have to reach what is in it
        with _opened(path.parent) as parent:
            os.fsync(parent)
        with _opened(path):  # whoever was faster must have made a folder
            return


def tree(path: Path, files: Mapping[str, bytes]) -> None:
    """Put a new folder (0700) with these files (0600) there, all at once; `path` must be free."""
    with _border("write", path), _opened(path.parent) as parent:
        aside = _aside(TREE)
        try:
            os.mkdir(aside, 0o700, dir_fd=parent)
            with _opened(path.parent / aside) as inner:
                for name, data in files.items():
                    _create(name, data, 0o600, inner)
                os.fsync(inner)
            os.rename(aside, path.name, src_dir_fd=parent, dst_dir_fd=parent)
        finally:
            _drop(aside, parent)
        os.fsync(parent)


def point(link: Path, target: str) -> None:
    """Let the link lead to `target`; a file or folder in its place is moved to `NAME.replaced-TIME`."""
    with _border("write the link", link), _opened(link.parent) as parent:
        if os.path.lexists(link) and not link.is_symlink():
            replaced = f"{link.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
            os.rename(link.name, replaced, src_dir_fd=parent, dst_dir_fd=parent)
        aside = _aside(LINK)
        try:
            os.symlink(target, aside, dir_fd=parent)
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

    To be called while nobody else writes there.
    """
    begin = (f"{FILE}{file}-",) if file else (FILE, TREE, LINK)
    for name in names(folder):
        if name.startswith(begin):
            with _border("remove", folder / name), _opened(folder) as parent:
                _drop(name, parent)


def lying_aside(folder: Path) -> tuple[str, ...]:
    """Return which files lie aside in the folder: dead runs left them, or they are being written."""
    return tuple(name for name in names(folder) if name.startswith(FILE))


def _aside(kind: str) -> str:
    return kind + os.urandom(8).hex()


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _NEVER_FOLLOW)
    try:
        yield handle
    finally:
        os.close(handle)


def _create(name: str, data: bytes, mode: int, parent: int) -> None:
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NEVER_FOLLOW, mode, dir_fd=parent)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)


def _hand_over(name: str, owner: tuple[int, int], mode: int, parent: int) -> None:
    if owner != (os.geteuid(), os.getegid()):  # a service without rights may not even ask
        os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
    os.chmod(name, mode, dir_fd=parent)


def _drop(name: str, parent: int) -> None:
    """Take out a file, a link or a folder of files, as far as it is there and can be."""
    with suppress(OSError):
        os.unlink(name, dir_fd=parent)
        return
    with suppress(OSError):
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _NEVER_FOLLOW, dir_fd=parent)
        try:
            for inner in os.listdir(handle):  # noqa: PTH208  (pathlib knows no dir_fd)
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
        hint = f"let the user {user(os.geteuid())} in (ls -ld {path} {path.parent})"
        return Refused(f"{what}: {cause}", hint=hint)
    if code == errno.ELOOP:
        return Refused(f"{what}: a link stands there", hint="find out who put it there, then remove it")
    if code in _IN_THE_WAY:
        return Refused(f"{what}: {cause}", hint="something else stands there: move it away")
    return Transient(f"{what}: {cause}", hint=_HINTS.get(code, "the next run tries again"))

"""The store in a local folder: a file for each value, a lock file for each lease.

A lease is an flock(2), which the kernel releases when its process ends, however it ends. The lock file names
the holder.
"""

import fcntl
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from renewer.core.errors import LockBusy, LostLease
from renewer.core.interfaces import Fence
from renewer.system import files


class FileStore:
    """Values as files under `folder`; keys are relative paths such as `certificate/example.com`."""

    def __init__(self, folder: Path) -> None:
        self._values = folder / "store"
        self._locks = folder / "lock"
        self._held: dict[str, int] = {}
        self._left: dict[Path, tuple[str, ...]] = {}
        self._guard = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return the value, or `None` if there is none."""
        return files.read(self._path(key))

    def put(self, key: str, value: bytes, fence: Fence) -> None:
        """Write the value; it is on disk when this returns."""
        self._require(fence)
        path = self._path(key)
        files.folder(path.parent)
        files.write(path, value)
        self._sweep(path)

    def delete(self, key: str, fence: Fence) -> None:
        """Delete the value."""
        self._require(fence)
        path = self._path(key)
        files.remove(path)
        self._sweep(path)

    def set_aside(self, key: str, fence: Fence) -> str:
        """Rename the file of an unreadable value; its new name contains the time of its last change."""
        self._require(fence)
        return str(files.set_aside(self._path(key)))

    def keys(self, prefix: str) -> Iterable[str]:
        """Return the keys that begin with `prefix`, sorted; only the folder in `prefix` is searched."""
        found = (
            str(path.relative_to(self._values).with_suffix(""))
            for path in (self._values / prefix.rpartition("/")[0]).rglob("*.json")
            if path.is_file()
        )
        return sorted(key for key in found if key.startswith(prefix))

    @contextmanager
    def lease(self, name: str, ttl: timedelta) -> Iterator[Fence]:
        """Hold the lease exclusively; `ttl` is unused, because the kernel releases a dead holder's lock."""
        del ttl
        files.folder(self._locks)
        handle = files.lock(self._locks / name)
        try:
            fence = Fence(name, _take(handle, self._locks / name))
            with self._guard:
                self._held[name] = fence.token
            try:
                yield fence
            finally:
                with self._guard:
                    del self._held[name]
        finally:
            files.let_go(handle)

    def _sweep(self, path: Path) -> None:
        """Remove temporary files that killed runs left beside this file.

        Each folder is listed only once; what runs killed later leave there is removed by the next process.
        """
        with self._guard:
            left = self._left.get(path.parent)
            if left is None:
                left = self._left[path.parent] = files.names(path.parent)
        if any(name.startswith(f"{files.FILE}{path.name}-") for name in left):
            files.sweep(path.parent, path.name)

    def _require(self, fence: Fence) -> None:
        with self._guard:
            if self._held.get(fence.name) != fence.token:
                raise LostLease(
                    f"the lease on {fence.name} has been lost; nothing was written",
                    hint="the next run resumes here",
                )

    def _path(self, key: str) -> Path:
        return self._values / f"{key}.json"


def holder(folder: Path, name: str) -> str:
    """Return the process number of the holder of the lease `name` in the folder; empty if there is none.

    Nothing is written, and nobody is kept from the lease.
    """
    try:
        handle = os.open(folder / "lock" / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    process = (_words(handle)[1:2] or [""])[0]
    try:
        if not process or not Path("/proc", process).exists():
            return ""
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # the number may have been reused
    except BlockingIOError:
        return process
    finally:
        files.let_go(handle)
    return ""


def _take(handle: int, path: Path) -> int:
    """Lock the file, increment its counter and record the holder; return the counter as the token."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        name = path.name
        holder = _words(handle)[1:2]
        by = f" (process {holder[0]})" if holder else ""
        raise LockBusy(
            f"another renewer{by} is working on {name.partition('.')[2] or name}",
            hint="wait until it has finished, then run this again",
        ) from None
    token = int((_words(handle) or ["0"])[0]) + 1
    files.note(handle, f"{token} {os.getpid()}\n".ljust(32).encode(), path)
    return token


def _words(handle: int) -> list[str]:
    words = os.pread(handle, 64, 0).decode(errors="replace").split()
    return words if all(word.isdecimal() for word in words) else []

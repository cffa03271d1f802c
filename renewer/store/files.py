"""The store in a local folder: a file for each value, a lock file for each lease.

A lease is an flock(2): it ends with the process that holds it, however that dies. Its file tells a person who
holds it.
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
        """Return the value, or `None`."""
        return files.read(self._path(key))

    def put(self, key: str, value: bytes, fence: Fence) -> None:
        """Write the value; it is on disk when this returns."""
        self._require(fence)
        path = self._path(key)
        files.folder(path.parent)
        files.write(path, value)
        self._sweep(path)

    def delete(self, key: str, fence: Fence) -> None:
        """Take the value out."""
        self._require(fence)
        path = self._path(key)
        files.remove(path)
        self._sweep(path)

    def set_aside(self, key: str, fence: Fence) -> str:
        """Give the file of an unreadable value another name, with the time of its last change in it."""
        self._require(fence)
        return str(files.set_aside(self._path(key)))

    def keys(self, prefix: str) -> Iterable[str]:
        """Return the keys that begin with `prefix`, sorted; only the folder that it names is looked into."""
        found = (
            str(path.relative_to(self._values).with_suffix(""))
            for path in (self._values / prefix.rpartition("/")[0]).rglob("*.json")
            if path.is_file()
        )
        return sorted(key for key in found if key.startswith(prefix))

    @contextmanager
    def lease(self, name: str, ttl: timedelta) -> Iterator[Fence]:
        """Hold `name` alone; `ttl` is not needed here, the kernel frees a dead process's lock."""
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
        """Take out what dead runs left aside for this file.

        A folder is listed once: what runs that die meanwhile leave there, the next process sees.
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
                    f"the lease on {fence.name} is not held any more; nothing was written",
                    hint="the next run goes on from here",
                )

    def _path(self, key: str) -> Path:
        return self._values / f"{key}.json"


def holder(folder: Path, name: str) -> str:
    """Return the number of the process that holds the lease `name` in the folder; empty if nobody is seen to.

    Nothing is written, and whoever wants the lease meanwhile gets it.
    """
    try:
        handle = os.open(folder / "lock" / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    process = (_words(handle)[1:2] or [""])[0]
    try:
        if not process or not Path("/proc", process).exists():
            return ""
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # the number may be another process's by now
    except BlockingIOError:
        return process
    finally:
        files.let_go(handle)
    return ""


def _take(handle: int, path: Path) -> int:
    """Lock the file, count the lease up and note the holder; the token is the count."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        name = path.name
        holder = _words(handle)[1:2]
        by = f" (process {holder[0]})" if holder else ""
        raise LockBusy(
            f"another renewer{by} is at work on {name.partition('.')[2] or name}",
            hint="wait until it is done, then run this again",
        ) from None
    token = int((_words(handle) or ["0"])[0]) + 1
    files.note(handle, f"{token} {os.getpid()}\n".ljust(32).encode(), path)
    return token


def _words(handle: int) -> list[str]:
    words = os.pread(handle, 64, 0).decode(errors="replace").split()
    return words if all(word.isdecimal() for word in words) else []

"""What tells, without a look inside, whether files are still those that they were: names, sizes and times.

A stamp has a file's inode, its size and when it was last changed (st_ctime, which nobody can set back). Only
what every interpreter has loaded anyway is imported: a run at rest is this and little more.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # that of `typing` would have to be loaded
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Stamps = tuple[bytes, int]
"""Stamps in an order of their own, and when the last of the files was changed, in ns since 1970."""

_GONE = "is not there"


def together(every: Iterable[Stamps]) -> Stamps:
    """Return several as one."""
    found = list(every)
    return b"\n".join(text for text, _ in found), max((newest for _, newest in found), default=0)


def tree(folder: str) -> Stamps:
    """Return the stamps of all files in the folder and those below it."""
    lines, newest = [folder], 0
    for folders, text, changed in _below(folder):
        lines += folders, text
        newest = max(newest, changed)
    return _encoded(lines), newest


def linked(folder: str, link: str) -> Stamps:
    """Return the stamps of the files that the link of this name leads to, for every folder in `folder`."""
    lines, newest = [folder], 0
    for name in names(folder):
        try:
            target = os.readlink(f"{folder}/{name}/{link}")  # noqa: PTH115 - pathlib would be half of the run
        except OSError:
            lines.append(f"{name} {_GONE}")
            continue
        _, text, changed = _listed(f"{folder}/{name}/{target}")
        lines += name, target, text
        newest = max(newest, changed)
    return _encoded(lines), newest


def files(paths: Iterable[str]) -> Stamps:
    """Return the stamps of these files; what a link leads to counts, and the names in what ends in `/`."""
    lines: list[str] = []
    newest = 0
    for path in paths:
        if path.endswith("/"):
            lines += path, *names(path)
            continue
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            lines.append(f"{path} {_GONE}")
            continue
        lines.append(f"{path} {status.st_ino} {status.st_size} {status.st_ctime_ns}")
        newest = max(newest, status.st_ctime_ns)
    return _encoded(lines), newest


def rights(folder: str) -> Stamps:
    """Return who owns the folder and those above it, and who may write there; not since when."""
    lines = []
    while True:
        try:
            status = os.lstat(folder)
            lines.append(f"{folder} {status.st_ino} {status.st_mode:o} {status.st_uid} {status.st_gid}")
        except OSError:
            lines.append(f"{folder} {_GONE}")
        above = folder.rpartition("/")[0] or "/"
        if above == folder:
            return _encoded(lines), 0
        folder = above


def _below(folder: str) -> Iterator[tuple[str, str, int]]:
    """Yield what `_listed` tells, for the folder and for each below it."""
    names, text, newest = _listed(folder)
    yield " ".join(names), text, newest
    for name in names:
        yield from _below(f"{folder}/{name}")


def _listed(folder: str) -> tuple[list[str], str, int]:
    """Return the names of the folders in it, the stamps of what else is, and when that changed last."""
    folders, lines, newest = [], [], 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                    continue
                status = entry.stat(follow_symlinks=False)
                changed = status.st_ctime_ns
                lines.append(f"{entry.name} {status.st_ino} {status.st_size} {changed}")
                newest = max(newest, changed)
    except OSError:
        lines.append(_GONE)
    folders.sort()
    lines.sort()
    return folders, "\n".join(lines), newest


def names(folder: str) -> list[str]:
    """Return what lies in the folder, sorted."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return [_GONE]


def _encoded(lines: Iterable[str]) -> bytes:
    return "\n".join(lines).encode(errors="surrogateescape")

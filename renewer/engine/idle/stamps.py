"""Stamps show whether files have changed, without reading them: names, sizes and times.

A stamp consists of a file's inode, its size and its last change (st_ctime, which nobody can set back). This
imports only modules that every interpreter has loaded anyway, to keep a run with nothing to do fast.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # avoids importing `typing`
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Stamps = tuple[bytes, int]
"""Stamps in a fixed order, and the time of the latest change, in ns since 1970."""

_GONE = "is not there"


def together(every: Iterable[Stamps]) -> Stamps:
    """Combine several stamps into one."""
    found = list(every)
    return b"\n".join(text for text, _ in found), max((newest for _, newest in found), default=0)


def tree(folder: str) -> Stamps:
    """Return the stamps of all files in the folder and its subfolders."""
    lines, newest = [folder], 0
    for folders, text, changed in _below(folder):
        lines += folders, text
        newest = max(newest, changed)
    return _encoded(lines), newest


def linked(folder: str, link: str) -> Stamps:
    """Return the stamps of the files in the target of this link, for each folder in `folder`."""
    lines, newest = [folder], 0
    for name in names(folder):
        try:
            target = os.readlink(f"{folder}/{name}/{link}")  # noqa: PTH115 - importing pathlib would double the time
        except OSError:
            lines.append(f"{name} {_GONE}")
            continue
        _, text, changed = _listed(f"{folder}/{name}/{target}")
        lines += name, target, text
        newest = max(newest, changed)
    return _encoded(lines), newest


def files(paths: Iterable[str]) -> Stamps:
    """Return the stamps of these files; links are followed, and for a path ending in `/` its names count."""
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
    """Return owners and modes of the folder and its parents, without times."""
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
    """Yield the result of `_listed` for the folder and each of its subfolders."""
    names, text, newest = _listed(folder)
    yield " ".join(names), text, newest
    for name in names:
        yield from _below(f"{folder}/{name}")


def _listed(folder: str) -> tuple[list[str], str, int]:
    """Return the names of its subfolders, the stamps of its other entries, and their latest change."""
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
    """Return the names in the folder, sorted."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return [_GONE]


def _encoded(lines: Iterable[str]) -> bytes:
    return "\n".join(lines).encode(errors="surrogateescape")

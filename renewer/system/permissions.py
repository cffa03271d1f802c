"""Whether files and folders are safe: who else could change or replace them."""

import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

from renewer.core.errors import ConfigError
from renewer.core.printable import shell
from renewer.system import safe_paths

_BY_OTHERS = safe_paths.BY_OTHERS


def foreign(path: Path) -> str:
    """Return why users other than root and this one can change the file; empty if they cannot.

    It continues a sentence that begins with the file. A missing file is left to whoever opens it.
    """
    with suppress(OSError):
        if found := safe_paths.stranger(path):
            status = os.lstat(found)
            whose = f"{found} belongs to {user(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):04o}"
            return f"can be changed or replaced by other users ({whose})"
    return ""


def alone(path: Path) -> str:
    """Return the commands that keep other users from changing the file, to be run after a check of it."""
    found, commands = str(path), []
    with suppress(OSError):
        found = safe_paths.stranger(path) or found
        status = os.lstat(found)
        commands += ["chown -h root"] if status.st_uid not in {0, os.geteuid()} else []
        commands += ["chmod go-w"] if status.st_mode & _BY_OTHERS else []
    place = shell(found)
    run = " && ".join(f"{command} {place}" for command in commands)
    return f"check that nobody has tampered with it, then run: {run or f'ls -ld {place}'}"


def refuse_unsafe(path: Path) -> None:
    """Raise `ConfigError` if other users could put files or links into the state folder.

    It must be ours and writable by nobody else, or shared with root, and every folder above it must be safe;
    a sticky one such as /tmp is, because nobody else can rename our files there. If it does not exist yet,
    only the folders above it are checked.
    """
    place = Path(os.path.abspath(path))  # noqa: PTH100  (Path.absolute keeps "..")
    try:
        _refuse_unsafe(place)
    except PermissionError:
        raise ConfigError(
            f"{user(os.geteuid())} cannot access the state folder {place}: permission denied",
            hint=f"let that user enter every folder above it: namei -l {shell(place)}",
        ) from None


def _refuse_unsafe(place: Path) -> None:
    if place.is_symlink():
        raise ConfigError(
            f"the state folder {place} is a link", hint=f"set state to the folder itself: {place.resolve()}"
        )
    if place.exists() and not (shared(place) and place.stat().st_gid == os.getegid() != 0):
        _refuse_foreign(place)
        if place.stat().st_mode & _BY_OTHERS:
            raise ConfigError(
                f"other users can write to the state folder {place}", hint=f"run: chmod go-w {shell(place)}"
            )
    refuse_unsafe_above(place)


def shared(place: Path) -> bool:
    """Return whether the folder is root's, writable by its group, and sticky, so root's files are safe."""
    with suppress(FileNotFoundError):
        status = place.lstat()
        rights = status.st_mode & (stat.S_ISVTX | _BY_OTHERS)
        return (
            status.st_uid == 0 != status.st_gid
            and rights == stat.S_ISVTX | stat.S_IWGRP
            and stat.S_ISDIR(status.st_mode)
        )
    return False


def refuse_unsafe_above(place: Path) -> None:
    """Raise `ConfigError` if other users could replace the state folder, or a folder above it."""
    for above in dict.fromkeys((*place.parents, *place.resolve().parents)):
        if above.exists() and _open_to_others(above):
            raise ConfigError(
                f"{above}, above the state folder, is writable by other users, or belongs to one",
                hint=f"run: chmod go-w {shell(above)}",
            )


def _refuse_foreign(place: Path) -> None:
    owner, ours = place.stat().st_uid, os.geteuid()
    if not place.is_dir():
        raise ConfigError(f"the state folder {place} is not a folder", hint="name a folder as state")
    if owner == ours:
        return
    name = user(owner)
    run_as = f"run it as that user: runuser -u {name} -- renewer …"
    raise ConfigError(
        f"the state folder {place} belongs to {name}, but this runs as {user(ours)}",
        hint=run_as if ours == 0 else f"run it as {name}, or name a folder of your own as state",
    )


def _open_to_others(above: Path) -> bool:
    status = above.stat()
    trusted = status.st_uid in (0, os.geteuid())
    guarded = status.st_mode & stat.S_ISVTX and trusted
    return not trusted or bool(status.st_mode & _BY_OTHERS and not guarded)


def user(uid: int) -> str:
    """Return the name of a user, by number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"

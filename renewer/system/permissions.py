"""Whether files and folders are safe: who else could change them, or put another in their place."""

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
    """Return why somebody else than root and this user can change the file, empty where nobody can.

    It is the end of a sentence that begins with the file. Where the file cannot be found, whoever opens it is
    told so.
    """
    with suppress(OSError):
        if found := safe_paths.stranger(path):
            status = os.lstat(found)
            whose = f"{found} belongs to {user(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):04o}"
            return f"can be changed or exchanged by others ({whose})"
    return ""


def alone(path: Path) -> str:
    """Return the commands that keep others from changing the file, once it is seen to be right."""
    found, commands = str(path), []
    with suppress(OSError):
        found = safe_paths.stranger(path) or found
        status = os.lstat(found)
        commands += ["chown -h root"] if status.st_uid not in {0, os.geteuid()} else []
        commands += ["chmod go-w"] if status.st_mode & _BY_OTHERS else []
    place = shell(found)
    run = " && ".join(f"{command} {place}" for command in commands)
    return f"look whether it is as it should be, then run: {run or f'ls -ld {place}'}"


def refuse_unsafe(path: Path) -> None:
    """Raise `ConfigError` if somebody else could put files or links of his own into the state folder.

    It must be ours and writable by nobody else, or shared with root, and every folder above it must be safe.
    There, a sticky one such as /tmp is fine: nobody can rename what is ours. Where it is not there yet, those
    above count.
    """
    place = Path(os.path.abspath(path))  # noqa: PTH100  (Path.absolute keeps "..")
    try:
        _refuse_unsafe(place)
    except PermissionError:
        raise ConfigError(
            f"the state folder {place} cannot be looked at by {user(os.geteuid())}: permission denied",
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
                f"the state folder {place} can be written by others", hint=f"run: chmod go-w {shell(place)}"
            )
    refuse_unsafe_above(place)


def shared(place: Path) -> bool:
    """Return whether the folder is root's, and its group may write but rename nothing of root's (sticky)."""
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
    """Raise `ConfigError` if somebody else could exchange the state folder from above."""
    for above in dict.fromkeys((*place.parents, *place.resolve().parents)):
        if above.exists() and _open_to_others(above):
            raise ConfigError(
                f"{above}, above the state folder, can be written by others, or belongs to another user",
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
    """Return what a user is called, by number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"

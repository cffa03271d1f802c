"""The state folder: its owner, the room on its disk, and whether every file in it can be read."""

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from renewer.check.context import Scene
from renewer.core.errors import ConfigError, RenewerError
from renewer.core.finding import Finding, Group, Topic
from renewer.core.printable import shell
from renewer.nginx.layout import Layout
from renewer.service import systemd
from renewer.service.requirements import USER
from renewer.system import permissions, privileges

FULL, NEARLY_FULL = 4 << 20, 64 << 20
"""Bytes that have to be free: below the first a renewal fails, below the second it is a warning."""

NO_FILES, FEW_FILES = 100, 1000
"""The same for files (inodes)."""

KINDS = ("certificate", "failure", "journal", "provenance", "rehearsal", "revocation", "suggestion")
"""The files a run reads for each certificate, whether they exist or not."""

_TOPIC = Topic(Group.STATE)
_LOST = "a renewal records each step before it takes it, and stops if it cannot"


def stranger(scene: Scene) -> pwd.struct_passwd | None:
    """Return the user that root switches to, if any; an unknown owner is reported by `look`."""
    try:
        return privileges.owner_to_become(scene.config.state)
    except ConfigError:
        return None


def settled(owner: pwd.struct_passwd) -> Finding:
    """Return that root has switched to the owner of the folder."""
    return _TOPIC.ok("owner", f"owned by user {owner.pw_name}; renewer switches to it when run as root")


def unsettled(error: ConfigError) -> Finding:
    """Return that root cannot switch to the owner of the folder."""
    return _TOPIC.refused("owner", error, "every command run as root stops here")


def look(scene: Scene) -> Iterator[Finding]:
    """Yield the findings; nothing is changed."""
    folder = scene.config.state
    if away := list(_taken_away(scene)):
        yield from away
        return
    try:
        Layout(folder)
        privileges.owner_to_become(folder)
        permissions.refuse_unsafe(folder)
    except ConfigError as error:
        yield _TOPIC.refused(
            "folder", error, "renewer works only in a folder of its own, because nginx uses the files in it"
        )
        return
    try:
        scene.follower.refuse_foreign()
    except ConfigError as error:
        why = "every other command stops here, because it might delete the other configuration's files"
        yield _TOPIC.refused("configuration", error, why)
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    yield from _writable(folder, existing)
    yield from _room(existing)
    if folder.exists() and _open(folder):
        yield from _contents(scene)


def _taken_away(scene: Scene) -> Iterator[Finding]:
    """Yield that the folder belongs to root although the service runs as another user."""
    folder, unit = scene.config.state, scene.unit
    if not unit or not folder.exists() or os.geteuid() != 0:
        return
    user = systemd.shown(unit, "User") if systemd.booted() else USER
    if user not in {"", "root"}:
        yield _TOPIC.error(
            "owner",
            f"{folder} belongs to root, but {unit} runs as the user {user}",
            "the service does not start, and could not use what root stores meanwhile",
            "run: renewer install-service, which corrects the owner",
        )


def _open(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK, effective_ids=True)


def _writable(folder: Path, existing: Path) -> Iterator[Finding]:
    shut = next((one for one in _below(folder, existing) if not _ours(one)), None)
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        hint = f"mount the disk of {existing} writable again; see dmesg for the cause"
        yield _TOPIC.error("writable", f"{existing} is on a disk mounted read-only", _LOST, hint)
    elif not _writes(existing):
        hint = f"run this as the user that runs renewer, or give it the folder: ls -ld {shell(existing)}"
        if existing.stat().st_uid == os.geteuid():
            hint = f"run: chmod 700 {shell(existing)}"
        what = f"the user {permissions.user(os.geteuid())} may not write to {existing}"
        yield _TOPIC.error("writable", what, _LOST, hint)
    elif shut:
        user = permissions.user(os.geteuid())
        it = shell(shut)
        hint = f"correct the owner and mode: chown -Rh {user}: {it} && chmod -R u+rwX {it}"
        yield _TOPIC.error("writable", f"the user {user} may not change {shut}", _LOST, hint)
    elif folder.exists():
        whom = (
            "the service's user, except for the nginx includes, which are root's"
            if permissions.shared(folder)
            else "its owner"
        )
        yield _TOPIC.ok("folder", f"{folder} exists, writable only by {whom}")
    else:
        yield _TOPIC.ok("folder", f"{folder} does not exist yet; the first run creates it")


def _below(folder: Path, existing: Path) -> Iterator[Path]:
    """Yield the visible contents of the folder, if it exists; links are not followed.

    The nginx includes are left out if they are root's.
    """
    if existing == folder:
        for place, folders, files in os.walk(folder):
            if Path(place) == folder and permissions.shared(folder):
                folders[:] = [name for name in folders if name != Layout(folder).included.name]
            yield from (Path(place, name) for name in (*folders, *files))


def _ours(place: Path) -> bool:
    """Return whether this user can replace it, or the files in it; root can replace anything."""
    try:
        status = place.lstat()
    except FileNotFoundError:  # a run has replaced it in the meantime
        return True
    return os.geteuid() == 0 or (
        status.st_uid == os.geteuid() and (not stat.S_ISDIR(status.st_mode) or _writes(place))
    )


def _writes(place: Path) -> bool:
    return os.access(place, os.W_OK | os.X_OK, effective_ids=True)


def _room(existing: Path) -> Iterator[Finding]:
    room = os.statvfs(existing)
    free, files = room.f_bavail * room.f_frsize, room.f_favail
    counted = room.f_files > 0  # some file systems have no fixed number of files
    if free < FULL or (counted and files < NO_FILES):
        what = f"the disk of {existing} is full: {_left(free, files, counted=counted)}"
        yield _TOPIC.error("room", what, _LOST, "free some space on that disk: df -h, df -i")
    elif free < NEARLY_FULL or (counted and files < FEW_FILES):
        what = f"the disk of {existing} is nearly full: {_left(free, files, counted=counted)}"
        yield _TOPIC.warning("room", what, _LOST, "free some space on that disk: df -h, df -i")
    else:
        yield _TOPIC.ok("room", f"its disk has {_left(free, files, counted=counted)}")


def _left(free: int, files: int, *, counted: bool) -> str:
    room = f"{free >> 30} GB" if free >= 10 << 30 else f"{free >> 20} MB"
    return f"{room} left" + (f", room for {files} files" if counted else "")


def _contents(scene: Scene) -> Iterator[Finding]:
    """Yield the files that cannot be read; nginx's own includes are tested by nginx -t."""
    keys = set(scene.vault.store.keys(""))
    wanted = {f"{kind}/{spec.name}" for spec in scene.config.specs for kind in KINDS}
    faults = 0
    for key in sorted(keys | wanted):
        try:
            found = list(scene.vault.unreadable(key))
        except RenewerError as error:
            faults += 1
            yield _TOPIC.refused("file", error, "a renewal that cannot read a file stops")
            continue
        for why in found:
            faults += 1
            yield _corrupt(key, why)
    if not faults:
        yield _TOPIC.ok("file", f"all files can be read ({len(keys)})" if keys else "it is still empty")


def _corrupt(key: str, why: str) -> Finding:
    what = f"store/{key}.json in the state folder cannot be read: {why}"
    kind = key.partition("/")[0]
    if kind in {"account", "site"}:
        lost = {
            "account": "the account at the CA",
            "site": "the site's keys, on which every link and session depends",
        }
        hint = "restore it from a backup, or move it away to have a new one created"
        return _TOPIC.error("file", what, f"it holds {lost[kind]}, and there is no copy", hint)
    again = "orders a new certificate" if kind == "certificate" else "creates it anew"
    why = f"it is treated as missing: the next run {again}"
    return _TOPIC.warning(
        "file", what, why, "restore it from a backup, if there is one; check the disk for errors (dmesg)"
    )

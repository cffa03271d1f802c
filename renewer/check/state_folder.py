"""The state folder: whose it is, how full its disk is, and whether all that lies in it can be read."""

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
"""Bytes that have to be free: fewer than the first do not hold a renewal, the second is a warning."""

NO_FILES, FEW_FILES = 100, 1000
"""The same for files (inodes)."""

KINDS = ("certificate", "failure", "journal", "provenance", "rehearsal", "revocation", "suggestion")
"""What a run reads for each certificate, whatever lies in its place."""

_TOPIC = Topic(Group.STATE)
_LOST = "a renewal writes down each step before it takes it, and stops where it cannot"


def stranger(scene: Scene) -> pwd.struct_passwd | None:
    """Return whom root becomes, if it does; an owner whom nobody knows is told by `look`."""
    try:
        return privileges.owner_to_become(scene.config.state)
    except ConfigError:
        return None


def settled(owner: pwd.struct_passwd) -> Finding:
    """Return that root has become the owner of the folder."""
    return _TOPIC.ok("owner", f"it belongs to {owner.pw_name}, whom renewer becomes where root runs it")


def unsettled(error: ConfigError) -> Finding:
    """Return that root cannot become the owner of the folder."""
    return _TOPIC.refused("owner", error, "every command of root's stops here")


def look(scene: Scene) -> Iterator[Finding]:
    """Yield what is found; nothing is changed by looking."""
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
            "folder", error, "renewer works only in a folder that is its own: nginx is given what lies there"
        )
        return
    try:
        scene.follower.refuse_foreign()
    except ConfigError as error:
        why = "every command but check stops here: one would take away what the other's has no table for"
        yield _TOPIC.refused("configuration", error, why)
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    yield from _writable(folder, existing)
    yield from _room(existing)
    if folder.exists() and _open(folder):
        yield from _contents(scene)


def _taken_away(scene: Scene) -> Iterator[Finding]:
    """Yield that root, who has become nobody, looks at a folder that the service's user should have."""
    folder, unit = scene.config.state, scene.unit
    if not unit or not folder.exists() or os.geteuid() != 0:
        return
    user = systemd.shown(unit, "User") if systemd.booted() else USER
    if user not in {"", "root"}:
        yield _TOPIC.error(
            "owner",
            f"{folder} belongs to root, but {unit} runs as the user {user}",
            "the service does not start, and could not go on with what root does meanwhile",
            "run: renewer install-service, which gives it back",
        )


def _open(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK, effective_ids=True)


def _writable(folder: Path, existing: Path) -> Iterator[Finding]:
    shut = next((one for one in _below(folder, existing) if not _ours(one)), None)
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        hint = f"mount the disk of {existing} writable again; see dmesg for why it is not"
        yield _TOPIC.error("writable", f"{existing} is on a disk that is mounted read-only", _LOST, hint)
    elif not _writes(existing):
        hint = f"run this as the user that runs renewer, or give it the folder: ls -ld {shell(existing)}"
        if existing.stat().st_uid == os.geteuid():
            hint = f"run: chmod 700 {shell(existing)}"
        what = f"the user {permissions.user(os.geteuid())} may not write to {existing}"
        yield _TOPIC.error("writable", what, _LOST, hint)
    elif shut:
        user = permissions.user(os.geteuid())
        it = shell(shut)
        hint = f"give it back, and let its owner write: chown -Rh {user}: {it} && chmod -R u+rwX {it}"
        yield _TOPIC.error("writable", f"the user {user} may not change {shut}", _LOST, hint)
    elif folder.exists():
        whom = (
            "the service's user, and what nginx includes by root"
            if permissions.shared(folder)
            else "its owner"
        )
        yield _TOPIC.ok("folder", f"{folder} is there, writable by {whom} alone")
    else:
        yield _TOPIC.ok("folder", f"{folder} is not there yet; the first run makes it")


def _below(folder: Path, existing: Path) -> Iterator[Path]:
    """Yield what lies in the folder, if it is there, as far as it can be seen; no link is followed.

    What nginx includes is left out where that is root's.
    """
    if existing == folder:
        for place, folders, files in os.walk(folder):
            if Path(place) == folder and permissions.shared(folder):
                folders[:] = [name for name in folders if name != Layout(folder).included.name]
            yield from (Path(place, name) for name in (*folders, *files))


def _ours(place: Path) -> bool:
    """Return whether this user could replace it, or what lies in it; root may do anything."""
    try:
        status = place.lstat()
    except FileNotFoundError:  # a run has replaced it meanwhile
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
        yield _TOPIC.ok("room", f"its disk has room: {_left(free, files, counted=counted)}")


def _left(free: int, files: int, *, counted: bool) -> str:
    room = f"{free >> 30} GB" if free >= 10 << 30 else f"{free >> 20} MB"
    return f"{room} left" + (f", room for {files} files" if counted else "")


def _contents(scene: Scene) -> Iterator[Finding]:
    """Yield which of the files cannot be read; those of nginx's are looked at by nginx itself."""
    keys = set(scene.vault.store.keys(""))
    wanted = {f"{kind}/{spec.name}" for spec in scene.config.specs for kind in KINDS}
    faults = 0
    for key in sorted(keys | wanted):
        try:
            found = list(scene.vault.unreadable(key))
        except RenewerError as error:
            faults += 1
            yield _TOPIC.refused("file", error, "what a renewal cannot read stops it")
            continue
        for why in found:
            faults += 1
            yield _corrupt(key, why)
    if not faults:
        yield _TOPIC.ok(
            "file", f"all that is kept can be read ({len(keys)} files)" if keys else "it is empty yet"
        )


def _corrupt(key: str, why: str) -> Finding:
    what = f"store/{key}.json in the state folder cannot be read: {why}"
    kind = key.partition("/")[0]
    if kind in {"account", "site"}:
        lost = {
            "account": "the account at the CA",
            "site": "the keys of the site, and so every link and session",
        }
        hint = "bring it back from a backup, or move it away to have it made anew"
        return _TOPIC.error("file", what, f"it holds {lost[kind]}, which nothing else has", hint)
    again = "a new certificate is ordered" if kind == "certificate" else "it is made anew"
    why = f"it counts as absent: {again} by the next run"
    return _TOPIC.warning(
        "file", what, why, "bring it back from a backup, if there is one; see whether the disk fails (dmesg)"
    )

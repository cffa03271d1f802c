"""The state folder: whose it is, how full its disk is, and whether all that lies in it can be read."""

import os
from collections.abc import Iterator
from pathlib import Path

from renewer import disk, identity
from renewer.check.finding import Finding, Group, Topic
from renewer.check.scene import Scene
from renewer.errors import ConfigError, RenewerError
from renewer.nginx.layout import Layout

FULL, NEARLY_FULL = 4 << 20, 64 << 20
"""Bytes that have to be free: fewer than the first do not hold a renewal, the second is a warning."""

NO_FILES, FEW_FILES = 100, 1000
"""The same for files (inodes)."""

KINDS = ("certificate", "failure", "journal", "provenance", "rehearsal", "revocation", "suggestion")
"""What a run reads for each certificate, whatever lies in its place."""

_TOPIC = Topic(Group.STATE)
_LOST = "a renewal writes down each step before it takes it, and stops where it cannot"


def look(scene: Scene) -> Iterator[Finding]:
    """Yield what is found; nothing is changed by looking."""
    folder = scene.config.state
    try:
        Layout(folder)
        owner = identity.owner_to_become(folder)
        if owner:
            disk.refuse_unsafe_above(folder)
            yield _TOPIC.ok(
                "owner", f"it belongs to {owner.pw_name}, whom renewer becomes where root runs it"
            )
        else:
            disk.refuse_unsafe(folder)
    except ConfigError as error:
        yield _TOPIC.refused(
            "folder", error, "renewer works only in a folder that is its own: nginx is given what lies there"
        )
        return
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    yield from _writable(folder, existing)
    yield from _room(existing)
    if folder.exists():
        yield from _contents(scene)


def _writable(folder: Path, existing: Path) -> Iterator[Finding]:
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        hint = f"mount the disk of {existing} writable again; see dmesg for why it is not"
        yield _TOPIC.error("writable", f"{existing} is on a disk that is mounted read-only", _LOST, hint)
    elif not os.access(existing, os.W_OK | os.X_OK):
        hint = f"run this as the user that runs renewer, or give it the folder: ls -ld {existing}"
        yield _TOPIC.error("writable", f"this user may not write to {existing}", _LOST, hint)
    elif folder.exists():
        yield _TOPIC.ok("folder", f"{folder} is there, writable by its owner alone")
    else:
        yield _TOPIC.ok("folder", f"{folder} is not there yet; the first run makes it")


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

"""Steps to install the service and to remove it: which are needed, and how each is carried out."""

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from renewer.service import systemd
from renewer.service.ownership import is_roots, is_shared, share, take_back
from renewer.service.requirements import FOLDER, RUNTIME, USER, Setting
from renewer.service.unit_files import HELPER, SYSUSERS, TMPFILES, FileState, placed
from renewer.system import files, safe_paths

PATH, DAEMON, TIMER = "renewer-reload.path", "renewer.service", "renewer-renew.timer"
ONE_SHOT = "renewer-renew.service"

CRON = Path("/etc/cron.d/renewer")

_UNKNOWN = -1


@dataclass(frozen=True)
class Step:
    """A step to take; without `act`, a note for the administrator."""

    what: str
    act: Callable[[], object] | None = None


def _systemctl(*arguments: str) -> Callable[[], object]:
    return lambda: systemd.told("systemctl", *arguments)


RELOAD = Step("have systemd reload its units", _systemctl("daemon-reload"))


def install(setting: Setting, *, timer: bool) -> Iterator[Step]:
    """Yield the steps that install the daemon, or with `timer` the one-shot; each is decided when reached."""
    wanted, other = (TIMER, DAEMON) if timer else (DAEMON, TIMER)
    files = list(_files(setting))
    changed = any(step.act for step in files)
    state = setting.config.state
    taken = state.exists() and not is_shared(state, _uid(), _gid())
    stopped = [unit for unit in (wanted, ONE_SHOT, PATH) if systemd.is_("active", unit)]
    if not changed and not taken:
        stopped = []
    yield from _off(other)
    for unit in stopped:
        yield Step(f"stop {unit}", _systemctl("stop", unit))
    yield from files
    yield from _user()
    yield from _state(state)
    yield from _runtime()
    yield from _readable(setting)
    if changed:
        yield RELOAD
    for unit in (PATH, wanted):
        if unit in stopped or not (systemd.is_("enabled", unit) and systemd.is_("active", unit)):
            yield Step(f"enable and start {unit}", _systemctl("enable", "--now", unit))
    yield from _notes(setting)


def remove(setting: Setting) -> Iterator[Step]:
    """Yield the steps that remove the service; state, certificates and configuration stay."""
    yield from _off(DAEMON, TIMER, PATH)
    if systemd.is_("active", ONE_SHOT):
        yield Step(f"stop {ONE_SHOT}", _systemctl("stop", ONE_SHOT))
    yield from _files_away(setting)
    state = setting.config.state
    if state.exists() and not is_roots(state):
        yield Step(f"hand {state} back to root", lambda: take_back(state))
    if _uid() != _UNKNOWN:
        yield Step(f"these stay: the user {USER}, {setting.file} and {state}")
    if opened := [str(path) for path in _opened(setting) if _readable_by_group(path)]:
        names = shlex.join(opened)
        yield Step(f"the group {USER} can still read {', '.join(opened)}; to revoke that: chgrp root {names}")


def _off(*units: str) -> Iterator[Step]:
    for unit in units:
        if systemd.is_("active", unit) or systemd.is_("enabled", unit):
            yield Step(f"stop and disable {unit}", _systemctl("disable", "--now", unit))


def _user() -> Iterator[Step]:
    if _uid() == _UNKNOWN:
        yield Step(f"create the system user {USER}", lambda: systemd.told("systemd-sysusers", SYSUSERS.name))


def _runtime() -> Iterator[Step]:
    if not RUNTIME.is_dir() or RUNTIME.stat().st_uid != _uid():
        yield Step(f"create {RUNTIME}", lambda: systemd.told("systemd-tmpfiles", "--create", TMPFILES.name))


def _files_away(setting: Setting) -> Iterator[Step]:
    found = [(file.path, file.state) for file in placed(setting.adaptation)]
    ours = [path for path, state in found if state in (FileState.SAME, FileState.OLDER)]
    for path, state in found:
        if state is FileState.EDITED:
            yield Step(f"{path} was edited and stays: remove it yourself")
    for path in ours:
        yield Step(f"remove {path}", partial(_take_out, path))
    if ours:
        yield RELOAD


def _take_out(path: Path) -> None:
    files.remove(path)
    for folder in path.parents:
        if folder.is_relative_to(HELPER.parent):
            above = safe_paths.enter(folder.parent)
            with suppress(OSError):  # it is not empty
                os.rmdir(folder.name, dir_fd=above)
            os.close(above)


def _notes(setting: Setting) -> Iterator[Step]:
    yield from map(Step, setting.limits())
    if CRON.exists():
        yield Step(f"{CRON} exists, too: remove it, because one trigger is enough")


def _files(setting: Setting) -> Iterator[Step]:
    for file in placed(setting.adaptation):
        match file.state:
            case FileState.MISSING:
                yield Step(f"write {file.path}", file.put)
            case FileState.OLDER:
                yield Step(f"update {file.path}", file.put)
            case FileState.EDITED:
                yield Step(f"{file.path} was edited and stays; move it away to get renewer's version")
            case FileState.SAME:
                pass


def _state(state: Path) -> Iterator[Step]:
    if not state.exists():
        yield Step(f"create {state}", lambda: _make(state))
    elif not is_shared(state, _uid(), _gid()):
        what = f"hand {state} to the user {USER}, except for the nginx includes, which become root's"
        yield Step(what, lambda: share(state, _uid(), _gid()))


def _readable(setting: Setting) -> Iterator[Step]:
    """Yield the steps that let only the group read the configuration."""
    for path in _opened(setting):
        if not _readable_by_group(path):
            yield Step(f"let the group {USER} read {path}", partial(_let_read, path))


def _opened(setting: Setting) -> Iterator[Path]:
    """Yield the files, and the folder, that the service's group has to read."""
    places = (FOLDER,) if FOLDER in (path.parent for path in setting.readable) else ()
    yield from (path for path in (*places, *setting.readable) if path.exists())


def _readable_by_group(path: Path) -> bool:
    status = path.stat()
    return status.st_gid == _gid() and stat.S_IMODE(status.st_mode) == _mode(status)


def _let_read(path: Path) -> None:
    """Let the group read a file of root's; `refuse_unfit` has ruled out that others replace it."""
    parent, name = safe_paths.beside(path, follow=True)
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)
    try:
        os.fchown(handle, -1, _gid())
        os.fchmod(handle, _mode(os.fstat(handle)))
    finally:
        os.close(handle)


def _mode(status: os.stat_result) -> int:
    """Return the mode of a file its group may read, or of a folder it may enter."""
    return 0o750 if stat.S_ISDIR(status.st_mode) else 0o640


def _make(state: Path) -> None:
    files.folder(state.parent, 0o755)
    files.folder(state)
    share(state, _uid(), _gid())


def _uid() -> int:
    try:
        return pwd.getpwnam(USER).pw_uid
    except KeyError:
        return _UNKNOWN


def _gid() -> int:
    try:
        return grp.getgrnam(USER).gr_gid
    except KeyError:
        return _UNKNOWN

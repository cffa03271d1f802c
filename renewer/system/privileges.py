"""The user whose privileges this process has.

Root never works in another user's folder: it could be misled by that user's links, and would leave files that
the service cannot write. So it switches to that user, for good, before it touches anything. In a state folder
that root shares with a service, that is the user with the name of the folder's group.
"""

import grp
import os
import pwd
import resource
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from renewer.core.errors import ConfigError
from renewer.core.printable import shell
from renewer.system import permissions


def settle(state: Path, secret_files: Iterable[Path], remember: Callable[[Iterable[Path]], None]) -> None:
    """Switch from root to the owner of the state folder, if that is another user; see `become`.

    Before that, `remember` reads those secret files into memory that only root can read.
    """
    owner = owner_to_become(state)
    if owner is not None:
        remember(secret_files)
        become(owner, state)


def owner_to_become(state: Path) -> pwd.struct_passwd | None:
    """Return the user to switch to for the state folder, if this is root and the folder is another user's."""
    if os.geteuid() != 0:
        return None
    try:
        status = state.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode) or (status.st_uid == 0 and not permissions.shared(state)):
        return None
    try:
        return pwd.getpwuid(status.st_uid or pwd.getpwnam(grp.getgrgid(status.st_gid).gr_name).pw_uid)
    except KeyError:
        whom = f"user #{status.st_uid}" if status.st_uid else f"user of the group #{status.st_gid}"
        raise ConfigError(
            f"the state folder {state} belongs to the {whom}, who does not exist on this machine",
            hint=f"hand it to root: chown -R root: {shell(state)};"
            " or to the service: renewer install-service",
        ) from None


def become(user: pwd.struct_passwd, state: Path) -> None:
    """Take on the user's privileges and groups; this cannot be undone.

    The kernel then keeps other processes of that user out of this one, which may hold secrets that root has
    read (prctl(2), PR_SET_DUMPABLE). Raises `ConfigError` if the user may not read the program, parts of
    which are loaded later.
    """
    _take_on(user, for_good=True)
    os.environ["HOME"] = user.pw_dir
    require_program(user, state)


def require_program(user: pwd.struct_passwd, state: Path) -> None:
    """Raise `ConfigError` if the user, whose privileges are in effect, may not read the program."""
    for path in (Path(__file__).parents[1], Path(os.__file__).parent, Path(sys.executable)):
        if not os.access(path, os.R_OK | os.X_OK, effective_ids=True):
            raise ConfigError(
                f"the state folder {state} belongs to {user.pw_name}, who may not read the program in {path}",
                hint="install it where every user can read it: PIPX_HOME=/opt/pipx pipx install renewer",
            )


@contextmanager
def as_owner(state: Path) -> Iterator[pwd.struct_passwd | None]:
    """Switch to the user of `owner_to_become`, which is yielded, and back to root afterwards."""
    owner = owner_to_become(state)
    if owner is None:
        yield None
        return
    group, groups = os.getegid(), os.getgroups()
    _take_on(owner, for_good=False)
    try:
        yield owner
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _take_on(user: pwd.struct_passwd, *, for_good: bool) -> None:
    """Take on groups and privileges; the real and saved ids, which allow a return, only `for_good`."""
    group, person = user.pw_gid, user.pw_uid
    os.initgroups(user.pw_name, group)
    os.setresgid(group if for_good else -1, group, group if for_good else -1)
    os.setresuid(person if for_good else -1, person, person if for_good else -1)


def never_dump_core() -> None:
    """Disable core dumps of this process and its children: they would contain keys."""
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):  # a service with that limit may not set it
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

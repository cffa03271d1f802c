"""What a check looks at, without a server: a configuration, a CA that was asked, this machine's files."""

import json
import os
import pwd
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from support.fakes import FakeClock

from renewer.acme.directory import Directory
from renewer.check import (
    notifications,
)
from renewer.check.context import Scene
from renewer.config.acme import DIRECTORIES, Acme
from renewer.config.schema import Certificate, Config, Metrics, Notify
from renewer.core.finding import Finding
from renewer.system.console import Silent

NAME = "example.com"
LETS_ENCRYPT = DIRECTORIES["letsencrypt"]


def told(findings: Iterator[Finding]) -> list[tuple[str, str]]:
    return [(one.check, one.status) for one in findings]


class Heard(Silent):
    """A report that keeps the bugs."""

    def __init__(self) -> None:
        super().__init__()
        self.bugs: list[Exception] = []

    def bug(self, subject: str, error: Exception) -> None:
        del subject
        self.bugs.append(error)


# -- the CA -------------------------------------------------------------------------------------------------


def scene(folder: Path, acme: Acme | None = None, profile: str | None = None) -> Scene:
    certificate = Certificate((NAME, f"*.{NAME}"), profile=profile)
    config = Config(state=folder / "state", acme=acme or Acme(), certificates={NAME: certificate})
    return Scene(config, "renewer.toml", FakeClock(), folder)


def known(scene: Scene, **more: object) -> Scene:
    """Return the scene with a CA that tells this of itself."""
    usual = {"profiles": (), "caa_identities": (), "customers_only": False, "behind": timedelta(0)}
    answer = Directory(directory_url=LETS_ENCRYPT, terms="https://terms", **(usual | more))  # type: ignore[arg-type]
    object.__setattr__(scene, "directory", lambda _: answer)
    return scene


# -- those outside ------------------------------------------------------------------------------------------


def heard(scene: Scene, **tables: Metrics | Notify) -> list[Finding]:
    object.__setattr__(scene, "config", msgspec.structs.replace(scene.config, **tables))
    return list(notifications.look(scene))


# -- this machine -------------------------------------------------------------------------------------------


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# -- root beside a service ----------------------------------------------------------------------------------


NOBODY = pwd.getpwnam("nobody")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user's rights, which takes root")


def by_nobody(look: Callable[[], Iterable[Finding]]) -> dict[str, list[str]]:
    """Look with the rights of nobody, in a process of its own; return status, words and hints by check."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(NOBODY.pw_gid, NOBODY.pw_gid, NOBODY.pw_gid)
        os.setresuid(NOBODY.pw_uid, NOBODY.pw_uid, NOBODY.pw_uid)
        found = {one.check: [one.status, one.what, one.hint] for one in look()}
        os.write(writer, json.dumps(found).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as said:
        answer: dict[str, list[str]] = json.load(said)
    return answer


def served(folder: Path) -> Scene:
    """Return the scene with a service in place that is enabled for its configuration."""
    looked = replace(scene(folder), file=str(put(folder / "conf/renewer.toml")))
    unit = put(folder / "etc/systemd/system/renewer.service", f"ExecStart=renewer -c {looked.file} run\n")
    assert looked.unit == ""
    put(unit.parent / "multi-user.target.wants" / unit.name)
    assert looked.unit == unit.name
    return looked

"""All checks, in the order and with the rights that each needs."""

import grp
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.facts import missing
from support.scene import (
    NOBODY,
    Heard,
    as_root,
    by_nobody,
    scene,
    served,
)

from renewer.check import (
    nginx,
    other_clients,
    registry,
    scheduling,
)
from renewer.check.context import Scene
from renewer.core.errors import ConfigError
from renewer.core.finding import Finding, Group, Topic
from renewer.system import privileges
from renewer.system.clock import SystemClock


@as_root
def test_a_configuration_that_the_service_may_not_read(shared: Path) -> None:
    looked = served(shared)
    Path(looked.file).chmod(0o600)
    found = by_nobody(lambda: registry.configuration(looked))["configuration.readable"]
    status, what, hint = found
    group = grp.getgrgid(NOBODY.pw_gid).gr_name
    assert (status, missing(what, "renewer.service", looked.file)) == ("error", [])
    assert f"chgrp {group} {looked.file} && chmod 640 {looked.file}" in hint
    assert "configuration.readable" not in [one.check for one in registry.configuration(looked)]
    (shared / "conf").chmod(0o700)
    hint = by_nobody(lambda: registry.configuration(looked))["configuration.readable"][2]
    assert hint.endswith(f"chgrp {group} {shared}/conf && chmod 750 {shared}/conf")


def test_root_looks_at_what_only_root_may_see_and_then_becomes_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def seen(name: str) -> Callable[[Scene], Iterator[Finding]]:
        return lambda _: iter([order.append(name) or Topic(Group.NGINX).ok(name, "")])

    def shut_out(*_: object) -> None:
        order.append("settled")
        raise ConfigError("nobody may not read the program", hint="install it for all")

    for room, name in ((nginx, "program"), (scheduling, "trigger"), (other_clients, "look")):
        monkeypatch.setattr(room, name, seen(room.__name__))
    monkeypatch.setattr(privileges, "owner_to_become", lambda _: NOBODY)
    monkeypatch.setattr(privileges, "settle", shut_out)
    found = registry.look(replace(scene(tmp_path), clock=SystemClock()), Heard())
    assert (order[-1], len(order)) == ("settled", 4)
    assert (found[0].check, found[0].status, found[0].hint) == ("state.owner", "error", "install it for all")

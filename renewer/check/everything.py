"""Every look there is, and the findings on the configuration itself."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from renewer import identity, wire
from renewer.check import (
    authority,
    ca,
    names,
    outside,
    permission,
    rivals,
    schedule,
    state,
    token,
    webserver,
    zones,
)
from renewer.check.finding import FILE, Finding, Group, Topic
from renewer.check.rounds import Look, around, in_order
from renewer.check.scene import Scene
from renewer.config import STANDARD_INPUT, opening
from renewer.errors import ConfigError, Fault, HookFailed
from renewer.ports import Report

_TOPIC = Topic(Group.CONFIGURATION)

ROOTS = "name the file that holds the root certificate of that CA, in PEM"

SLOW = 60.0
"""Seconds for the looks that make several calls to Cloudflare, one after the other."""


def look(scene: Scene, report: Report) -> tuple[Finding, ...]:
    """Return all that is found; raises `Stopped` when the program is asked to end.

    Root then is the owner of the state folder, as with every command: what only root may see is looked at
    before, the rest with the rights that renewals have.
    """
    first = _looks(
        scene,
        {Group.NGINX: webserver.program, Group.RENEWAL: schedule.trigger, Group.OTHERS: rivals.look},
    )
    owner = state.stranger(scene)
    if owner is None:
        return around([*first, *_others(scene)], scene.clock, report)
    found = around(first, scene.clock, report)
    try:
        identity.settle(scene.config)
    except ConfigError as error:
        return in_order((*found, state.unsettled(error)))
    return in_order((*found, state.settled(owner), *around(_others(scene), scene.clock, report)))


def _others(scene: Scene) -> list[Look]:
    """Return the looks that need no more rights than a renewal has."""
    looks = _looks(
        scene,
        {
            Group.CONFIGURATION: configuration,
            Group.TOKEN: token.look,
            Group.CA: ca.look,
            Group.CLOCK: ca.clock,
            Group.STATE: state.look,
            Group.NGINX: webserver.look,
            Group.RENEWAL: schedule.look,
            Group.OUTSIDE: outside.look,
        },
    )
    if scene.config.certificates:
        looks += [
            Look(Group.ZONES, partial(zones.look, scene), SLOW, tidies=True),
            Look(Group.DNS, partial(authority.delegated, scene), SLOW),
            Look(Group.DNS, partial(authority.look, scene)),
            Look(Group.DNS, partial(permission.look, scene)),
        ]
    return looks


def _looks(scene: Scene, found: Mapping[Group, Callable[[Scene], Iterator[Finding]]]) -> list[Look]:
    return [Look(group, partial(one, scene)) for group, one in found.items()]


def unreadable(error: ConfigError) -> tuple[Finding, ...]:
    """Return the findings for a configuration that is not in force: each of its faults."""
    why = "nothing runs before this is right: neither renew nor the daemon"
    faults = (str(fault) for fault in error.faults)
    return tuple(_TOPIC.error(FILE, fault, why, error.hint) for fault in faults)


def configuration(scene: Scene) -> Iterator[Finding]:
    """Yield what is found of the configuration beyond what reading it finds."""
    config = scene.config
    faults = [
        *names.too_many(config.specs),
        *names.needless(config.specs),
        *_owned(scene),
        *_hooks(scene),
    ]
    faults += [
        _TOPIC.error("bundle", str(fault), "renewer stops before it does anything", _cure(fault))
        for fault in wire.unfit(config)
        if not fault.place.startswith("nginx.")
    ]
    yield from faults
    if not faults:
        holds = len({domain for spec in config.specs for domain in spec.domains})
        parts = [
            _count(len(config.specs), "certificate"),
            _count(holds, "name"),
            _count(len(config.sites), "site"),
        ]
        yield _TOPIC.ok("read", f"{scene.file}: {', '.join(part for part in parts if part)}")


def _cure(fault: Fault) -> str:
    return ROOTS if fault.place.endswith("ca_bundle") else "install it, or take the key out"


def _hooks(scene: Scene) -> Iterator[Finding]:
    """Yield which deploy hooks could not be run."""
    for hook in wire.commands(scene.config):
        try:
            hook.program()
        except HookFailed as error:
            why = "the program that it is for goes on with the old certificate"
            yield _TOPIC.error("hook", f"{hook.name}: {error}", why, error.hint)


def _owned(scene: Scene) -> Iterator[Finding]:
    """Yield that the service cannot read the file; one that others could change was not read at all."""
    file = scene.file
    if file == STANDARD_INPUT:
        return
    if scene.unit and not os.access(file, os.R_OK, effective_ids=True):
        what = f"the service ({scene.unit}) may not read {file}"
        why = "root's commands go on, but the service does not start, nor take a change"
        yield _TOPIC.error("readable", what, why, opening(Path(file)))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}" if number else ""

"""All checks, and the findings on the configuration itself."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from renewer import app
from renewer.check import (
    ca,
    caa_permission,
    certificates,
    name_servers,
    nginx,
    notifications,
    other_clients,
    scheduling,
    state_folder,
    zones,
)
from renewer.check.context import Scene
from renewer.check.runner import Look, around, in_order
from renewer.config import secrets
from renewer.config.load import STANDARD_INPUT, opening
from renewer.core.errors import ConfigError, Fault, HookFailed
from renewer.core.finding import FILE, Finding, Group, Topic
from renewer.core.interfaces import Report
from renewer.dns.provider import Looks, chosen
from renewer.system import privileges

_TOPIC = Topic(Group.CONFIGURATION)

ROOTS = "name a PEM file with that CA's root certificate"

SLOW = 60.0
"""Seconds for checks that make several calls to the DNS provider, one after the other."""


def look(scene: Scene, report: Report) -> tuple[Finding, ...]:
    """Return all findings; raises `Stopped` when the program is asked to stop.

    Run as root, it first checks what only root can read, then becomes the owner of the state folder, as every
    command does, and checks the rest with the privileges that renewals have.
    """
    first = _looks(
        scene,
        {Group.NGINX: nginx.program, Group.RENEWAL: scheduling.trigger, Group.OTHERS: other_clients.look},
    )
    owner = state_folder.stranger(scene)
    if owner is None:
        return around([*first, *_others(scene)], scene.clock, report)
    found = around(first, scene.clock, report)
    try:
        privileges.settle(scene.config.state, scene.config.secret_files, secrets.remember)
    except ConfigError as error:
        return in_order((*found, state_folder.unsettled(error)))
    return in_order((*found, state_folder.settled(owner), *around(_others(scene), scene.clock, report)))


def _others(scene: Scene) -> list[Look]:
    """Return the checks that need no more privileges than a renewal."""
    looks = _looks(
        scene,
        {
            Group.CONFIGURATION: configuration,
            Group.CA: ca.look,
            Group.CLOCK: ca.clock,
            Group.STATE: state_folder.look,
            Group.NGINX: nginx.look,
            Group.RENEWAL: scheduling.look,
            Group.OUTSIDE: notifications.look,
        },
    )
    looks += _at_the_provider(scene)
    if scene.config.certificates:
        looks += [
            Look(Group.DNS, partial(name_servers.look, scene)),
            Look(Group.DNS, partial(caa_permission.look, scene)),
        ]
    return looks


def _at_the_provider(scene: Scene) -> Iterator[Look]:
    """Yield the looks at the DNS provider: its own, or the one that every provider allows."""
    settings = scene.config.dns
    diagnose = chosen(settings).diagnose
    found: Looks = {Group.ZONES: partial(zones.look, scene)}
    if diagnose:
        found = diagnose(settings, scene, partial(zones.prove, scene))
    for group, at in found.items():
        if group is Group.TOKEN:
            yield Look(group, at)
        elif scene.config.certificates:
            yield Look(group, at, SLOW, tidies=group is Group.ZONES)


def _looks(scene: Scene, found: Mapping[Group, Callable[[Scene], Iterator[Finding]]]) -> list[Look]:
    return [Look(group, partial(one, scene)) for group, one in found.items()]


def unreadable(error: ConfigError) -> tuple[Finding, ...]:
    """Return a finding for each fault of a configuration that cannot be loaded."""
    why = "neither renew nor the daemon runs until this is fixed"
    faults = (str(fault) for fault in error.faults)
    return tuple(_TOPIC.error(FILE, fault, why, error.hint) for fault in faults)


def configuration(scene: Scene) -> Iterator[Finding]:
    """Yield the findings on the configuration beyond those of reading it."""
    config = scene.config
    faults = [
        *certificates.too_many(config.specs),
        *certificates.needless(config.specs),
        *_owned(scene),
        *_hooks(scene),
    ]
    faults += [
        _TOPIC.error("bundle", str(fault), "renewer stops before it starts", _cure(fault))
        for fault in app.unfit(config)
        if not fault.place.startswith("nginx.")
    ]
    yield from faults
    if not faults:
        holds = len({domain for spec in config.specs for domain in spec.domains})
        parts = [
            _count(len(config.specs), "certificate"),
            _count(holds, "domain"),
            _count(len(config.sites), "site"),
        ]
        yield _TOPIC.ok("read", f"{scene.file}: {', '.join(part for part in parts if part)}")


def _cure(fault: Fault) -> str:
    return ROOTS if fault.place.endswith("ca_bundle") else "install it, or remove the key"


def _hooks(scene: Scene) -> Iterator[Finding]:
    """Yield the deploy hooks that cannot be run."""
    for hook in app.commands(scene.config):
        try:
            hook.program()
        except HookFailed as error:
            why = "the program it reloads would keep the old certificate"
            yield _TOPIC.error("hook", f"{hook.name}: {error}", why, error.hint)


def _owned(scene: Scene) -> Iterator[Finding]:
    """Yield that the service cannot read the file; one that others can change was rejected before."""
    file = scene.file
    if file == STANDARD_INPUT:
        return
    if scene.unit and not os.access(file, os.R_OK, effective_ids=True):
        what = f"the service ({scene.unit}) may not read {file}"
        why = "root's commands work, but the service neither starts nor reloads its configuration"
        yield _TOPIC.error("readable", what, why, opening(Path(file)))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}" if number else ""

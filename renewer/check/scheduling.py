"""What sets a renewal off: a daemon, a timer of systemd, a line for cron; one of them, not several."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from renewer.check import certificates
from renewer.check.context import Scene
from renewer.core.errors import RenewerError
from renewer.core.finding import Finding, Group, Topic
from renewer.store.files import holder
from renewer.system import safe_paths

CRON = ("etc/crontab", "etc/cron.d/*", "var/spool/cron/crontabs/*", "etc/cron.hourly/*", "etc/cron.daily/*")
"""Where cron looks, below the root."""

LONGEST, MOST = 256 * 1024, 1000
"""Bytes of a file, and files of a folder, that are looked at."""

SERVICE, TIMER = "renewer.service", "renewer-renew.timer"

_TOPIC = Topic(Group.RENEWAL)
LONGEST = 1000
"""Characters of a line that are looked at; Debian's cron takes no longer ones."""

_CALL = re.compile(r"(^|[\s/])renewer(\s+(-c|--config)[ =]\S+|\s+-v)*\s+renew\b")


@dataclass(frozen=True)
class Job:
    """A line that cron runs, and the file that it stands in."""

    file: Path
    line: str


def jobs(root: Path) -> Iterator[Job]:
    """Yield every line of cron's that is no comment; what cannot be read is left out."""
    for pattern in CRON:
        for file in sorted(islice(root.glob(pattern), MOST)):
            with suppress(OSError):
                text = safe_paths.content(file, LONGEST).decode(errors="replace")
                stripped = (line.strip() for line in text.splitlines())
                yield from (Job(file, line) for line in stripped if line and not line.startswith("#"))


def enabled(root: Path, unit: str) -> bool:
    """Return whether systemd starts a unit by itself (systemctl enable)."""
    return any(root.glob(f"etc/systemd/system/*.wants/{unit}"))


def trigger(scene: Scene) -> Iterator[Finding]:
    """Yield what sets renewals off; only root may read all that cron does."""
    yield _trigger(list(_ways(scene)), waiting=enabled(scene.root, SERVICE))


def _trigger(ways: Sequence[str], *, waiting: bool) -> Finding:
    """Return what is found of the ways to set a renewal off; `waiting`: a service should run."""
    ends = "certificates end without a word: Let's Encrypt sends no mails"
    if len(ways) > 1:
        what = f"several things set renewals off: {'; '.join(ways)}"
        why = "now and then one finds the other at work, and complains of it"
        return _TOPIC.warning("trigger", what, why, "keep one of them")
    if ways:
        return _TOPIC.ok("trigger", f"renewals are set off by {ways[0]}")
    if waiting:
        what = f"{SERVICE} is enabled, but no daemon runs for this configuration"
        return _TOPIC.warning("trigger", what, ends, "see why: systemctl status renewer")
    what = "nothing sets a renewal off: no daemon runs, no timer is enabled, cron has no line for it"
    hint = (
        "run: renewer install-service; or take another of the ways in the README: a timer, or a line for cron"
    )
    return _TOPIC.warning("trigger", what, ends, hint)


def _ways(scene: Scene) -> Iterator[str]:
    process = holder(scene.config.state, "daemon")
    if process:
        yield f"a daemon (process {process})"
    if enabled(scene.root, TIMER):
        yield TIMER
    for job in jobs(scene.root):
        if _CALL.search(job.line[:LONGEST]):
            yield f"cron ({Path('/') / os.path.relpath(job.file, scene.root)})"


def look(scene: Scene) -> Iterator[Finding]:
    """Yield how the certificates stand: their ends, their last failures, the limits of the CA."""
    now, found = scene.clock.now(), 0
    for spec in scene.config.specs:
        try:
            material, deploys = scene.vault.material(spec.name), scene.vault.deploys(spec.name)
            failure = scene.vault.failure(spec.name) or deploys.failure
            known = scene.vault.known(spec.name)
            history, own = (
                scene.vault.history(spec.directory_url),
                scene.config.acme.limits_at(spec.directory_url),
            )
        except RenewerError:  # what cannot be read is told under state
            found += 1
        else:
            told = [
                *certificates.ending(spec, material, known, failure, now),
                *certificates.held(spec, history, own, material, now),
            ]
            found += len(told)
            yield from told
    if not found and scene.config.specs:
        yield _TOPIC.ok(
            "state", "no certificate has ended, none has failed, and no limit of the CA is reached"
        )

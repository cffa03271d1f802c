"""Those outside who are told how cycles end: whether they could be. Nobody is told anything by looking."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from renewer.check.context import Scene
from renewer.config import load
from renewer.core.errors import ConfigError, RenewerError, Transient
from renewer.core.finding import Finding, Group, Topic
from renewer.core.printable import shell
from renewer.notify import audience
from renewer.service import systemd
from renewer.system.console import Silent

_TOPIC = Topic(Group.OUTSIDE)
_UNTOLD = "nobody would hear of a failure this way"
_UNSEEN = "the figures would stay as they were, and no alarm would go off"


def look(scene: Scene) -> Iterator[Finding]:
    """Yield what is found of `[notify]` and `[metrics]`."""
    lacking = {fault.place for fault in audience.unfit(scene.config)}  # told under configuration
    urls, ping = audience.urls_file(scene.config), audience.pinged(scene.config)
    textfile = scene.config.metrics.textfile
    if not (urls or ping or textfile):
        yield _TOPIC.ok("none", "no notifications configured; see examples/MONITORING.md")
    if urls and "notify.urls_file" not in lacking:
        yield from _readable(scene, urls) or _addresses(urls)
    if ping:
        yield from _readable(scene, scene.config.notify.ping_file) or _monitor(ping)
    if textfile:
        yield _writable(scene, textfile)


def _readable(scene: Scene, path: Path | None) -> list[Finding]:
    """Return that the service may not read what root could."""
    if not (path and scene.unit) or os.access(path, os.R_OK, effective_ids=True) or _absent(path):
        return []
    what = f"the service ({scene.unit}) may not read {path}"
    return [_TOPIC.error("readable", what, _UNTOLD, load.opening(path))]


def _absent(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:  # a folder that may not be entered
        return False
    return False


def _addresses(path: Path) -> Iterator[Finding]:
    from renewer.notify.messages import Addresses  # noqa: PLC0415 - where somebody is told

    try:
        unknown = Addresses(path, "notify.urls_file", Silent()).unknown()
        count = len(Addresses(path, "notify.urls_file", Silent()).known())
    except RenewerError as error:
        yield _TOPIC.refused("addresses", error, _UNTOLD)
        return
    for number in unknown:
        hint = "write it as https://github.com/caronc/apprise/wiki has it for that service"
        what = f"line {number} of {path} is no address that apprise knows"
        yield _TOPIC.error("addresses", what, "whoever it is meant for hears nothing", hint)
    if not unknown:
        yield _TOPIC.ok("addresses", f"apprise knows each address in {path} ({count})")


def _monitor(address: audience.Address) -> Iterator[Finding]:
    from renewer.notify.healthcheck import Ping  # noqa: PLC0415 - where a monitor is pinged

    try:
        Ping(address).reach()
    except Transient as error:
        yield _TOPIC.warning("ping", str(error), "it would raise an alarm though all is well", error.hint)
    except ConfigError as error:
        yield _TOPIC.refused("ping", error, _UNTOLD)
    else:
        yield _TOPIC.ok("ping", "the monitor can be reached; it was not pinged")


def _writable(scene: Scene, path: Path) -> Finding:
    folder = path.parent
    if not os.path.isdir(folder):  # noqa: PTH112  (Path.is_dir raises where a folder may not be entered)
        make = f"install -d {shell(folder)}"
        hint = f"make it, for the user that runs renewer: {make}; or correct textfile in [metrics]"
        return _TOPIC.error("textfile", f"{folder}, the folder for metrics, is not there", _UNSEEN, hint)
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        group = load.own_group()
        hint = f"let the user in: chgrp {group} {shell(folder)} && chmod g+w {shell(folder)}"
        return _TOPIC.error("textfile", f"this user may not write to {folder}", _UNSEEN, hint)
    if folder.stat().st_mode & stat.S_IWOTH:
        what = f"everybody can write to {folder}, so no figures are put there"
        hint = f"run: chmod o-w {shell(folder)}; or name another textfile in [metrics]"
        return _TOPIC.error("textfile", what, _UNSEEN, hint)
    if os.path.isdir(path):  # noqa: PTH112  (as above)
        hint = "move it away, or name another textfile in [metrics]"
        return _TOPIC.error("textfile", f"{path} is a folder", _UNSEEN, hint)
    if scene.unit and systemd.booted() and shut(systemd.shown(scene.unit, "ReadWritePaths"), folder):
        hint = (
            f"systemctl edit {scene.unit}, with the two lines: [Service] and ReadWritePaths={shell(folder)}"
        )
        what = f"{scene.unit} lets nothing be written to {folder}"
        return _TOPIC.error("textfile", what, _UNSEEN, f"{hint}; then: systemctl restart {scene.unit}")
    return _TOPIC.ok("textfile", f"the figures go into {path}")


def shut(writable: str, folder: Path) -> bool:
    """Return whether a folder is below none of a unit's ReadWritePaths, as systemd shows them."""
    return not any(folder.is_relative_to(word.lstrip("-+")) for word in writable.split())

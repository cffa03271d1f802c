"""Notifications: whether each of them could be sent. Nothing is sent by the check."""

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
_UNTOLD = "a failure would not be reported this way"
_UNSEEN = "the metrics would keep their old values, and no alert would fire"


def look(scene: Scene) -> Iterator[Finding]:
    """Yield the findings on `[notify]` and `[metrics]`."""
    lacking = {fault.place for fault in audience.unfit(scene.config)}  # reported under configuration
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
    """Return a finding if the service may not read the file, which root could."""
    if not (path and scene.unit) or os.access(path, os.R_OK, effective_ids=True) or _absent(path):
        return []
    what = f"the service ({scene.unit}) may not read {path}"
    return [_TOPIC.error("readable", what, _UNTOLD, load.opening(path))]


def _absent(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:  # a folder this user may not enter
        return False
    return False


def _addresses(path: Path) -> Iterator[Finding]:
    from renewer.notify.messages import Addresses  # noqa: PLC0415 - only if messages are sent

    try:
        unknown = Addresses(path, "notify.urls_file", Silent()).unknown()
        count = len(Addresses(path, "notify.urls_file", Silent()).known())
    except RenewerError as error:
        yield _TOPIC.refused("addresses", error, _UNTOLD)
        return
    for number in unknown:
        hint = "write it in the form that https://github.com/caronc/apprise/wiki gives for that service"
        what = f"line {number} of {path} is not an address that apprise knows"
        yield _TOPIC.error("addresses", what, "its recipient gets no messages", hint)
    if not unknown:
        yield _TOPIC.ok("addresses", f"apprise knows each address in {path} ({count})")


def _monitor(address: audience.Address) -> Iterator[Finding]:
    from renewer.notify.healthcheck import Ping  # noqa: PLC0415 - only if a monitor is pinged

    try:
        Ping(address).reach()
    except Transient as error:
        yield _TOPIC.warning("ping", str(error), "the monitor would raise a false alarm", error.hint)
    except ConfigError as error:
        yield _TOPIC.refused("ping", error, _UNTOLD)
    else:
        yield _TOPIC.ok("ping", "the monitor can be reached; it was not pinged")


def _writable(scene: Scene, path: Path) -> Finding:
    folder = path.parent
    if not os.path.isdir(folder):  # noqa: PTH112  (Path.is_dir raises where a folder may not be entered)
        make = f"install -d {shell(folder)}"
        hint = f"create it for the user that runs renewer: {make}; or correct textfile in [metrics]"
        return _TOPIC.error("textfile", f"{folder}, the folder for metrics, does not exist", _UNSEEN, hint)
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        group = load.own_group()
        hint = f"give the user access: chgrp {group} {shell(folder)} && chmod g+w {shell(folder)}"
        return _TOPIC.error("textfile", f"this user may not write to {folder}", _UNSEEN, hint)
    if folder.stat().st_mode & stat.S_IWOTH:
        what = f"everybody can write to {folder}, so no metrics are written there"
        hint = f"run: chmod o-w {shell(folder)}; or name another textfile in [metrics]"
        return _TOPIC.error("textfile", what, _UNSEEN, hint)
    if os.path.isdir(path):  # noqa: PTH112  (as above)
        hint = "move it away, or name another textfile in [metrics]"
        return _TOPIC.error("textfile", f"{path} is a folder", _UNSEEN, hint)
    if scene.unit and systemd.booted() and shut(systemd.shown(scene.unit, "ReadWritePaths"), folder):
        hint = (
            f"systemctl edit {scene.unit}, with the two lines: [Service] and ReadWritePaths={shell(folder)}"
        )
        what = f"{scene.unit} may not write to {folder}"
        return _TOPIC.error("textfile", what, _UNSEEN, f"{hint}; then: systemctl restart {scene.unit}")
    return _TOPIC.ok("textfile", f"metrics are written to {path}")


def shut(writable: str, folder: Path) -> bool:
    """Return whether a folder is below none of a unit's ReadWritePaths, as systemd shows them."""
    return not any(folder.is_relative_to(word.lstrip("-+")) for word in writable.split())

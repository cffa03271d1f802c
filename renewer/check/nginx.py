"""nginx: whether it is installed and its configuration valid, and whether it serves the certificates."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from glob import has_magic
from pathlib import Path

from renewer import app
from renewer.check import gates
from renewer.check.context import Scene
from renewer.core.errors import Fault, RenewerError
from renewer.core.finding import Finding, Group, Status, Topic
from renewer.core.model import CertSpec, Observation
from renewer.nginx.configuration import Line, lines, read
from renewer.nginx.control import LIMIT, Control
from renewer.nginx.deployer import WHO_ANSWERS, Difference
from renewer.nginx.layout import Layout
from renewer.nginx.processes import master
from renewer.service import systemd
from renewer.service.install import PATH
from renewer.system import process
from renewer.system.console import Silent

_TOPIC = Topic(Group.NGINX)
_UNSERVED = "until this is fixed, renewed certificates are not served"


def program(scene: Scene) -> Iterator[Finding]:
    """Yield whether nginx is installed and accepts its configuration, which only root may read in full."""
    for fault in _lacking(scene):
        hint = f"correct {fault.place} in the configuration"
        yield _TOPIC.error("there", fault.message, "renewer stops before it does anything", hint)
    if not _lacking(scene):
        control = _control(scene)
        yield _version(control)
        yield from _tested(control, scene.config.state)


def _lacking(scene: Scene) -> list[Fault]:
    return [fault for fault in app.unfit(scene.config) if fault.place.startswith("nginx.")]


def _control(scene: Scene) -> Control:
    """Return the control that tests nginx, whichever way it is reloaded."""
    settings = scene.config.nginx
    return Control(str(settings.binary), str(settings.config), "signal", scene.clock)


def look(scene: Scene) -> Iterator[Finding]:
    """Yield whether nginx runs, serves the certificates, guards the sites, and is reloaded."""
    if _lacking(scene):
        return
    settings, control = scene.config.nginx, _control(scene)
    configuration = read(str(settings.config))
    down = master(control.resolved(configuration.pid, "--pid-path")).down
    if down:
        yield _TOPIC.error("running", "nginx is not running", _UNSERVED, "start it: systemctl start nginx")
    for spec in scene.config.specs:
        for found in _served(scene, spec):
            if not down or found.status is not Status.ERROR:  # already reported as not running
                yield found
    written = lines(str(settings.config))
    yield from _left_over(scene, written)
    yield from gates.look(scene)
    yield from _habits(written, has_sites=bool(scene.config.sites))
    yield from _asked(Control(str(settings.binary), str(settings.config), settings.reload, scene.clock))
    if settings.reload == "none":
        hint = 'set reload = "auto" in [nginx], unless something else reloads nginx'
        yield _TOPIC.warning("reload", 'reload = "none": renewer does not reload nginx', _UNSERVED, hint)


def _asked(control: Control) -> Iterator[Finding]:
    """Yield whether the root reload helper is active, if it reloads nginx."""
    if control.asks and systemd.booted():
        yield helper(systemd.word("is-active", PATH), systemd.word("is-enabled", PATH))


def helper(active: str, enabled: str) -> Finding:
    """Return what systemd says about the unit that starts the helper."""
    hint = f"run: systemctl enable --now {PATH}"
    if enabled.startswith("masked"):
        hint = f"run: systemctl unmask {PATH} && systemctl enable --now {PATH}"
    elif enabled == systemd.NOT_FOUND:
        hint = "install it: renewer install-service"
    if active != "active":
        what = f"{PATH} is {active} and {enabled}, so the root reload helper gets no requests"
        return _TOPIC.error("helper", what, _UNSERVED, hint)
    if not enabled.startswith("enabled"):
        what = f"{PATH}, which starts the root reload helper, is {enabled}"
        return _TOPIC.warning("helper", what, "it may not be active after the next boot", hint)
    return _TOPIC.ok("helper", "the root reload helper is active")


def _version(control: Control) -> Finding:
    said = process.run((control.binary, "-v"), LIMIT).output
    found = re.search(r"nginx/([\w.]+)", said)
    return _TOPIC.ok("there", f"{control.binary} is nginx {found[1]}" if found else f"{control.binary} runs")


def _tested(control: Control, state: Path) -> Iterator[Finding]:
    refused = control.test()
    if not refused:
        yield _TOPIC.ok("test", "nginx accepts its configuration (nginx -t)")
    elif "Permission denied" in refused and os.geteuid() != 0:
        what = f"nginx -t needs to read files that this user may not read: {refused}"
        yield _TOPIC.warning(
            "test", what, "it is unknown whether nginx would accept a reload", "run this as root"
        )
    else:
        what = f"nginx rejects its configuration: {refused}"
        why = "until this is fixed, it cannot be reloaded, and does not start again once stopped"
        ours = f'"{state}/' in refused and "No such file" in refused
        hint = "create the files nginx includes: renewer nginx" if ours else "fix the line it names"
        yield _TOPIC.error("test", what, why, f"{hint}, then: nginx -t")


def _served(scene: Scene, spec: CertSpec) -> Iterator[Finding]:
    """Yield whether nginx serves the certificate, or every address at which it does not."""
    try:
        material = scene.vault.material(spec.name)
    except RenewerError as error:
        yield _TOPIC.refused("served", error, "whether nginx serves the stored certificate is unknown")
        return
    deployer = app.nginx(scene.config, scene.clock, Silent())
    sight = deployer.look(spec, material)
    if sight.served is not False:
        yield _seen(scene, spec, sight)
        return
    found = deployer.differences(spec, material) or (Difference(sight.detail, answered=False),)
    if material is None and found[0].answered:
        shown = "the self-signed placeholder" if sight.placeholder else "another certificate"
        why = "there is no certificate yet"
        yield _TOPIC.warning("served", f"{spec.name}: nginx serves {shown}", why, "run: renewer renew")
    else:
        for one in found:
            hint = WHO_ANSWERS if one.answered else "check that nginx listens there: ss -tlnp"
            after = f"{hint}; then run: renewer renew"
            yield _TOPIC.error("served", f"{spec.name}: {one.detail}", _UNSERVED, after)


def _seen(scene: Scene, spec: CertSpec, sight: Observation) -> Finding:
    """Return that nginx serves the certificate, or why that is unknown."""
    if sight.served is None and "includes" in sight.detail:
        why = "the certificate is renewed, but nginx does not serve it to anyone"
        hint = f"add this to its server block: include {Layout(scene.config.state).include(spec.name)};"
        return _TOPIC.warning("include", f"{spec.name}: {sight.detail}", why, hint)
    if sight.served is None:
        hint = "see [nginx] probe, and the server's names and sockets"
        why = "whether nginx really serves a new certificate is not checked"
        return _TOPIC.warning("probe", f"{spec.name}: {sight.detail}", why, hint)
    return _TOPIC.ok("served", f"{spec.name}: nginx serves the stored certificate")


def _left_over(scene: Scene, written: tuple[Line, ...]) -> Iterator[Finding]:
    """Yield the certificates that nginx includes although the configuration has no table for them."""
    layout, folder = Layout(scene.config.state), scene.config.nginx.config.parent
    includes = os.path.realpath(layout.include("any").parent)
    homes = os.path.realpath(layout.home("any").parent)
    named: dict[str, str] = {}
    for line in written:
        if (_is(line, "include") or _is(line, "ssl_certificate")) and not has_magic(line.arguments[0]):
            path = Path(os.path.realpath(folder / line.arguments[0]))
            if str(path.parent) == includes and path.suffix == ".conf":
                named.setdefault(path.stem, line.place)
            elif path.is_relative_to(homes):
                named.setdefault(path.relative_to(homes).parts[0], line.place)
    for name in (name for name in named if name not in scene.config.certificates):
        yield _TOPIC.warning(
            "left",
            f"{named[name]} includes the certificate {name}, which the configuration has no table for",
            "it is not renewed, and nginx keeps serving it after it has expired",
            f'remove that line, or add the table [certificate."{name}"]',
        )


def _is(line: Line, directive: str) -> bool:
    return line.directive == directive and bool(line.arguments)


def _habits(written: tuple[Line, ...], *, has_sites: bool) -> Iterator[Finding]:
    """Yield directives that do harm with these certificates."""
    for line in written:
        if _is(line, "ssl_stapling") and line.arguments[0] == "on":
            yield _TOPIC.warning(
                "stapling",
                f"{line.place} says ssl_stapling on",
                "Let's Encrypt ended OCSP on 2025-08-06: nginx has nothing to staple, and logs that",
                "remove ssl_stapling and ssl_stapling_verify",
            )
        if _is(line, "ssl_certificate") and "$" in line.arguments[0]:
            yield _TOPIC.warning(
                "variable",
                f"{line.place} has a variable in ssl_certificate",
                "nginx then reads the key at every handshake, from a path that the client chooses",
                "include the file of one certificate in each server instead",
            )
    if has_sites and not any(line.directive == "worker_shutdown_timeout" for line in written):
        yield _TOPIC.warning(
            "shutdown",
            "worker_shutdown_timeout is not set",
            "an open websocket outlives every reload, even if its device has lost access",
            "add worker_shutdown_timeout 1h; to nginx.conf, outside of http",
        )


def foreign(scene: Scene) -> Mapping[str, str]:
    """Return the certificate files that nginx's configuration names, and where."""
    found: dict[str, str] = {}
    with suppress(RenewerError, OSError):
        folder = Path(scene.config.nginx.config).parent
        for line in lines(str(scene.config.nginx.config)):
            if _is(line, "ssl_certificate"):
                found[os.path.realpath(folder / line.arguments[0])] = line.place
    return found

"""Other clients that are installed here and would order the same names, or fight over nginx."""

import json
import os
import pwd
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from renewer import keys
from renewer.check import schedule, webserver
from renewer.check.finding import Finding, Group, Topic
from renewer.check.scene import Scene
from renewer.domains import covers
from renewer.errors import RenewerError

_TOPIC = Topic(Group.OTHERS)


@dataclass(frozen=True)
class Rival:
    """Another client: the folders (patterns below the root, `~` for each home) with its certificates.

    `domains` reads the names of one that a pattern found. `trigger` is what its line for cron has in it,
    `units` what systemd starts it by, `stop` what ends it.
    """

    name: str
    patterns: tuple[str, ...]
    domains: Callable[[Path], Iterable[str]]
    trigger: str
    units: tuple[str, ...] = ()
    stop: str = ""


def _certbot(file: Path) -> Iterator[str]:
    """Yield the names of a lineage: those in its certificate, else what the lineage is called."""
    text = file.read_text(errors="replace")
    found = re.search(r"^cert\s*=\s*(\S+)", text, re.MULTILINE)
    live = file.parents[1] / "live" / file.stem / "cert.pem"
    with suppress(OSError, RenewerError, ValueError):
        cert = Path(found[1]) if found and Path(found[1]).is_file() else live
        yield from keys.names(cert.read_text())
        return
    yield file.stem


def _acme_sh(file: Path) -> Iterator[str]:
    text = file.read_text(errors="replace")
    for name in re.findall(r"^Le_(?:Domain|Alt)='([^']*)'", text, re.MULTILINE):
        yield from (one for one in name.split(",") if one and one != "no")


def _lego(file: Path) -> Iterator[str]:
    with suppress(ValueError):
        told = json.loads(file.read_text(errors="replace"))
        if isinstance(told, dict) and "domain" in told:
            yield str(told["domain"])
    yield from _in_certificate(file.with_suffix(".crt"))


def _in_certificate(file: Path) -> Iterator[str]:
    with suppress(OSError, RenewerError, ValueError):
        yield from keys.names(file.read_text())


RIVALS = (
    Rival(
        "certbot",
        ("etc/letsencrypt/renewal/*.conf",),
        _certbot,
        "certbot",
        ("certbot.timer", "certbot-renew.timer", "snap.certbot.renew.timer"),
        "certbot delete --cert-name {0}; or systemctl disable --now certbot.timer",
    ),
    Rival(
        "acme.sh",
        ("~/.acme.sh/*/*.conf",),
        _acme_sh,
        "acme.sh",
        stop="acme.sh --remove -d {0}; or acme.sh --uninstall-cronjob",
    ),
    Rival(
        "lego",
        ("~/.lego/certificates/*.json", "etc/lego/certificates/*.json", "var/lib/lego/certificates/*.json"),
        _lego,
        "lego",
        ("lego.timer", "lego-renew.timer"),
        "take its timer or its line for cron out",
    ),
    Rival(
        "dehydrated",
        ("etc/dehydrated/certs/*/cert.pem", "var/lib/dehydrated/certs/*/cert.pem"),
        _in_certificate,
        "dehydrated",
        ("dehydrated.timer",),
        "take {0} out of its domains.txt",
    ),
    Rival(
        "Caddy",
        (
            "~/.local/share/caddy/certificates/*/*/*.crt",
            "var/lib/caddy/.local/share/caddy/certificates/*/*/*.crt",
        ),
        _in_certificate,
        "caddy",
        ("caddy.service",),
        "take {0} out of its Caddyfile, or let Caddy use the files in certificates/NAME/current",
    ),
    Rival(
        "Nginx Proxy Manager",
        (
            "data/letsencrypt/renewal/*.conf",
            "opt/*/letsencrypt/renewal/*.conf",
            "srv/*/letsencrypt/renewal/*.conf",
        ),
        _certbot,
        "npm",
        stop="delete the certificate of {0} there, and make ours (certificates/NAME/current) a custom one",
    ),
)


def look(scene: Scene) -> Iterator[Finding]:
    """Yield which other clients hold certificates for our names."""
    ours = [domain for spec in scene.config.specs for domain in spec.domains]
    homes = _homes(scene.root)
    found = 0
    for rival in RIVALS:
        for file in _files(rival, scene.root, homes):
            with suppress(OSError):
                shared = [name for name in rival.domains(file) if _ours(name, ours)]
                if shared:
                    found += 1
                    yield _clash(scene, rival, file, shared)
    yield from _included(scene, ours)
    if not found:
        yield _TOPIC.ok(
            "rival", f"no other client holds these names ({', '.join(one.name for one in RIVALS)})"
        )


def _clash(scene: Scene, rival: Rival, file: Path, names: list[str]) -> Finding:
    listed = ", ".join(dict.fromkeys(names))
    where = Path("/") / os.path.relpath(file, scene.root)
    runs = _runs(scene.root, rival)
    what = f"{rival.name} has a certificate for {listed} too ({where})"
    stop = rival.stop.format(names[0].removeprefix("*."))
    if runs:
        why = f"both count against the CA's limits, and may take each other's records out ({runs})"
        return _TOPIC.warning("rival", f"{what}, and renews it", why, stop)
    why = "nothing was found that renews it, but it would order the same names as soon as somebody runs it"
    return _TOPIC.warning("rival", what, why, stop)


def _runs(root: Path, rival: Rival) -> str:
    """Return what sets the other client off, empty if nothing was found."""
    units = [unit for unit in rival.units if schedule.enabled(root, unit)]
    lines = [job.file for job in schedule.jobs(root) if rival.trigger in job.line]
    return ", ".join([*units, *dict.fromkeys(f"cron: /{os.path.relpath(file, root)}" for file in lines)])


def _included(scene: Scene, ours: list[str]) -> Iterator[Finding]:
    """Yield where nginx is given another certificate for our names than ours."""
    state = f"{os.path.realpath(scene.config.state)}/"
    for path, place in webserver.foreign(scene).items():
        if path.startswith(state) or "$" in path:
            continue
        shared = [name for name in _in_certificate(Path(path)) if _ours(name, ours)]
        if shared:
            yield _TOPIC.warning(
                "include",
                f"{place} gives nginx {path} for {', '.join(shared)}, which is not renewer's",
                "clients of that server go on with a certificate that renewer does not renew",
                "put the include of renewer's file there instead: renewer nginx prints it",
            )


def _ours(name: str, ours: list[str]) -> bool:
    return name in ours or covers(ours, name)


def _files(rival: Rival, root: Path, homes: list[Path]) -> Iterator[Path]:
    for pattern in rival.patterns:
        if pattern.startswith("~/"):
            for home in homes:
                yield from _glob(home, pattern[2:])
        else:
            yield from _glob(root, pattern)


def _glob(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _homes(root: Path) -> list[Path]:
    """Return the homes of all users; of another root, those that usually are there."""
    if root == Path("/"):
        found = {Path(user.pw_dir) for user in pwd.getpwall() if user.pw_dir.startswith("/")}
        return sorted(home for home in found if home != root and os.access(home, os.X_OK))
    return [root / "root", *sorted(root.glob("home/*"))]

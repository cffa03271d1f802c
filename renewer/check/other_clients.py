"""Other ACME clients on this machine that would order the same domains or reconfigure nginx."""

import os
import pwd
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

from renewer.check import nginx, scheduling
from renewer.check.context import Scene
from renewer.core import x509
from renewer.core.domains import covers, domain
from renewer.core.errors import ConfigError, RenewerError
from renewer.core.finding import Finding, Group, Topic
from renewer.core.printable import shell
from renewer.migrate import folder as foreign
from renewer.migrate.folder import Folder
from renewer.system import safe_paths

NAMES, NAME = 200, 255
"""Most names of a file that are checked (no CA allows more than 100), and the longest, in characters."""

_TOPIC = Topic(Group.OTHERS)


Parts = tuple[str, ...]
"""A path within a folder, as its names."""

LONGEST, MOST, ALTOGETHER = 256 * 1024, 1000, 8 << 20
"""Bytes read of one file, entries read of one folder, bytes read of all files in a folder."""


@dataclass(frozen=True)
class Rival:
    """Another client: its folders, each with a pattern for the files in it that describe certificates.

    Folders are patterns below the root, with `~` for each home. `domains` reads the domains from a file
    found. `trigger` is part of its cron line, `units` are the systemd units that start it, `stop` is the
    command that ends it.
    """

    name: str
    patterns: tuple[tuple[str, str], ...]
    domains: Callable[[Folder, Parts], Iterable[str]]
    trigger: str
    units: tuple[str, ...] = ()
    stop: str = ""


def _certbot(place: Folder, file: Parts) -> Iterator[str]:
    """Yield the domains of a lineage: those in its certificate, or else the lineage's name."""
    name = file[-1].removesuffix(".conf")
    try:
        found = list(x509.names(place.text(*file[:-2], "live", name, "cert.pem")))
    except (RenewerError, ValueError):
        found = [name]
    yield from found


def _acme_sh(place: Folder, file: Parts) -> Iterator[str]:
    for name in re.findall(r"^Le_(?:Domain|Alt)='([^']*)'", place.text(*file), re.MULTILINE):
        yield from (one for one in name.split(",") if one and one != "no")


def _lego(place: Folder, file: Parts) -> Iterator[str]:
    with suppress(RenewerError):
        yield str(place.table(*file).get("domain", ""))
    with suppress(RenewerError):
        yield from _in_certificate(place, (*file[:-1], f"{file[-1].removesuffix('.json')}.crt"))


def _in_certificate(place: Folder, file: Parts) -> Iterator[str]:
    with suppress(ValueError):
        yield from x509.names(place.text(*file))


RIVALS = (
    Rival(
        "certbot",
        (("etc/letsencrypt", "renewal/*.conf"),),
        _certbot,
        "certbot",
        ("certbot.timer", "certbot-renew.timer", "snap.certbot.renew.timer"),
        "certbot delete --cert-name {0}; or systemctl disable --now certbot.timer",
    ),
    Rival(
        "acme.sh",
        (("~", ".acme.sh/*/*.conf"),),
        _acme_sh,
        "acme.sh",
        stop="acme.sh --remove -d {0}; or acme.sh --uninstall-cronjob",
    ),
    Rival(
        "lego",
        (
            ("~", ".lego/certificates/*.json"),
            ("etc/lego", "certificates/*.json"),
            ("var/lib/lego", "certificates/*.json"),
        ),
        _lego,
        "lego",
        ("lego.timer", "lego-renew.timer"),
        "remove its timer or its cron line",
    ),
    Rival(
        "dehydrated",
        (("etc/dehydrated", "certs/*/cert.pem"), ("var/lib/dehydrated", "certs/*/cert.pem")),
        _in_certificate,
        "dehydrated",
        ("dehydrated.timer",),
        "remove {0} from its domains.txt",
    ),
    Rival(
        "Caddy",
        (
            ("~", ".local/share/caddy/certificates/*/*/*.crt"),
            ("var/lib/caddy", ".local/share/caddy/certificates/*/*/*.crt"),
        ),
        _in_certificate,
        "caddy",
        ("caddy.service",),
        "remove {0} from its Caddyfile, or let Caddy use the files in certificates/NAME/current",
    ),
    Rival(
        "Nginx Proxy Manager",
        (
            ("data/letsencrypt", "renewal/*.conf"),
            ("opt/*/letsencrypt", "renewal/*.conf"),
            ("srv/*/letsencrypt", "renewal/*.conf"),
        ),
        _certbot,
        "npm",
        stop="delete the certificate of {0} there, and add ours (certificates/NAME/current) as a custom one",
    ),
)


def look(scene: Scene) -> Iterator[Finding]:
    """Yield the other clients that have certificates for our domains."""
    ours = [domain for spec in scene.config.specs for domain in spec.domains]
    homes = _homes(scene.root)
    found = 0
    for rival in RIVALS:
        for folder, pattern in _folders(rival, scene.root, homes):
            for finding in _held(scene, rival, folder, pattern, ours):
                found += 1
                yield finding
    yield from _included(scene, ours)
    if not found:
        yield _TOPIC.ok(
            "rival", f"no other client has these domains ({', '.join(one.name for one in RIVALS)})"
        )


def _held(scene: Scene, rival: Rival, path: Path, pattern: str, ours: list[str]) -> Iterator[Finding]:
    """Yield our domains for which the client has certificates in a folder, which may be malicious.

    Files that cannot be read, lead out of the folder or belong to another user are skipped.
    """
    try:
        place = foreign.opened(path, LONGEST, MOST, foreign.Budget(20 * MOST, ALTOGETHER))
    except RenewerError:
        return
    for file in _matching(place, (), pattern.split("/")):
        shared: list[str] = []
        with suppress(RenewerError):
            for name in islice(rival.domains(place, file), NAMES):
                shared += [domain for domain in _domains([name]) if _ours(domain, ours)]
        if shared:
            yield _clash(scene, rival, path.joinpath(*file), shared)
    if place.allowance.spent or place.allowance.cut:
        where = Path("/") / os.path.relpath(path, scene.root)
        yield _TOPIC.warning(
            "rival",
            f"{where} has more files of {rival.name} than are checked",
            "it may have certificates for these domains",
            f"check for yourself, in {where}: {pattern}",
        )


def _matching(place: Folder, above: Parts, patterns: list[str]) -> Iterator[Parts]:
    """Yield the files in a folder whose path matches the patterns, one pattern for each component."""
    first, *rest = patterns
    names = [first]
    if "*" in first:
        names = []
        with suppress(RenewerError):
            names = [name for name in place.names(*above) if fnmatchcase(name, first)]
    for name in names:
        if rest:
            yield from _matching(place, (*above, name), rest)
        else:
            yield (*above, name)


def _domains(names: Iterable[str]) -> Iterator[str]:
    """Yield the valid domain names; other text in a file is never repeated."""
    for name in names:
        if len(name) <= NAME and name.isascii():
            with suppress(ConfigError):
                yield domain(name)


def _clash(scene: Scene, rival: Rival, file: Path, names: list[str]) -> Finding:
    listed = ", ".join(dict.fromkeys(names))
    where = Path("/") / os.path.relpath(file, scene.root)
    runs = _runs(scene.root, rival)
    what = f"{rival.name} has a certificate for {listed}, too ({where})"
    stop = rival.stop.format(shell(names[0].removeprefix("*.")))
    if runs:
        why = f"both count against the CA's limits, and may delete each other's TXT records ({runs})"
        return _TOPIC.warning("rival", f"{what}, and renews it", why, stop)
    why = "nothing found here renews it, but running it would order the same domains"
    return _TOPIC.warning("rival", what, why, stop)


def _runs(root: Path, rival: Rival) -> str:
    """Return what starts the other client automatically; empty if nothing was found."""
    units = [unit for unit in rival.units if scheduling.enabled(root, unit)]
    lines = [job.file for job in scheduling.jobs(root) if rival.trigger in job.line]
    return ", ".join([*units, *dict.fromkeys(f"cron: /{os.path.relpath(file, root)}" for file in lines)])


def _included(scene: Scene, ours: list[str]) -> Iterator[Finding]:
    """Yield where nginx uses a certificate for our domains that is not ours."""
    state = f"{os.path.realpath(scene.config.state)}/"
    for path, place in nginx.foreign(scene).items():
        if path.startswith(state) or "$" in path:
            continue
        shared = [name for name in _domains(_served(path)) if _ours(name, ours)]
        if shared:
            yield _TOPIC.warning(
                "include",
                f"{place} uses {path} for {', '.join(shared)}, which is not renewer's certificate",
                "clients of that server get a certificate that renewer does not renew",
                "replace it with the include that renewer nginx prints",
            )


def _served(path: str) -> Iterator[str]:
    with suppress(OSError, RenewerError, ValueError):
        yield from x509.names(safe_paths.content(path, LONGEST).decode())


def _ours(name: str, ours: list[str]) -> bool:
    return name in ours or covers(ours, name)


def _folders(rival: Rival, root: Path, homes: list[Path]) -> Iterator[tuple[Path, str]]:
    """Yield the folders the client may use, each with the pattern of its files."""
    for folder, pattern in rival.patterns:
        if folder == "~":
            yield from ((home, pattern) for home in homes)
        elif "*" in folder:
            yield from ((path, pattern) for path in islice(_glob(root, folder), MOST))
        else:
            yield root / folder, pattern


def _glob(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _homes(root: Path) -> list[Path]:
    """Return the homes of all users; below another root, the usual ones."""
    if root == Path("/"):
        found = {Path(user.pw_dir) for user in pwd.getpwall() if user.pw_dir.startswith("/")}
        return sorted(home for home in found if home != root and os.access(home, os.X_OK))
    return [root / "root", *sorted(root.glob("home/*"))]

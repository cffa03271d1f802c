"""Other clients that are installed here and would order the same names, or fight over nginx."""

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
"""How many names of a file are looked at (no CA takes more than 100), and the longest, in characters."""

_TOPIC = Topic(Group.OTHERS)


Parts = tuple[str, ...]
"""A path within a folder, by its names."""

LONGEST, MOST, ALTOGETHER = 256 * 1024, 1000, 8 << 20
"""Bytes of a file, entries of a folder, and bytes of all files that are looked at in one."""


@dataclass(frozen=True)
class Rival:
    """Another client: its folders, each with the files in it that tell of certificates.

    Both are patterns, the folders' below the root, with `~` for each home. `domains` reads the names of a
    file that was found. `trigger` is what its line for cron has in it,
    `units` what systemd starts it by, `stop` what ends it.
    """

    name: str
    patterns: tuple[tuple[str, str], ...]
    domains: Callable[[Folder, Parts], Iterable[str]]
    trigger: str
    units: tuple[str, ...] = ()
    stop: str = ""


def _certbot(place: Folder, file: Parts) -> Iterator[str]:
    """Yield the names of a lineage: those in its certificate, else what the lineage is called."""
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
        "take its timer or its line for cron out",
    ),
    Rival(
        "dehydrated",
        (("etc/dehydrated", "certs/*/cert.pem"), ("var/lib/dehydrated", "certs/*/cert.pem")),
        _in_certificate,
        "dehydrated",
        ("dehydrated.timer",),
        "take {0} out of its domains.txt",
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
        "take {0} out of its Caddyfile, or let Caddy use the files in certificates/NAME/current",
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
        stop="delete the certificate of {0} there, and make ours (certificates/NAME/current) a custom one",
    ),
)


def look(scene: Scene) -> Iterator[Finding]:
    """Yield which other clients hold certificates for our names."""
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
            "rival", f"no other client holds these names ({', '.join(one.name for one in RIVALS)})"
        )


def _held(scene: Scene, rival: Rival, path: Path, pattern: str, ours: list[str]) -> Iterator[Finding]:
    """Yield which of our names the client has in a folder, which may be that of a person who means harm.

    What cannot be read, leads out of the folder or is another user's is passed over.
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
            f"{where} has more files of {rival.name} than are looked at",
            "whether it has certificates for these names is not known",
            f"see for yourself, in {where}: {pattern}",
        )


def _matching(place: Folder, above: Parts, patterns: list[str]) -> Iterator[Parts]:
    """Yield the files in a folder whose path fits the patterns, one for each name of it."""
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
    """Yield those that are names of domains; whatever else stands in a file is not told."""
    for name in names:
        if len(name) <= NAME and name.isascii():
            with suppress(ConfigError):
                yield domain(name)


def _clash(scene: Scene, rival: Rival, file: Path, names: list[str]) -> Finding:
    listed = ", ".join(dict.fromkeys(names))
    where = Path("/") / os.path.relpath(file, scene.root)
    runs = _runs(scene.root, rival)
    what = f"{rival.name} has a certificate for {listed} too ({where})"
    stop = rival.stop.format(shell(names[0].removeprefix("*.")))
    if runs:
        why = f"both count against the CA's limits, and may take each other's records out ({runs})"
        return _TOPIC.warning("rival", f"{what}, and renews it", why, stop)
    why = "nothing was found that renews it, but it would order the same names as soon as somebody runs it"
    return _TOPIC.warning("rival", what, why, stop)


def _runs(root: Path, rival: Rival) -> str:
    """Return what sets the other client off, empty if nothing was found."""
    units = [unit for unit in rival.units if scheduling.enabled(root, unit)]
    lines = [job.file for job in scheduling.jobs(root) if rival.trigger in job.line]
    return ", ".join([*units, *dict.fromkeys(f"cron: /{os.path.relpath(file, root)}" for file in lines)])


def _included(scene: Scene, ours: list[str]) -> Iterator[Finding]:
    """Yield where nginx is given another certificate for our names than ours."""
    state = f"{os.path.realpath(scene.config.state)}/"
    for path, place in nginx.foreign(scene).items():
        if path.startswith(state) or "$" in path:
            continue
        shared = [name for name in _domains(_served(path)) if _ours(name, ours)]
        if shared:
            yield _TOPIC.warning(
                "include",
                f"{place} gives nginx {path} for {', '.join(shared)}, which is not renewer's",
                "clients of that server go on with a certificate that renewer does not renew",
                "put the include of renewer's file there instead: renewer nginx prints it",
            )


def _served(path: str) -> Iterator[str]:
    with suppress(OSError, RenewerError, ValueError):
        yield from x509.names(safe_paths.content(path, LONGEST).decode())


def _ours(name: str, ours: list[str]) -> bool:
    return name in ours or covers(ours, name)


def _folders(rival: Rival, root: Path, homes: list[Path]) -> Iterator[tuple[Path, str]]:
    """Yield the folders that the client may have, each with the pattern of its files."""
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
    """Return the homes of all users; of another root, those that usually are there."""
    if root == Path("/"):
        found = {Path(user.pw_dir) for user in pwd.getpwall() if user.pw_dir.startswith("/")}
        return sorted(home for home in found if home != root and os.access(home, os.X_OK))
    return [root / "root", *sorted(root.glob("home/*"))]

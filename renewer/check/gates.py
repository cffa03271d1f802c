"""Secure links: whether nginx guards each site, and nothing beside what it guards is open."""

import os
from collections.abc import Iterator, Sequence

from renewer import app
from renewer.check.context import Scene
from renewer.core.errors import RenewerError
from renewer.core.finding import Finding, Group, Topic
from renewer.core.site import Mode
from renewer.nginx.configuration import tree
from renewer.nginx.layout import Layout
from renewer.nginx.locations import Guarded, guarded
from renewer.nginx.secure_link.gates import Gates
from renewer.system.console import Silent

GATES = {Mode.SESSION: ("enter.conf", "gate.conf"), Mode.URL: ("gate-url.conf",)}
"""What nginx has to include somewhere for a site."""

_TOPIC = Topic(Group.NGINX)
_LINES = "put the lines into nginx's configuration that this prints: renewer nginx"


def look(scene: Scene) -> Iterator[Finding]:
    """Yield what is wrong with what nginx has for secure links, and which sites are guarded."""
    servers = _servers(scene)
    yield from _closing(scene)
    yield from _strangers(scene, servers)
    yield from _shared(servers)
    yield from _open(servers)
    yield from _unclear(servers)
    yield from _sites(scene, servers)


def _servers(scene: Scene) -> Sequence[Guarded]:
    layout = Layout(scene.config.state)
    names = {name for names in GATES.values() for name in names}
    files = {os.path.realpath(layout.secure_link(name)) for name in names}
    return guarded(tree(str(scene.config.nginx.config)), files)


def _closing(scene: Scene) -> Iterator[Finding]:
    """Yield whether anybody can know the key that nginx takes where there is none."""
    gates = Gates(Layout(scene.config.state))
    try:
        key = gates.closing()
    except RenewerError as error:
        yield _TOPIC.refused("closing", error, "whether anybody can forge sessions is not seen")
        return
    if key == "":
        yield _TOPIC.error(
            "closing",
            f"{gates.path('http.conf')} names a key that anybody can know for whoever has none",
            "whoever knows it forges links, sessions and signed URLs of every site",
            "run: renewer renew",
        )


def _strangers(scene: Scene, servers: Sequence[Guarded]) -> Iterator[Finding]:
    """Yield what nginx has for sites that the configuration does not have."""
    why = "nobody gets in, whatever link he has"
    for server in servers:
        for name, place in server.scopes:
            if name not in scene.config.sites and "$" not in name:
                yield _TOPIC.error(
                    "site",
                    f"{place} says set $rn_scope {name}, but the configuration has no site {name}",
                    why,
                    f"write the table [site.{name}], or take that server's lines for secure links out",
                )
        if server.files and not server.scopes:
            yield _TOPIC.error(
                "site",
                f"{server.place}: the server {server.name} includes {_listed(server.files)}, but no site",
                why,
                "put the line before it: set $rn_scope NAME; with the NAME of a table [site.NAME]",
            )


def _shared(servers: Sequence[Guarded]) -> Iterator[Finding]:
    """Yield the servers that are more than one site."""
    for server in servers:
        names = sorted({name for name, _ in server.scopes})
        if len(names) > 1:
            yield _TOPIC.warning(
                "site",
                f"{server.place}: the server {server.name} is for several sites: {', '.join(names)}",
                "what a back end hands on within nginx is judged by the session of the first of them",
                "give each site a server of its own",
            )


def _open(servers: Sequence[Guarded]) -> Iterator[Finding]:
    """Yield the locations of guarded servers that anybody may open."""
    for server in servers:
        for one in server.open:
            yield _TOPIC.error(
                "open",
                f"{one.place}: {one.name} of the guarded server {server.name} is open: {one.why}",
                "anybody may open it without a link",
                "include the gate in it, first of all; or, if it shall be open, let it say: allow all;",
            )


def _unclear(servers: Sequence[Guarded]) -> Iterator[Finding]:
    """Yield what of guarded servers is not understood, so that nobody takes it for guarded."""
    for server in servers:
        for one in server.unclear:
            yield _TOPIC.warning(
                "unclear",
                f"{one.place}: {one.name} of the guarded server {server.name} is not understood: {one.why}",
                "whether anybody gets in without a link is not known",
                "open it without a link, as anybody would; if it lets you in, put the gate before this line",
            )


def _sites(scene: Scene, servers: Sequence[Guarded]) -> Iterator[Finding]:
    """Yield for each site whether nginx guards it."""
    why, layout = "the site is open to everybody, or to nobody", Layout(scene.config.state)
    sites = scene.config.sites
    open_ = app.nginx(scene.config, scene.clock, Silent()).unguarded(tuple(sites)) if sites else {}
    for site, lack in open_.items():
        yield _TOPIC.error("guard", f"{site}: {lack}", why, _LINES)
    for site in (site for site in sites if site not in open_):
        own = [server for server in servers if site in dict(server.scopes)]
        *entry, gate = (layout.secure_link(name) for name in GATES[sites[site].mode])
        lacking = [path for path in entry if not _includes(own, path)]
        lacking += [] if any(server.guards for server in own) else [gate]
        if lacking:
            what = f"{site}: nginx includes {' and '.join(map(str, lacking))} nowhere"
            yield _TOPIC.error("guard", what, why, _LINES)
        elif not any(server.open or server.unclear for server in own):
            on_purpose = [name for server in own for name in server.on_purpose]
            but = f", but for what is open on purpose: {', '.join(on_purpose)}" if on_purpose else ""
            yield _TOPIC.ok("guard", f"{site}: nginx guards it{but}")


def _includes(servers: Sequence[Guarded], path: os.PathLike[str]) -> bool:
    return any(os.path.realpath(path) in server.files for server in servers)


def _listed(files: frozenset[str]) -> str:
    return ", ".join(sorted(map(os.path.basename, files)))

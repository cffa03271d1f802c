"""Which servers have to do with secure links, and what a stranger gets from them."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from renewer.nginx.configuration import SCOPE, Directive
from renewer.nginx.stranger.access import Seen, doubtful
from renewer.nginx.stranger.contexts import Context
from renewer.nginx.stranger.inert import is_foreign, is_known
from renewer.nginx.stranger.requests import Stranger
from renewer.nginx.stranger.variables import Block, Variables, within


@dataclass(frozen=True)
class Guarded:
    """A server that has to do with secure links.

    `scopes` are the sites that it names with the places where it does, `files` the real paths of those files
    for secure links that it includes. `guards` says whether anything in it is guarded, `open` what is not,
    `unclear` what is not understood, and `on_purpose` what says itself that it is open.
    """

    name: str
    place: str
    scopes: tuple[tuple[str, str], ...]
    files: frozenset[str]
    guards: bool
    open: tuple[Seen, ...]
    unclear: tuple[Seen, ...]
    on_purpose: tuple[str, ...]


def guarded(main: Block, files: Collection[str]) -> list[Guarded]:
    """Return the servers that have to do with secure links; `files` are the real paths of its files."""
    found = []
    for http in (one for one in main if one.name == "http"):
        variables, sockets = Variables(http.block), _tls(http)
        for server in (one for one in http.block if one.name == "server"):
            stranger = Stranger(Context(server, Context(http)), variables, files, sockets)
            found.append(_server(server, http, stranger, files))
    return [one for one in found if one]


def _server(server: Directive, http: Directive, stranger: Stranger, files: Collection[str]) -> Guarded | None:
    """Return what it has to do with secure links; `None` for nothing."""
    everything = list(within(server.block))
    scopes = tuple(
        (one.arguments[1], one.place)
        for one in everything
        if one.name == "set" and one.arguments[:1] == (SCOPE,) and one.arguments[1:]
    )
    ours = frozenset(one.file for one in everything if one.file in files)
    if not scopes and not ours:
        return None
    names = (name for one in server.block if one.name == "server_name" for name in one.arguments)
    stranger.comes()
    return Guarded(
        name=" ".join(names) or "without a name",
        place=server.place,
        scopes=scopes,
        files=ours,
        guards=stranger.guards,
        open=tuple(stranger.open.values()),
        unclear=(*stranger.unclear, *_foreign(server, http)),
        on_purpose=tuple(stranger.on_purpose.values()),
    )


def _tls(http: Directive) -> frozenset[str]:
    """Return the sockets that speak TLS: `ssl` in the `listen` of one server counts for all."""
    listens = [one for one in within(http.block) if one.name == "listen" and one.arguments]
    return frozenset(one.arguments[0] for one in listens if {"ssl", "quic"} & set(one.arguments))


def _foreign(server: Directive, http: Directive) -> Iterator[Seen]:
    """Yield the directives that nothing is known of, each once."""
    around = [one for one in http.block if not is_foreign(one.name)]
    found: dict[str, Directive] = {}
    for one in _directives((*around, server)):
        if not is_known(one.name) and not (one.name == "ssi" and one.arguments == ("off",)):
            found.setdefault(one.name, one)
    return (doubtful(one, "what it does for who gets in is not known") for one in found.values())


def _directives(block: Iterable[Directive]) -> Iterator[Directive]:
    for one in block:
        yield one
        if one.name == "server" or not is_foreign(one.name):
            yield from _directives(one.block)

"""Reads nginx's configuration: which server serves which certificate on which sockets.

It uses nginx-crossplane, which reads what nginx would, and also parts that nginx would reject.
"""

import os
import re
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from glob import has_magic
from itertools import takewhile
from pathlib import Path
from typing import Any

from renewer.core.printable import printable

Statement = dict[str, Any]
"""A directive from crossplane: `directive`, `args`, and `block` or `includes` if it has any."""

SCOPE = "$rn_scope"
"""The variable that names the site of a server or location, for the secure-link includes."""

_BLOCKS = ("http", "stream", "mail")
_ANY4, _ANY6 = "0.0.0.0", "::"  # noqa: S104  (addresses nginx listens on)
_LOOPBACK = {_ANY4: "127.0.0.1", _ANY6: "::1"}
_HIGHEST_PORT = 65535
_PORT = re.compile(r"(?P<host>)(?P<port>[0-9]+)(-[0-9]+)?")
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^][:$]+)(:(?P<port>[0-9]+)(-[0-9]+)?)?")


@dataclass(frozen=True)
class Listen:
    """A socket that a server listens on (directive `listen`), with the address that reaches it from here."""

    host: str
    port: int
    ssl: bool = False
    proxy_protocol: bool = False


@dataclass(frozen=True)
class Server:
    """A `server` block: its names, sockets and files, with those it inherits.

    `certificates` and `includes` are resolved paths.
    """

    names: tuple[str, ...]
    listens: tuple[Listen, ...]
    certificates: frozenset[str]
    includes: frozenset[str]


@dataclass(frozen=True)
class Configuration:
    """What was read from the configuration; `problem` says which part could not be.

    `includes` are the resolved paths of includes directly in `http` and the like, `scopes` all values of
    `$rn_scope`. `pid` and `error_log` are the values of nginx's directives, empty if there are none.
    `sources` are the files read, and the folders, with a final `/`, that an `include` searches.
    """

    servers: tuple[Server, ...] = ()
    includes: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    pid: str = ""
    error_log: str = ""
    problem: str = ""
    sources: tuple[str, ...] = ()

    def showing(self, file: str, folder: str) -> list[Server]:
        """Return the servers that include the file, or have a certificate below the folder (real paths)."""
        found = {*self._by_path.get(file, ()), *self._by_path.get(folder, ())}
        return [self.servers[place] for place in sorted(found)]

    @cached_property
    def _by_path(self) -> Mapping[str, Sequence[int]]:
        """The indexes of the servers, by their includes and by every folder above their certificates."""
        found: dict[str, list[int]] = defaultdict(list)
        for place, server in enumerate(self.servers):
            folders = {str(parent) for path in server.certificates for parent in Path(path).parents}
            for path in server.includes | folders:
                found[path].append(place)
        return found


class Reader:
    """Reads the configuration once for callers at about the same time; safe to use from threads.

    It is no `Once`: what was read gets old, because a person may change nginx's configuration.
    """

    LASTS = 1.0
    """Seconds for which a reading is reused."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._last: tuple[float, str, Configuration] | None = None

    def read(self, config: str, now: float, *, anew: bool = False) -> Configuration:
        """Return the configuration, as read at most a moment before `now` (monotonic seconds)."""
        with self._guard:
            if self._last and not anew:
                when, file, found = self._last
                if file == config and when <= now <= when + self.LASTS:
                    return found
            found = read(config)
            self._last = (now, config, found)
            return found


@dataclass(frozen=True)
class Line:
    """A directive anywhere in the configuration, with its arguments and its place, as FILE:LINE."""

    directive: str
    arguments: tuple[str, ...]
    place: str


def lines(config: str) -> tuple[Line, ...]:
    """Return every directive of the configuration, as far as it can be read."""
    import crossplane  # noqa: PLC0415  (slow to import)

    payload = crossplane.parse(config, check_ctx=False, check_args=False)
    return tuple(line for file in payload["config"] for line in _lines(file["parsed"], file["file"]))


@dataclass(frozen=True)
class Directive:
    """A directive with its block; the directives of included files are in the block, too.

    `place` is FILE:LINE, `file` the file's real path.
    """

    name: str
    arguments: tuple[str, ...]
    place: str
    file: str
    block: tuple["Directive", ...] = ()

    @property
    def label(self) -> str:
        """The directive as written, without its block: `location = /x`."""
        return " ".join((self.name, *self.arguments))


def tree(config: str) -> tuple[Directive, ...]:
    """Return the directives of the configuration, as far as it can be read."""
    import crossplane  # noqa: PLC0415  (slow to import)

    payload = crossplane.parse(config, check_ctx=False, check_args=False)
    return _Files(payload["config"], Path(config).parent).tree()


def read(config: str) -> Configuration:
    """Return the configuration; never raises, `problem` says what cannot be read."""
    import crossplane  # noqa: PLC0415  (slow to import)

    payload = crossplane.parse(config, check_ctx=False, check_args=False)
    return _Files(payload["config"], Path(config).parent).configuration(_problem(payload["errors"]))


def endpoint(text: str, default_port: int = 80) -> tuple[str, int] | None:
    """Return how a client reaches an address in nginx's notation; `None` if it cannot (`unix:`).

    `443`, `*:443`, `[::]:443`, `10.0.0.1`, `[::1]:8443`, `localhost:443`; of a port range, the first port.
    """
    place = _place(text, default_port)
    return place and (_LOOPBACK.get(place[0], place[0]), place[1])


def _place(text: str, default_port: int = 80) -> tuple[str, int] | None:
    """Return host and port as nginx binds them: all addresses of a family are `0.0.0.0` or `::`."""
    found = _PORT.fullmatch(text) or _ADDRESS.fullmatch(text)
    if found is None:
        return None
    host, port = found["host"].strip("[]"), int(found["port"] or default_port)
    return (_ANY4 if host in {"", "*"} else host, port) if port <= _HIGHEST_PORT else None


class _Files:
    """The parsed files; the first is nginx's main configuration."""

    def __init__(self, parsed: Sequence[dict[str, Any]], folder: Path) -> None:
        self._parsed = parsed
        self._folder = folder

    def configuration(self, problem: str) -> Configuration:
        """Return the configuration in these files."""
        main = list(self._flat(self._parsed[0]["parsed"]))
        blocks = [block for block in main if block["directive"] in _BLOCKS]
        found = [server for block in blocks for server in self._servers(block)]
        shared = [list(self._flat(block.get("block", ()))) for block in blocks]
        logs = [log for log in _values(main, "error_log") if not log.startswith(("syslog:", "memory:"))]
        return Configuration(
            servers=tuple(_as_reached(found)),
            includes=frozenset().union(*map(self._includes, shared)),
            scopes=frozenset(self._scopes(main)),
            pid=next(iter(_values(main, "pid")), ""),
            error_log=next((log for log in reversed(logs) if log != "stderr"), ""),
            problem=problem,
            sources=tuple(sorted(self._sources())),
        )

    def tree(self) -> tuple[Directive, ...]:
        """Return the directives with their blocks."""
        first = self._parsed[0]
        return tuple(self._directives(first["parsed"], first["file"], (0,)))

    def _directives(
        self, statements: Iterable[Statement], file: str, trail: tuple[int, ...]
    ) -> Iterator[Directive]:
        for statement in statements:
            block = tuple(self._directives(statement.get("block", ()), file, trail))
            place = f"{file}:{statement['line']}"
            yield Directive(
                statement["directive"], tuple(statement["args"]), place, self._resolved(file), block
            )
            for index in statement.get("includes", ()):
                if index not in trail:
                    inner = self._parsed[index]
                    yield from self._directives(inner["parsed"], inner["file"], (*trail, index))

    def _sources(self) -> set[str]:
        """Return the files read, and the folders that an include searches."""
        found = {str(self._folder / file["file"]) for file in self._parsed}
        written = (line for file in self._parsed for line in _lines(file["parsed"], file["file"]))
        for line in written:
            if line.directive == "include" and line.arguments and has_magic(line.arguments[0]):
                plain = takewhile(lambda part: not has_magic(part), Path(line.arguments[0]).parts)
                found.add(f"{self._folder.joinpath(*plain)}/")
        return found

    def _servers(self, block: Statement) -> Iterator[Server]:
        outer = list(self._flat(block.get("block", ())))
        for statement in outer:
            if statement["directive"] == "server" and "block" in statement:
                yield self._server(list(self._flat(statement["block"])), outer)

    def _server(self, inner: list[Statement], outer: list[Statement]) -> Server:
        old_ssl = _values(inner, "ssl") or _values(outer, "ssl")
        listens = (_listen(statement["args"], ssl=old_ssl == ["on"]) for statement in _named(inner, "listen"))
        own = self._certificates(inner)
        return Server(
            names=tuple(name for statement in _named(inner, "server_name") for name in statement["args"]),
            listens=tuple(listen for listen in listens if listen),
            certificates=own or self._certificates(outer),
            includes=self._includes(inner) | (frozenset() if own else self._includes(outer)),
        )

    def _scopes(self, statements: Iterable[Statement]) -> Iterator[str]:
        for statement in statements:
            if statement["directive"] == "set" and statement["args"][:1] == [SCOPE]:
                yield from statement["args"][1:]
            yield from self._scopes(self._flat(statement.get("block", ())))

    def _certificates(self, statements: list[Statement]) -> frozenset[str]:
        return frozenset(self._resolved(value) for value in _values(statements, "ssl_certificate"))

    def _includes(self, statements: list[Statement]) -> frozenset[str]:
        written = (value for value in _values(statements, "include") if not has_magic(value))
        opened = (
            self._parsed[index]["file"]
            for statement in _named(statements, "include")
            for index in statement.get("includes", ())
        )
        return frozenset(self._resolved(path) for path in (*written, *opened))

    def _resolved(self, path: str) -> str:
        return os.path.realpath(self._folder / path)

    def _flat(self, block: Sequence[Statement], trail: tuple[int, ...] = ()) -> Iterator[Statement]:
        """Yield the directives of a block; after each `include`, those of the included files."""
        for statement in block:
            yield statement
            for index in statement.get("includes", ()):
                if index not in trail:  # nginx rejects files that include each other, crossplane does not
                    yield from self._flat(self._parsed[index]["parsed"], (*trail, index))


def _lines(statements: Iterable[Statement], file: str) -> Iterator[Line]:
    for statement in statements:
        yield Line(statement["directive"], tuple(statement["args"]), f"{file}:{statement['line']}")
        yield from _lines(statement.get("block", ()), file)


def _named(statements: Sequence[Statement], directive: str) -> Iterator[Statement]:
    return (statement for statement in statements if statement["directive"] == directive)


def _values(statements: Sequence[Statement], directive: str) -> list[str]:
    """Return the first argument of each of these directives."""
    return [statement["args"][0] for statement in _named(statements, directive) if statement["args"]]


def _listen(arguments: Sequence[str], *, ssl: bool) -> Listen | None:
    """Return the socket of a `listen`, or `None` if it does not serve TLS over TCP."""
    place = _place(arguments[0]) if arguments else None
    if place is None or {"quic", "udp"} & set(arguments):
        return None
    return Listen(*place, ssl=ssl or "ssl" in arguments, proxy_protocol="proxy_protocol" in arguments)


def _as_reached(servers: Sequence[Server]) -> Iterator[Server]:
    """Yield the servers with the options of their sockets, and with addresses that reach them from here.

    `ssl` in one server's `listen` applies to all servers on that socket.
    """
    sockets: dict[tuple[str, int], Listen] = {}
    for listen in (listen for server in servers for listen in server.listens):
        known = sockets.get((listen.host, listen.port), listen)
        sockets[listen.host, listen.port] = Listen(
            listen.host, listen.port, listen.ssl or known.ssl, listen.proxy_protocol or known.proxy_protocol
        )
    reached = {
        place: replace(listen, host=host)
        for place, listen in sockets.items()
        if (host := _way(place, sockets))
    }
    for server in servers:
        listens = dict.fromkeys(reached.get((listen.host, listen.port)) for listen in server.listens)
        yield replace(server, listens=tuple(listen for listen in listens if listen))


def _way(place: tuple[str, int], sockets: Collection[tuple[str, int]]) -> str | None:
    """Return an address that leads to this socket, or `None` if there is none.

    A connection to an address with a socket of its own never reaches the socket for all addresses. All of
    127.0.0.0/8 is this machine; in IPv6, only `::1`.
    """
    host, port = place
    near = [f"127.0.0.{last}" for last in range(1, 255)] if host == _ANY4 else [_LOOPBACK.get(host, host)]
    return next((one for one in near if one == host or (one, port) not in sockets), None)


def _problem(errors: Sequence[dict[str, Any]]) -> str:
    if not errors:
        return ""
    first = errors[0]
    place = f"{first['file']}:{first['line']}" if first["line"] else first["file"]
    return printable(f"nginx's configuration cannot be read in full: {place}: {first['error']}")

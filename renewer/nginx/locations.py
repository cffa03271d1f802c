"""Which locations of a guarded server anybody may open, as nginx would decide it; pure.

nginx checks a request in phases. The gate is an `if` with a `return` of the rewrite phase. A location within
another takes over nothing of that, a `limit_except` neither, and a `break` before it ends it. What belongs to
the access phase (`auth_request`, `auth_basic`, a list of addresses) is taken over. What a refusal leads to
(`error_page`) is not checked again.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from renewer.nginx.configuration import SCOPE, Directive

Block = Sequence[Directive]

ON_PURPOSE = ("all",)
"""What `allow` has in a location that is open on purpose."""

_SESSION = frozenset({"secure_link", "rn_verdict"})
"""The variables that say whether a link, a session or a signed URL is good."""

_VARIABLE = re.compile(r"\$\{?(\w+)")
_PASSES = ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass")
_LOGINS = ("auth_request", "auth_basic", "auth_jwt")
_LATE = frozenset({"404", "405", "416", "429", "500", "502", "503", "504"})
"""Statuses that nobody gets whom the gate refuses: they arise after it."""

_LIMITED = frozenset({"429", "503"})
"""Those of them that arise before the access phase."""

_BEHIND = frozenset({"500", "502", "503", "504"})
"""Those that come from what is behind nginx."""

_REDIRECT = 300


@dataclass(frozen=True)
class Open:
    """A location that anybody may open: its place, what it is called, and why that is so."""

    place: str
    name: str
    why: str


@dataclass(frozen=True)
class Guarded:
    """A server that has to do with secure links.

    `scopes` are the sites that it names with the places where it does, `files` the real paths of those files
    for secure links that it includes. `guards` says whether anything in it is guarded, `open` what is not,
    and `on_purpose` what says so itself.
    """

    name: str
    place: str
    scopes: tuple[tuple[str, str], ...]
    files: frozenset[str]
    guards: bool
    open: tuple[Open, ...]
    on_purpose: tuple[str, ...]


def guarded(main: Block, files: Collection[str]) -> list[Guarded]:
    """Return the servers that have to do with secure links; `files` are the real paths of its files."""
    return [
        found
        for http in _named(main, "http")
        for server in _named(http.block, "server")
        if (found := _server(server, http, files))
    ]


def _server(server: Directive, http: Directive, files: Collection[str]) -> Guarded | None:
    """Return what it has to do with secure links; `None` for nothing."""
    everything = list(_within(server.block))
    scopes = tuple(
        (one.arguments[1], one.place)
        for one in _named(everything, "set")
        if one.arguments[:1] == (SCOPE,) and one.arguments[1:]
    )
    ours = frozenset(one.file for one in everything if one.file in files)
    if not scopes and not ours:
        return None
    names = (name for one in _named(server.block, "server_name") for name in one.arguments)
    outer = _Node(server, _Access().within(http.block).within(server.block), _derived(http.block))
    nodes = list(_nodes(outer, files))
    return Guarded(
        name=" ".join(names) or "without a name",
        place=server.place,
        scopes=scopes,
        files=ours,
        guards=any(node.checks or node.access.logins for node in (outer, *nodes)),
        open=tuple(_opened(outer, nodes, http.block)),
        on_purpose=tuple(node.label for node in nodes if node.on_purpose),
    )


@dataclass(frozen=True)
class _Access:
    """What a block takes over from those around it, unless it says otherwise itself."""

    logins: frozenset[str] = frozenset()
    rules: tuple[Directive, ...] = ()
    client_certificate: bool = False
    internal: bool = False
    errors: tuple[Directive, ...] = ()

    def within(self, block: Block) -> "_Access":
        """Return what holds in a block within."""
        logins = set(self.logins)
        for one in block:
            if one.name in _LOGINS and one.arguments:
                (logins.discard if one.arguments[0] == "off" else logins.add)(one.name)
        verify = [one.arguments == ("on",) for one in _named(block, "ssl_verify_client")]
        return _Access(
            frozenset(logins),
            tuple(one for one in block if one.name in {"allow", "deny"}) or self.rules,
            verify[-1] if verify else self.client_certificate,
            self.internal or any(_named(block, "internal")),
            tuple(_named(block, "error_page")) or self.errors,
        )

    @property
    def guards(self) -> bool:
        """Whether not everybody comes in: a login, a certificate, or an address is asked for."""
        everybody = (one.name for one in self.rules if one.arguments == ("all",))
        return bool(self.logins) or self.client_certificate or next(everybody, "") == "deny"


@dataclass(frozen=True)
class _Node:
    """A server, a location, or the methods that a `limit_except` is about, with what it takes over.

    `whole` says that the server's own guard, or its `return`, came before.
    """

    directive: Directive
    access: _Access
    session: frozenset[str]
    whole: bool = False

    @property
    def block(self) -> Block:
        return self.directive.block

    @property
    def label(self) -> str:
        return " ".join((self.directive.name, *self.directive.arguments))

    @property
    def on_purpose(self) -> bool:
        """Whether it says itself that everybody may come in."""
        rules = [one for one in self.block if one.name in {"allow", "deny"}]
        return bool(rules) and (rules[0].name, rules[0].arguments) == ("allow", ON_PURPOSE)

    @property
    def checks(self) -> bool:
        """Whether its rewrite phase refuses whoever has no good session, before a `break` ends it."""
        return any(self._refuses(one) for one in self._reached)

    @property
    def returns(self) -> bool:
        """Whether it answers by itself, whoever asks, and hands nothing on."""
        return any(one.name == "return" for one in self._reached)

    @property
    def too_late(self) -> bool:
        """Whether it would check, but a `break` comes first."""
        return not self.checks and any(map(self._refuses, self.block))

    @property
    def guarded(self) -> bool:
        return self.whole or self.checks or self.access.guards

    @property
    def closed(self) -> bool:
        """Whether nobody opens it who may not."""
        return self.guarded or self.returns or self.on_purpose

    @property
    def _reached(self) -> Iterator[Directive]:
        """Yield what nginx gets to before a `break` may end the rewrite phase."""
        for one in self.block:
            if any(_ends(inner) for inner in (one, *(one.block if one.name == "if" else ()))):
                return
            yield one

    def _refuses(self, one: Directive) -> bool:
        about = set(_VARIABLE.findall(" ".join(one.arguments))) if one.name == "if" else set[str]()
        codes = (inner.arguments[0] for inner in _named(one.block, "return") if inner.arguments)
        return bool(about & self.session) and any(
            not code.isdecimal() or int(code) >= _REDIRECT for code in codes
        )

    @property
    def leads_to(self) -> Iterator[tuple[str, str]]:
        """Yield where a request goes on that nothing has checked, with the place that says so."""
        never: Collection[str] = ()
        if self.guarded:
            never = _LATE if self.checks or self.whole else _LATE - _LIMITED
        elif self.returns or self.directive.name == "server":
            never = _BEHIND
        for one in self.access.errors:
            if any(code.isdecimal() and code not in never for code in one.arguments[:-1]):
                yield one.arguments[-1], one.place
        for one in () if self.guarded else _named(self.block, "try_files"):
            yield one.arguments[-1], one.place


def _nodes(outer: _Node, files: Collection[str]) -> Iterator[_Node]:
    """Yield the locations in a block, those within them too, and what a `limit_except` makes of one."""
    ends = outer.directive.name == "server" and (outer.checks or outer.returns)
    for one in outer.block:
        if one.name == "location" and one.file not in files:
            inner = _Node(one, outer.access.within(one.block), outer.session, outer.whole or ends)
            yield inner
            yield from _nodes(inner, files)
        elif one.name == "limit_except":
            yield _Node(one, _limited(outer, one), outer.session, outer.whole)


def _limited(outer: _Node, one: Directive) -> _Access:
    """Return what guards the methods; addresses in place of the gate do not, if any may come in."""
    access = outer.access.within(one.block)
    some = any(rule.name == "allow" for rule in access.rules)
    return replace(access, rules=()) if outer.checks and some else access


def _opened(server: _Node, nodes: Sequence[_Node], http: Block) -> Iterator[Open]:
    """Yield what anybody may open."""
    if not (server.guarded or server.returns) and _serves_files(server, http):
        yield Open(server.directive.place, "root", "a request that no location is for gets a file of it")
    for node in nodes:
        if not (node.closed or node.access.internal or _is_named(node)):
            yield Open(node.directive.place, node.label, _why(node))
    for node, place in _reached_by_error(server, nodes):
        yield Open(node.directive.place, node.label, f"whoever is refused is led there by {place}")


def _why(node: _Node) -> str:
    if node.directive.name == "limit_except":
        return "for the methods that it is about, it takes the place of the gate around it"
    if node.too_late:
        return "a break before the gate ends what nginx checks"
    return "it has no gate of its own, and that of a location around it does not count"


def _serves_files(server: _Node, http: Block) -> bool:
    paths = [one.arguments[-1:] for one in _named(server.block, "location")]
    return ("/",) not in paths and any(_named((*server.block, *http), "root"))


def _reached_by_error(server: _Node, nodes: Sequence[_Node]) -> Iterator[tuple[_Node, str]]:
    """Yield the locations that only `error_page` or `try_files` lead to, where those do so unchecked."""
    alone = [(node, replace(node, whole=False)) for node in nodes]  # the server's own phase is over by then
    inner = [node for node, one in alone if not one.closed and (_is_named(node) or _passes_on(node))]
    ways = [way for one in (server, *nodes) if one not in inner for way in one.leads_to]
    while ways:
        target, place = ways.pop()
        for node in [one for one in inner if _fits(one, target)]:
            inner.remove(node)
            ways += replace(node, whole=False).leads_to
            yield node, place


def _is_named(node: _Node) -> bool:
    return any(argument.startswith("@") for argument in node.directive.arguments[:1])


def _passes_on(node: _Node) -> bool:
    return node.access.internal and any(one.name in _PASSES for one in node.block)


def _fits(node: _Node, target: str) -> bool:
    path = node.directive.arguments[-1]
    return target == path or (not _is_named(node) and target.startswith(path))


def _derived(http: Block) -> frozenset[str]:
    """Return the variables that say whether a session is good, and those that are made of them."""
    made = [*_made(http)]
    found, before = set(_SESSION), 0
    while len(found) > before:
        before = len(found)
        found |= {name for name, written in made if found & set(_VARIABLE.findall(written))}
    return frozenset(found)


def _made(block: Block, around: str = "") -> Iterator[tuple[str, str]]:
    """Yield each variable that is made in a block or within it, with the text that it is made of."""
    for one in block:
        if one.name == "map" and len(one.arguments) > 1:
            entries = (text for entry in one.block for text in entry.arguments)
            yield one.arguments[1].removeprefix("$"), " ".join((one.arguments[0], *entries))
        elif one.name == "set" and len(one.arguments) > 1:
            yield one.arguments[0].removeprefix("$"), f"{around} {one.arguments[1]}"
        else:
            yield from _made(one.block, " ".join(one.arguments) if one.name == "if" else "")


def _ends(one: Directive) -> bool:
    return one.name == "break" or (one.name == "rewrite" and one.arguments[-1:] == ("break",))


def _named(block: Block, name: str) -> Iterator[Directive]:
    return (one for one in block if one.name == name)


def _within(block: Iterable[Directive]) -> Iterator[Directive]:
    for one in block:
        yield one
        yield from _within(one.block)

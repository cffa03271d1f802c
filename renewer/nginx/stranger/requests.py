"""Follows a stranger's requests through a server of nginx, phase by phase.

The phases (nginx's development guide): the server's rewrites, the location, its rewrites, limits, access,
`try_files`, content. A status of 300 and above continues where an `error_page` leads: to a named location,
which skips the server's rewrites, or to a path, which goes through them again. A location whose content is
reached is open; if that depends on something that is not understood, it is unclear. The text of a `return`,
and a file that an `error_page` names in full, are answers: they are meant for everybody.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from renewer.nginx.configuration import Directive
from renewer.nginx.stranger import access
from renewer.nginx.stranger.access import Say, Seen, doubtful
from renewer.nginx.stranger.contexts import Context
from renewer.nginx.stranger.pages import there
from renewer.nginx.stranger.paths import EMPTY, Path, leads_to
from renewer.nginx.stranger.rewrites import ELSEWHERE, Rewrites, Way
from renewer.nginx.stranger.variables import Rest, Variables, named

_HOPS = 40
"""The most steps between server and locations; nginx itself gives up earlier, after ten redirects."""

_EARLY = (400, 405, 421, 494, 495, 496, 497, 501)
"""nginx's own answers before it reads a server's directives, such as 405 to TRACE."""

_FOUND = (301, 413)
"""nginx's own answers once it has found a location, before that location's directives apply."""

_BUSY, _REFUSED = (429, 503), (401, 403)
_BEHIND, _FILES = (413, 500, 502, 503, 504), (403, 404, 405, 416, 500)
"""The answers of a backend, and those for missing files and invalid requests of files."""

_GOOD = range(200, 300)


class Stranger:
    """Follows every request of a stranger through a server, and records the results.

    `answers` are the final statuses of nginx's own requests (`auth_request`).
    """

    def __init__(
        self,
        server: Context,
        variables: Variables,
        files: Collection[str],
        tls: Collection[str],
        *,
        asked: bool = False,
    ) -> None:
        self.open: dict[Context, Seen] = {}
        self.on_purpose: dict[Context, str] = {}
        self._unclear: dict[tuple[Context, str], Seen] = {}
        self.answers: list[tuple[int, Seen | None]] = []
        self._logins = False
        self._server, self._variables, self._files, self._tls = server, variables, files, tls
        self._rewrites = Rewrites(server, variables, files)
        self._asked = asked
        self._been: set[tuple[str, Way]] = set()

    def comes(self) -> None:
        """Follow the requests that the stranger sends."""
        way = Way(self._server, Path())
        self._fails(way, _EARLY)
        if not self._wants_certificate:
            self._serve(way)

    @property
    def guards(self) -> bool:
        """Whether anything requires a session or a login."""
        return self._logins or self._rewrites.ask

    @property
    def unclear(self) -> Iterator[Seen]:
        """Yield the directives that are not understood, except where the location is open anyway."""
        yield from (seen for (context, _), seen in self._unclear.items() if context not in self.open)
        if self._rewrites.given_up:
            yield doubtful(self._rewrites.given_up, "there are too many ways through it")

    @property
    def _wants_certificate(self) -> bool:
        """Whether every socket of the server requires a client certificate."""
        verify = self._server.nearest("ssl_verify_client")
        old = [one.arguments == ("on",) for one in self._server.nearest("ssl")]
        sockets = [one.arguments[0] for one in self._server.own("listen") if one.arguments]
        encrypted = bool(sockets) and all(one in self._tls for one in sockets)
        return bool(verify) and verify[-1].arguments == ("on",) and (encrypted or any(old))

    def _is_new(self, phase: str, way: Way) -> bool:
        """Return whether no such request has been followed before."""
        if way.hops > _HOPS:
            self._rewrites.given_up = self._rewrites.given_up or way.context.directive
        fresh = (phase, way) not in self._been and not self._rewrites.given_up
        self._been.add((phase, way))
        return fresh

    # The phases, in nginx's order.

    def _serve(self, way: Way) -> None:
        """Apply the server's rewrites."""
        way = replace(way, context=self._server, hops=way.hops + 1)
        if self._is_new("server", way):
            for after in self._rewrite(self._server.block, way):
                self._find(replace(after, moved=False))

    def _find(self, way: Way) -> None:
        if self._is_new("find", way):
            for context, path in leads_to(self._server, way.path):
                self._enter(replace(way, context=context, path=path, hops=way.hops + 1))

    def _enter(self, way: Way) -> None:
        """Enter a location, and apply its rewrites."""
        if not self._is_new("enter", way) or not self._rewrites.steps(way.context.directive):
            return
        context = way.context
        if context.nearest("internal") and not way.internal:
            self._fails(way, [404])
            return
        self._fails(way, _FOUND)
        if context is self._server:
            self._access(way)
            return
        for limited in context.own("limit_except"):
            why = "for the methods that it is about, it takes the place of the gate around it"
            self._access(replace(way, context=Context(limited, context), why=way.why or why))
        for after in self._rewrite(context.block, way):
            (self._find if after.moved else self._access)(replace(after, moved=False))

    def _rewrite(self, block: Sequence[Directive], way: Way) -> Iterator[Way]:
        """Yield the requests that continue after a block's rewrites; follow the answers to the others."""
        for way_out in self._rewrites.through(tuple(block), way):
            if way_out.answer is None:
                yield way_out.way
            elif way_out.may_go_on:
                self._fails(way_out.way, [way_out.answer])
            else:
                self._answer(way_out.way, way_out.answer)

    def _access(self, way: Way) -> None:
        """Apply the limits, and the rules for logins and addresses."""
        if not self._is_new("access", way):
            return
        context = way.context
        if context.nearest("limit_req", "limit_conn"):
            own = context.nearest("limit_req_status", "limit_conn_status")
            self._fails(way, [*_BUSY, *(int(one.arguments[0]) for one in own)])
        if self._asked:  # nginx skips this for its own requests
            self._try(way)
            return
        sides = [self._addresses(way), self._password(way), self._ask(way)]
        for passes, doubt in access.outcomes(context, sides):
            after = replace(way, doubt=way.doubt or doubt)
            if passes:
                self._try(after)
            else:
                asks = [500] if context.nearest("auth_request") else []
                self._fails(after, [*_REFUSED, *asks])

    def _try(self, way: Way) -> None:
        """Apply `try_files`."""
        tried = way.context.own("try_files")
        if not tried:
            self._content(way)
            return
        *files, last = tried[-1].arguments
        for file in files:
            named_in_full = "$" not in file and not file.endswith("/")
            found = there(way.context, file) if named_in_full else True
            if found is not False:
                after = way if found else way.doubted(tried[-1], f"whether {file} is there is not known")
                as_asked = way.context.passes_on or file.rstrip("/") == "$uri"
                (self._content if as_asked else self._reached)(after)
        if last.startswith("="):
            self._fails(way, [int(last[1:])])
        else:
            self._lead(way, last, tried[-1])

    def _content(self, way: Way) -> None:
        """Let the location answer, from a backend or from files."""
        if way.context.passes_on:
            self._reached(way)
            pages = way.context.nearest("error_page") if _intercepts(way.context) else []
            codes = (int(one) for page in pages for one in page.arguments if one.isdecimal())
            self._fails(way, [*_BEHIND, *codes])
            return
        if way.internal and way.path.whole and not way.path.start.endswith("/"):
            self._page(way)
        elif not way.path.broken:  # file names have no line breaks
            self._reached(way)
            self._index(way)
        self._fails(way, _FILES)

    def _page(self, way: Way) -> None:
        """Answer with one file; it is meant for strangers if an `error_page` names it."""
        found = there(way.context, way.path.start)
        if way.erred:
            self._answer(way, 200)
        elif found is not False:
            place = way.context.location.directive
            self._reached(
                way if found else way.doubted(place, f"whether {way.path.start} is there is not known")
            )

    def _index(self, way: Way) -> None:
        names = [name for one in way.context.nearest("index") for name in one.arguments] or ["index.html"]
        way = replace(way, internal=True, why=f"{way.context.location.directive.place} has it as an index")
        for name in names:
            if "$" in name:
                self._serve(replace(way, path=Path(vague=True)))
                continue
            for start in way.path.samples:
                folder = start if start.endswith("/") else f"{start}/"
                if not way.path.whole or folder == start:
                    path = Path(name if name.startswith("/") else folder + name, whole=True)
                    self._serve(replace(way, path=path))

    def _reached(self, way: Way) -> None:
        """Record that a stranger gets the content of a location."""
        context = way.context.location
        name = "root" if context is self._server else context.directive.label
        if self._asked:
            self._say(way)
        elif context.on_purpose:
            self.on_purpose.setdefault(context, name)
        elif way.doubt:
            why = f"{way.doubt.why}, and {name} depends on it"
            self._unclear.setdefault((context, way.doubt.place), replace(way.doubt, why=why))
        else:
            why = way.why or _nothing(context, self._server)
            self.open.setdefault(context, Seen(context.directive.place, name, why))

    def _say(self, way: Way) -> None:
        """Record the answer of the location of `auth_request`; a service is trusted to refuse strangers."""
        pages = way.context.nearest("error_page") if _intercepts(way.context) else []
        asks = [one for one in way.context.nearest("auth_request") if one.arguments != ("off",)]
        if not way.context.passes_on:
            self._answer(
                way.doubted(way.context.location.directive, "whether it finds a file is not known"), 200
            )
        elif pages:
            self._answer(way.doubted(pages[0], "whether it makes a yes of a refusal is not known"), 200)
        elif asks and not way.context.nearest("internal"):
            self._answer(way.doubted(asks[0], "whether it asks what it is to guard is not known"), 200)
        else:
            self._answer(way, 401)

    # Consequences of a status.

    def _fails(self, way: Way, codes: Iterable[int]) -> None:
        """Continue where the `error_page` of each status leads, or answer."""
        pages = [] if way.erred else way.context.nearest("error_page")
        for code in codes:
            page = next((one for one in pages if str(code) in one.arguments[:-1]), None)
            if page is None:
                self._answer(way, code)
                continue
            again = [one.arguments for one in way.context.nearest("recursive_error_pages")] == [("on",)]
            over = next((one[1:] for one in page.arguments[:-1] if one.startswith("=")), str(code))
            status = int(over) if over else None
            why = f"whoever is refused is led there by {page.place}"
            self._lead(replace(way, erred=not again, status=status, why=why), page.arguments[-1], page)

    def _answer(self, way: Way, code: int) -> None:
        self.answers.append((way.status or code, way.doubt))

    def _lead(self, way: Way, to: str, by: Directive) -> None:
        """Continue at a name, a path or an address from the configuration."""
        way = replace(way, why=way.why or f"{by.place} leads there")
        if to.startswith("@"):
            self._name(way, to)
        elif to.startswith("/") or named(to) in {"uri", "document_uri"}:
            self._serve(replace(way, path=self._variables.path(to, way.request), internal=True))
        elif to.startswith("$") and not ELSEWHERE.match(to):
            self._lead_by_variable(way, to, by)
        else:
            self._answer(way, 302)

    def _lead_by_variable(self, way: Way, to: str, by: Directive) -> None:
        """Continue wherever a variable may lead; a value from a login service is trusted."""
        value = self._variables.text(to, way.request)
        for text in value.texts:
            self._lead(way, text, by)
        if value.rest and named(to) not in self._variables.judged:
            unsure = way if value.rest < Rest.UNKNOWN else way.doubted(by, "where it leads is not known")
            for one in self._server.locations:
                if one.modifier == "@":
                    self._name(unsure, one.path)
            self._serve(replace(unsure, path=Path(vague=True), internal=True))

    def _name(self, way: Way, name: str) -> None:
        for one in self._server.locations:
            if one.path == name and way.path != EMPTY:
                self._enter(replace(way, context=one, internal=True, hops=way.hops + 1))

    # Access.

    def _addresses(self, way: Way) -> list[Say]:
        """Return the answers of the address rules; those in place of a gate let in, if anyone may come in."""
        context = way.context
        if context.name == "limit_except" and context.own("allow") and context.outer:
            location = replace(way, context=context.outer)
            if not any(True for _ in self._rewrite(context.outer.block, location)):
                return [(True, None)]
        return access.addresses(self._server, context)

    def _password(self, way: Way) -> list[Say]:
        found = access.password(way.context, lambda text: self._variables.text(text, way.request))
        self._logins |= (False, None) in found
        return found

    def _ask(self, way: Way) -> list[Say]:
        """Return the possible answers of the location of `auth_request`."""
        asked = way.context.nearest("auth_request")
        if not asked or asked[-1].arguments[:1] == ("off",):
            return [access.NOTHING]
        self._logins = True
        inner = Stranger(self._server, self._variables, self._files, self._tls, asked=True)
        path = Path(asked[-1].arguments[0], whole=True)
        inner._serve(Way(self._server, path, way.sets, internal=True))
        self._rewrites.given_up = self._rewrites.given_up or inner._rewrites.given_up
        return list({(code in _GOOD, doubt) for code, doubt in inner.answers}) or [(False, None)]


def _nothing(context: Context, server: Context) -> str:
    if context is server:
        return "a request that no location is for gets a file of it"
    return "it has no gate of its own, and that of a location around it does not count"


def _intercepts(context: Context) -> bool:
    """Return whether `error_page` also applies to the answers of a backend."""
    names = (f"{kind}_intercept_errors" for kind in ("proxy", "fastcgi", "uwsgi", "scgi", "grpc"))
    return any(one.arguments == ("on",) for one in context.nearest(*names))

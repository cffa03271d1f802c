"""nginx's rewrite module: the effects of `set`, `if`, `return`, `break` and `rewrite` on a request. Pure."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from renewer.nginx.configuration import Directive
from renewer.nginx.stranger.access import Seen, doubtful
from renewer.nginx.stranger.contexts import Context
from renewer.nginx.stranger.paths import EMPTY, Path
from renewer.nginx.stranger.variables import Request, Value, Variables, named, spans

ELSEWHERE = re.compile(r"https?://|\$scheme\b")
"""The prefixes of an address outside of this server."""

_ENDS = ("break", "return", "if", "rewrite")
_REDIRECTS = (301, 302, 303, 307, 308)
_WRONG = 400
_MOST = 20_000
"""The most lines followed for one server; a line counts once for each way to it."""

_DEEPEST = 200
"""The most conditions and rewrites of one block that are followed."""


_SIGNATURES = frozenset(
    {
        "$rn_key|S|$rn_scope|$rn_kid|$rn_sub|$rn_exp|$rn_key",
        "$rn_key|L|$rn_scope|$rn_kid|$rn_sub|$rn_exp|$rn_key",
        "$arg_expires$uri $rn_url_key",
    }
)
"""The signed texts of renewer's own files; nobody else knows the key in them."""


@dataclass(frozen=True)
class Way:
    """The position of a request, and how it got there.

    `moved`: it has a new path, for which a location must be found; `erred`: an `error_page` redirected it;
    `status`: the status of that page's answer; `doubt`: the first directive that is not understood.
    """

    context: Context
    path: Path
    sets: tuple[tuple[str, Value], ...] = ()
    moved: bool = False
    internal: bool = False
    erred: bool = False
    status: int | None = None
    doubt: Seen | None = None
    hops: int = field(default=0, compare=False)
    why: str = field(default="", compare=False)

    def doubted(self, one: Directive, why: str) -> "Way":
        """Return a copy with a directive that is not understood."""
        return self if self.doubt else replace(self, doubt=doubtful(one, why))

    def setting(self, name: str, value: Value) -> "Way":
        """Return a copy with a variable set."""
        return replace(self, sets=tuple(sorted({**dict(self.sets), name: value}.items(), key=_name)))

    @property
    def request(self) -> Request:
        """The data on which the values of variables depend."""
        signed = [" ".join(one.arguments) in _SIGNATURES for one in self.context.nearest("secure_link_md5")]
        former = bool(self.context.nearest("secure_link_secret"))
        claimed = any(spans(one.arguments[0]) for one in self.context.nearest("set_real_ip_from"))
        ours = False if former else next(iter(signed), None)
        return Request(self.path, ours, dict(self.sets), claimed=claimed)


@dataclass(frozen=True)
class End:
    """The result of the rewrites: the request continues, or gets an answer, perhaps with an `error_page`."""

    way: Way
    answer: int | None = None
    may_go_on: bool = False


class Rewrites:
    """The rewrites of a server and its locations; `ask`: one of them required a session."""

    def __init__(self, server: Context, variables: Variables, files: Collection[str]) -> None:
        self._server, self._variables, self._files = server, variables, files
        self.ask = False
        self.given_up: Directive | None = None
        self._steps = 0

    def steps(self, one: Directive, depth: int = 0) -> bool:
        """Return whether to follow a directive; not if there are too many ways to it."""
        self._steps += 1
        if self._steps > _MOST or depth > _DEEPEST:
            self.given_up = self.given_up or one
        return self.given_up is None

    def through(self, todo: tuple[Directive, ...], way: Way, depth: int = 0) -> Iterator[End]:
        """Yield the possible results of a block for a request, line by line as in nginx."""
        for number, one in enumerate(todo):
            rest = todo[number + 1 :]
            if one.name == "set" and len(one.arguments) > 1:
                value = self._variables.text(one.arguments[1], way.request)
                way = way.setting(named(one.arguments[0]), value)
            elif one.name in _ENDS:
                if self.steps(one, depth):
                    yield from self._ends(one, rest, way, depth + 1)
                return
        yield End(way)

    def _ends(self, one: Directive, rest: tuple[Directive, ...], way: Way, depth: int) -> Iterator[End]:
        """Yield the possible results from a line on that does not treat all requests alike."""
        if one.name == "break":
            yield End(replace(way, moved=False, why=way.why or self._ended(one)))
        elif one.name == "return":
            yield self._returned(one, way)
        elif one.name == "if":
            for after, block in self._chosen(one, way):
                yield from self.through((*block, *rest), after, depth)
        else:
            for end, goes_on in self._rewritten(one, way):
                yield from self.through(rest, end.way, depth) if goes_on else (end,)

    def _chosen(self, one: Directive, way: Way) -> Iterator[tuple[Way, Sequence[Directive]]]:
        """Yield the results of an `if` for a request: with its block, and without."""
        outcome = self._variables.meets(one.arguments, way.request)
        self.ask |= outcome.session and way.context.location.directive.file not in self._files
        why = "whether a stranger meets this condition is not known"
        for met, certain in outcome.ways.items():
            after = way if certain else way.doubted(one, why)
            if met and way.context is not self._server:
                after = replace(after, context=Context(one, way.context.holding(one)))
            yield after, one.block if met else ()

    def _rewritten(self, one: Directive, way: Way) -> Iterator[tuple[End, bool]]:
        """Yield the results of a `rewrite` for a request, and whether the next line applies to them."""
        pattern, to, *flags = one.arguments
        for met, certain in way.path.fits(pattern).items():
            after = way if certain else way.doubted(one, "whether every path meets its pattern is not known")
            if not met:
                yield End(replace(after, path=way.path.unmet(pattern))), True
            elif ELSEWHERE.match(to) or {"redirect", "permanent"} & set(flags):
                yield End(after, 301 if "permanent" in flags else 302, may_go_on=True), False
            else:
                if to.startswith("$"):  # the path may become empty, which is an error
                    yield End(replace(after, path=EMPTY), 500, may_go_on=True), False
                ends = bool({"last", "break"} & set(flags))
                why = after.why or (self._ended(one) if ends else f"{one.place} leads there")
                path, moved = self._variables.path(to, way.request), "break" not in flags
                yield End(replace(after, path=path, moved=moved, internal=True, why=why)), not ends

    def _returned(self, one: Directive, way: Way) -> End:
        code = int(one.arguments[0]) if one.arguments and one.arguments[0].isdecimal() else 302
        plain = code >= _WRONG and len(one.arguments) == 1
        return End(way, code, may_go_on=plain or code in _REDIRECTS)

    def _ended(self, one: Directive) -> str:
        if any(one is own for own in self._server.block):
            return f"{one.place} ends what the server checks, and no gate behind it counts"
        return f"{one.label} at {one.place} ends what nginx checks, and no gate behind it counts"


def _name(entry: tuple[str, Value]) -> str:
    return entry[0]

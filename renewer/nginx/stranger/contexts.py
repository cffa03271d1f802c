"""nginx's blocks: the directives in each, and those inherited from the enclosing blocks. Pure."""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from renewer.nginx.configuration import Directive

_PASSES = ("proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass")


class Context:
    """A block that applies to a request (http, server, location, if, limit_except), and its parent."""

    def __init__(self, directive: Directive, outer: "Context | None" = None) -> None:
        self.directive = directive
        self.outer = outer

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Context):
            return NotImplemented
        return self.directive is other.directive and self.outer == other.outer

    def __hash__(self) -> int:
        return id(self.directive)

    @property
    def block(self) -> Sequence[Directive]:
        """The directives in it."""
        return self.directive.block

    @property
    def name(self) -> str:
        """The kind of block."""
        return self.directive.name

    def own(self, *names: str) -> list[Directive]:
        """Return its own directives of these names."""
        return [one for one in self.block if one.name in names]

    def nearest(self, *names: str) -> list[Directive]:
        """Return its own directives of these names, or those that it inherits."""
        return self.own(*names) or (self.outer.nearest(*names) if self.outer else [])

    @cached_property
    def locations(self) -> list["Context"]:
        """The locations directly in it."""
        return [Context(one, self) for one in self.own("location") if one.arguments]

    @property
    def all_locations(self) -> Iterator["Context"]:
        """The locations in it, and those within them."""
        for one in self.locations:
            yield one
            yield from one.all_locations

    @property
    def on_purpose(self) -> bool:
        """Whether it explicitly lets everybody in."""
        rules = self.own("allow", "deny")
        return bool(rules) and (rules[0].name, rules[0].arguments) == ("allow", ("all",))

    @property
    def passes_on(self) -> bool:
        """Whether a backend answers; an `if` inherits that from its location."""
        own = any(one.name in _PASSES for one in self.block)
        return own or bool(self.name in {"if", "limit_except"} and self.outer and self.outer.passes_on)

    @property
    def location(self) -> "Context":
        """The location, server or limit_except that contains an `if`."""
        return self.outer.location if self.name == "if" and self.outer else self

    def holding(self, one: Directive) -> "Context":
        """Return the block that contains a directive: this one, or an enclosing one."""
        return (
            self if self.outer is None or any(one is own for own in self.block) else self.outer.holding(one)
        )

    @property
    def is_pattern(self) -> bool:
        """Whether a location is for a regular expression."""
        return self.modifier in {"~", "~*"}

    @property
    def modifier(self) -> str:
        """The modifier before a location's path: `=`, `^~`, `~`, `~*` or nothing; for a named one `@`."""
        first = self.directive.arguments[0]
        if len(self.directive.arguments) > 1:
            return first
        glued = re.match(r"=|\^~|~\*|~|@", first)
        return glued[0] if glued else ""

    @property
    def path(self) -> str:
        """A location's path or pattern, or its name."""
        last = self.directive.arguments[-1]
        return (
            last if len(self.directive.arguments) > 1 else last.removeprefix(self.modifier.replace("@", ""))
        )

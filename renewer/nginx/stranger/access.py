"""nginx's access phase: whether address rules, passwords or `auth_request` let a stranger in. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from renewer.nginx.configuration import Directive
from renewer.nginx.stranger.contexts import Context
from renewer.nginx.stranger.variables import Value, spans

_FAMILIES = {"v4": "0.0.0.0/0", "v6": "::/0", "unix": "unix:"}


@dataclass(frozen=True)
class Seen:
    """A directive that is open or not understood: its place, its name, and the reason."""

    place: str
    name: str
    why: str


Say = tuple[bool | None, Seen | None]
"""The possible answers of a guard (yes, no, nothing), each with a doubt if it is not certain."""

NOTHING: Say = (None, None)


def outcomes(context: Context, guards: Sequence[Sequence[Say]]) -> Iterator[tuple[bool, Seen | None]]:
    """Yield whether a stranger passes, for every combination of the guards' answers, with the doubt."""
    any_will_do = [one.arguments for one in context.nearest("satisfy")][-1:] == [("any",)]
    for choice in dict.fromkeys(product(*guards)):
        said = [one for one, _ in choice]
        yield (
            False not in said or (any_will_do and True in said),
            next((doubt for _, doubt in choice if doubt), None),
        )


def addresses(server: Context, context: Context) -> list[Say]:
    """Return the possible answers of `allow` and `deny` for an address that no rule names."""
    rules = context.nearest("allow", "deny")
    listens = " ".join(one.arguments[0] for one in server.own("listen") if one.arguments)
    families = ["v4", *(["v6"] if "[" in listens else []), *(["unix"] if "unix:" in listens else [])]
    allowed = [one for one in rules if one.name == "allow" and one.arguments]
    wide = [one for one in allowed if spans(one.arguments[0]) and not one.arguments[0].endswith("/0")]
    claimed = [one for one in context.nearest("set_real_ip_from") if allowed and spans(one.arguments[0])]
    return [
        *((_first(rules, family), None) for family in families),
        *((True, doubtful(one, "strangers may have addresses in this network")) for one in wide),
        *((True, doubtful(one, "anybody may say that his address is another")) for one in claimed),
    ]


def password(context: Context, text: Callable[[str], Value]) -> list[Say]:
    """Return the possible answers of `auth_basic`; without a password file it has none."""
    realm = context.nearest("auth_basic")
    if not realm or not context.nearest("auth_basic_user_file"):
        return [NOTHING]
    value = text(realm[-1].arguments[0])
    found: list[Say] = [(None if one == "off" else False, None) for one in value.texts]
    if value.rest:
        found.append((None, doubtful(realm[-1], "whether it is ever off is not known")))
    return found


def doubtful(one: Directive, why: str) -> Seen:
    """Return the entry for a directive that is not understood."""
    return Seen(one.place, one.label, why)


def _first(rules: Sequence[Directive], family: str) -> bool | None:
    """Return the answer of the first rule that covers every address of a family."""
    for one in rules:
        if one.arguments[:1] == ("all",) or one.arguments[:1] == (_FAMILIES[family],):
            return one.name == "allow"
    return None

"""Parts of a command's help: examples, and the names a shell completes."""

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

from renewer.config import load, schema
from renewer.core.errors import RenewerError

HEADING = "Examples:"

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""The type of `shell_complete` of an argument or option."""


def examples(*calls: str) -> str:
    """Return the `epilog` of a command: calls to copy, each with its purpose after a #."""
    return "\n".join(("\b", HEADING, *(f"  {call}" for call in calls)))


def _offer(names: Callable[[schema.Config, click.Context], Iterable[str]]) -> Completion:
    """Complete names from the configuration; offer none, silently, if it cannot be read."""

    def complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        file = context.find_root().params.get("file")
        if not file or file == load.STANDARD_INPUT:
            return []
        try:
            known = names(load.load(file), context)
        except RenewerError:
            return []
        taken = context.params.get(parameter.name or "")
        given = taken if isinstance(taken, tuple | list) else ()
        return [CompletionItem(name) for name in known if name.startswith(begun) and name not in given]

    return complete


def _people(settings: schema.Config, context: click.Context) -> Iterable[str]:
    site = settings.sites.get(context.params.get("site") or "")
    return site.people if site else ()


certificates = _offer(lambda settings, _: settings.certificates)
sites = _offer(lambda settings, _: settings.sites)
people = _offer(_people)


def files(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:  # noqa: ARG001 - click's
    """Leave completing a file name to the shell."""
    return [CompletionItem(begun, type="file")]

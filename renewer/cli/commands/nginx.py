"""`renewer nginx`: what nginx includes, and the lines for it."""

import click

from renewer.cli.commands.context import Call
from renewer.cli.commands.help import examples
from renewer.cli.commands.output import echo
from renewer.nginx import snippets


@click.command(
    short_help="Write what nginx includes, and print the lines for it.",
    epilog=examples(
        "renewer nginx    # then put what it prints into nginx's configuration",
    ),
)
@click.pass_obj
def nginx(call: Call) -> int:
    """Write the files that nginx includes, where they are missing, and print the lines for nginx."""
    settings = call.load()
    with call.report() as told:
        engine = call.engine(told)
        engine.follower.begin()
        for path in engine.prepare():
            told.done("nginx", f"wrote {path}")
    echo(*snippets.text(settings.specs, settings.site_specs, settings.state).split("\n"))
    return 0

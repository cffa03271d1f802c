"""`renewer nginx`: write the files nginx includes, and print the lines that include them."""

import click

from renewer.cli.commands.context import Call
from renewer.cli.commands.help import examples
from renewer.cli.commands.output import echo
from renewer.nginx import snippets


@click.command(
    short_help="Print the lines for nginx's configuration.",
    epilog=examples(
        "renewer nginx    # then add what it prints to nginx's configuration",
    ),
)
@click.pass_obj
def nginx(call: Call) -> int:
    """Write the files nginx includes, if they are missing, and print the lines for nginx's configuration."""
    settings = call.load()
    with call.report() as report:
        engine = call.engine(report)
        engine.follower.begin()
        for path in engine.prepare():
            report.done("nginx", f"wrote {path}")
    echo(*snippets.text(settings.specs, settings.site_specs, settings.state).split("\n"))
    return 0

"""`renewer status`: show what is stored, served and due."""

import click

from renewer.cli.commands.context import Answering, Call
from renewer.cli.commands.help import examples
from renewer.cli.commands.output import echo, raw
from renewer.cli.render import json_output, tables, text


@click.command(
    cls=Answering,
    short_help="Show what is stored, served and due.",
    epilog=examples(
        "renewer status",
        "renewer status --json | jq .exit           # for a monitoring program",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as renew does.")
@click.pass_obj
def status(call: Call, *, as_json: bool) -> int:
    """Show what is stored, what nginx serves, and what is due; contacts only nginx."""
    with call.report() as report:
        engine = call.engine(report)
        outcome = engine.status()
    if as_json:
        raw(json_output.as_json(outcome))
    else:
        echo(*tables.status(outcome, engine.clock.now(), tables.width()), styled=True)
    return text.exit_code(outcome)

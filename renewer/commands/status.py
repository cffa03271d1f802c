"""`renewer status`: what is stored, served and due."""

import click

from renewer import overview, show
from renewer.commands.call import Answering, Call
from renewer.commands.help import examples
from renewer.commands.output import echo, raw


@click.command(
    cls=Answering,
    short_help="Show what is stored, served and due.",
    epilog=examples(
        "renewer status",
        "renewer status --json | jq .exit           # for a program that watches",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as renew does.")
@click.pass_obj
def status(call: Call, *, as_json: bool) -> int:
    """Show what is stored, what nginx serves, and what is due; asks nobody but nginx."""
    with call.report() as told:
        engine = call.engine(told)
        outcome = engine.status()
    if as_json:
        raw(show.as_json(outcome))
    else:
        echo(*overview.status(outcome, engine.clock.now(), overview.width()), styled=True)
    return show.exit_code(outcome)

"""`renewer status`: what is stored, served and due."""

import click

from renewer.commands.call import Call, present


@click.command(short_help="Show what is stored, served and due.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as renew does.")
@click.pass_obj
def status(call: Call, *, as_json: bool) -> int:
    """Show what is stored, what nginx serves, and what is due; asks nobody but nginx."""
    with call.report() as told:
        outcome = call.engine(told).status()
    return present(outcome, as_json=as_json, ahead=True)

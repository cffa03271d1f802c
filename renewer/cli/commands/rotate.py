"""`renewer rotate`: a new key for a site."""

import click

from renewer.cli.commands.context import Answering, Call, conclude
from renewer.cli.commands.help import examples, sites
from renewer.core.site import Asked


@click.command(
    cls=Answering,
    short_help="Give a site a new key.",
    epilog=examples(
        "renewer rotate nodered          # the old key is honoured for the grace",
        "renewer rotate nodered --now    # after a leak: all need new links",
    ),
)
@click.argument("site", shell_complete=sites)
@click.option(
    "--now", is_flag=True, help="End the old keys at once, with every link and session: for a leak."
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, as renew does.")
@click.pass_obj
def rotate(call: Call, site: str, *, now: bool, as_json: bool) -> int:
    """Give a site a new key; the old one is honoured for the grace, so nobody is shut out."""
    with call.report() as told:
        outcome = call.cycle(told, lambda engine: engine.rotate(Asked(site, at_once=now)))
    return conclude(call, outcome, as_json=as_json)

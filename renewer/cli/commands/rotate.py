"""`renewer rotate`: give a site a new key."""

import click

from renewer.cli.commands.context import Answering, Call, conclude
from renewer.cli.commands.help import examples, sites
from renewer.core.site import Asked


@click.command(
    cls=Answering,
    short_help="Give a site a new key.",
    epilog=examples(
        "renewer rotate nodered          # the old key works until the grace ends",
        "renewer rotate nodered --now    # after a leak: everyone needs a new link",
    ),
)
@click.argument("site", shell_complete=sites)
@click.option(
    "--now", is_flag=True, help="After a leak: invalidate the old keys, all links and all sessions at once."
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, as renew does.")
@click.pass_obj
def rotate(call: Call, site: str, *, now: bool, as_json: bool) -> int:
    """Give a site a new key; the old one is accepted until the grace ends, so nobody is locked out."""
    with call.report() as report:
        outcome = call.cycle(report, lambda engine: engine.rotate(Asked(site, at_once=now)))
    return conclude(call, outcome, as_json=as_json)

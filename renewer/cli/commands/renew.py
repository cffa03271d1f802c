"""`renewer renew`: one cycle, then exit."""

from collections.abc import Sequence

import click

from renewer.cli.commands.context import Answering, Call, conclude, present
from renewer.cli.commands.help import certificates, examples


@click.command(
    cls=Answering,
    short_help="Run one cycle: obtain what is due, deploy what is not served.",
    epilog=examples(
        "renewer renew                              # what is due",
        "renewer renew --dry-run example.com        # tells what it would do",
        "renewer renew --force --json example.com   # a new certificate now",
    ),
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=certificates)
@click.option("--force", is_flag=True, help="Order a new certificate although the old one is not due.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_obj
def renew(call: Call, names: Sequence[str], *, force: bool, dry_run: bool, as_json: bool) -> int:
    """Run one cycle and exit: obtain what is due, deploy what is not served.

    Without NAME, every certificate of the configuration. Fit for a terminal and for cron: without a terminal
    only problems are printed.
    """
    if dry_run:
        with call.report() as told:
            outcome = call.engine(told).run(names, force=force, dry_run=True)
        return present(outcome, as_json=as_json, ahead=True)
    with call.report() as told:
        outcome = call.cycle(told, lambda engine: engine.run(names, force=force))
    return conclude(call, outcome, as_json=as_json)

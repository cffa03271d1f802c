"""`renewer renew`: one cycle, then exit."""

from collections.abc import Sequence

import click

from renewer.cli.commands.context import Answering, Call, conclude, present
from renewer.cli.commands.help import certificates, examples


@click.command(
    cls=Answering,
    short_help="Run one cycle: order what is due, deploy what is not served.",
    epilog=examples(
        "renewer renew                              # all that is due",
        "renewer renew --dry-run example.com        # only print what would be done",
        "renewer renew --force --json example.com   # a new certificate now",
    ),
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=certificates)
@click.option("--force", is_flag=True, help="Order a new certificate even if the present one is not due.")
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_obj
def renew(call: Call, names: Sequence[str], *, force: bool, dry_run: bool, as_json: bool) -> int:
    """Run one cycle and exit: order certificates that are due, deploy those that nginx does not serve yet.

    Without NAME, it handles every certificate of the configuration. Fit for cron: without a terminal it
    prints only problems.
    """
    if dry_run:
        with call.report() as report:
            outcome = call.engine(report).run(names, force=force, dry_run=True)
        return present(outcome, as_json=as_json, ahead=True)
    with call.report() as report:
        outcome = call.cycle(report, lambda engine: engine.run(names, force=force))
    return conclude(call, outcome, as_json=as_json)

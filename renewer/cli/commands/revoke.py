"""`renewer revoke`: revoke a certificate and replace it."""

import click

from renewer.cli.commands.context import Answering, Call, conclude
from renewer.cli.commands.help import certificates, examples
from renewer.core.model import Reason


@click.command(
    cls=Answering,
    short_help="Revoke a certificate and replace it.",
    epilog=examples(
        "renewer revoke example.com --reason keyCompromise",
    ),
)
@click.argument("name", shell_complete=certificates)
@click.option(
    "--reason",
    type=click.Choice([str(reason) for reason in Reason]),
    default=str(Reason.UNSPECIFIED),
    show_default=True,
    help="Reason reported to the CA; keyCompromise if someone else may have the key.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, as renew does.")
@click.pass_obj
def revoke(call: Call, name: str, reason: str, *, as_json: bool) -> int:
    """Revoke the certificate NAME at the CA, and replace it at once by one with a new key.

    If the CA cannot be reached, the next run completes it.
    """
    with call.report() as report:
        outcome = call.cycle(report, lambda engine: engine.revoke(name, Reason(reason)))
    return conclude(call, outcome, as_json=as_json)

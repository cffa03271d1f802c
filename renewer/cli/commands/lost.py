"""`renewer lost`, for the daemon: send the notifications for a cycle that was killed."""

import click

from renewer.cli.commands.context import Call
from renewer.core.errors import Unexpected
from renewer.core.model import Outcome
from renewer.notify import audience
from renewer.system.clock import SystemClock


@click.command(hidden=True)
@click.pass_obj
def lost(call: Call) -> int:
    """Notify that a cycle ended without a result."""
    with call.report() as report:
        settings = call.load()
        if observer := audience.observer(settings, SystemClock(), report, call.follower(settings, report)):
            killed = "a cycle was killed before it could finish"
            hint = "see the log of that time: it may have run out of memory, or hung"
            observer.saw(Outcome(()), Unexpected(killed, hint=hint))
    return 0

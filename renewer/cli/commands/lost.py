"""`renewer lost`, for the daemon alone: tell those outside that a cycle was killed before it could."""

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
    with call.report() as told:
        settings = call.load()
        if observer := audience.observer(settings, SystemClock(), told, call.follower(settings, told)):
            killed = "a cycle was killed before it could end"
            hint = "look into the log of that time: memory may have run out, or it hung"
            observer.saw(Outcome(()), Unexpected(killed, hint=hint))
    return 0

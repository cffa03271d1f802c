"""`renewer lost`, for the daemon alone: tell those outside that a cycle was killed before it could."""

import click

from renewer import audience
from renewer.commands.call import Call
from renewer.errors import Unexpected
from renewer.model import Outcome
from renewer.system import SystemClock


@click.command(hidden=True)
@click.pass_obj
def lost(call: Call) -> int:
    """Tell those outside that a cycle ended without a word."""
    with call.report() as told:
        settings = call.load()
        if observer := audience.observer(settings, SystemClock(), told, call.follower(settings, told)):
            killed = "a cycle was killed before it could end"
            hint = "look into the log of that time: memory may have run out, or it hung"
            observer.saw(Outcome(()), Unexpected(killed, hint=hint))
    return 0

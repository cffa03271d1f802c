"""`renewer accept`, for the daemon: check a configuration and print what the daemon needs to know."""

import json
from datetime import timedelta

import click

from renewer import app
from renewer.cli.commands.context import Call
from renewer.cli.commands.output import raw

CYCLE = timedelta(minutes=30)
"""How long a cycle may take, beyond the longest waits for the DNS and for hooks, before it counts as hung."""


@click.command(hidden=True)
@click.pass_obj
def accept(call: Call) -> int:
    """Check the configuration, and print what the daemon needs to know about it."""
    settings = call.load()
    app.check(settings)
    call.follower(settings, call.report()).refuse_foreign()
    hooks = sum((one.timeout for one in settings.hooks.commands), timedelta())
    deadline = settings.propagation.timeout + hooks + CYCLE
    answer = {
        "text": call.view.text,
        "handed": call.view.handed,
        "state": str(settings.state),
        "deadline": deadline.total_seconds(),
    }
    raw(json.dumps(answer))
    return 0

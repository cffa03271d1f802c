"""`renewer run`: the daemon."""

import os
import sys
from typing import NoReturn

import click

from renewer import config, wire
from renewer.commands.call import Call
from renewer.commands.help import examples
from renewer.errors import ConfigError


@click.command(
    short_help="Run as a daemon.",
    epilog=examples(
        "renewer run                                # the service does this",
        "renewer -v -c /etc/renewer/test.toml run   # by hand, telling every step",
    ),
)
@click.pass_obj
def run(call: Call) -> NoReturn:
    """Run as a daemon: a cycle whenever one is due, until SIGTERM. SIGHUP reads the configuration again."""
    if call.file == config.STANDARD_INPUT:
        raise ConfigError("the daemon reads its configuration again later: name a file with -c FILE")
    wire.check(call.load())
    os.execv(sys.executable, (sys.executable, "-P", "-m", "renewer.daemon", call.file))  # noqa: S606 - our own

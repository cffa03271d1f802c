"""`renewer run`: the daemon."""

import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

import click

from renewer import app
from renewer.cli.commands.context import Call
from renewer.cli.commands.help import examples
from renewer.config import load, schema
from renewer.core.errors import ConfigError
from renewer.service import unit_files
from renewer.service.install import DAEMON
from renewer.system import privileges

SECRETS_FOLDER = "/run/renewer-token"
"""The folder for a copy of the token, for a daemon that is run by hand."""


@click.command(
    short_help="Run as a daemon.",
    epilog=examples(
        "renewer run                                # as the service does",
        "renewer -v -c /etc/renewer/test.toml run   # by hand, logging every step",
    ),
)
@click.pass_obj
def run(call: Call) -> NoReturn:
    """Run as a daemon: run a cycle whenever one is due, until SIGTERM.

    A changed configuration is loaded within a minute, or at once on SIGHUP. If it has faults, the previous
    one stays in force.
    """
    if call.file == load.STANDARD_INPUT:
        raise ConfigError("the daemon reads its configuration again later: name a file with -c FILE")
    settings = call.load()
    if owner := privileges.owner_to_become(settings.state):
        raise ConfigError(
            f"the state folder {settings.state} belongs to {owner.pw_name}, but this runs as root",
            hint=_as_owner(owner.pw_name, Path(call.file).absolute(), settings),
        )
    app.check(settings)
    call.follower(settings, call.report()).refuse_foreign()
    os.execv(sys.executable, (sys.executable, "-P", "-m", "renewer.service.daemon", call.file))  # noqa: S606 - our own


def _as_owner(name: str, file: Path, settings: schema.Config) -> str:
    """Return how to run the daemon as the owner of the state folder, who may not read the token file."""
    if DAEMON in unit_files.works_with(file):
        return "let systemd run it as that user: systemctl start renewer"
    command = shlex.join(["renewer", "-c", str(file), "run"])
    copies = [
        f"install -o {name} -m 400 {shlex.quote(str(one.file))} {SECRETS_FOLDER}/{one.name} &&"
        for one in settings.dns.credentials
        if one.file
    ]
    if not copies:
        return f"run it as that user, with the token from your environment: runuser -u {name} -- {command}"
    return " ".join(
        (
            f"run it as that user, with a copy of the token: install -d -o {name} -m 700 {SECRETS_FOLDER} &&",
            *copies,
            f"CREDENTIALS_DIRECTORY={SECRETS_FOLDER} runuser -u {name} -- {command}",
        )
    )

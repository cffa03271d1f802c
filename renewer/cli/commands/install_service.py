"""`renewer install-service`: the service put in place, and taken out again."""

import click

from renewer.cli.commands.context import Call
from renewer.cli.commands.help import examples
from renewer.cli.commands.output import echo
from renewer.service.install import install, remove
from renewer.service.requirements import refuse_unfit, require_systemd, setting
from renewer.system import privileges


@click.command(
    "install-service",
    short_help="Put the service in place.",
    epilog=examples(
        "renewer install-service --dry-run    # what it would do",
        "renewer install-service              # the daemon, as a user without rights",
        "renewer install-service --timer      # renew four times a day instead",
        "renewer install-service --remove     # as it was before",
    ),
)
@click.option(
    "--timer", is_flag=True, help="A timer that runs renew four times a day, instead of the daemon."
)
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and do nothing.")
@click.option(
    "--remove",
    "out",
    is_flag=True,
    help="Undo it; certificates, state and configuration stay where they are.",
)
@click.pass_obj
def install_service(call: Call, *, timer: bool, dry_run: bool, out: bool) -> int:
    """Put the service in place, enable and start it; each thing that is done is told.

    The daemon runs as a user of its own without any rights; reloading nginx is left to a small helper of
    root's. Called again, it does what is missing.
    """
    require_systemd()
    found = setting(call.file, call.load())
    if not out:
        with privileges.as_owner(found.config.state):
            call.follower(found.config, call.report()).refuse_foreign()
        refuse_unfit(found)
    done = False
    for step in remove(found) if out else install(found, timer=timer):
        if step.act is None:
            echo(f"note: {step.what}", err=True)
            continue
        done = True
        echo(f"would {step.what}" if dry_run else step.what)
        if not dry_run:
            step.act()
    if not done:
        echo("nothing is in place" if out else "all is in place")
    return 0

"""`renewer install-service`: install the systemd service, or remove it."""

import click

from renewer.cli.commands.context import Call
from renewer.cli.commands.help import examples
from renewer.cli.commands.output import echo
from renewer.service.install import install, remove
from renewer.service.requirements import refuse_unfit, require_systemd, setting
from renewer.system import privileges


@click.command(
    "install-service",
    short_help="Install and start the systemd service.",
    epilog=examples(
        "renewer install-service --dry-run    # only print the steps",
        "renewer install-service              # the daemon, as an unprivileged user",
        "renewer install-service --timer      # instead, renew four times a day",
        "renewer install-service --remove     # undo it",
    ),
)
@click.option(
    "--timer", is_flag=True, help="Install a timer that runs renew four times a day, instead of the daemon."
)
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.option(
    "--remove",
    "out",
    is_flag=True,
    help="Remove the service; certificates, state and configuration are kept.",
)
@click.pass_obj
def install_service(call: Call, *, timer: bool, dry_run: bool, out: bool) -> int:
    """Install, enable and start the systemd service, and print every step.

    The daemon runs as a user of its own without privileges; a small root helper reloads nginx for it. Run it
    again to complete what is missing.
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
        echo("nothing is installed" if out else "everything is in place")
    return 0

"""The command line: which commands there are, and where an error becomes a sentence and an exit code."""

import os
import sys
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import NoReturn

import click

from renewer import __version__, report
from renewer.commands.call import Call
from renewer.commands.help import files
from renewer.errors import ConfigError, RenewerError, Unexpected
from renewer.system import never_dump_core

DEFAULT = "/etc/renewer/renewer.toml"

COMMANDS = {
    "init": "init",
    "import": "takeover",
    "renew": "renew",
    "run": "run",
    "status": "status",
    "nginx": "nginx",
    "check": "check",
    "list-generations": "generations",
    "restore": "generations",
    "install-service": "install_service",
    "link": "link",
    "rotate": "rotate",
    "revoke": "revoke",
    "completion": "completion",
    "man": "man",
    "accept": "accept",
    "lost": "lost",
}
"""The commands in the order of the help, each with its file in `commands/`; a function there has its name."""

EXIT_CODES = """\b
Exit codes: 0 done or nothing to do, 1 failed, 75 try again later,
78 the configuration has to be edited, 70 a bug."""


class Commands(click.Group):
    """The commands, each loaded only when it is called or its help is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Return one, or `None` if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        room = import_module(f"renewer.commands.{COMMANDS[cmd_name]}")
        name = cmd_name.replace("-", "_")
        found: click.Command = getattr(room, f"{name}_" if iskeyword(name) else name)
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.option(
    "-c",
    "--config",
    "file",
    default=DEFAULT,
    show_default=True,
    metavar="FILE",
    help="The configuration.",
    shell_complete=files,
)
@click.option("-v", "--verbose", is_flag=True, help="Tell every step on standard error.")
@click.version_option(__version__, prog_name="renewer")
@click.pass_context
def commands(context: click.Context, file: str, *, verbose: bool) -> None:
    """Obtain certificates through DNS-01 at Cloudflare, and see to it that nginx serves them."""
    context.obj = Call(file, verbose)
    context.color = False if report.plain() else None  # for all that a command prints


def main() -> NoReturn:
    """Run the command line; the one place where an error becomes a sentence and an exit code."""
    never_dump_core()
    if sys.stderr is None:  # it was closed; what is said there must not go where results go
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the program runs
    try:
        sys.exit(commands.main(prog_name="renewer", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(ConfigError.exit_code)
    except click.Abort:
        click.echo("renewer: stopped", err=True)
        sys.exit(1)
    except RenewerError as error:
        click.echo(report.told("renewer", str(error), error.hint), err=True)
        sys.exit(error.exit_code)
    except Exception as bug:  # noqa: BLE001 - whatever it is, the exit code has to say that it is a bug
        report.Quiet().bug("renewer", bug)
        click.echo("renewer: this is a bug: please report it with the lines above", err=True)
        sys.exit(Unexpected.exit_code)

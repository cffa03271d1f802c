"""The command line: lists the commands, and turns an error into a sentence and an exit code."""

import errno
import gc
import os
import sys
from contextlib import suppress
from importlib import import_module
from io import StringIO
from keyword import iskeyword
from pathlib import Path
from typing import NoReturn

import click

from renewer import __version__
from renewer.cli.commands.context import Call
from renewer.cli.commands.help import files
from renewer.cli.commands.output import echo
from renewer.core.errors import ConfigError, RenewerError, Unexpected
from renewer.system import console
from renewer.system.privileges import never_dump_core

DEFAULT = "/etc/renewer/renewer.toml"

COMMANDS = {
    "init": "init",
    "import": "migrate",
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
"""The commands in the order of the help, each with its module in `commands/`; the function has its name."""

GARBAGE = 10_000
"""New objects between two garbage collections; with Python's own 700 they cost a tenth of all imports."""

EXIT_CODES = """\b
Exit codes: 0 done or nothing to do, 1 failed, 75 try again later,
78 the configuration has to be edited, 70 a bug."""


class Commands(click.Group):
    """The commands, each imported only when it is called or its help is shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Return the command, or `None` if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        room = import_module(f"renewer.cli.commands.{COMMANDS[cmd_name]}")
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
    help="Configuration file.",
    shell_complete=files,
)
@click.option("-v", "--verbose", is_flag=True, help="Log every step to standard error.")
@click.version_option(__version__, prog_name="renewer")
@click.pass_context
def commands(context: click.Context, file: str, *, verbose: bool) -> None:
    """Get certificates via DNS-01 at Cloudflare and make sure nginx serves them."""
    context.obj = Call(file, verbose)
    context.color = False if console.plain() else None  # for all that a command prints


UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of a standard output that takes no more. Every other write has a path, which its error names."""


def main() -> NoReturn:
    """Run the command line; the only place where an error becomes a sentence and an exit code."""
    never_dump_core()
    console.speak_for_all()
    gc.set_threshold(GARBAGE)
    if sys.stderr is None:  # it was closed; messages must not end up among the results
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the program runs
    code = _ended()
    try:
        sys.stderr.flush()
    except OSError:
        _to_nowhere(sys.stderr.fileno())
    gc.freeze()  # or the interpreter would collect garbage several times before it exits
    sys.exit(code)


def _ended() -> int:
    try:
        code: int = commands.main(prog_name="renewer", standalone_mode=False)
    except click.ClickException as error:
        said = StringIO()
        error.show(said)
        with suppress(OSError):
            echo(*said.getvalue().rstrip("\n").split("\n"), err=True)
        return ConfigError.exit_code
    except click.Abort:
        _tell("stopped")
        return 1
    except RenewerError as error:
        _tell(str(error), error.hint)
        return error.exit_code
    except OSError as error:
        return _broken(error) if error.filename or error.errno not in UNWRITABLE else _unheard(error)
    except Exception as bug:  # noqa: BLE001 - the exit code has to say that it is a bug, whatever it is
        return _broken(bug)
    return code


def _broken(bug: Exception) -> int:
    console.Quiet().bug("renewer", bug)
    console.Quiet().problem("", "renewer: this is a bug: please report it with the lines above")
    return Unexpected.exit_code


def _unheard(error: OSError) -> int:
    """Report that standard output cannot be written."""
    _to_nowhere(1)
    why = f"cannot write to standard output: {os.strerror(error.errno or 0)}"
    _tell(why, "free some space where it goes; everything done so far is kept")
    return 1


def _to_nowhere(descriptor: int) -> None:
    """Discard what is still buffered there: Python would fail on it again when it exits."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)


def _tell(what: str, hint: str = "") -> None:
    """Print a problem to standard error; if that is full, too, the exit code remains."""
    console.Quiet().problem("renewer", what, hint)

"""`renewer man`, for packagers: write the manual pages."""

from pathlib import Path

import click

from renewer import __version__
from renewer.cli import man as manual
from renewer.cli.commands.help import examples
from renewer.cli.commands.output import echo
from renewer.config import load
from renewer.system import files


@click.command(hidden=True, epilog=examples("renewer man build/man examples/renewer.toml"))
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("sample")
@click.pass_context
def man(context: click.Context, folder: Path, sample: str) -> int:
    """Write the manual pages renewer.1 and renewer.toml.5 into FOLDER, and print their paths.

    The first is made from the program's help, the second from SAMPLE, a configuration with every key and its
    comment: examples/renewer.toml.
    """
    pages = {
        "renewer.1": manual.program(context.find_root(), __version__),
        "renewer.toml.5": manual.configuration(load.read(sample), __version__),
    }
    files.folder(folder, 0o755)
    for name, text in pages.items():
        files.write(folder / name, text.encode(), 0o644)
        echo(str(folder / name))
    return 0

"""`renewer man`, for whoever builds a package: write the manual pages."""

from pathlib import Path

import click

from renewer import __version__, config, disk, manual
from renewer.commands.help import examples
from renewer.commands.output import echo


@click.command(hidden=True, epilog=examples("renewer man build/man examples/renewer.toml"))
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("sample")
@click.pass_context
def man(context: click.Context, folder: Path, sample: str) -> int:
    """Write the manual pages into FOLDER, and print where: renewer.1 and renewer.toml.5.

    The first is made from the help of the program, the second from SAMPLE, a configuration with every key and
    its comment: examples/renewer.toml.
    """
    pages = {
        "renewer.1": manual.program(context.find_root(), __version__),
        "renewer.toml.5": manual.configuration(config.read(sample), __version__),
    }
    disk.folder(folder, 0o755)
    for name, text in pages.items():
        disk.write(folder / name, text.encode(), 0o644)
        echo(str(folder / name))
    return 0

"""`renewer man`, for whoever builds a package: write the manual pages."""

from pathlib import Path

import click

from renewer import __version__, manual
from renewer.commands.help import examples


@click.command(hidden=True, epilog=examples("renewer man build/man examples/renewer.toml"))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("sample", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_context
def man(context: click.Context, folder: Path, sample: Path) -> int:
    """Write the manual pages into FOLDER, and print where: renewer.1 and renewer.toml.5.

    The first is made from the help of the program, the second from SAMPLE, a configuration with every key and
    its comment: examples/renewer.toml.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        "renewer.1": manual.program(context.find_root(), __version__),
        "renewer.toml.5": manual.configuration(sample.read_text("utf-8"), __version__),
    }
    for name, text in pages.items():
        (folder / name).write_text(text, "utf-8")
        click.echo(folder / name)
    return 0

"""What a command prints and asks: the only way to standard output, where every text is made fit once more."""

import re

import click

from renewer.core import printable

_STYLE = re.compile(r"(\x1b\[(?:[012]|22|3[0-9])m)")
"""What `click.style` puts around a text of ours: bold, dim, a colour, and the end of it."""


def echo(*lines: str, err: bool = False, styled: bool = False) -> None:
    """Print lines, each as one whatever is in it; `styled` ones keep the colours of `click.style`."""
    for line in lines:
        parts = _STYLE.split(line) if styled else [line]
        parts[::2] = [printable.printable(part, printable.LINE) for part in parts[::2]]
        click.echo(printable.at_margin("".join(parts)), err=err)


def raw(text: str, *, color: bool | None = None) -> None:
    """Print a text that is all our own, as it stands: a JSON document, a script, a QR code."""
    click.echo(text, color=color)


def ask(question: str, *, default: bool) -> bool:
    """Ask a person for a yes or a no."""
    return click.confirm("\n".join(printable.lines(question)), default=default, err=True)

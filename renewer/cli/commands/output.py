"""All output of commands: the only way to standard output, which makes every text printable once more."""

import re

import click

from renewer.core import printable

_STYLE = re.compile(r"(\x1b\[(?:[012]|22|3[0-9])m)")
"""The codes that `click.style` puts around our own text: bold, dim, a colour, reset."""


def echo(*lines: str, err: bool = False, styled: bool = False) -> None:
    """Print each line as one line, whatever it contains; `styled` lines keep the colours of `click.style`."""
    for line in lines:
        parts = _STYLE.split(line) if styled else [line]
        parts[::2] = [printable.printable(part, printable.LINE) for part in parts[::2]]
        click.echo(printable.at_margin("".join(parts)), err=err)


def raw(text: str, *, color: bool | None = None) -> None:
    """Print a text of our own unchanged: a JSON document, a script, a QR code."""
    click.echo(text, color=color)


def ask(question: str, *, default: bool) -> bool:
    """Ask a yes/no question."""
    return click.confirm("\n".join(printable.lines(question)), default=default, err=True)

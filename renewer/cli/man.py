"""The manual pages in man(7) format, made from the commands and from a commented configuration."""

import re
from collections.abc import Iterator
from itertools import pairwise

import click

_KEY = re.compile(r"[a-z_]+ = ")
_COMMENT = re.compile(r"""((?:[^"'#]|"[^"]*"|'[^']*')*)#\s*(.*)""")
"""A value (a # between quotes is part of it) and the comment after it."""

_ESCAPED = {"\\": "\\e", "-": "\\-", "~": "\\(ti", "^": "\\(ha", "`": "\\(ga", "'": "\\(aq", "|": "|\\:"}
"""Characters the formatter would interpret; a line may break after a |."""

_VERBATIM = "\b"
"""Marks a paragraph of help whose lines are kept as they are (click's own mark)."""


def program(context: click.Context, version: str) -> str:
    """Return renewer(1), made from the help of every visible command."""
    root = context.command
    if not isinstance(root, click.Group):
        raise TypeError("the program has no commands")
    return _page("renewer", 1, version, _program(root, context))


def configuration(sample: str, version: str) -> str:
    """Return renewer.toml(5), made from a configuration in which every key has a comment.

    A comment follows what it describes and may continue on the lines below; one at the beginning of a line
    describes the next key. Tables and keys that are commented out are included.
    """
    return _page("renewer.toml", 5, version, _configuration(sample))


def _page(name: str, section: int, version: str, lines: Iterator[str]) -> str:
    head = f'.TH "{name.upper()}" "{section}" "" "renewer {version}" ""'
    return "\n".join((head, ".nh", ".ad l", *lines, ""))


def _program(root: click.Group, context: click.Context) -> Iterator[str]:
    said = root.help or ""
    yield from (".SH NAME", f"renewer \\- {_title(said)}", ".SH SYNOPSIS", _usage(context))
    yield from (".SH DESCRIPTION", *_prose(said), ".SH OPTIONS", *_options(context), ".SH COMMANDS")
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if command and not command.hidden:
            yield from _command(click.Context(command, context, name))
    yield from (".SH EXIT STATUS", *_prose(root.epilog or ""))
    yield from (".SH SEE ALSO", ".BR renewer.toml (5),", ".BR nginx (8)")


def _command(context: click.Context) -> Iterator[str]:
    command = context.command
    yield from (f".SS {_text(context.info_name or '')}", _usage(context))
    yield from _prose(command.help or "")
    yield from _options(context)
    yield from _prose(command.epilog or "")


def _usage(context: click.Context) -> str:
    pieces = " ".join(context.command.collect_usage_pieces(context))
    return f"\\fB{_text(context.command_path)}\\fR {_text(pieces)}"


def _options(context: click.Context) -> Iterator[str]:
    own = (
        context.command.params if context.parent else context.command.get_params(context)
    )  # --help is listed once
    for record in (one.get_help_record(context) for one in own):
        if record and record[1]:
            yield from _tagged(*record)


def _configuration(sample: str) -> Iterator[str]:
    head, _, rest = sample.partition("\n\n")
    yield from (".SH NAME", "renewer.toml \\- the configuration of renewer", ".SH DESCRIPTION")
    yield from _prose("\n".join(line.removeprefix("# ") for line in head.splitlines()))
    yield from (".SH TABLES AND KEYS", ".SS Above all tables")
    for written, comment in _entries(rest):
        if written.startswith("["):
            yield from (f".SS {_text(written)}", *_prose(comment))
        else:
            yield from _tagged(written, comment)
    yield from (".SH EXAMPLE", *_verbatim(_in_force(sample)))
    yield from (".SH FILES", *_tagged("/etc/renewer/renewer.toml", "the configuration read without -c FILE"))
    yield from (".SH SEE ALSO", ".BR renewer (1)")


def _entries(sample: str) -> Iterator[tuple[str, str]]:
    """Yield every table and key as written, and its comment."""
    entries: list[tuple[str, list[str]]] = []
    ahead: list[str] = []
    for line in filter(None, sample.splitlines()):
        bare = line.removeprefix("# ")
        if bare.startswith("[") or _KEY.match(bare):
            found = _COMMENT.fullmatch(bare)
            written, comment = found.groups() if found else (bare, "")
            entries.append((written.rstrip(), [*ahead, comment]))
            ahead = []
        elif line.startswith("#"):
            ahead.append(bare)
        else:
            entries[-1][1].append(line.strip().removeprefix("# "))
    for written, comments in entries:
        yield written, " ".join(filter(None, comments))


def _in_force(sample: str) -> list[str]:
    """Return the lines that are not commented out, without comments and without empty tables."""
    lines = [line for line in sample.splitlines() if line and not line.lstrip().startswith("#")]
    bare = [(found[1] if (found := _COMMENT.fullmatch(line)) else line).rstrip() for line in lines]
    return [one for one, after in pairwise((*bare, "[")) if not (one[0] == after[0] == "[")]


def _prose(text: str) -> Iterator[str]:
    """Yield the paragraphs of a text, each filled or kept line by line."""
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        lines = [line.strip("\n") for line in paragraph.splitlines()]
        if lines and lines[0].strip(" ") == _VERBATIM:
            yield from _verbatim(lines[1:])
        elif paragraph:
            yield from (".PP", _text(" ".join(line.strip() for line in lines)))


def _verbatim(lines: list[str]) -> Iterator[str]:
    yield from (".PP", ".nf", *map(_text, lines), ".fi")


def _tagged(tag: str, text: str) -> Iterator[str]:
    yield from (".TP", f"\\fB{_text(tag)}\\fR", _text(text) or "\\&")


def _title(text: str) -> str:
    """Return the first sentence in the form of a page's NAME line."""
    sentence = " ".join(text.partition("\n\n")[0].split()).rstrip(".")
    return _text(sentence[:1].lower() + sentence[1:])


def _text(text: str) -> str:
    """Return text with the formatter's special characters escaped."""
    escaped = "".join(_ESCAPED.get(character, character) for character in text)
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped

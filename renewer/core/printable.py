"""Makes foreign text safe to print, log, store and copy. Pure.

Text from a CA, Cloudflare, the DNS, nginx, another program or a file may contain escape sequences that a
terminal interprets, Unicode format characters that hide or reverse text, and line breaks, after which
journald reads a log level (`<0>`; sd-daemon(3)). Letters of every script are kept.
"""

import json
import re
import shlex
from collections.abc import Sequence

SENTENCE = 4_000
"""Default limit of a sentence, in characters."""

LINE = 12_000
"""Limit of a line, in characters: in UTF-8 too short for journald to split it (LineMax=, 48 KB)."""

PART = 500
"""Limit of a foreign text within a sentence of ours, in characters."""

_BREAKS = re.compile(r"[^\S ]+")
"""All white space but the plain space: line breaks, tabs, spaces of other widths."""

_BYTES = range(0xDC80, 0xDD00)
"""The characters that stand for bytes that are not UTF-8 (PEP 383)."""


def printable(text: str, most: int = SENTENCE) -> str:
    r"""Return the text as one harmless line, cut if it is longer than `most`.

    A control or format character, or one that Unicode does not know, is written as its escape (`\x1b`,
    `\u202e`); any white space becomes a space.
    """
    if text.isprintable() and len(text) <= most:
        return text
    plain = _BREAKS.sub(" ", text.strip()[: most + 1])
    shown = "".join(one if one.isprintable() else _escaped(one) for one in plain)
    return shown if len(shown) <= most else f"{shown[:most]}…"


def lines(text: str) -> list[str]:
    """Return the lines of a text whose line breaks are our own."""
    return [printable(line, LINE) for line in text.split("\n")]


def at_margin(line: str) -> str:
    """Return a line whose beginning journald does not read as a log level."""
    return f" {line}" if line.startswith("<") else line


def document(value: object) -> str:
    """Return a value as a JSON document on one line, in ASCII, with every text in it made safe."""
    return json.dumps(_fit(value))


def shell(path: object) -> str:
    """Return a path as one word of a command that a person may copy into a shell."""
    text = str(path)
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(map(_quoted, text)) + "'"


def _escaped(character: str) -> str:
    number = ord(character)
    if number in _BYTES:
        return f"\\x{number - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def _quoted(character: str) -> str:
    """Return a character as written between $' and ' (bash, zsh)."""
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    number = ord(character)
    data = bytes([number - 0xDC00]) if number in _BYTES else character.encode("utf-8", "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in data)


def _fit(value: object) -> object:
    if isinstance(value, str):
        return "\n".join(lines(value))
    if isinstance(value, dict):
        return {_fit(name): _fit(inner) for name, inner in value.items()}
    if isinstance(value, Sequence):
        return [_fit(inner) for inner in value]
    return value

"""Foreign text, made fit to be printed, logged, stored and copied: pure.

What a CA, Cloudflare, the DNS, nginx, another program or a file says may hold what a terminal obeys (escape
sequences), what hides text or turns it around (Unicode's format characters), and line breaks, behind which
journald reads a level (`<0>`; sd-daemon(3)). Letters of every script stay as they are.
"""

import json
import re
import shlex
from collections.abc import Sequence

SENTENCE = 4_000
"""Characters of a sentence, unless something else is said."""

LINE = 12_000
"""Characters of a line: in UTF-8 fewer bytes than those after which journald breaks it (LineMax=, 48 KB)."""

PART = 500
"""Characters of a foreign text that stands within a sentence of ours."""

_BREAKS = re.compile(r"[^\S ]+")
"""All white space but the plain blank: line breaks, tabulators, blanks of other widths."""

_BYTES = range(0xDC80, 0xDD00)
"""What stands for a byte that is no UTF-8 (PEP 383)."""


def printable(text: str, most: int = SENTENCE) -> str:
    r"""Return the text as one line that does nothing but be read, cut where it is longer than `most`.

    A control or format character is written as its escape (`\x1b`, `\u202e`), so is one that Unicode does not
    know; any white space is a blank.
    """
    if text.isprintable() and len(text) <= most:
        return text
    plain = _BREAKS.sub(" ", text.strip()[: most + 1])
    shown = "".join(one if one.isprintable() else _escaped(one) for one in plain)
    return shown if len(shown) <= most else f"{shown[:most]}…"


def lines(text: str) -> list[str]:
    """Return the lines of a text in which a line break is one of ours."""
    return [printable(line, LINE) for line in text.split("\n")]


def at_margin(line: str) -> str:
    """Return a line so that journald takes no beginning of it for a level."""
    return f" {line}" if line.startswith("<") else line


def document(value: object) -> str:
    """Return a value as a JSON document on one line, in ASCII, with every text in it made fit."""
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
    """Return a character as it stands between $' and ' (bash, zsh)."""
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

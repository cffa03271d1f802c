"""The paths of the files that nginx reads, and their contents.

The paths are the contract with nginx's own configuration: it includes `nginx/certificates/NAME.conf`, and
that file names a generation, a folder that never changes. nginx opens key and certificate one after the
other; this way they always belong together.
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
    """The absolute paths in the state folder; raises `ConfigError` for one that nginx cannot be given.

    A space, a quote, a `;` or a `$` in a path would end it, or be a variable, in nginx's configuration.
    """

    def __init__(self, state: Path) -> None:
        path = os.path.abspath(state)  # noqa: PTH100  (Path.absolute keeps "..")
        if not _SAFE_PATH.fullmatch(path):
            raise _unfit("state", path)
        self.state = Path(path)

    def home(self, name: str) -> Path:
        """Return the folder of all files of the certificate."""
        if not _SAFE_NAME.fullmatch(name):
            raise _unfit(f'certificate."{name}"', name)
        return self.state / "certificates" / name

    def current(self, name: str) -> Path:
        """Return the link with a fixed path, for programs other than nginx."""
        return self.home(name) / "current"

    def placeholder(self, name: str) -> Path:
        """Return the folder of the self-signed placeholder."""
        return self.home(name) / "placeholder"

    def include(self, name: str) -> Path:
        """Return the file that nginx includes in a `server`."""
        return self.included / "certificates" / f"{self.home(name).name}.conf"

    def secure_link(self, name: str) -> Path:
        """Return a file that nginx includes for secure links."""
        return self.included / "secure_link" / name

    def wanted(self, path: Path) -> Path:
        """Return where the new text of an include is put for the root helper."""
        return self.state / "wanted" / path.relative_to(self.included)

    def copy(self, folder: Path) -> Path:
        """Return the path of root's copy of a folder in the state folder, which the root helper makes."""
        return self.included / "copies" / folder.relative_to(self.state)

    def original(self, folder: Path) -> Path:
        """Return the folder that a folder is root's copy of, or else the folder itself."""
        copies = self.copy(self.state)
        return self.state / folder.relative_to(copies) if folder.is_relative_to(copies) else folder

    @property
    def included(self) -> Path:
        """Return the folder of everything nginx includes."""
        return self.state / "nginx"


def files_of(material: Material) -> dict[str, bytes]:
    """Return the files of a generation: the first pair's have plain names, the others' end in their kind."""
    files: dict[str, bytes] = {}
    for place, pair in enumerate(material.pairs):
        files |= pair_files(pair.key, pair.chain, f"-{pair.kind}" if place else "")
    return files


def pair_files(key: str, fullchain: str, suffix: str = "") -> dict[str, bytes]:
    """Return the four files of a pair (PEM); a certificate without a chain is its own chain."""
    leaf, end, above = fullchain.partition(_END)
    cert = f"{leaf}{end}\n"
    texts = {PRIVKEY: key, CERT: cert, CHAIN: above.lstrip() or cert, FULLCHAIN: fullchain}
    return {f"{kind}{suffix}.pem": text.encode("ascii") for kind, text in texts.items()}


def suffixes(names: Iterable[str]) -> list[str]:
    """Return the suffixes of a generation's pairs in its file names, the first pair's first."""
    there = set(names)
    return [suffix for suffix in _SUFFIXES if f"{PRIVKEY}{suffix}.pem" in there]


def pair_names(suffix: str) -> tuple[str, ...]:
    """Return the names of a pair's four files."""
    return tuple(f"{kind}{suffix}.pem" for kind in (FULLCHAIN, PRIVKEY, CERT, CHAIN))


def include_text(folder: Path, names: Iterable[str]) -> bytes:
    """Return the text of the include for a generation with files of these names."""
    pairs = "".join(
        f"ssl_certificate     {folder}/{FULLCHAIN}{suffix}.pem;\n"
        f"ssl_certificate_key {folder}/{PRIVKEY}{suffix}.pem;\n"
        for suffix in suffixes(names)
    )
    return (_HEADER + pairs).encode("ascii")


def folder_named(include: bytes) -> Path | None:
    """Return the folder that an include names, given its text."""
    found = _NAMED_FOLDER.search(include)
    return Path(os.fsdecode(found[1])) if found else None


def _unfit(place: str, text: str) -> ConfigError:
    return ConfigError(
        [Fault(place, f"nginx cannot use the path {text!r}")],
        hint='use only letters, digits, "_", "-", "." and "/"',
    )

"""The files that come with the program, where they go, and what is adapted to this machine in them.

What nginx includes for secure links comes twice: the program has its texts, and root's helper has root's own.

A file that is put in place says so in a line of its own, with a checksum of the rest: so an edited one is
known, and never overwritten.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from renewer.core.errors import ConfigError, RenewerError
from renewer.system import files

UNITS = Path("/etc/systemd/system")
PACKAGED = Path("/usr/lib/systemd/system/renewer.service")
"""Where a package of the distribution has the unit: the files are then the package's business."""

HELPER = Path("/usr/local/libexec/renewer/reload")
SYSUSERS = Path("/etc/sysusers.d/renewer.conf")
TMPFILES = Path("/etc/tmpfiles.d/renewer.conf")

_PLACES = {
    "renewer.sysusers.conf": SYSUSERS,
    "renewer.tmpfiles.conf": TMPFILES,
    "reload": HELPER,
    "renewer-reload.path": UNITS / "renewer-reload.path",
    "renewer-reload.service": UNITS / "renewer-reload.service",
    "renewer.service": UNITS / "renewer.service",
    "renewer-renew.service": UNITS / "renewer-renew.service",
    "renewer-renew.timer": UNITS / "renewer-renew.timer",
}
_TEXTS = Path(__file__).parents[1] / "nginx" / "secure_link"
_MARK = "# Put here by renewer install-service (checksum {}). An edited file is left alone.\n"
_MARKED = re.compile(r"# Put here by renewer install-service \(checksum ([0-9a-f]{16})\).*\n")
_CREDENTIAL = re.compile(r"^LoadCredential=.*\n", re.MULTILINE)
_FIT = re.compile(r"/[A-Za-z0-9_.,+@=/:-]+")


class FileState(StrEnum):
    """How a file stands to what is to be there."""

    MISSING = "missing"
    SAME = "same"
    OLDER = "older"
    EDITED = "edited"


@dataclass(frozen=True)
class Adaptation:
    """What differs from machine to machine; every path is absolute.

    `credentials` are the secrets that systemd hands over, the file of each by its name.
    """

    program: Path
    config: Path
    state: Path
    credentials: Mapping[str, Path]
    nginx: Path
    nginx_config: Path

    def of(self, text: str) -> str:
        """Return a shipped text as it is here; raises `ConfigError` for a path that a unit cannot hold."""
        paths = {**vars(self), **self.credentials}
        del paths["credentials"]
        for path in paths.values():
            if not _FIT.fullmatch(str(path)):
                raise ConfigError(
                    f"{path} has a character that cannot stand in a unit of systemd",
                    hint="rename it: letters, digits and _.,+@=:- are fine",
                )
        for shipped, here in self._replacements().items():
            text = text.replace(shipped, here)
        lines = (f"LoadCredential={name}:{file}\n" for name, file in self.credentials.items())
        return _CREDENTIAL.sub("".join(lines), text)

    def _replacements(self) -> Mapping[str, str]:
        return {
            "/var/lib/renewer": str(self.state),
            "=/usr/bin/renewer ": f"={self.program} ",
            "-c /etc/renewer/renewer.toml": f"-c {self.config}",
            "=/usr/libexec/renewer/reload ": f"={HELPER} ",
            " /usr/sbin/nginx /etc/nginx/nginx.conf": f" {self.nginx} {self.nginx_config}",
        }


@dataclass(frozen=True)
class Placed:
    """A file of ours: where it goes and what it holds."""

    path: Path
    text: str

    @property
    def mode(self) -> int:
        """The helper is a program, the rest is read."""
        return 0o755 if self.text.startswith("#!") else 0o644

    @property
    def state(self) -> FileState:
        """How what is there now stands to it."""
        found = files.read(self.path)
        if found is None:
            return FileState.MISSING
        text = found.decode(errors="replace")
        if text == self._marked:
            return FileState.SAME
        mark = _MARKED.search(text)
        untouched = mark and _checksum(_MARKED.sub("", text, count=1)) == mark[1]
        return FileState.OLDER if untouched else FileState.EDITED

    def put(self) -> None:
        """Write it, as root's."""
        files.folder(self.path.parent, 0o755)
        files.write(self.path, self._marked.encode(), self.mode, (0, 0))

    @property
    def _marked(self) -> str:
        """The text with the line that says who put it there, behind the one that says how it is run."""
        head, rest = "", self.text
        if rest.startswith("#!"):
            head, _, rest = rest.partition("\n")
            head += "\n"
        return f"{head}{_MARK.format(_checksum(self.text))}{rest}"


def works_with(file: Path, root: Path = Path("/")) -> Iterator[str]:
    """Yield the units in place that start the program with this configuration."""
    for unit in ("renewer.service", "renewer-renew.service"):
        for place in (UNITS, PACKAGED.parent):
            with suppress(RenewerError):
                text = files.read(root / place.relative_to("/") / unit) or b""
                if f" -c {file} " in text.decode(errors="replace"):
                    yield unit


def placed(adaptation: Adaptation) -> Iterator[Placed]:
    """Yield the files for this machine; none where a package of the distribution brought them."""
    if PACKAGED.exists():
        return
    for name, path in _PLACES.items():
        yield Placed(path, adaptation.of((folder() / name).read_text(encoding="utf-8")))
    for text in sorted(_TEXTS.glob("*.conf")):
        yield Placed(HELPER.parent / _TEXTS.name / text.name, text.read_text(encoding="utf-8"))


def folder() -> Path:
    """Return where the shipped files are: in an installed program beside this file, else in the checkout."""
    installed = Path(__file__).parent / "systemd"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "systemd"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

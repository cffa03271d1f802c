"""The files shipped for systemd, where they are installed, and what is adapted to this machine.

The nginx includes for secure links exist twice: in the program, and as root's own copies for the root helper.

Each installed file contains a line that says so, with a checksum of the rest: an edited file is recognised,
and never overwritten.
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
"""The unit of a Debian package: if it exists, all these files are the package's."""

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
    """An installed file compared with the shipped one."""

    MISSING = "missing"
    SAME = "same"
    OLDER = "older"
    EDITED = "edited"


@dataclass(frozen=True)
class Adaptation:
    """The paths that differ from machine to machine; all are absolute.

    `credentials` are the files that systemd passes on as credentials, by name.
    """

    program: Path
    config: Path
    state: Path
    credentials: Mapping[str, Path]
    nginx: Path
    nginx_config: Path

    def of(self, text: str) -> str:
        """Return a shipped text with these paths; raises `ConfigError` for a path a unit cannot contain."""
        paths = {**vars(self), **self.credentials}
        del paths["credentials"]
        for path in paths.values():
            if not _FIT.fullmatch(str(path)):
                raise ConfigError(
                    f"{path} has a character that a systemd unit cannot contain",
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
    """A shipped file: where to install it, and its text."""

    path: Path
    text: str

    @property
    def mode(self) -> int:
        """The file mode: executable for the helper."""
        return 0o755 if self.text.startswith("#!") else 0o644

    @property
    def state(self) -> FileState:
        """How the installed file compares with this one."""
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
        """Write the file, owned by root."""
        files.folder(self.path.parent, 0o755)
        files.write(self.path, self._marked.encode(), self.mode, (0, 0))

    @property
    def _marked(self) -> str:
        """The text with the checksum line, which comes after the #! line if there is one."""
        head, rest = "", self.text
        if rest.startswith("#!"):
            head, _, rest = rest.partition("\n")
            head += "\n"
        return f"{head}{_MARK.format(_checksum(self.text))}{rest}"


def works_with(file: Path, root: Path = Path("/")) -> Iterator[str]:
    """Yield the installed units that start the program with this configuration."""
    for unit in ("renewer.service", "renewer-renew.service"):
        for place in (UNITS, PACKAGED.parent):
            with suppress(RenewerError):
                text = files.read(root / place.relative_to("/") / unit) or b""
                if f" -c {file} " in text.decode(errors="replace"):
                    yield unit


def placed(adaptation: Adaptation) -> Iterator[Placed]:
    """Yield the files for this machine; none if a Debian package brought them."""
    if PACKAGED.exists():
        return
    for name, path in _PLACES.items():
        yield Placed(path, adaptation.of((folder() / name).read_text(encoding="utf-8")))
    for text in sorted(_TEXTS.glob("*.conf")):
        yield Placed(HELPER.parent / _TEXTS.name / text.name, text.read_text(encoding="utf-8"))


def folder() -> Path:
    """Return the folder of the shipped files: beside this module if installed, else in the checkout."""
    installed = Path(__file__).parent / "systemd"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "systemd"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

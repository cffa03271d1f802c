"""Requirements for installing the service: the machine, the program, the files that the service reads."""

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from renewer.config.load import STANDARD_INPUT
from renewer.config.schema import Config
from renewer.core.errors import ConfigError, Fault, Refused
from renewer.core.printable import shell
from renewer.service import systemd
from renewer.service.unit_files import Adaptation
from renewer.system import permissions

USER = "renewer"

FOLDER = Path("/etc/renewer")
"""The folder of the service's own files."""

RUNTIME = Path("/run/renewer")
"""The only folder besides the state folder that the service may write to."""

_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - folders the service cannot see
_PYTHON = Path("/usr/bin/python3")
_FOR_ALL = "install it for all users: sudo PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install …"


@dataclass(frozen=True)
class Setting:
    """The configuration the service will run with, and its file."""

    file: Path
    config: Config

    @property
    def adaptation(self) -> Adaptation:
        """The paths to put into the shipped files."""
        nginx = self.config.nginx
        return Adaptation(
            program=program(),
            config=self.file,
            state=self.config.state,
            credentials={one.name: one.file or one.usual for one in self.config.dns.credentials},
            nginx=nginx.binary,
            nginx_config=nginx.config,
        )

    @property
    def readable(self) -> tuple[Path, ...]:
        """The files that the service itself reads, and other users need not."""
        authorities = (self.config.acme, *self.config.acme.fallbacks)
        notify = self.config.notify
        secrets = (*(one.eab_hmac_key_file for one in authorities), notify.urls_file, notify.ping_file)
        return (self.file, *(secret for secret in secrets if secret))

    def limits(self) -> Iterator[str]:
        """Yield the parts of the configuration that an unprivileged service cannot carry out."""
        if self.config.hooks.commands:
            yield f"hooks run as the user {USER}: see examples/other-programs for a rule that allows a reload"
        if self.config.metrics.textfile:
            place = self.config.metrics.textfile.parent
            yield f"metrics.textfile: give the user {USER} access to {place}, see examples/MONITORING.md"
        for name, site in self.config.sites.items():
            if site.signer_owner not in (None, USER, f"{USER}:{USER}"):
                yield f"site.{name}.signer_owner: the user {USER} may not change a file's owner: remove it"
            if site.signer_file and not site.signer_file.is_relative_to(RUNTIME):
                yield f"site.{name}.signer_file: the service may write only below {RUNTIME}"


def setting(file: str, config: Config) -> Setting:
    """Return the setting; raises `ConfigError` if the configuration is not in a file."""
    if file == STANDARD_INPUT:
        raise ConfigError("the service reads its configuration from a file: name it with -c FILE")
    return Setting(Path(os.path.abspath(file)), config)  # noqa: PTH100  (Path.absolute keeps "..")


def refuse_unfit(setting: Setting) -> None:
    """Raise `ConfigError` with everything that has to change before the service can run here."""
    if faults := tuple(_faults(setting)):
        raise ConfigError(faults, hint="nothing was touched")
    permissions.refuse_unsafe_above(setting.config.state)


def require_systemd() -> None:
    """Raise `Refused` on a machine without systemd, or if not run as root."""
    if not systemd.booted():
        raise Refused(
            "this machine does not run systemd, so no service can be installed",
            hint='run "renewer renew" from cron: see README.md, "To keep it going"',
        )
    if os.geteuid() != 0:
        raise Refused("only root can install a service", hint="run: sudo renewer install-service")


def program() -> Path:
    """Return the path the program was called by: the link in /usr/local/bin, not its target."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        called = Path(sys.executable).parent / "renewer"
    return Path(os.path.abspath(called))  # noqa: PTH100  (a link stays one)


def _faults(setting: Setting) -> Iterator[Fault]:
    yield from _programs()
    for secret in setting.config.dns.credentials:
        file = secret.file or secret.usual
        if not file.exists():
            put = f"save {secret.what} there: sudo install -D -m 600 /dev/stdin {shell(file)}"
            yield Fault(secret.place, f"{file} does not exist; {put}")
    for path in (program(), setting.config.nginx.binary, setting.config.nginx.config, *setting.readable):
        if why := permissions.foreign(path):
            yield Fault("", f"{path} {why}; {permissions.alone(path)}")
    for path in setting.readable:
        if path.parent != FOLDER and (why := _out_of_reach(path.parent)):
            yield Fault("", f"the service could not read {path}: {why}")
    state = setting.config.state
    if state.is_symlink() or (state.exists() and not state.is_dir()):
        yield Fault("state", f"{state} is not a folder, or is a link to one: name the folder itself")


def _programs() -> Iterator[Fault]:
    """Yield the problems with the programs that the units start."""
    if not os.access(_PYTHON, os.X_OK):
        yield Fault("", f"{_PYTHON}, which runs the reload helper, does not exist: apt install python3")
    if not program().exists():
        yield Fault("", f"{program()}, the program to start, does not exist")
    for path in (program(), program().resolve(), Path(sys.executable).resolve(), Path(__file__)):
        if why := _out_of_reach(path):
            yield Fault("", f"the service could not run {path}: {why}; {_FOR_ALL}")
            return


def _out_of_reach(path: Path) -> str:
    """Return why an unprivileged service cannot reach the file or folder; empty if it can."""
    if str(path).startswith(tuple(f"{hidden}/" for hidden in _HIDDEN)):
        return "it cannot see home folders or temporary folders"
    for folder in (path, *path.parents) if path.is_dir() else path.parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            return f"not every user may enter {folder}"
    return ""

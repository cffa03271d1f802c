"""What `init` and `import` share: writing a first configuration without ever overwriting a file."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

from renewer.cli.commands.output import echo
from renewer.config import load
from renewer.config.providers import Credential
from renewer.config.template import DEFAULT
from renewer.core.errors import ConfigError, Refused
from renewer.nginx import installed
from renewer.system import files, permissions

USUAL = "/etc/renewer/renewer.toml"


class NginxDefaults(TypedDict):
    """The nginx settings of a draft."""

    nginx: Path
    nginx_config: Path


def on_terminal() -> bool:
    """Return whether there is a terminal to ask on."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def free(name: str) -> Path:
    """Return the path for a new configuration; raises `Refused` if it exists or cannot be created."""
    if name == load.STANDARD_INPUT:
        raise ConfigError("a configuration cannot be written to standard input: name a file with -c FILE")
    file = Path(name).absolute()
    if os.path.lexists(file):
        raise Refused(f"{file} exists and is left as it is", hint="edit it, or name another with -c FILE")
    above = next(folder for folder in file.parents if folder.exists())
    if why := permissions.foreign(above):
        raise Refused(f"{file} would belong to another user: {above} {why}", hint="name another with -c FILE")
    if not os.access(above, os.W_OK):
        raise Refused(f"this user cannot write {file}", hint="run it as root, or name another with -c FILE")
    return file


def nginx(named: str | None, say: Callable[[str], None]) -> NginxDefaults:
    """Find nginx and print what was found; `named` overrides its main configuration.

    Raises `ConfigError` if that file does not exist.
    """
    program = installed.find()
    if program is None:
        say("nginx: not installed; to install it: apt-get install nginx-light")
    usual = program.config if program else DEFAULT.nginx.config
    if named and not Path(named).is_file():
        raise ConfigError(
            f"--nginx-config: {named} does not exist",
            hint="name nginx's main configuration file, which nginx -t prints",
        )
    found = NginxDefaults(
        nginx=program.binary if program else DEFAULT.nginx.binary,
        nginx_config=Path(named).absolute() if named else usual,
    )
    if program:
        say(f"nginx: {found['nginx']} with {found['nginx_config']}")
    return found


def write(file: Path, text: str, mode: int) -> None:
    """Write a new file and print its path; raises `Refused` if it exists by now."""
    files.folder(file.parent, 0o755)
    files.create(file, text.encode(), mode)
    echo(f"wrote {file}" + (", which only its owner can read" if mode == 0o600 else ""))  # noqa: PLR2004


def next_steps(file: str, secrets: Sequence[Credential]) -> list[str]:
    """Return the commands to run next, beginning with the one that saves a secret not there yet."""
    sudo = ["sudo"] if os.environ.get("SUDO_USER") else []
    call = shlex.join([*sudo, "renewer", *([] if file == USUAL else ["-c", file])])
    steps = {
        "nginx": "prints the nginx configuration and creates a temporary self-signed certificate",
        "check": "finds what could go wrong, before it does",
        "renew": "orders the certificate, and checks that nginx serves it",
    }
    lines = [f"  {call} {command}   # {what}" for command, what in steps.items()]
    for secret in secrets:
        if secret.file and not secret.file.exists():
            put = shlex.join([*sudo, "install", "-D", "-m", "600", "/dev/stdin", str(secret.file)])
            lines.insert(0, f"  {put}   # paste {secret.what}, then Ctrl-D")
    return lines

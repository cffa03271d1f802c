"""Reads the configuration from a file or from standard input."""

import grp
import os
import sys
from pathlib import Path

from renewer.config import reader
from renewer.config.schema import Config
from renewer.core.errors import ConfigError, Fault
from renewer.core.printable import shell
from renewer.system import permissions

STANDARD_INPUT = "-"

_LAST_SYSTEM_USER = 999
"""The highest user number that Debian gives to a system user (Debian Policy, section 9.2.2)."""

_NONE_YET = "name the right file with -c FILE, or write a first one: renewer init"


def load(path: Path | str) -> Config:
    """Read the configuration from a file, or from standard input for "-"."""
    return parse(read(path), str(path))


def read(path: Path | str) -> str:
    """Return the text of a configuration; raises `ConfigError` if it cannot be read."""
    if str(path) == STANDARD_INPUT and sys.stdin is None:
        raise ConfigError("standard input is closed", hint="pass the configuration there, or name a file")
    try:
        data = sys.stdin.buffer.read() if str(path) == STANDARD_INPUT else _own(Path(path))
    except OSError as error:
        message = f"the configuration cannot be read: {error.strerror}"
        hint = _of_denial(Path(path)) if isinstance(error, PermissionError) else _NONE_YET
        raise ConfigError([Fault(str(path), message)], hint=hint) from None
    except ValueError:  # a zero byte in the path
        raise ConfigError("the name of the configuration file contains a zero byte") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        fault = Fault(f"line {line}", "has bytes that are not UTF-8")
        raise ConfigError([fault], hint=f"save {_called(str(path))} as UTF-8") from None


def _own(path: Path) -> bytes:
    """Return the contents of a file; raises `ConfigError` if other users can change it.

    It names programs to run, so anyone who can write it gets the privileges of those who read it. Root
    rejects a file of the service's user, too: root has not switched to that user when it reads the
    configuration.
    """
    if why := permissions.foreign(path):
        raise ConfigError([Fault(str(path), f"the configuration {why}")], hint=permissions.alone(path))
    return path.read_bytes()


def _of_denial(path: Path) -> str:
    """Return the hint for a user who may not read a file: access for a service's user, sudo for a person."""
    return opening(path) if 0 < os.geteuid() <= _LAST_SYSTEM_USER else "run it as root: sudo renewer …"


def opening(path: Path) -> str:
    """Return the command that gives this process's group access, at the first folder it may not enter."""
    folders = reversed(Path(os.path.abspath(path)).parents)  # noqa: PTH100  (Path.absolute keeps "..")
    shut = next((folder for folder in folders if not os.access(folder, os.X_OK, effective_ids=True)), None)
    place, mode = (shell(shut), 750) if shut else (shell(path), 640)
    return f"give the service's group access: chgrp {own_group()} {place} && chmod {mode} {place}"


def own_group() -> str:
    """Return the name of this process's group."""
    try:
        return grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        return str(os.getegid())


def parse(text: str, source: str) -> Config:
    """Return the configuration in a text; `source` names the text in messages."""
    hint = f"correct {_called(source)}; nothing was touched"
    try:
        document = reader.parse(text)
    except ConfigError as error:
        raise ConfigError(error.faults, hint=hint) from None
    config, faults = reader.read(Config, document)
    if config is None:
        raise ConfigError(faults, hint=hint)
    return config


def _called(source: str) -> str:
    return "the configuration on standard input" if source == STANDARD_INPUT else source

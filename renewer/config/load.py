"""Reading the configuration from a file or from standard input."""

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
"""The last number that Debian gives to a user who is no person (Debian Policy, section 9.2.2)."""

_NONE_YET = "name the right file with -c FILE, or have a first one written: renewer init"


def load(path: Path | str) -> Config:
    """Read the configuration from a file, or from standard input for "-"."""
    return parse(read(path), str(path))


def read(path: Path | str) -> str:
    """Return the text of a configuration; raises `ConfigError` if there is none to be had."""
    if str(path) == STANDARD_INPUT and sys.stdin is None:
        raise ConfigError("standard input is closed", hint="give the configuration there, or name a file")
    try:
        data = sys.stdin.buffer.read() if str(path) == STANDARD_INPUT else _own(Path(path))
    except OSError as error:
        message = f"the configuration cannot be read: {error.strerror}"
        hint = _of_denial(Path(path)) if isinstance(error, PermissionError) else _NONE_YET
        raise ConfigError([Fault(str(path), message)], hint=hint) from None
    except ValueError:  # a zero byte in the path
        raise ConfigError("the name of the configuration file has a zero byte in it") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        fault = Fault(f"line {line}", "has bytes that are no UTF-8")
        raise ConfigError([fault], hint=f"save {_called(str(path))} as UTF-8") from None


def _own(path: Path) -> bytes:
    """Return what a file holds; raises `ConfigError` for one that others could change.

    It names programs that are run, so whoever writes it has the rights of whoever reads it. Root does not
    read one of the service's user either: only what it says would make root become that user.
    """
    if why := permissions.foreign(path):
        raise ConfigError([Fault(str(path), f"the configuration {why}")], hint=permissions.alone(path))
    return path.read_bytes()


def _of_denial(path: Path) -> str:
    """Return what to do for a user who may not read a file: a service's is let in, a person asks root."""
    return opening(path) if 0 < os.geteuid() <= _LAST_SYSTEM_USER else "run it as root: sudo renewer …"


def opening(path: Path) -> str:
    """Return how the group of this process is let to a file: at the first folder that it may not enter."""
    folders = reversed(Path(os.path.abspath(path)).parents)  # noqa: PTH100  (Path.absolute keeps "..")
    shut = next((folder for folder in folders if not os.access(folder, os.X_OK, effective_ids=True)), None)
    place, mode = (shell(shut), 750) if shut else (shell(path), 640)
    return f"let the group of the service in: chgrp {own_group()} {place} && chmod {mode} {place}"


def own_group() -> str:
    """Return what the group of this process is called."""
    try:
        return grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        return str(os.getegid())


def parse(text: str, source: str) -> Config:
    """Return the configuration that the text holds; `source` is what a person calls the text."""
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
    return "what standard input holds" if source == STANDARD_INPUT else source

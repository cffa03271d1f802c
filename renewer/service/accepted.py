"""The configuration the daemon uses, checked in a separate process so that the parent needs no reader."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from renewer.core.errors import ConfigError, Transient

CHECK = 60.0
"""Seconds the check of a configuration may take before it counts as hung; the watchdog waits meanwhile."""

RENEWER = (sys.executable, "-P", "-m", "renewer")
"""The program itself; with -P, modules are not searched in the working directory."""


@dataclass(frozen=True)
class Accepted:
    """A configuration that was checked: its text, the state folder, and how long one cycle may take.

    `handed` is passed on to a worker, see `idle.index.HANDED`.
    """

    text: str
    state: Path
    deadline: timedelta
    handed: str = ""


class ConfigurationReader(Protocol):
    """Reads and checks the configuration; raises what `accept` raises."""

    def __call__(self, *, quiet: bool) -> Accepted:
        """Return the current configuration; with `quiet`, no faults are reported."""
        ...


def accept(file: str, *, quiet: bool = False) -> Accepted:
    """Have a configuration checked by a separate process, which reports faults on standard error.

    Raises `ConfigError` for a faulty configuration, and `Transient` if the check did not finish.
    """
    code, said = _checked((*RENEWER, "--config", file, "accept"), quiet=quiet)
    if code == ConfigError.exit_code:
        raise ConfigError(
            f"{file} has the faults listed above",
            hint="fix them, then: systemctl reload renewer, or wait a minute; until then a restart fails",
        )
    if code:
        raise _unchecked(
            f"the check was killed by signal {-code}" if code < 0 else f"the check failed with {code}"
        )
    answer = json.loads(said)
    deadline = timedelta(seconds=answer["deadline"])
    return Accepted(answer["text"], Path(answer["state"]), deadline, answer["handed"])


def _checked(command: Sequence[str], *, quiet: bool = False) -> tuple[int, bytes]:
    """Return the exit code of a check (minus the signal that killed it), and its output."""
    try:
        ended = subprocess.run(  # noqa: S603 - our own program
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            check=False,
            timeout=CHECK,
        )
    except subprocess.TimeoutExpired:
        raise _unchecked(f"the check took more than {CHECK:g} s and was killed") from None
    except OSError as error:
        raise _unchecked(f"the check cannot be started: {error.strerror}") from error
    return ended.returncode, ended.stdout


def _unchecked(why: str) -> Transient:
    hint = "see the lines above, or journalctl -k (did it run out of memory?); then start or reload it again"
    return Transient(f"the configuration could not be checked: {why}", hint=hint)

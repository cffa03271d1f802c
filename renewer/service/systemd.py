"""systemd, through its own programs."""

from pathlib import Path

from renewer.core.errors import Refused
from renewer.system import process

LIMIT = 150.0
"""Seconds a systemd program may take; a start waits until the daemon reports that it is ready."""

NOT_FOUND = "not-found"
"""What `is-enabled` prints for a missing unit; older versions print a sentence."""

_BOOTED = Path("/run/systemd/system")


def booted() -> bool:
    """Return whether systemd runs this machine (sd_booted(3))."""
    return _BOOTED.is_dir()


def is_(what: str, unit: str) -> bool:
    """Return whether the unit is `active` or `enabled`."""
    return process.run(("systemctl", "--quiet", f"is-{what}", unit), LIMIT).code == 0


def word(verb: str, unit: str) -> str:
    """Return what `is-active` or `is-enabled` prints for a unit."""
    said = process.run(("systemctl", verb, unit), LIMIT).output.split("\n", 1)[0].strip()
    return NOT_FOUND if not said or said.startswith("Failed ") else said


def shown(unit: str, name: str) -> str:
    """Return a property of a unit, as `systemctl show` prints it."""
    return process.run(("systemctl", "show", "--value", "-p", name, unit), LIMIT).output.strip()


def told(*argv: str) -> None:
    """Run a systemd program; raises `Refused` with its output if it fails."""
    ended = process.run(argv, LIMIT)
    if ended.code:
        lines = [line for line in ended.output.splitlines() if line.strip()]
        said = lines[0] if lines else f"it exited with {ended.code}"
        units = [word for word in argv if word.endswith((".service", ".timer", ".path"))]
        raise Refused(
            f"{' '.join(argv)}: {said}",
            hint=f"see: journalctl -u {units[0]} -n 20" if units else "see: journalctl -n 20",
        )

"""The Debian package of this checkout, and a later version of it."""

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from machine import Machine

ROOT = Path(__file__).parents[2]

NEXT = "99.0-1"
"""The version of the later package; only its number differs."""

_QUICK = {"DPKG_DEB_COMPRESSOR_TYPE": "gzip", "DPKG_DEB_COMPRESSOR_LEVEL": "1"}


@cache
def built() -> Path:
    """Return the package, built once in a run of the tests."""
    folder = tempfile.mkdtemp(prefix="renewer-package-")
    return Path(_run(str(ROOT / "systemd" / "debian" / "build"), folder).strip())


@cache
def later() -> Path:
    """Return the package as its next version would be."""
    tree = Path(tempfile.mkdtemp(prefix="renewer-package-"), "tree")
    _run("dpkg-deb", "--raw-extract", str(built()), str(tree))
    control = tree / "DEBIAN" / "control"
    old = next(line for line in control.read_text().splitlines() if line.startswith("Version: "))
    control.write_text(control.read_text().replace(old, f"Version: {NEXT}"))
    _run("dpkg-deb", "--root-owner-group", "--build", str(tree), str(tree.parent))
    return next(tree.parent.glob("*.deb"))


def give(machine: Machine, package: Path) -> str:
    """Lay the package where the machine sees it; return that place."""
    (machine.share / package.name).write_bytes(package.read_bytes())
    return f"/share/{package.name}"


def _run(*argv: str) -> str:
    done = subprocess.run(argv, env=os.environ | _QUICK, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout

"""The Debian package of this checkout, and a later version of it."""

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from support.machine import Layers, Machine

ROOT = Path(__file__).parents[3]

NEXT = "99.0-1"
"""The version of the later package; only its number differs."""

APT = "DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 --no-install-recommends"

_QUICK = {"DPKG_DEB_COMPRESSOR_TYPE": "none"}


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


def layers(below: Layers) -> Layers:
    """Return what is below: the package needs nothing but Debian."""
    return below


def install(machine: Machine, package: Path | None = None) -> str:
    """Install the package of this checkout, or another one, without a network; return what that said."""
    deb = package or built()
    (machine.share / deb.name).write_bytes(deb.read_bytes())
    machine.write("/etc/dpkg/dpkg.cfg.d/tests", "force-unsafe-io\n")  # no fsync for each of 2,500 files
    done = machine.run(f"{APT} install --reinstall /share/{deb.name}", seconds=300)
    return done.out + done.err


def _run(*argv: str) -> str:
    done = subprocess.run(argv, env=os.environ | _QUICK, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout

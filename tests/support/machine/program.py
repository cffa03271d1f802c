"""The program in a machine as pipx would put it there: a virtual environment, a link in /usr/local."""

import platform
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from support.machine import Machine, image
from support.machine.image import Layers

ROOT = Path(__file__).parents[3]
HOME = "/opt/renewer"

_CONSTRAINTS = ROOT / "tests" / "constraints.txt"
_GLIBCS = (17, 28, 34)
_ENVIRONMENT = f"""
python3 -m venv {HOME}
{HOME}/bin/pip install --quiet --disable-pip-version-check --no-index --find-links /tmp/given /tmp/given/*.whl
mkdir -p /usr/local/bin
ln -s {HOME}/bin/renewer /usr/local/bin/renewer
"""


def layers(below: Layers) -> Layers:
    """Return the layers with a virtual environment that has what the program needs, but not the program."""
    version = image.python(below)
    return image.layer(
        below, "program", _ENVIRONMENT, _CONSTRAINTS.read_text(), lambda folder: download(folder, version)
    )


def download(folder: Path, python: str) -> None:
    """Put wheels of all that the program needs there, for a Python such as 3.11; their hashes are checked."""
    folder.mkdir(exist_ok=True)
    locked = folder / "locked.txt"
    (program,) = re.findall(r"^# program\n(.*?)^$", _CONSTRAINTS.read_text(), re.MULTILINE | re.DOTALL)
    locked.write_text(program)
    places = [f"--platform=manylinux_2_{minor}_{platform.machine()}" for minor in _GLIBCS]
    where = (f"--python-version={python}", *places, "--platform=any", f"--dest={folder}")
    _pip(
        "download", "--only-binary=:all:", *where, "--no-deps", "--require-hashes", f"--requirement={locked}"
    )
    locked.unlink()


def everything(folder: Path) -> None:
    """Put wheels there of all that the program needs, and of what pipx wants for itself."""
    download(folder, image.python(image.base()))
    _pip("download", "--only-binary=:all:", f"--dest={folder}", "pip", "setuptools", "wheel")


@cache
def wheel() -> Path:
    """Return the wheel of this checkout, built once in a run of the tests."""
    folder = Path(tempfile.mkdtemp(prefix="renewer-wheel-"))
    _pip("wheel", "--no-deps", f"--wheel-dir={folder}", str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


def install(machine: Machine) -> None:
    """Put this checkout's program into the machine's virtual environment."""
    install = f"{HOME}/bin/pip install --quiet --no-index --no-deps --no-compile"
    machine.run(f"{install} {give_wheel(machine, '/root')}")


def give_wheel(machine: Machine, folder: str) -> str:
    """Put the wheel of this checkout into a folder of the machine; return where it is then."""
    built = wheel()
    machine.path(f"{folder}/{built.name}").write_bytes(built.read_bytes())
    return f"{folder}/{built.name}"


def _pip(*arguments: str) -> None:
    argv = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

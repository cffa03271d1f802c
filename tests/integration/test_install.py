"""The installer of a checkout, and a package that is not the one that was locked."""

import hashlib
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BACKEND = """
import zipfile
def build_editable(folder, *_):
    name = "renewer-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        for file, text in FILES.items():
            wheel.writestr(f"renewer-1.0.dist-info/{file}", text)
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def described(name: str) -> Mapping[str, str]:
    """Return what makes a wheel of a package."""
    return {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }


def publish(folder: Path, name: str, code: str) -> str:
    """Put a package where pip finds it; return its hash."""
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", code)
        for file, text in described(name).items():
            archive.writestr(f"{name}-1.0.dist-info/{file}", text)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def install(checkout: Path, published: Path, hashes: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Install a checkout that has locked these packages, a part of the file for each."""
    entries = [f"# {part}\n{part}==1.0 \\\n    --hash=sha256:{one}\n" for part, one in hashes.items()]
    (checkout / "tests" / "constraints.txt").write_text("\n".join([*entries, ""]))
    return subprocess.run(
        [checkout / "examples" / "install", ""],
        env={
            **os.environ,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(published),
            "PIP_CONFIG_FILE": os.devnull,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of next to nothing, with our installer."""
    found = tmp_path / "checkout"
    for folder in ("examples", "tests"):
        (found / folder).mkdir(parents=True)
    shutil.copy(ROOT / "examples" / "install", found / "examples")
    (found / "backend.py").write_text(f"FILES = {dict(described('renewer'))}\n{BACKEND}")
    (found / "pyproject.toml").write_text(PROJECT)
    return found


def test_a_package_that_was_changed_after_it_was_locked_is_not_installed(
    checkout: Path, tmp_path: Path
) -> None:
    published = tmp_path / "published"
    published.mkdir()
    hashes = {name: publish(published, name, "right = True\n") for name in ("build", "program")}
    done = install(checkout, published, hashes)
    assert done.returncode == 0, done
    (right,) = (checkout / ".venv").rglob("program.py")
    assert right.read_text() == "right = True\n"

    shutil.rmtree(checkout / ".venv")
    publish(published, "program", "raise SystemExit('attacked')\n")
    done = install(checkout, published, hashes)
    assert done.returncode != 0
    assert hashes["program"] in done.stderr
    assert list((checkout / ".venv").rglob("program.py")) == []

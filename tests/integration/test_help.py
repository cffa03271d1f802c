"""Completion in real shells, and the manual pages as they are shown."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from support.world import ROOT

TOML = """
[certificate."example.com"]
domains = ["example.com"]
[site.nodered]
host = "https://nodered.example.com"
people = ["phone"]
"""

SHELLS = {
    "bash": (("bash", "--norc", "-i"), "source <(renewer completion bash)"),
    "zsh": (
        ("zsh", "-f", "-i"),
        "bindkey -e; autoload -Uz compinit; compinit -D -u; source <(renewer completion zsh)",
    ),
}
"""How a shell is started for a person, and the line that makes it complete."""

BEGIN = "\x01"
"""The key that leads to the beginning of the line (Ctrl-A)."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "renewer.toml").write_text(TOML)
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return {"PATH": path, "HOME": str(home), "TERM": "dumb", "LANG": "C.UTF-8", "PS1": "$ "}


def completed(home: Path, shell: str, lines: Iterable[str]) -> list[str]:
    """Return what lines become when somebody at a terminal presses the key for completion at their ends."""
    argv, setup = SHELLS[shell]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        argv,
        cwd=home,
        env=environment(home),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ):
        os.close(theirs)
        pressed = (f"{line}\t{BEGIN}echo LINE: " for line in lines)
        os.write(ours, "\n".join((setup, *pressed, "exit", "")).encode())
        shown = b""
        with suppress(OSError):  # that is how a terminal ends
            while heard := os.read(ours, 4096):
                shown += heard
    os.close(ours)
    return re.findall(r"^LINE: (.*?)\s*$", shown.decode(), re.MULTILINE)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes(home: Path, shell: str) -> None:
    wholes = {
        "renewer ren": "renewer renew",
        "renewer -c ren": "renewer -c renewer.toml",
        "renewer -c renewer.toml revoke e": "renewer -c renewer.toml revoke example.com",
        "renewer -c renewer.toml link nodered p": "renewer -c renewer.toml link nodered phone",
        "renewer -c missing.toml revoke e": "renewer -c missing.toml revoke e",
    }
    assert completed(home, shell, wholes) == [*wholes.values()]


def test_fish_completes(home: Path) -> None:
    script = "renewer completion fish | source; complete -C 'renewer -c renewer.toml rotate n'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["nodered"]


def test_the_manual_pages_are_shown_without_a_complaint(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "renewer", "man", tmp_path, "examples/renewer.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for page in made.stdout.splitlines():
        shown = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", page], capture_output=True, text=True, check=True
        )
        assert shown.stderr == ""
        assert f"{Path(page).stem} - " in shown.stdout

"""What is installed from PyPI is what was locked: each package by its version and the hashes of its files."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKED = (ROOT / "tests" / "constraints.txt").read_text()
INSTALLERS = ("examples/install", "systemd/debian/build", "tests/lock")
ENTRY = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[a-z0-9.]+)(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n")
PART = re.compile(r"^# (?P<part>[a-z]+)\n(?P<entries>.*?)^\n", re.MULTILINE | re.DOTALL)
PARTS = {found["part"]: found["entries"] for found in PART.finditer(LOCKED)}
NAMES = {part: [entry["name"] for entry in ENTRY.finditer(entries)] for part, entries in PARTS.items()}


def commands(script: str) -> list[list[str]]:
    """Return the words of each line that calls pip."""
    text = (ROOT / script).read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [shlex.split(line) for line in lines if re.search(r"\bpip\b.* (?:install|download|wheel)\b", line)]


def test_every_line_belongs_to_an_entry_with_hashes() -> None:
    assert "".join(f"# {part}\n{entries}\n" for part, entries in PARTS.items()) == LOCKED
    assert [entries for entries in PARTS.values() if ENTRY.sub("", entries)] == []


def test_no_package_is_there_twice() -> None:
    names = [name for part in NAMES.values() for name in part]
    assert len(names) == len(set(names)) > 60


def test_it_names_no_registry() -> None:
    assert re.findall(r"://|index-url|find-links", LOCKED) == []


def test_what_pyproject_names_is_in_the_part_of_those_who_need_it() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = settings["project"]["optional-dependencies"]
    named = {
        "build": settings["build-system"]["requires"],
        "program": settings["project"]["dependencies"],
        "package": [*extras["metrics"], *extras["notify"]],
        "tests": [one for extra in extras.values() for one in extra],
    }
    before: set[str] = set()
    for part, wanted in named.items():
        before |= set(NAMES[part])
        assert {re.split(r"[<>=]", one)[0] for one in wanted} <= before, part


@pytest.mark.parametrize("script", INSTALLERS)
def test_an_installer_takes_nothing_whose_hash_is_not_known(script: str) -> None:
    calls = commands(script)
    assert any("--require-hashes" in call for call in calls)
    for call in calls:
        local = "--no-deps" in call and call[-1] in {".", "$top", "$wheel"}
        assert local or {"--require-hashes", "--only-binary=:all:"} <= set(call), call
        building = local and call[-1] != "$wheel"
        assert not building or "--no-build-isolation" in call, call

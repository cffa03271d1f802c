"""The shape of the code, beside what import-linter holds (see pyproject.toml)."""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "renewer"

LONGEST_FILE, LONGEST_TEST_FILE, LONGEST_FUNCTION = 350, 500, 45
ENTRIES = 18

MODULES = {path: path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {path: ast.parse(text) for path, text in MODULES.items()}


def test_the_listing_stays_short() -> None:
    entries = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    assert len(entries) <= ENTRIES, entries


def test_no_file_is_too_long() -> None:
    lengths = {str(path): len(text.splitlines()) for path, text in MODULES.items()}
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_file_of_tests_is_too_long() -> None:
    lengths = {str(path): len(path.read_text().splitlines()) for path in (ROOT / "tests").rglob("*.py")}
    assert lengths
    assert {path: length for path, length in lengths.items() if length > LONGEST_TEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    lengths = {
        f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_every_outside_package_has_its_room() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = document["tool"]["importlinter"]["contracts"]
    rooms = {package for contract in contracts for package in contract.get("forbidden_modules", ())}
    imported = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, "imports are absolute"
                imported.add(str(node.module).partition(".")[0])
    assert imported - set(sys.stdlib_module_names) - {"renewer"} == rooms


def test_nothing_is_mocked() -> None:
    named = re.compile(
        r"^\s*(?:from|import) (?:unittest(?: import mock|\.mock)|mock|pytest_mock)\b", re.MULTILINE
    )
    assert [path.name for path in (ROOT / "tests").rglob("*.py") if named.search(path.read_text())] == []

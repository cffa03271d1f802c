"""The shape of the code: who may import whom, which outside package lives where, and how long things get."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "renewer"

FLOORS = {
    0: "__init__ deployed errors estate failure journal model printable sites trail",
    1: "answers authorities backoff check/__init__ check/caa check/finding check/names clocks config"
    " credentials documents domains draft followed inherited keyring keys limits links notation"
    " notices outcome policy ports premises problems provenance readings redaction spoken tokens toml",
    2: "bounds disk identity jointly pace proc stamps vault watched",
    3: "cycle deploy dns01 following followup observer ordering setbacks takeover",
    4: "dns/* foreign/* hooks/* issuer/* nginx/* outside/* report service/* store/* system",
    5: "audience check/authority check/ca check/everything check/gates check/outside"
    " check/permission check/rivals check/rounds check/scene check/schedule check/state check/token"
    " check/webserver check/zones rest resting wire",
    6: "__main__ cli commands/* daemon manual overview show",
}
"""Every module is on exactly one floor; a pattern stands for all of a folder."""

ADAPTERS = 4
"""On this floor nobody imports anybody, but for the modules of one folder among themselves."""

ROOMS = {
    "acme": {"issuer/client"},
    "apprise": {"outside/courier"},
    "apscheduler": {"daemon"},
    "click": {"cli", "commands/*", "manual", "overview", "show"},
    "cloudflare": {"dns/api"},
    "crossplane": {"nginx/configuration"},
    "cryptography": {"inherited", "keys"},
    "dns": {"dns/resolver"},
    "httpx": {"dns/api"},
    "josepy": {"issuer/client"},
    "msgspec": {"authorities", "config", "documents", "toml"},
    "prometheus_client": {"outside/textfile"},
    "publicsuffixlist": {"limits"},
    "requests": {"issuer/client", "issuer/transport"},
    "rich": {"report"},
    "segno": {"show"},
}
"""The only modules that know an outside package."""

LONGEST_FILE, LONGEST_FUNCTION = 350, 45

MODULES = {
    str(path.relative_to(PACKAGE).with_suffix("")): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
}


def floors(module: str) -> list[int]:
    patterns = {floor: names.split() for floor, names in FLOORS.items()}
    folder = module.partition("/")[0] + "/*"
    return [
        floor for floor, names in patterns.items() if module in names or ("/" in module and folder in names)
    ]


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield every dotted name that a module imports, also inside its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(dotted: str) -> str | None:
    """Return the module of the program that a dotted name lies in."""
    first, *rest = dotted.split(".")
    if first != "renewer":
        return None
    for length in range(len(rest), 0, -1):
        module = "/".join(rest[:length])
        for candidate in (module, f"{module}/__init__"):
            if candidate in MODULES:
                return candidate
    return "__init__"


IMPORTS = {
    module: sorted({target for name in imported(tree) if (target := ours(name))})
    for module, tree in MODULES.items()
}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_on_exactly_one_floor(module: str) -> None:
    assert len(floors(module)) == 1


def test_no_floor_names_a_module_that_is_not_there() -> None:
    named = {name for names in FLOORS.values() for name in names.split() if not name.endswith("/*")}
    assert named <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_no_higher_floor(module: str) -> None:
    (own,) = floors(module)
    assert [other for other in IMPORTS[module] if floors(other)[0] > own] == []


@pytest.mark.parametrize("module", [module for module in MODULES if floors(module) == [ADAPTERS]])
def test_an_adapter_imports_no_other(module: str) -> None:
    adapters = [other for other in IMPORTS[module] if floors(other) == [ADAPTERS]]
    folder = module.rpartition("/")[0]
    assert [other for other in adapters if not folder or other.rpartition("/")[0] != folder] == []


def test_nothing_is_imported_in_a_circle() -> None:
    left = {module: set(targets) - {module} for module, targets in IMPORTS.items()}
    while free := [module for module, targets in left.items() if not targets & set(left)]:
        for module in free:
            del left[module]
    assert left == {}


def test_each_outside_package_lives_in_its_room() -> None:
    found: dict[str, set[str]] = {}
    for module, tree in MODULES.items():
        for name in imported(tree):
            package = name.partition(".")[0]
            if package != "renewer" and package not in sys.stdlib_module_names:
                found.setdefault(package, set()).add(re.sub(r"^commands/.*", "commands/*", module))
    assert found == ROOMS


def test_no_file_is_too_long() -> None:
    lengths = {str(path): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    lengths = {
        f"{module}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_nothing_is_mocked() -> None:
    named = re.compile(
        r"^\s*(?:from|import) (?:unittest(?: import mock|\.mock)|mock|pytest_mock)\b", re.MULTILINE
    )
    assert [path.name for path in (ROOT / "tests").rglob("*.py") if named.search(path.read_text())] == []

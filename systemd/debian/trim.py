"""Takes out of the package `cloudflare` what the program cannot reach: nearly all of its 55 MB.

    trim.py SITE-PACKAGES PROGRAM

The SDK has a folder for each of the vendor's products in `resources` and in `types`, which its client loads
when an attribute of that name is asked for. What stays is each folder whose name stands anywhere in the
program as an attribute or in an import, and whatever those import in turn; so nothing that is asked for can
be missing.
"""

import ast
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOMS = ("resources", "types")

LATE = "_client.py"
"""The module of the SDK whose imports are inside the attributes; all others import at their top."""


def words(program: Path) -> set[str]:
    """Return every name in the program that could stand for a product."""
    found: set[str] = set()
    for path in program.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.ImportFrom):
                found.update((node.module or "").split("."), (alias.name for alias in node.names))
    return found


def imports(sdk: Path, path: Path) -> Iterator[Path]:
    """Yield the products' folders that a module of the SDK imports from."""
    package = path.relative_to(sdk).parent.parts
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level:
            up = package[: len(package) - node.level + 1]
            for alias in node.names:
                below = [*up, *filter(None, (node.module or "").split(".")), alias.name]
                if below[0] in ROOMS:
                    yield sdk.joinpath(*below[:2])


def reached(sdk: Path, names: set[str]) -> set[Path]:
    """Return the products' folders that are needed for these names."""
    inside = {folder for room in ROOMS for folder in (sdk / room).iterdir() if folder.is_dir()}
    found = {folder for folder in inside if folder.name in names}
    outside = [path for path in sdk.rglob("*.py") if not inside & set(path.parents) and path.name != LATE]
    new = found | {target for path in outside for target in imports(sdk, path)} & inside
    while new:
        found |= new
        modules = [path for folder in new for path in folder.rglob("*.py")]
        new = {target for path in modules for target in imports(sdk, path)} & inside - found
    return found


def main() -> None:
    """Remove the other folders."""
    site, program = map(Path, sys.argv[1:])
    sdk = site / "cloudflare"
    kept = reached(sdk, words(program))
    for room in ROOMS:
        for folder in (sdk / room).iterdir():
            if folder.is_dir() and folder not in kept:
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()

"""What root may run gives owners and modes to open files alone, and changes folders by their handles alone.

A name may be another file's, or a link, by the time it is used: whoever may write the folder exchanges it. So
the code is read here, call by call. What is not held: what programs do that it starts, and what is only read.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "renewer").rglob("*.py")), ROOT / "systemd" / "reload"]
SCRIPTS = [ROOT / "systemd" / "debian" / name for name in ("postinst", "prerm", "postrm", "rtupdate")]

GIVES = {
    "chmod",
    "lchmod",
    "chown",
    "lchown",
    "copymode",
    "copystat",
    "copy2",
    "copytree",
    "utime",
    "setxattr",
}
"""By name or path they give away what somebody else put there; there is `fchmod` and `fchown`."""

CHANGES = {
    "rename": ("src_dir_fd", "dst_dir_fd"),
    "replace": ("src_dir_fd", "dst_dir_fd"),
    "link": ("src_dir_fd", "dst_dir_fd"),
    "symlink": ("dir_fd",),
    "unlink": ("dir_fd",),
    "remove": ("dir_fd",),
    "mkdir": ("dir_fd",),
    "rmdir": ("dir_fd",),
    "mkfifo": ("dir_fd",),
    "mknod": ("dir_fd",),
}
"""Functions of `os` that change a folder, with what they have to be given."""

FOLLOWS = {"makedirs", "removedirs", "renames", "truncate"}
"""Functions of `os` that know no handle."""

PATHS = {
    "rename", "unlink", "mkdir", "rmdir", "symlink_to", "hardlink_to", "touch", "write_text", "write_bytes",
}  # fmt: skip
"""Methods of `pathlib.Path`, which has no handles; `replace` has one argument there, and two for a text."""


def faults(tree: ast.AST) -> Iterator[str]:
    """Yield the calls that are not by handle, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (why := fault(node)):
            yield f"{node.lineno}: {ast.unparse(node)} {why}"
        elif isinstance(node, ast.ImportFrom) and node.module in {"os", "shutil"}:
            named = {alias.name for alias in node.names} & (GIVES | set(CHANGES) | FOLLOWS)
            yield from (f"{node.lineno}: {name} would be called without its module" for name in named)
        elif isinstance(node, ast.Import):
            other = {alias.asname for alias in node.names if alias.name in {"os", "shutil"}} - {None}
            yield from (f"{node.lineno}: {name} hides a module" for name in other)


def fault(call: ast.Call) -> str:
    """Return why a call may meet another file than the one that is meant; empty if it cannot."""
    if isinstance(call.func, ast.Name):
        return "writes by path" if call.func.id == "open" and not reads(call) else ""
    if not isinstance(call.func, ast.Attribute):
        return ""
    name, on = call.func.attr, ast.unparse(call.func.value)
    if name in GIVES:
        return "goes by name; there is fchmod and fchown"
    if on == "shutil":
        return "" if name in {"which", "get_terminal_size"} else "goes by path"
    return of_os(call, name) if on == "os" else of_path(call, name, on)


def of_path(call: ast.Call, name: str, on: str) -> str:
    """Return the same for a method of what may be a path."""
    if name in PATHS or (name == "replace" and len(call.args) == 1 and not call.keywords):
        return "is pathlib's, by path"
    return "writes by path" if name == "open" and not reads(call) and on != "Path(os.devnull)" else ""


def of_os(call: ast.Call, name: str) -> str:
    """Return the same for a function of `os`."""
    given = {keyword.arg for keyword in call.keywords}
    if name in FOLLOWS:
        return "goes by path"
    if name in CHANGES and not given.issuperset(CHANGES[name]):
        return f"lacks {' and '.join(CHANGES[name])}"
    makes = name == "open" and "O_CREAT" in ast.unparse(call)
    return "makes a file without dir_fd" if makes and "dir_fd" not in given else ""


def reads(call: ast.Call) -> bool:
    """Return whether a file is opened to be read."""
    modes = [
        part for part in (*call.args, *(one.value for one in call.keywords)) if isinstance(part, ast.Constant)
    ]
    words = [part.value for part in modes if isinstance(part.value, str)]
    return not any(set(word) <= set("rwxabt+") and set(word) & set("wxa+") for word in words)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_given_and_folders_are_changed_by_handle(path: Path) -> None:
    assert list(faults(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_of_the_package_give_nothing_away(path: Path) -> None:
    words = path.read_text().replace("(", " ").split()
    assert {"chown", "chmod", "chgrp"}.isdisjoint(words)


LED = """
os.chmod(path, 0o644)
os.chmod(name, mode, dir_fd=parent)
os.chown(name, 0, 0, dir_fd=parent, follow_symlinks=False)
os.lchown(path, 0, 0)
path.chmod(0o644)
Path("x").lchmod(0o644)
shutil.chown(path, "root")
shutil.copymode(one, other)
shutil.rmtree(path)
os.rename(one, other)
os.rename(one, other, src_dir_fd=folder)
os.replace(one, other)
os.unlink(path)
os.mkdir(path)
os.makedirs(path)
path.rename(other)
path.replace(other)
path.unlink()
path.mkdir(parents=True)
path.write_text("x")
path.touch()
open(path, "w")
open(path, mode="ab")
path.open("w")
os.open(path, os.O_CREAT | os.O_WRONLY)
os.open(path, flags=os.O_CREAT)
os.truncate(path, 0)
from os import chmod
from shutil import copymode
import shutil as files
"""

SAFE = """
os.fchmod(handle, 0o644)
os.fchown(handle, 0, 0)
os.rename(one, other, src_dir_fd=folder, dst_dir_fd=folder)
os.unlink(name, dir_fd=folder)
os.open(name, os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
open(path, "rb")
path.open("rb")
text.replace("a", "b")
moment.replace(tzinfo=UTC)
shutil.which("nginx")
Path(os.devnull).open("w")
"""


@pytest.mark.parametrize("line", LED.strip().splitlines())
def test_what_could_be_led_astray_is_seen(line: str) -> None:
    assert len(list(faults(ast.parse(line)))) == 1


@pytest.mark.parametrize("line", SAFE.strip().splitlines())
def test_what_goes_by_handle_is_fine(line: str) -> None:
    assert list(faults(ast.parse(line))) == []

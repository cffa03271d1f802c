"""The power fails: what a disk would hold at each moment, had it kept only what was written through.

A run is recorded, replayed on a model of a disk that knows what fsync(2) was called for, and each state of
that disk becomes a real folder.
"""

import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.forks import ROOT
from support.holds import Faulty

Points = Callable[[int], None]


@dataclass
class Node:
    """A file, a link or a folder, as it is (`names`) and as the disk has it (`kept`, `data`)."""

    data: bytes = b""
    link: str = ""
    folder: bool = False
    names: dict[str, "Node"] = field(default_factory=dict)
    kept: dict[str, "Node"] = field(default_factory=dict)

    def build(self, path: Path, *, strict: bool) -> None:
        """Make it real: with `strict` no name is there that was not written through."""
        if self.link:
            path.symlink_to(self.link)
        elif self.folder:
            path.mkdir(mode=0o700)
            for name, node in (self.kept if strict else self.names).items():
                node.build(path / name, strict=strict)
        else:
            path.touch(mode=0o600)
            path.write_bytes(self.data)

    def image(self, *, strict: bool) -> object:
        """Return all of it as a value."""
        names = self.kept if strict else self.names
        inner = tuple(sorted((name, node.image(strict=strict)) for name, node in names.items()))
        return (self.data, self.link, self.folder, inner)


def taken(path: Path) -> Node:
    """Return what lies there, all of it written through."""
    if path.is_symlink():
        return Node(link=str(path.readlink()))
    if not path.is_dir():
        return Node(path.read_bytes())
    inner = {one.name: taken(one) for one in path.iterdir()}
    return Node(folder=True, names=dict(inner), kept=dict(inner))


@dataclass
class Disk:
    """The state folder on a disk that forgets what was not written through."""

    state: Path
    root: Node

    def at(self, path: str) -> Node | None:
        """Return what lies at a path, `None` for one outside the state folder."""
        place = Path(path)
        if not place.is_relative_to(self.state):
            return None
        node = self.root
        for part in place.relative_to(self.state).parts:
            node = node.names[part]
        return node

    def play(self, what: str, *told: str) -> None:
        """Take one step of the program."""
        above = self.at(os.path.dirname(told[0])) if what != "outside" else None  # noqa: PTH120
        name = os.path.basename(told[0])  # noqa: PTH119
        if what == "fsync":
            self._written_through(*told)
        elif above is None:
            return
        elif what == "create":
            above.names.setdefault(name, Node())
        elif what == "mkdir":
            above.names[name] = Node(folder=True)
        elif what == "symlink":
            above.names[name] = Node(link=told[1])
        elif what == "rename":
            other = self.at(os.path.dirname(told[1]))  # noqa: PTH120
            assert other
            other.names[os.path.basename(told[1])] = above.names.pop(name)  # noqa: PTH119
        else:
            del above.names[name]

    def _written_through(self, path: str, data: str | None) -> None:
        node = self.at(path)
        if node is None:
            return
        if data is None:
            node.kept = dict(node.names)
        else:
            node.data = b64decode(data)


def recorded(faulty: Faulty, *argv: str) -> list[tuple[str, ...]]:
    """Run the program to its end; return its steps."""
    log = faulty.world.folder / "steps"
    script = ROOT / "tests" / "support" / "traced.py"
    done = subprocess.run(
        [sys.executable, str(script), str(log), "-c", str(faulty.world.config), *argv],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    return [tuple(json.loads(line)) for line in log.read_text().splitlines()]


def states(disk: Disk, steps: list[tuple[str, ...]]) -> Iterator[tuple[str, bool]]:
    """Yield each state that a disk may be in, once; the folder is to be built by whoever takes it."""
    seen = set()
    for step in steps:
        disk.play(*step)
        for strict in (True, False):
            image = disk.root.image(strict=strict)
            if image not in seen:
                seen.add(image)
                yield " ".join(map(str, step[:2])), strict


def replaced(faulty: Faulty, disk: Disk, *, strict: bool) -> None:
    shutil.rmtree(faulty.world.state)
    disk.root.build(faulty.world.state, strict=strict)


EVERY = 3
"""One state of so many is also gone on from; each is looked at."""


@pytest.mark.parametrize("what", ["a new certificate", "publishing"])
def test_the_power_fails_at_any_moment_of(faulty: Faulty, points: Points, what: str) -> None:
    faulty.calm()
    if what == "a new certificate":
        faulty.need()
    else:
        for path in (faulty.world.state / "certificates").glob("*/g*/cert.pem"):
            path.unlink()
    disk = Disk(faulty.world.state, taken(faulty.world.state))
    before = faulty.kept()
    steps = recorded(faulty, "renew")
    after = faulty.kept()
    count = 0
    for count, (step, strict) in enumerate(states(disk, steps), start=1):
        replaced(faulty, disk, strict=strict)
        faulty.serves()
        assert faulty.kept() in {before, after}, step
        if count % EVERY == 0:
            orders = faulty.world.ca.orders
            faulty.calm()
            assert faulty.world.ca.orders <= orders + 1, step
    replaced(faulty, disk, strict=True)
    faulty.calm()
    assert faulty.kept() == after
    points(count)


def told(root: Node, *, strict: bool) -> dict[str, object]:
    """Return what a later run goes by: all but the locks, which die with their process."""
    names = root.kept if strict else root.names
    return {name: node.image(strict=strict) for name, node in names.items() if name != "lock"}


def test_what_is_relied_on_outside_is_on_the_disk_before(faulty: Faulty, points: Points) -> None:
    """At each request and each call of nginx, a power failure would take nothing of the state folder back."""
    disk = Disk(faulty.world.state, taken(faulty.world.state))
    asked = 0
    for step in recorded(faulty, "renew"):
        disk.play(*step)
        if step[0] == "outside":
            asked += 1
            assert told(disk.root, strict=True) == told(disk.root, strict=False), step
    assert asked > 15
    points(asked)

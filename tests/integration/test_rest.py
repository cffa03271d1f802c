"""A run at rest: it believes the one before, until anything changed; with a real CA and a real nginx."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.nginx_master import BINARY
from support.world import NAME, Done, World

from renewer.engine.idle.index import WELL_BEFORE
from renewer.nginx.processes import accepting, master


@pytest.fixture
def calm(world: World) -> World:
    """A world where everything is at rest."""
    assert world.renew().one["action"] == "issued"
    settle(world)
    return world


def looked(world: World) -> tuple[bool, Done]:
    """Run once, and tell whether that looked: a look holds nginx for a moment, which is counted."""
    lease = world.state / "lock" / "nginx"
    before = lease.read_text()
    done = world.renew()
    assert (done.code, done.err) == (0, "")
    return lease.read_text() != before, done


def settle(world: World) -> None:
    """Run until nothing is to be looked at, and that is told in the words of the last look."""
    said = ""
    for _ in range(4):
        time.sleep(WELL_BEFORE + 0.1)
        again, done = looked(world)
        if not again:
            break
        said = done.out
    assert not again
    assert said in (done.out, "")
    assert (done.one["action"], done.one["served"]) == ("fresh", True)
    assert world.glimpse() == done.one["fingerprint"]


def generation(world: World) -> Path:
    return (world.state / "certificates" / NAME / "current").resolve()


def include(world: World) -> Path:
    return world.state / "nginx" / "certificates" / f"{NAME}.conf"


def reload(world: World) -> None:
    """Reload nginx by hand, and wait until other workers do the work."""
    before = accepting(master(world.nginx.pid_file))
    os.kill(int(world.nginx.pid_file.read_text()), signal.SIGHUP)
    while not (now := accepting(master(world.nginx.pid_file))) or now & (before or set()):
        time.sleep(0.05)


def restart(world: World) -> None:
    world.nginx.stop()
    world.nginx.start()


def show_the_placeholder(world: World) -> None:
    """Let nginx serve something else, and then put the file that it includes back just as it was."""
    text = include(world).read_text()
    include(world).write_text(
        text.replace(str(generation(world)), str(generation(world).parent / "placeholder"))
    )
    reload(world)
    include(world).write_text(text)


def touch(path: Path) -> None:
    path.write_bytes(path.read_bytes())


CHANGES: dict[str, tuple[Callable[[World], object], str]] = {
    "nginx is reloaded": (reload, "fresh"),
    "nginx is started anew": (restart, "fresh"),
    "nginx is made to serve something else": (show_the_placeholder, "deployed"),
    "a file of the generation is another": (
        lambda world: (generation(world) / "cert.pem").write_text("x"),
        "deployed",
    ),
    "what nginx includes is written anew": (lambda world: touch(include(world)), "fresh"),
    "what nginx includes is another": (lambda world: include(world).write_text("# mine\n"), "fresh"),
    "current leads nowhere": (lambda world: (generation(world).parent / "current").unlink(), "fresh"),
    "what is stored is written anew": (
        lambda world: touch(world.state / "store" / "certificate" / f"{NAME}.json"),
        "fresh",
    ),
    "the configuration has one more line": (
        lambda world: world.config.write_text(world.config.read_text() + "\n"),
        "fresh",
    ),
    "the index is damaged": (lambda world: (world.state / "rest").write_bytes(b"renewer"), "fresh"),
}


def test_whatever_changes_is_looked_at_by_the_next_run(calm: World) -> None:
    assert Path(BINARY).exists()
    for what, (change, action) in CHANGES.items():
        change(calm)
        again, done = looked(calm)
        assert (what, again, done.one["action"], done.one["served"]) == (what, True, action, True)
        settle(calm)
    assert calm.ca.orders == 1


def test_a_look_that_finds_something_to_do_ends_the_rest(calm: World) -> None:
    """The next run has to try again, although no file and no process has changed."""
    assert (calm.state / "rest").exists()
    calm.nginx.stop()
    done = calm.renew()
    assert (done.code, done.one["served"]) == (1, False)
    assert not (calm.state / "rest").exists()
    calm.nginx.start()
    settle(calm)

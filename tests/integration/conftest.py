"""What the tests of the whole program share."""

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.checked import CRON, OTHER, SUB, TOKENS, Bench
from support.hostile import server as hostile
from support.hostile.server import Hostile
from support.world import NAME, World

from renewer.acme import transport
from renewer.dns.cloudflare import client
from renewer.system import http_bounds


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Make the world of the test, with the names and habits that it needs; once for each test."""
    with ExitStack() as stack:
        yield lambda *names, **habits: stack.enter_context(World(tmp_path, names or (NAME,), **habits))


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    """A world with one certificate to obtain."""
    return make()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with a certificate and a site, after a renewal."""
    folder = tmp_path_factory.mktemp("world")
    with World(folder, zones=(NAME, OTHER, SUB), tokens=TOKENS) as world:
        bench = Bench(world, folder, folder / "etc")
        bench.write()
        assert world.renewer("nginx").code == 0
        world.nginx.stop()
        world.nginx.start()
        assert world.renew().code == 0
        yield world


@pytest.fixture
def bench(sound: World, tmp_path: Path) -> Iterator[Bench]:
    """A set-up for `check` that is in order, with a line for cron."""
    bench = Bench(sound, tmp_path, tmp_path / "etc")
    bench.file("cron.d/renewer", CRON)
    yield bench
    sound.box.api.heal()
    Bench(sound, tmp_path, tmp_path / "etc").write()


@pytest.fixture(scope="session")
def inside() -> Iterator[Hostile]:
    """Something that only this machine reaches, and that nobody has to ask."""
    with Hostile(lambda *_: hostile.whole({"inside": True})) as found:
        yield found
        assert found.requests == []


@pytest.fixture
def peak() -> Iterator[Callable[[], int]]:
    """The most memory that Python's objects had at a time."""
    hostile.bomb()
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no patience with an answer, and forget those that have never ended."""
    for module in (transport, client):
        monkeypatch.setattr(module, "ANSWER", 0.5)
    monkeypatch.setattr(http_bounds, "_left", Counter())

"""What the tests of the whole program share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from world import NAME, World


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Make the world of the test, with the names and habits that it needs; once for each test."""
    with ExitStack() as stack:
        yield lambda *names, **habits: stack.enter_context(World(tmp_path, names or (NAME,), **habits))


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    """A world with one certificate to obtain."""
    return make()

"""What the faults share: a world that many of them meet, the program in forks, and the table at the end."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.forks import Forks
from support.holds import Faulty
from support.world import World

ROWS: list[tuple[str, int, str]] = []


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    with Forks() as found:
        yield found


@pytest.fixture
def faulty(tmp_path: Any, forks: Forks) -> Iterator[Faulty]:
    """A world of the test's own, with a certificate that is served."""
    with World(tmp_path, delays=(0.0,)) as world:
        yield Faulty(world, forks)


@pytest.fixture
def points(request: pytest.FixtureRequest) -> Callable[[int], None]:
    """Tell at how many points the fault was injected; without a word it is one."""

    def tell(count: int) -> None:
        request.node.user_properties.append(("points", count))

    return tell


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.outcome != "rerun" and (report.when == "call" or report.failed):
        count = dict(report.user_properties).get("points", 1)
        fault = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        ROWS.append((fault, int(str(count)), "holds" if report.passed else report.outcome.upper()))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not ROWS:
        return
    write = terminalreporter.write_line
    write("")
    write("| fault | points | outcome |")
    write("|---|--:|---|")
    for fault, count, outcome in sorted(ROWS):
        write(f"| {fault} | {count} | {outcome} |")
    write(f"| **{len(ROWS)} faults** | **{sum(count for _, count, _ in ROWS)}** | |")

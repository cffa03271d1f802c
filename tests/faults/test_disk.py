"""A disk that refuses: what was served stays served, nothing is half-written, and the next run heals it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.forks import Forks, Meddling
from support.holds import SITE, Faulty
from support.world import World

Points = Callable[[int], None]


@pytest.mark.parametrize("code", ["ENOSPC", "EIO", "EROFS", "EDQUOT", "EACCES"])
def test_a_disk_that_refuses_any_write_of_publishing(faulty: Faulty, points: Points, code: str) -> None:
    faulty.calm()
    failed = 0
    while True:
        for path in (faulty.world.state / "certificates").glob("*/g*/cert.pem"):
            path.unlink()
        done = faulty.renew(meddling=Meddling(fail=failed + 1, code=code))
        faulty.serves()
        if done.code:
            error = done.one["error"] or done.answer["error"]
            assert str(faulty.world.state) in error  # it names the path
        faulty.calm()
        if done.writes <= failed:
            break
        failed += 1
    assert faulty.world.ca.orders == 1
    points(failed)


@pytest.mark.parametrize("part", range(2))
def test_a_disk_that_is_full_at_any_write_of_a_new_certificate(
    faulty: Faulty, points: Points, part: int
) -> None:
    """No order is lost over it: what was ordered is kept as soon as there is room."""
    faulty.calm()
    failed = 0
    for write in range(part + 1, 1000, 2):
        faulty.need()
        before = faulty.world.ca.orders
        done = faulty.renew(meddling=Meddling(fail=write))
        faulty.serves()
        faulty.calm()
        assert faulty.world.ca.orders == before + 1, write
        if done.writes < write:
            break
        failed += 1
    assert failed > 10
    points(failed)


def test_a_disk_that_is_full_at_any_write_of_a_rotation(faulty: Faulty, points: Points) -> None:
    faulty.sites(SITE)
    faulty.calm()
    failed = 0
    while True:
        done = faulty.run("rotate", "nodered", meddling=Meddling(fail=failed + 1))
        faulty.serves()
        faulty.calm()
        assert faulty.run("link", "nodered", "phone").code == 0
        if done.writes <= failed:
            break
        failed += 1
    assert failed > 10
    points(failed)


@pytest.mark.parametrize("code", ["ENOSPC", "EIO", "EROFS"])
def test_a_disk_that_refuses_everything(faulty: Faulty, code: str) -> None:
    faulty.calm()
    faulty.need()
    done = faulty.renew(meddling=Meddling(fail=-1, code=code))
    assert done.code in {1, 75}
    assert done.one["error"]
    faulty.serves()
    assert faulty.world.ca.orders == 1  # no order is spent whose certificate could not be kept
    faulty.calm()
    assert faulty.world.ca.orders == 2


@pytest.fixture
def small(tmp_path: Path, forks: Forks) -> Iterator[tuple[Faulty, Path]]:
    """A world whose state folder is a disk of its own, with little room on it."""
    with World(tmp_path, delays=(0.0,)) as world:
        faulty = Faulty(world, forks)
        faulty.calm()
        kept = tmp_path / "kept"
        world.state.rename(kept)
        world.state.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", world.state], check=True)
        try:
            subprocess.run(["cp", "-a", f"{kept}/.", world.state], check=True)
            yield faulty, world.state / "filler"
        finally:
            subprocess.run(["umount", "-l", world.state], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk that is full")
def test_a_disk_that_is_really_full(small: tuple[Faulty, Path]) -> None:
    faulty, filler = small
    faulty.need()
    with filler.open("wb") as file:
        try:
            while True:
                os.write(file.fileno(), b"x" * 4096)
        except OSError:
            pass
    done = faulty.renew()
    assert done.code == 75
    assert "no space left" in done.one["error"]
    assert "free some space" in done.err
    faulty.serves()
    filler.unlink()
    faulty.calm()


def test_a_store_that_is_read_only_is_told_by_its_path(faulty: Faulty) -> None:
    faulty.calm()
    faulty.need()
    journal = faulty.world.state / "store" / "journal"
    journal.rmdir()
    journal.write_text("something else stands here")
    done = faulty.renew()
    assert done.code == 1
    assert str(journal) in done.one["error"]
    faulty.serves()
    journal.unlink()
    faulty.calm()
    assert faulty.world.ca.orders == 2


def test_what_is_relied_on_after_a_power_failure_was_on_the_disk_before(faulty: Faulty) -> None:
    """Every file, and every folder that a name was put into, is written through before the next step."""
    done = faulty.renew(meddling=Meddling(die=100_000))
    assert done.code == 0
    waiting = False
    for step in done.steps:
        if step in {"after rename", "after symlink"}:
            waiting = True
        elif step == "after fsync":
            waiting = False
        elif step.startswith("before ") and step.split()[1] in {"acme", "api", "run"}:
            assert not waiting, f"{step} relies on a name that a power failure would take back"

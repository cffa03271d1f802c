"""A run that dies at any of its writes and outside steps: the next one goes on from there."""

import signal
import time
from collections.abc import Callable

import pytest
from support.forks import Meddling
from support.gated import OTHER, Site
from support.holds import Faulty

from renewer.engine.idle import index as idle

DEAD = -signal.SIGKILL

Points = Callable[[int], None]


def test_killed_at_every_step_of_the_first_certificate_in_turn_it_is_one_order(
    faulty: Faulty, points: Points
) -> None:
    """Each run goes one step further than the one before, and all of them want the same certificate."""
    died = 0
    while (done := faulty.renew(meddling=Meddling(die=died + 1))).code == DEAD:
        died += 1
        faulty.serves()
    assert done.code == 0
    faulty.calm()
    assert faulty.world.ca.orders == 1
    assert faulty.world.ca.accounts == 1
    points(died)


@pytest.mark.parametrize("part", range(4))
def test_killed_at_any_step_of_a_new_certificate(faulty: Faulty, points: Points, part: int) -> None:
    """Every step has a certificate of its own to obtain, and a run after it."""
    faulty.calm()
    died = 0
    for step in range(part + 1, 1000, 4):
        faulty.need()
        before = faulty.world.ca.orders
        code = faulty.renew(meddling=Meddling(die=step)).code
        faulty.serves()
        faulty.whole()
        faulty.calm()
        assert faulty.world.ca.orders == before + 1, step
        if code != DEAD:
            assert code == 0
            break
        died += 1
    assert died > 10
    points(died)


def test_killed_at_any_step_of_publishing(faulty: Faulty, points: Points) -> None:
    """What is stored is not served: each run has to publish it anew."""
    faulty.calm()
    died = 0
    while True:
        for path in (faulty.world.state / "certificates").glob("*/g*/cert.pem"):
            path.unlink()
        code = faulty.renew(meddling=Meddling(die=died + 1)).code
        faulty.serves()
        faulty.calm()
        if code != DEAD:
            break
        died += 1
    assert (code, died > 10) == (0, True)
    assert faulty.world.ca.orders == 1
    points(died)


def test_killed_at_any_step_of_a_run_that_finds_everything_at_rest(faulty: Faulty, points: Points) -> None:
    """What it leaves for the next run is whole or not there, and believed only if it is whole."""
    told = faulty.calm().answer["certificates"]
    time.sleep(idle.WELL_BEFORE + 0.1)
    index = faulty.world.state / idle.INDEX
    died = 0
    while True:
        index.unlink(missing_ok=True)
        code = faulty.renew(meddling=Meddling(die=died + 1)).code
        assert not index.exists() or idle.decoded(index.read_bytes())
        after = faulty.renew()
        assert (after.code, after.answer["certificates"]) == (0, [told[0] | {"action": "fresh"}])
        if code != DEAD:
            break
        died += 1
    assert (code, died > 10, idle.decoded(index.read_bytes()) is None) == (0, True, False)
    assert not after.steps  # it believed what was left
    assert list(faulty.world.state.glob(".tmp-*")) == []
    points(died)


@pytest.fixture
def site(faulty: Faulty) -> Site:
    """Sites behind secure links in a world where all is well."""
    found = Site(faulty.world, faulty.run)
    faulty.calm()
    return found


def test_killed_at_any_step_of_a_rotation_nobody_is_shut_out(
    faulty: Faulty, site: Site, points: Points
) -> None:
    died = 0
    while True:
        before, link = site.session(), site.link("nodered", "phone")
        code = faulty.run("rotate", "nodered", meddling=Meddling(die=died + 1)).code
        faulty.serves()
        # Nothing is signed with a key that nginx does not know.
        assert site.visit(site.session()).status == 200, died
        faulty.calm()
        assert site.visit(before).status == 200, died
        assert site.enter(link).status == 303, died
        if code != DEAD:
            break
        died += 1
    assert (code, died > 20) == (0, True)
    points(died)


def test_killed_at_any_step_of_a_rotation_at_once_the_ended_keys_stay_ended(
    faulty: Faulty, site: Site, points: Points
) -> None:
    died = 0
    while True:
        before, key = site.session(), site.key()
        other = site.link("shop", "phone").partition("example.com")[2]
        code = faulty.run("rotate", "nodered", "--now", meddling=Meddling(die=died + 1)).code
        faulty.serves()
        link = faulty.run("link", "nodered", "phone")
        if link.code:
            assert "the keys of nodered" in link.err
        else:
            assert site.enter(link.out.strip()).status == 303, died
        faulty.calm()
        assert site.visit(before).status == (200 if site.key() == key else 403), died
        assert site.visit(site.session()).status == 200
        assert site.get(other, OTHER).status == 303
        if code != DEAD:
            break
        died += 1
    assert (code, died > 20, site.key() != key) == (0, True, True)
    points(died)

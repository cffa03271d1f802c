"""Cloudflare and name servers that go wrong: the CA is not asked in vain, and no record is left."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.forks import Ended, Forks, Meddling
from support.holds import Faulty
from support.world import NAME, World, eventually, table

from sandbox import Fault

BACK_OFF = 90.0


@pytest.fixture
def dns(tmp_path: Path, forks: Forks) -> Iterator[Faulty]:
    """A world with a certificate and another one that is needed; name servers may take a second."""
    with World(tmp_path, delays=(0.0, 0.0)) as world:
        faulty = Faulty(world, forks)
        faulty.edit = lambda text: text.replace('timeout = "30s"', 'timeout = "1s"')
        faulty.again()
        faulty.calm()
        faulty.need()
        yield faulty


def holds(dns: Faulty, done: Ended, *, left: int = 0, orders: int = 2) -> None:
    """Hold what has to hold after a fault, then heal everything and run once more."""
    dns.serves()
    assert done.one["error"]
    assert dns.world.ca.answered == 2, "the CA was asked to look in vain"
    assert len(dns.world.box.records()) == left
    dns.world.box.api.heal()
    for server in dns.world.box.nameservers:
        server.delay, server.hide = 0.0, 0
    dns.calm(later=BACK_OFF)
    assert dns.world.ca.orders == orders
    assert not dns.world.ca.refused


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (500, None, 75),
        (502, None, 75),
        (503, None, 75),
        (403, 10000, 1),
        (403, 9109, 1),
        (400, 6003, 1),
        (400, 1004, 1),
    ],
)
def test_cloudflare_refuses_the_records(dns: Faulty, status: int, code: int | None, exit_code: int) -> None:
    dns.world.box.api.plan(Fault(method="POST", path_suffix="/batch", status=status, code=code, times=99))
    done = dns.renew()
    assert done.code == exit_code
    holds(dns, done)


def test_cloudflare_cuts_the_connection(dns: Faulty) -> None:
    dns.world.box.api.plan(Fault(method="POST", path_suffix="/batch", status=None, times=99))
    done = dns.renew()
    assert done.code == 75
    holds(dns, done)


def test_cloudflare_creates_the_records_and_its_answer_is_lost(dns: Faulty) -> None:
    dns.world.box.api.plan(
        Fault(method="POST", path_suffix="/batch", status=None, after_effect=True, times=1)
    )
    done = dns.renew()
    assert done.code == 75
    assert dns.world.box.records()
    holds(dns, done, left=len(dns.world.box.records()))


def test_cloudflare_does_not_let_the_records_go(dns: Faulty) -> None:
    """The certificate is there; the records go with the next run, though nothing else is to be done."""
    dns.world.box.api.plan(Fault(method="POST", path_suffix="/batch", status=500, times=99, skip=1))
    done = dns.renew()
    assert (done.code, done.one["action"]) == (0, "issued")
    assert "next run" in done.err
    assert dns.world.box.records()
    dns.world.box.api.heal()
    dns.calm()
    assert dns.world.ca.orders == 2


def test_cloudflare_asks_to_wait_longer_than_a_run(dns: Faulty) -> None:
    dns.world.box.api.plan(Fault(method="POST", path_suffix="/batch", status=429, retry_after=600, times=1))
    done = dns.renew()
    assert done.code == 75
    calls = len(dns.world.box.calls())
    assert dns.renew("--force").code == 75
    assert len(dns.world.box.calls()) == calls
    dns.serves()
    dns.world.box.api.heal()
    dns.calm(later=660)


@pytest.mark.parametrize("what", ["delay", "hide"])
@pytest.mark.parametrize("servers", [1, 2])
def test_name_servers_that_do_not_show_it_all(dns: Faulty, what: str, servers: int) -> None:
    for server in dns.world.box.nameservers[:servers]:
        setattr(server, what, 60.0 if what == "delay" else 1)
    done = dns.renew()
    assert done.code == 75
    holds(dns, done)


@pytest.mark.parametrize("mute", ["silent", "servfail"])
def test_a_name_server_that_does_not_answer_is_named(dns: Faulty, mute: str) -> None:
    server = dns.world.box.nameservers[1]
    setattr(server, mute, True)
    done = dns.renew()
    assert done.code == 75
    assert server.address in done.one["error"]
    setattr(server, mute, False)
    holds(dns, done)


def test_a_dozen_stale_records_in_the_way(dns: Faulty) -> None:
    for number in range(12):
        dns.world.box.zones[NAME].add(f"_acme-challenge.{NAME}", "TXT", f'"stale-{number}"')
    done = dns.renew()
    assert (done.code, done.one["action"]) == (0, "issued")
    assert len(dns.world.box.records()) == 12  # they are not ours


def test_a_token_that_is_revoked_in_the_middle(dns: Faulty) -> None:
    dns.world.box.api.plan(
        Fault(method="POST", path_suffix="/batch", status=403, code=9109, skip=1, times=99)
    )
    done = dns.renew()
    assert (done.code, done.one["action"]) == (0, "issued")
    assert "next run" in done.err
    assert dns.renew().code == 0  # and it is told again, as long as they are there
    dns.world.box.api.heal()
    dns.calm()


@pytest.mark.parametrize("step", range(3))
def test_a_call_to_cloudflare_that_dies_with_the_program(dns: Faulty, step: int) -> None:
    before = dns.renew("--dry-run")
    assert before.code == 0
    trial = dns.forks.run("-c", str(dns.world.config), "renew", "--json", meddling=Meddling(die=10**6))
    calls = [number for number, name in enumerate(trial.steps, 1) if name.endswith(" api")]
    dns.need()
    assert dns.renew(meddling=Meddling(die=calls[step])).code < 0
    dns.serves()
    dns.calm()
    assert dns.world.ca.orders == 3


def test_records_of_a_certificate_that_is_not_wanted_any_more(dns: Faulty) -> None:
    """The run that wanted it died; the next one knows only others, and still takes the records out."""
    dns.world.write(table("gone", f"gone.{NAME}"), table(NAME, *sorted(dns.wanted)))
    world = dns.world
    for server in world.box.nameservers:
        server.silent = True
    run = world.start("renew", "gone")
    eventually(lambda: world.waits_for_dns("gone"))
    run.send(signal.SIGKILL)
    run.wait()
    for server in world.box.nameservers:
        server.silent = False
    assert world.box.records()
    dns.again()
    dns.calm()
    assert "order" not in str(world.journal("gone")) or world.journal("gone")["order"] is None

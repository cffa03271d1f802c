"""`renewer run`: the daemon from its start to SIGTERM, before a real CA and a real nginx."""

import os
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from support.nginx_master import Client
from support.world import NAME, Make, Run, World, careless, children, connect, eventually, seconds, table

OTHER = "second.example"

VALIDITY = float(os.environ.get("RENEWER_TEST_VALIDITY", "20"))
"""Seconds that a certificate of the long test is valid."""

RENEWALS = int(os.environ.get("RENEWER_TEST_RENEWALS", "10"))
"""How many renewals in a row the long test waits for."""

CEILING = 30 * 1024
"""KiB that the daemon may hold while it has nothing to do (the contract's 30 MiB)."""

GRACE = 5.0
"""Seconds within which SIGTERM has to end it: the one time that is part of the contract."""


def end(daemon: Run) -> None:
    """Ask the daemon to end, which it has to do well and in time."""
    daemon.send(signal.SIGTERM)
    done = daemon.wait(GRACE)
    assert (done.code, done.out) == (0, "")
    assert "Traceback" not in done.err


def served(world: World, name: str = NAME) -> bool:
    """Tell whether nginx shows what is kept."""
    status = world.renewer("status", "--json").answer["certificates"]
    return any(one["name"] == name and one["fingerprint"] and one["served"] for one in status)


def idle(daemon: Run) -> bool:
    """Tell whether no worker runs."""
    return not children(daemon.pid)


def resident(pid: int) -> int:
    """Return how many KiB a process holds in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


class Hammer:
    """A client that trusts the CA alone: each handshake gives a fingerprint, or what was wrong with it.

    About a hundred a second: more of them would take the processor from what they look at.
    """

    def __init__(self, world: World) -> None:
        self._port = world.port
        self._context = ssl.create_default_context(cafile=str(world.box.roots))

    def __call__(self) -> tuple[str, str]:
        time.sleep(0.01)
        try:
            seen = connect(self._port, f"any.{NAME}", self._context)
        except OSError as error:
            return "", f"{datetime.now(UTC)}: {error!r}"
        leaf = x509.load_der_x509_certificate(seen.der)
        ended = leaf.not_valid_after_utc < datetime.now(UTC)
        return seen.fingerprint, f"ended at {leaf.not_valid_after_utc}" if ended else ""


def test_ten_renewals_before_the_eyes_of_a_client_that_never_stops(make: Make) -> None:
    world = make(validity=seconds(VALIDITY))
    daemon = world.start("run")
    eventually(lambda: served(world))
    client = Client(Hammer(world))
    client.start()
    try:
        for number in range(1, RENEWALS + 1):
            eventually(lambda: daemon.ended or world.nginx.reloads() > number)  # noqa: B023 - called at once
    finally:
        client.end()
    eventually(lambda: daemon.ended or idle(daemon))
    assert resident(daemon.pid) <= CEILING
    end(daemon)
    assert [wrong for _, wrong in client.results if wrong] == []
    assert len({fingerprint for fingerprint, _ in client.results}) >= RENEWALS
    assert world.ca.orders == world.ca.issued == world.nginx.reloads()
    assert world.ca.accounts == 1
    assert world.box.records() == []


def test_asked_to_end_in_the_middle_of_a_cycle_the_next_one_goes_on_and_leaves_nothing(world: World) -> None:
    world.box.nameservers[1].silent = True
    daemon = world.start("run")
    eventually(world.waits_for_dns)
    workers = children(daemon.pid)
    assert len(workers) == 1
    end(daemon)
    assert not Path(f"/proc/{workers[0]}").exists()
    assert len(world.box.records()) == 2  # they stand for the next run, which knows them
    world.box.nameservers[1].silent = False
    assert world.renew().one["action"] == "issued"
    assert (world.box.records(), world.ca.orders) == ([], 1)


def test_asked_to_end_at_its_very_start_it_ends(world: World, speaker: "Speaker") -> None:
    world.box.nameservers[1].silent = True
    for _ in range(5):
        daemon = world.start("run", NOTIFY_SOCKET=speaker.path)
        speaker.until("READY=1")
        end(daemon)
        speaker.heard.clear()


class Speaker:
    """The socket on which systemd would listen, and what was said there."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._socket.settimeout(60)

    def until(self, wanted: str) -> None:
        """Listen until a line that begins like this was said, after all that was heard so far."""
        while not any(line.startswith(wanted) for line in self.hear()):
            pass

    def hear(self) -> list[str]:
        said = self._socket.recv(4096).decode().splitlines()
        self.heard += said
        return said

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    # A socket's path must be short, which that of a test's own folder is not.
    with tempfile.TemporaryDirectory() as folder:
        speaker = Speaker(f"{folder}/notify")
        try:
            yield speaker
        finally:
            speaker.close()


def test_systemd_is_told_how_it_goes(world: World, speaker: Speaker) -> None:
    daemon = world.start("run", NOTIFY_SOCKET=speaker.path)
    speaker.until("READY=1")
    assert "WATCHDOG=1" in speaker.heard
    speaker.until("STATUS=next cycle at 2")
    daemon.send(signal.SIGHUP)
    speaker.until("RELOADING=1")
    (monotonic,) = (line for line in speaker.heard if line.startswith("MONOTONIC_USEC="))
    assert monotonic.removeprefix("MONOTONIC_USEC=").isdecimal()
    speaker.until("READY=1")
    daemon.send(signal.SIGTERM)
    speaker.until("STOPPING=1")
    assert daemon.wait(GRACE).code == 0
    assert all("=" in line for line in speaker.heard)


def test_sighup_brings_a_new_configuration_in_force_and_a_faulty_one_not(make: Make) -> None:
    world = make(NAME, OTHER)
    world.write(table(NAME))
    daemon = world.start("run")
    eventually(lambda: served(world) and idle(daemon))
    world.write(table(NAME), table(OTHER))
    daemon.send(signal.SIGHUP)
    eventually(lambda: served(world, OTHER) and idle(daemon))
    assert world.shown(OTHER).fingerprint != world.shown().fingerprint
    world.write(table(NAME), table(OTHER), edit=lambda text: text.replace("timeout =", "timeuot ="))
    daemon.send(signal.SIGHUP)
    told = f"stays in force: {world.config} has the faults listed above\n  -> fix them, then: systemctl"
    eventually(lambda: told in daemon.err)
    assert daemon.err.index("is not a known key") < daemon.err.index(told)
    assert "propagation.timeuot" in daemon.err
    assert not daemon.ended
    world.write(table(NAME), table(OTHER, OTHER, f"www.deep.{OTHER}"))
    daemon.send(signal.SIGHUP)
    eventually(lambda: world.nginx.reloads() == 3)
    eventually(lambda: served(world, OTHER))
    assert ("DNS", f"www.deep.{OTHER}") in world.shown(OTHER).details["subjectAltName"]
    end(daemon)
    assert (world.ca.orders, world.ca.accounts) == (3, 1)


def test_sighup_in_the_middle_of_a_cycle_is_not_lost(make: Make) -> None:
    world = make(NAME, OTHER)
    world.write(table(NAME))
    world.box.nameservers[1].silent = True
    daemon = world.start("run")
    eventually(world.waits_for_dns)
    world.write(table(NAME), table(OTHER))
    daemon.send(signal.SIGHUP)
    eventually(lambda: "the new configuration is in force" in daemon.err)
    world.box.nameservers[1].silent = False
    eventually(lambda: served(world, OTHER))
    end(daemon)
    assert (world.ca.orders, world.ca.accounts) == (2, 1)


def test_a_worker_that_is_killed_does_not_stop_the_daemon(world: World) -> None:
    world.box.nameservers[1].silent = True
    daemon = world.start("run")
    eventually(world.waits_for_dns)
    (worker,) = children(daemon.pid)
    os.kill(worker, signal.SIGKILL)
    world.box.nameservers[1].silent = False
    eventually(lambda: daemon.ended or served(world))
    assert world.shown().fingerprint
    end(daemon)
    assert (world.ca.orders, world.box.records()) == (1, [])


def test_there_is_one_daemon_for_a_state_folder(world: World) -> None:
    first = world.start("run")
    eventually(lambda: served(world))
    second = world.renewer("run")
    assert second.code == 75
    (sentence,) = second.sentences
    assert f"process {first.pid}" in sentence
    assert second.hints
    assert world.renew().one["action"] == "fresh"
    end(first)


FAULTY: dict[str, Callable[[str], str]] = {
    "an unknown table": lambda text: text.replace("[acme]", "[amce]"),
    "no TOML": lambda _: "not TOML at all",
    "an nginx that is not there": lambda text: text.replace("[nginx]", '[nginx]\nbinary = "/nowhere/nginx"'),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_it_does_not_start_with_a_faulty_configuration(world: World, fault: str) -> None:
    world.write(table(NAME), edit=FAULTY[fault])
    daemon = world.start("run")
    eventually(lambda: daemon.ended or daemon.err)
    done = daemon.wait(30)
    assert (done.code, done.out) == (78, "")
    assert "Traceback" not in done.err
    assert done.hints
    assert world.ca.asked == 0


def test_what_a_person_mended_by_hand_is_taken_up(world: World, speaker: "Speaker") -> None:
    """A daemon that starts when the placeholder is shown and the certificate is kept deploys at once."""
    world.nginx.stop()
    assert world.renew().code == 1
    world.nginx.start()
    placeholder = connect(world.port, NAME, careless()).fingerprint
    daemon = world.start("run", NOTIFY_SOCKET=speaker.path)
    speaker.until("READY=1")
    eventually(lambda: served(world))
    assert world.shown().fingerprint == placeholder
    end(daemon)
    assert world.ca.orders == 1

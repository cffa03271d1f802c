"""What may go wrong on the machine: nginx, state files, planted links, other runs, the clock."""

import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import redaction
from support.forks import Forks, Meddling
from support.holds import SITE, Faulty
from support.world import NAME, World, eventually

from sandbox import Token

Points = Callable[[int], None]

HOUR, DAY = 3600.0, 86400.0


# -- nginx --------------------------------------------------------------------------------------------------


def undeployed(faulty: Faulty) -> None:
    """Let a new certificate be stored that nginx does not serve yet."""
    faulty.calm()
    faulty.need()


def test_nginx_is_broken_by_hand(faulty: Faulty) -> None:
    undeployed(faulty)
    config = faulty.world.nginx.config
    good = config.read_text()
    before = faulty.world.glimpse()
    config.write_text(good + "\nnonsense;\n")
    done = faulty.renew()
    assert (done.code, "not because of renewer" in done.one["error"]) == (1, True)
    assert (faulty.world.glimpse(), faulty.world.ca.orders) == (before, 2)
    config.write_text(good)
    assert faulty.calm().one["action"] == "deployed"
    assert faulty.world.ca.orders == 2


def test_nginx_is_not_running(faulty: Faulty) -> None:
    undeployed(faulty)
    faulty.world.nginx.stop()
    done = faulty.renew()
    assert (done.code, "not running" in done.one["error"]) == (1, True)
    faulty.world.nginx.start()
    faulty.calm()
    assert faulty.world.ca.orders == 2


def test_a_reload_that_silently_fails_because_a_port_is_taken(faulty: Faulty) -> None:
    undeployed(faulty)
    before = faulty.world.glimpse()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = faulty.world.nginx.config
        good = config.read_text()
        config.write_text(good.replace("http {", f"http {{ server {{ listen 127.0.0.1:{port}; }}"))
        done = faulty.renew()
        assert done.code == 1
        assert str(port) in done.one["error"]
        assert faulty.world.glimpse() == before
        config.write_text(good)
    faulty.calm()
    assert faulty.world.ca.orders == 2


@pytest.mark.parametrize("content", ["", "not a number\n", "999999999\n"])
def test_a_pid_file_that_is_wrong(faulty: Faulty, content: str) -> None:
    undeployed(faulty)
    pid = faulty.world.nginx.pid_file
    good = pid.read_text()
    pid.write_text(content)
    assert faulty.renew().code == 1
    pid.write_text(good)
    faulty.calm()
    assert faulty.world.ca.orders == 2


def test_a_worker_that_will_not_die(faulty: Faulty) -> None:
    """A long connection keeps an old worker: that is no failure."""
    undeployed(faulty)
    with socket.create_connection(("127.0.0.1", faulty.world.port)) as held:
        held.sendall(b"\x16\x03\x01")  # a handshake that never ends
        assert faulty.calm().one["action"] == "issued"


def test_an_include_that_was_taken_out_of_nginx(faulty: Faulty) -> None:
    undeployed(faulty)
    config = faulty.world.nginx.config
    good = config.read_text()
    include = f"include {faulty.world.state}/nginx/certificates/{NAME}.conf;"
    current = (faulty.world.state / "certificates" / NAME / "current").resolve()
    for name in ("fullchain", "privkey"):
        (faulty.world.folder / f"{name}.pem").write_bytes((current / f"{name}.pem").read_bytes())
    pair = (faulty.world.folder / f"{name}.pem" for name in ("fullchain", "privkey"))
    other = "ssl_certificate {}; ssl_certificate_key {};".format(*pair)
    assert include in good
    config.write_text(good.replace(include, other))
    done = faulty.renew()
    assert (done.code, done.one["served"]) == (0, None)
    config.write_text(good)
    faulty.calm()


# -- files --------------------------------------------------------------------------------------------------

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "zeros": lambda data: bytes(len(data)),
    "cut off": lambda data: data[: len(data) // 2],
    "not JSON": lambda _: b"<html>",
    "another kind": lambda _: b"[1, 2, 3]",
    "not UTF-8": lambda data: b"\xff" + data,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["certificate", "suggestion", "zones", "limits", "failure", "journal"])
def test_a_state_file_that_is_damaged(faulty: Faulty, kind: str, damage: str) -> None:
    """It is told, and made anew; what nginx serves is not touched meanwhile."""
    faulty.calm()
    folder = faulty.world.state / "store" / kind
    folder.mkdir(mode=0o700, exist_ok=True)
    path = next(iter(folder.glob("*.json")), folder / f"{NAME}.json")
    path.write_bytes(DAMAGES[damage](path.read_bytes() if path.exists() else b'{"a": 1}'))
    done = faulty.renew()
    assert done.code == 0
    assert kind in {"limits", "zones"} or f"{kind}/" in done.err
    faulty.serves()
    faulty.calm()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["account", "site"])
def test_a_key_that_is_damaged_is_never_replaced_in_silence(faulty: Faulty, kind: str, damage: str) -> None:
    faulty.sites(SITE)
    faulty.calm()
    faulty.edit = lambda text: text + SITE
    faulty.need()
    (path,) = (faulty.world.state / "store" / kind).glob("*.json")
    good = path.read_bytes()
    path.write_bytes(DAMAGES[damage](good))
    damaged = path.read_bytes()
    done = faulty.renew()
    assert (done.code, path.read_bytes()) == (1, damaged)
    assert "backup" in done.err
    faulty.serves()
    path.write_bytes(good)
    faulty.calm(later=90)


@pytest.mark.parametrize("what", ["current", "include", "key", "chain", "generation"])
def test_a_published_file_that_somebody_took_away(faulty: Faulty, what: str) -> None:
    faulty.calm()
    state = faulty.world.state
    home = state / "certificates" / NAME
    generation = (home / "current").resolve()
    match what:
        case "current":
            (home / "current").unlink()
        case "include":
            (state / "nginx" / "certificates" / f"{NAME}.conf").unlink()
        case "key":
            (generation / "privkey.pem").unlink()
        case "chain":
            (generation / "fullchain.pem").write_text("-----BEGIN CERTIFICATE-----\n")
        case _:
            subprocess.run(["rm", "-r", str(generation)], check=True)
    faulty.calm()
    assert faulty.world.ca.orders == 1


@pytest.mark.parametrize(
    "place", ["store/journal", f"store/certificate/{NAME}.json", f"nginx/certificates/{NAME}.conf", "lock"]
)
def test_a_link_that_somebody_planted(faulty: Faulty, tmp_path: Path, place: str) -> None:
    """It is not followed: nothing outside the state folder is written or removed."""
    faulty.calm()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    target = faulty.world.state / place
    kept = tmp_path / "kept"
    if target.exists():
        target.rename(kept)
    target.symlink_to(outside / "precious" if target.suffix else outside)
    faulty.need()
    done = faulty.renew()
    assert done.code in {0, 1, 78}
    assert (outside / "precious").read_text() == "precious"
    assert [path.name for path in outside.iterdir()] == ["precious"]
    if target.is_symlink():
        target.unlink()
        if kept.exists():
            kept.rename(target)
    faulty.calm(later=90)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_state_folder_that_belongs_to_somebody_else(faulty: Faulty) -> None:
    faulty.calm()
    os.chown(faulty.world.state, 65534, 65534)
    done = faulty.run("renew")
    assert done.code == 78
    assert str(faulty.world.state) in done.err
    faulty.serves()
    os.chown(faulty.world.state, 0, 0)
    faulty.calm()


# -- other runs ---------------------------------------------------------------------------------------------


def test_two_runs_at_once_are_one_order(faulty: Faulty) -> None:
    faulty.calm()
    faulty.need()
    runs = [faulty.world.start("renew") for _ in range(4)]
    codes = sorted(run.wait().code for run in runs)
    assert codes[0] == 0
    assert set(codes) <= {0, 75}
    faulty.calm()
    assert faulty.world.ca.orders == 2


@pytest.mark.parametrize("moment", ["the order is written down", "the records stand"])
def test_asked_to_end_in_the_middle(faulty: Faulty, moment: str) -> None:
    faulty.calm()
    faulty.need()
    for server in faulty.world.box.nameservers:
        server.delay = 3.0
    run = faulty.world.start("renew")
    world = faulty.world
    eventually(lambda: world.ordered() if moment == "the order is written down" else world.waits_for_dns())
    run.send(signal.SIGTERM)
    assert run.wait().code == 75
    faulty.serves()
    faulty.calm()
    assert faulty.world.ca.orders == 2


# -- the clock ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [-366, -2, 2, 366, 3660])
def test_a_clock_that_is_off(faulty: Faulty, days: int) -> None:
    """Nothing is ordered by it, nothing is lost, and as soon as it is right all is well."""
    faulty.calm()
    before = faulty.world.glimpse()
    done = faulty.renew(meddling=Meddling(shift=days * DAY))
    if done.code:
        assert "clock is wrong" in done.one["error"]
    assert (faulty.world.glimpse(), faulty.world.ca.orders) == (before, 1)
    faulty.calm()
    assert faulty.world.ca.orders == 1


def test_a_clock_that_steps_in_an_order(faulty: Faulty) -> None:
    faulty.calm()
    faulty.need()
    assert faulty.renew(meddling=Meddling(die=60)).code == -signal.SIGKILL
    faulty.calm(later=12 * HOUR)
    assert faulty.world.ca.orders == 2


# -- what a run may tell ------------------------------------------------------------------------------------


def test_no_secret_is_in_anything_that_is_written_for_people(faulty: Faulty) -> None:
    """As after every test, but with all commands, every step told, and some of them failing."""
    faulty.sites(SITE)
    faulty.edit = lambda text: text + SITE
    calls = [
        ("-v", "renew"),
        ("status", "--json"),
        ("rotate", "nodered"),
        ("-v", "rotate", "nodered", "--now"),
    ]
    for argv in calls:
        faulty.run(*argv)
    faulty.run("-v", "renew", "--force", meddling=Meddling(fail=30))
    faulty.run("-v", "renew")
    hidden = redaction.secrets(faulty.world.state)
    assert len(hidden) > 10
    assert faulty.world.leaks() == []
    faulty.world.told.append(f"a line with {min(hidden)} in it")
    assert faulty.world.leaks() == [f"{min(hidden)[:6]}…"]
    faulty.world.told.pop()


@pytest.fixture
def alone(tmp_path: Path, forks: Forks) -> Iterator[Faulty]:
    """A world with a token that no other program of this machine can have."""
    tokens = {f"alone-{secrets.token_hex(20)}": Token((NAME,))}
    with World(tmp_path, delays=(0.0,), tokens=tokens) as world:
        yield Faulty(world, forks)


def test_no_secret_is_in_any_process_while_a_certificate_is_obtained(alone: Faulty) -> None:
    """The arguments and environments of every process, as a hook sees them; and no core may be dumped."""
    faulty = alone
    seen, program = faulty.world.folder / "seen", faulty.world.folder / "look"
    program.write_text(
        f"#!/bin/sh\ncat /proc/[0-9]*/cmdline /proc/[0-9]*/environ >{seen} 2>/dev/null\n"
        f"grep core /proc/$PPID/limits >{seen}.core\n"
    )
    program.chmod(0o700)
    faulty.edit = lambda text: f'{text}\n[[hook.command]]\nargv = ["{program}"]\n'
    faulty.again()
    assert faulty.renew().code == 0
    told = seen.read_text(errors="replace")
    assert "RENEWER_CERTIFICATES" in told
    hidden = {*faulty.world.box.tokens, *redaction.secrets(faulty.world.state)}
    assert redaction.leaked([told], hidden) == []
    assert Path(f"{seen}.core").read_text().split()[4:6] == ["0", "0"]

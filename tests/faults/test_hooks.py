"""Deploy hooks that go wrong: the certificate is served all the same, and the hook runs until it knows."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support.forks import Meddling
from support.holds import SITE, Faulty
from support.world import NAME, eventually

DEAD = -signal.SIGKILL

SECRET = "c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1zZWUtMTIzNDU2Nzg5"

Points = Callable[[int], None]


def hook(faulty: Faulty, body: str, mode: int = 0o700) -> Path:
    """Have a hook that does this; return the file that it tells what it was told in."""
    told, program = faulty.world.folder / "told", faulty.world.folder / "hook"
    program.unlink(missing_ok=True)
    program.write_text(f"#!/bin/sh\n{body.replace('TOLD', str(told))}\n")
    program.chmod(mode)
    table = f'[[hook.command]]\nargv = ["{program}", "an argument"]\ntimeout = "2s"\n'
    faulty.edit = lambda text: f"{text}\n{table}"
    faulty.again()
    return told


GOOD = 'echo "$RENEWER_CERTIFICATES|$RENEWER_SITES|$RENEWER_STATE|$1" >>TOLD'

FAULTS: dict[str, tuple[str, str]] = {
    "fails": ("echo it is too cold; exit 3", "failed with 3: it is too cold"),
    "hangs": ("exec sleep 1000", "did not finish within 2 s"),
    "hangs deaf": ("trap '' TERM HUP INT; while :; do sleep 1; done", "did not finish within 2 s"),
    "prints a secret": (f"echo {SECRET}; exit 1", "failed with 1: […]"),
    "prints the private key": (
        f'cat "$RENEWER_STATE/certificates/{NAME}/current/privkey.pem"; exit 1',
        "[a private key]",
    ),
    "is killed": ("kill -9 $$", "was killed by signal 9"),
    "prints without end": ("while :; do echo yes; done", "did not finish within 2 s"),
    "hangs while a child of it holds its output": ("sleep 1000 & sleep 1000", "did not finish within 2 s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_hook_that(faulty: Faulty, fault: str) -> None:
    body, sentence = FAULTS[fault]
    faulty.calm()
    told = hook(faulty, body)
    faulty.need()
    done = faulty.renew()
    (outcome,) = done.answer["hooks"]
    assert (done.code, outcome["action"], outcome["next"] is not None) == (1, "failed", True)
    assert sentence in outcome["error"]
    assert (done.one["action"], done.one["served"], done.one["error"]) == ("issued", True, None)
    assert faulty.world.glimpse() == done.one["fingerprint"] == faulty.kept()
    assert SECRET not in done.out + done.err
    assert faulty.renew().code == 1  # it is told again, whatever else is due
    hook(faulty, GOOD)
    assert faulty.calm().answer["hooks"][0]["action"] == "ran"
    assert faulty.calm().answer["hooks"][0]["action"] == "kept"
    assert told.read_text() == f"{NAME}||{faulty.world.state}|an argument\n"
    assert faulty.world.ca.orders == 2
    assert not _running(faulty)


@pytest.mark.parametrize("fault", ["does not exist", "is not a program", "other users can write"])
def test_a_hook_whose_program(faulty: Faulty, fault: str) -> None:
    modes = {"is not a program": 0o600, "other users can write": 0o722}
    told = hook(faulty, GOOD, modes.get(fault, 0o700))
    if fault == "does not exist":
        (faulty.world.folder / "hook").unlink()
    done = faulty.renew()
    assert (done.code, done.one["served"], done.one["error"]) == (1, True, None)
    assert not told.exists()
    hook(faulty, GOOD)
    faulty.calm()
    assert told.exists()


def test_a_hook_that_leaves_a_child_behind_is_not_waited_for(faulty: Faulty) -> None:
    told = hook(faulty, f"(sleep 5; echo late) & {GOOD}")
    assert faulty.renew().code == 0
    assert told.exists()
    eventually(lambda: not _running(faulty))


def test_a_hook_is_told_only_of_what_nginx_serves(faulty: Faulty) -> None:
    faulty.calm()
    told = hook(faulty, GOOD)
    faulty.calm()
    faulty.need()
    config = faulty.world.nginx.config
    good = config.read_text()
    config.write_text(f"{good}\nnonsense;\n")
    assert faulty.renew().code == 1
    assert len(told.read_text().splitlines()) == 1
    config.write_text(good)
    faulty.calm()
    assert len(told.read_text().splitlines()) == 2


def test_a_hook_is_told_of_a_rotation(faulty: Faulty) -> None:
    faulty.sites(SITE)
    faulty.calm()
    told = hook(faulty, GOOD)
    before = faulty.edit
    faulty.edit = lambda text: f"{before(text)}\n{SITE}"
    faulty.again()
    faulty.calm()
    assert faulty.run("rotate", "nodered").code == 0
    assert [line.split("|")[:2] for line in told.read_text().splitlines()] == [
        [NAME, "nodered"],
        ["", "nodered"],
    ]


def test_killed_at_any_step_of_a_hook_it_is_run_by_the_next_cycle(faulty: Faulty, points: Points) -> None:
    faulty.calm()
    died = 0
    while True:
        told = hook(faulty, f"{GOOD} # {died}")
        faulty.again()
        told.unlink(missing_ok=True)
        for path in (faulty.world.state / "store" / "hook").glob("*"):
            path.unlink()
        code = faulty.renew(meddling=Meddling(die=died + 1)).code
        faulty.calm()
        assert 1 <= len(told.read_text().splitlines()) <= 2
        if code != DEAD:
            break
        died += 1
    assert (code, died >= 8) == (0, True)
    points(died)


def _running(faulty: Faulty) -> list[str]:
    """Return the processes that a hook left: they have the state folder in their environment."""
    mark = f"RENEWER_STATE={faulty.world.state}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(entry.name)
            except OSError:
                continue
    return found

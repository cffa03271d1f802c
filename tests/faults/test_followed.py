"""A run that dies while it notes which text of the configuration is in force: the older one stays out."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from support.forks import Meddling
from support.gated import Site
from support.holds import Faulty
from support.world import ROOT

from renewer.core.followed import View
from renewer.engine.idle.index import HANDED

DEAD = -signal.SIGKILL


def in_force(faulty: Faulty) -> str:
    """Return the digest of the text that the state follows; the document has to be whole."""
    found = json.loads((faulty.world.state / "store" / "configuration.json").read_text())
    assert found["file"] == str(faulty.world.config)
    return str(found["digest"])


def worker(faulty: Faulty, view: View) -> int:
    """Run what the daemon would, with a text that it has read; return the exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "renewer", "-c", "-", "renew", "--json"],
        cwd=ROOT,
        env=os.environ | {HANDED: view.handed},
        input=view.text,
        capture_output=True,
        text=True,
        check=False,
    )
    faulty.world.told += [done.stdout, done.stderr]
    return done.returncode


def test_killed_at_any_step_of_noting_a_newer_text_the_older_one_stays_out(
    faulty: Faulty, points: Callable[[int], None]
) -> None:
    site = Site(faulty.world, faulty.run)
    people = ('["phone"]', '["tablet"]')
    site.configure(people[0])
    faulty.calm()
    died, noted = 0, False
    while not noted:
        older = View(faulty.world.config.read_text(), datetime.now(UTC), faulty.world.config)
        site.configure(people[(died + 1) % 2])
        text = faulty.world.config.read_text()
        assert faulty.renew(meddling=Meddling(die=died + 1)).code == DEAD
        died += 1
        noted = in_force(faulty) != older.digest
        before = site.ring()
        faulty.world.config.unlink()  # so that what is noted decides
        assert worker(faulty, older) == (75 if noted else 0), died
        faulty.world.config.write_text(text)
        worker(faulty, older)
        assert site.ring() == before, died
        faulty.calm()
        assert in_force(faulty) == View(text, datetime.now(UTC)).digest
        assert site.ring()["people"] == json.loads(people[died % 2])
    assert died > 4
    points(died)

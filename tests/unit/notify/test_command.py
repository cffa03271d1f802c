"""The hook that runs a program: one run of it at a time, whatever becomes of the cycle that started it."""

import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from renewer.core.errors import LockBusy
from renewer.core.hook import Deployed
from renewer.notify.command import CommandHook

NEWS = Deployed({"example.com": "f1"}, {})
LONG = "touch $RENEWER_STATE/begun; until test -e $RENEWER_STATE/enough; do sleep 0.05; done"
CYCLE = """
import sys
from datetime import timedelta
from pathlib import Path
from renewer.core.hook import Deployed
from renewer.notify.command import CommandHook
argv = ("/bin/sh", "-c", sys.argv[1])
CommandHook("a", argv, timedelta(seconds=20), Path(sys.argv[2])).run(Deployed({}, {}))
"""


def hook(body: str, state: Path) -> CommandHook:
    return CommandHook("a", ("/bin/sh", "-c", body), timedelta(seconds=20), state)


def test_one_that_outlives_a_killed_cycle_gets_no_second_beside_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CYCLE, LONG, str(tmp_path)]) as cycle:
        while not (tmp_path / "begun").exists():
            assert cycle.poll() is None
            time.sleep(0.01)
        cycle.kill()
    with pytest.raises(LockBusy, match="/bin/sh is still running for an earlier cycle"):
        hook(LONG, tmp_path).run(NEWS)
    hook("true", tmp_path).run(NEWS)
    (tmp_path / "enough").touch()
    while True:
        with suppress(LockBusy):
            hook(LONG, tmp_path).run(NEWS)
            break


def test_what_one_leaves_running_does_not_count(tmp_path: Path) -> None:
    for _ in range(2):
        hook("sleep 5 &", tmp_path).run(NEWS)

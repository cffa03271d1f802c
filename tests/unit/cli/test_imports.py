"""What a run never loads."""

import os
import subprocess
import sys
import time

import pytest
from support.program import ROOT, Home

from renewer.engine.idle.index import WELL_BEFORE

HEAVY = {"acme", "josepy", "requests", "cloudflare", "httpx", "cryptography", "rich", "apscheduler", "dns"}
HEAVY |= {"apprise", "prometheus_client"}


@pytest.mark.parametrize(
    ("configured", "needed"),
    [
        ("", set()),
        ('[notify]\nping = "http://127.0.0.1:9/"\nurls_file = "/no/urls"', set()),
        ('[metrics]\ntextfile = "/no/renewer.prom"', {"prometheus_client"}),
    ],
)
def test_where_nothing_is_due_nothing_heavy_is_loaded(
    settled: Home, configured: str, needed: set[str]
) -> None:
    settled.configure(configured)
    script = (
        "import sys\nfrom renewer.cli.main import main\ntry:\n    main()\n"
        "except SystemExit as end:\n    print(end.code, *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "-c", settled.file, "renew"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    code, *loaded = done.stdout.split()
    assert (code, bool(done.stderr)) == ("0", bool(configured))
    assert "renewer" in loaded
    assert HEAVY & set(loaded) == needed


AT_REST = {
    "__future__",
    "binascii",
    "errno",
    "renewer",
    "renewer.__main__",
    "renewer.engine",
    "renewer.engine.idle",
    "renewer.engine.idle.index",
    "renewer.engine.idle.stamps",
    "renewer.engine.idle.nginx_processes",
    "renewer.system",
    "renewer.system.proc",
    "renewer.system.safe_paths",
}
"""All that a run may load if nothing has changed since the last one, besides what the interpreter does."""


def test_a_run_at_rest_loads_next_to_nothing(settled: Home) -> None:
    script = (
        "import sys\nbefore = {*sys.modules}\nfrom renewer.__main__ import main\ntry:\n    main()\n"
        "except SystemExit as end:\n    print(end.code, *{*sys.modules} - before)"
    )
    argv = [sys.executable, "-c", script, "-c", str(settled.file), "renew"]
    subprocess.run(argv, cwd=ROOT, capture_output=True, check=True)  # notes whose the state folder is
    time.sleep(WELL_BEFORE + 0.1)  # what was made just now might change once more unseen
    looked, rested = (
        subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert "renewer.engine.cycle" in looked.stdout.split()
    code, *loaded = rested.stdout.split()
    assert (code, rested.stderr) == ("0", "")
    assert set(loaded) == AT_REST
    reader, writer = os.pipe()
    os.close(reader)
    unread = subprocess.run([*argv, "--json"], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (unread.returncode, unread.stderr) == (1, b"")

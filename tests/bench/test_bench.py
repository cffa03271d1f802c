"""The bench still works; what it measures is nobody's business here, and certbot is left out for its time."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_short_bench_measures_everything_and_tells_it(tmp_path: Path) -> None:
    command = [ROOT / "tests" / "bench" / "run", "--short", "--no-certbot", "--into", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert list(results) == ["about", "single", "many", "idle", "daemon", "gate", "served", "profile"]
    assert {kind: set(found) for kind, found in results["single"].items()} == {
        "first": {"renewer"},
        "renewal": {"renewer", "renewer, until nginx serves it"},
    }
    assert results["single"]["first"]["renewer"]["calls"] == 3
    assert results["single"]["renewal"]["renewer"]["calls"] == 2
    assert results["served"]["lost"] == {}
    assert done.stdout == (tmp_path / "results.md").read_text() + "\n"
    assert done.stdout.count("\n| --- |") == len(results) - 1
    assert (tmp_path / "results.svg").read_text().count("<circle") > 0

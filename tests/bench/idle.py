"""A run with nothing due, for one certificate and for thousands, beside `certbot renew` in the same state."""

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from contest import AT_ONCE, Certbot, Place, Renewer, place
from measure import Program, in_turns, median, paired
from support import certs

from renewer.config import load
from renewer.core.model import Suggestion
from renewer.engine.idle.index import WELL_BEFORE
from renewer.nginx.generations import Generations
from renewer.nginx.layout import Layout
from renewer.system import files


def measured(counts: Sequence[int], rounds: int, certbot: int, against: Path | None) -> list[dict[str, Any]]:
    """Measure with every number of certificates in the state; with up to `certbot` of them certbot, too."""
    found = []
    for count in counts:
        with place(setting=AT_ONCE) as world:
            costs = _measured(world, count, rounds, against, certbot=count <= certbot)
        found.append({"certificates": count} | costs)
    return found


def _measured(
    world: Place,
    count: int,
    rounds: int,
    against: Path | None,
    *,
    certbot: bool,
) -> dict[str, Any]:
    names = [f"c{number}.example.com" for number in range(count)]
    renewer = Renewer(world)
    configured = renewer.configured(names)
    fill(configured)
    programs = {
        "the bare interpreter": Program([sys.executable, "-c", "pass"]),
        "renewer": renewer.program(configured, "renew"),
        "renewer, looking at all": renewer.program(configured, "-v", "renew"),
    }
    time.sleep(2 * WELL_BEFORE)
    programs["renewer"].run()  # from the first look on it is known that everything rests
    if against:
        programs["renewer before"] = Renewer(world, against).program(configured, "renew")
    if certbot:
        programs["certbot"] = _certbot(world, count)
    costs = in_turns({name: program.run for name, program in programs.items()}, rounds)
    return {
        name: {
            "wall": median([cost.wall for cost in every]),
            "cpu": median([cost.cpu for cost in every]),
            "peak": median([cost.peak for cost in every]),
            "renewer_to_this": paired([one.wall for one in costs["renewer"]], [one.wall for one in every]),
        }
        for name, every in costs.items()
    }


def fill(file: Path) -> None:
    """Put certificates that are fresh, and asked about at the CA, where a run would have put them."""
    settings = load.load(str(file))
    layout = Layout(settings.state)
    files.folder(layout.include("any").parent)
    now = datetime.now(UTC)
    with _careless():
        for spec in settings.specs:
            material = replace(certs.material(spec, days=390), directory_url=spec.directory_url, obtained=now)
            asked = Suggestion(material.pairs[0].ari, ask_again=now + timedelta(days=1))
            _keep(settings.state, f"certificate/{spec.name}", material)
            _keep(settings.state, f"suggestion/{spec.name}", asked)
            files.folder(layout.home(spec.name))
            Generations(layout).publish(spec.name, material)


def _keep(state: Path, key: str, value: object) -> None:
    """Write a value as the store has it; its own way looks for leftovers in the folder with every write."""
    path = state / "store" / f"{key}.json"
    files.folder(path.parent)
    path.touch(mode=0o600)
    path.write_bytes(msgspec.json.encode(value))


@contextmanager
def _careless() -> Iterator[None]:
    """Let nothing wait for the disk: what is made here may be lost with the machine."""
    careful, os.fsync = os.fsync, lambda _: None
    try:
        yield
    finally:
        os.fsync = careful


def _certbot(world: Place, count: int) -> Program:
    """Return `certbot renew` over one certificate that it obtained, and copies of that under other names."""
    folder = world.folder()
    certbot = Certbot(world, 0)
    certbot.obtain(folder, "example.com")
    configuration = folder / "config"
    original = (configuration / "renewal" / "example.com.conf").read_text()
    for number in range(1, count):
        name = f"c{number}.example.com"
        (configuration / "renewal" / f"{name}.conf").write_text(re.sub(r"\bexample\.com\b", name, original))
        archive, live = (configuration / kind / name for kind in ("archive", "live"))
        shutil.copytree(configuration / "archive" / "example.com", archive)
        live.mkdir()
        for kind in ("privkey", "cert", "chain", "fullchain"):
            (live / f"{kind}.pem").symlink_to(f"../../archive/{name}/{kind}1.pem")
    return certbot.program(folder, "renew", "--no-random-sleep-on-renew")

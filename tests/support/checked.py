"""The world that `renewer check` looks at, with what is wrong in it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from support.done import Done
from support.world import NAME, ROOT, World, inherited, table

from sandbox.cloudflare import Token

OTHER, SUB = "other.example", "sub.example.com"
"""A zone that most tokens do not see, and one that example.com is delegated away to in part."""


def named(text: str) -> str:
    return f"the-token-{text}".ljust(40, "-")


SOON = datetime.now(UTC) + timedelta(days=5)
TOKENS = {
    named("good"): Token((NAME,)),
    named("wide"): Token((NAME, OTHER)),
    named("foreign"): Token((OTHER,)),
    named("blind"): Token((NAME,), zone_read=False),
    named("reader"): Token((NAME,), dns_edit=False),
    named("expired"): Token((NAME,), status="expired", expires_on="2026-01-01T00:00:00Z"),
    named("disabled"): Token((NAME,), status="disabled"),
    named("later"): Token((NAME,), not_before="2099-01-01T00:00:00Z"),
    named("ending"): Token((NAME,), expires_on=f"{SOON:%Y-%m-%dT%H:%M:%SZ}"),
    named("owned"): Token((NAME,), owned=True),
    named("blind-owned"): Token((NAME,), owned=True, zone_read=False),
}

SITE = '[site.nodered]\nhost = "https://nodered.example.com"\nhome = "/ui/"\npeople = ["phone"]\n'

CRON = "17 */6 * * *  root  /usr/local/bin/renewer renew\n"

SHIFTED = """
from datetime import timedelta
from renewer.cli import main as cli
from renewer.system import clock
real = clock.SystemClock.now
clock.SystemClock.now = lambda clock: real(clock) + timedelta(seconds={})
cli.main()
"""
"""The program on a machine whose clock is off by so many seconds."""


@dataclass
class Bench:
    """The world with what is wrong in it; `etc` is laid over this machine's /etc for the program alone."""

    world: World
    folder: Path
    etc: Path
    tables: list[str] = field(default_factory=lambda: [table(NAME), SITE])
    config: list[tuple[str, str]] = field(default_factory=list)
    nginx: list[tuple[str, str]] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    shift: timedelta = timedelta(0)
    zone_ids: bool = False

    def file(self, path: str, text: str) -> None:
        """Put a file into the machine's /etc."""
        place = self.etc / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def write(self) -> None:
        """Write the configurations of renewer and of nginx."""
        self.world.write(*self.tables, edit=partial(edited, self.config), zone_ids=self.zone_ids)
        link = self.world.state / "nginx/secure_link"
        server = (
            f"server {{\n listen 127.0.0.1:{self.world.port} ssl;\n server_name {NAME} *.{NAME};\n"
            f" include {self.world.state}/nginx/certificates/{NAME}.conf;\n"
            f" set $rn_scope nodered;\n set $rn_home /ui/;\n include {link}/enter.conf;\n"
            f" location / {{\n include {link}/gate.conf;\n return 204;\n }}\n}}\n"
        )
        http, main = f"include {link}/http.conf;\n", "worker_shutdown_timeout 1h;\n"
        self.world.nginx.configure(http + server, main)
        text = edited(self.nginx, self.world.nginx.config.read_text())
        self.world.nginx.config.write_text(text)

    def command(self, *arguments: str) -> list[str]:
        """Return the program's call in a mount namespace of its own."""
        laid = [f"mount -t overlay overlay -o lowerdir={self.etc}:/etc /etc", *self.mounts]
        script = " && ".join([*laid, 'exec "$@"'])
        unshared = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", script, "sh"]
        program = [sys.executable, "-m", "renewer"]
        if self.shift:
            program = [sys.executable, "-c", SHIFTED.format(self.shift.total_seconds())]
        return [*unshared, *program, "-c", str(self.world.config), *arguments]

    def run(self, *arguments: str, **environment: str) -> Done:
        done = subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=inherited() | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)


def edited(edits: Sequence[tuple[str, str]], text: str) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def kept(bench: Bench) -> dict[str, tuple[int, bytes]]:
    """Return all that the program remembers, but for the folder for records that check creates."""
    found = bench.world.files("store")
    assert found.pop("store/check", (0o700, b"")) == (0o700, b"")
    return found


def problems(done: Done) -> list[dict[str, Any]]:
    return [one for one in done.answer["findings"] if one["status"] != "ok"]

"""Who is measured: this program, an earlier revision of it, and certbot, in one world (sandbox and nginx)."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from ssl import create_default_context
from tempfile import TemporaryDirectory

from measure import ROOT, Cost, Program, median
from support.world import World, table

CERTBOT = ROOT / ".venv" / "certbot" / "bin" / "certbot"

REQUEST = re.compile(r" (?:GET|POST|HEAD) /(?!roots)\S+ -> ")
"""A request, as pebble's log has it."""

ROUND_TRIPS = 21
"""How often the way to the CA is measured."""


@dataclass(frozen=True)
class Setting:
    """The seconds that a call to Cloudflare takes, and those until each name server shows a change."""

    latency: float = 0.08
    delays: tuple[float, ...] = (1.0, 2.5)


USUAL, AT_ONCE = Setting(), Setting(0.0, (0.0, 0.0))


@dataclass(frozen=True)
class Spent:
    """What a run cost, what it asked of Cloudflare and of the CA, and the seconds of one round trip."""

    cost: Cost
    calls: int
    requests: int
    round_trip: float


class Place:
    """A world in which runs are counted."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._folders = 0

    def folder(self) -> Path:
        """Return a new folder."""
        self._folders += 1
        found = self.world.folder / f"contest-{self._folders}"
        found.mkdir()
        return found

    def spend(self, program: Program) -> Spent:
        """Run a program to its end, and count what it asked for."""
        calls, said = len(self.world.box.calls()), len(self.world.ca.log)
        cost = program.run()
        asked = len(REQUEST.findall(self.world.ca.log[said:]))
        return Spent(cost, len(self.world.box.calls()) - calls, asked, self.round_trip())

    def round_trip(self) -> float:
        """Return the seconds of the smallest request to the CA, over a connection that stands."""
        trust = create_default_context(cafile=str(self.world.box.ca_bundle))
        way = HTTPSConnection("127.0.0.1", self.world.box.pebble.port, context=trust)
        taken = []
        for _ in range(ROUND_TRIPS):
            begin = time.monotonic()
            way.request("GET", "/nonce-plz")
            way.getresponse().read()
            taken.append(time.monotonic() - begin)
        way.close()
        return median(taken)


@contextmanager
def place(
    names: Sequence[str] = ("example.com",), setting: Setting = USUAL, **habits: object
) -> Iterator[Place]:
    """Make a world with certificates to obtain, whose CA refuses no nonce and validates at once."""
    with (
        TemporaryDirectory() as folder,
        World(
            Path(folder), names, latency=setting.latency, delays=setting.delays, nonce_reject=0, **habits
        ) as world,
    ):
        yield Place(world)


@dataclass(frozen=True)
class Renewer:
    """This program from the source in `source`; with `nginx` until nginx serves what it obtained."""

    place: Place
    source: Path = ROOT
    nginx: bool = False

    def first(self, names: Sequence[str] = ("example.com",)) -> Callable[[], Spent]:
        """Return what obtains first certificates, each time from nothing."""
        return lambda: self.place.spend(self.program(self.configured(names), "renew"))

    def renewal(self) -> Callable[[], Spent]:
        """Return what renews a certificate that is there."""
        config = self.configured(("example.com",))
        self.program(config, "renew").run()
        return lambda: self.place.spend(self.program(config, "renew", "--force"))

    def program(self, config: Path, *arguments: str) -> Program:
        """Return a command of the program."""
        argv = [sys.executable, "-m", "renewer", "-c", str(config), *arguments]
        return Program(argv, {"PYTHONPATH": str(self.source)})

    def configured(self, names: Sequence[str]) -> Path:
        """Write a configuration, with a state folder of its own unless it is the one that nginx includes."""
        world, folder = self.place.world, self.place.folder()
        state = world.state if self.nginx else folder / "state"
        off = "" if self.nginx else 'reload = "none"\nprobe = []\n'
        config = folder / "renewer.toml"
        config.write_text(
            "\n".join([world.box.toml(state, timeout="10m"), *map(table, names)])
            + f'[nginx]\nconfig = "{world.nginx.config}"\n{off}'
        )
        return config


@dataclass(frozen=True)
class Certbot:
    """certbot with its Cloudflare plugin as they come, on the same world."""

    place: Place
    propagation: int | None = None

    def first(self, names: Sequence[str] = ("example.com",)) -> Callable[[], Spent]:
        """Return what obtains first certificates, each time from nothing: one certbot after the other."""

        def obtain() -> Spent:
            folder = self.place.folder()
            every = [self.place.spend(self.program(folder, *self._order(name))) for name in names]
            wall, cpu = (sum(getattr(one.cost, what) for one in every) for what in ("wall", "cpu"))
            cost = Cost(wall, cpu, max(one.cost.peak for one in every))
            calls, requests = (sum(getattr(one, what) for one in every) for what in ("calls", "requests"))
            return Spent(cost, calls, requests, every[0].round_trip)

        return obtain

    def renewal(self) -> Callable[[], Spent]:
        """Return what renews a certificate that is there."""
        folder = self.place.folder()
        self.obtain(folder, "example.com")
        renew = self.program(folder, "renew", "--force-renewal", "--no-random-sleep-on-renew")
        return lambda: self.place.spend(renew)

    def obtain(self, folder: Path, name: str) -> None:
        """Obtain a certificate, and keep it in the folder."""
        self.program(folder, *self._order(name)).run()

    def program(self, folder: Path, *arguments: str) -> Program:
        """Return a command of certbot's."""
        folders = [
            text for kind in ("config", "work", "logs") for text in (f"--{kind}-dir", str(folder / kind))
        ]
        box = self.place.world.box
        environment = {"CLOUDFLARE_BASE_URL": box.api_url, "REQUESTS_CA_BUNDLE": str(box.ca_bundle)}
        return Program([str(CERTBOT), *arguments, *folders, "--non-interactive"], environment)

    def _order(self, name: str) -> list[str]:
        box = self.place.world.box
        token = box.folder / "certbot.ini"
        token.touch(mode=0o600)
        token.write_text(f"dns_cloudflare_api_token = {box.token}\n")
        wait = (
            ["--dns-cloudflare-propagation-seconds", str(self.propagation)]
            if self.propagation is not None
            else []
        )
        server = ["--server", box.directory, "--agree-tos", "--register-unsafely-without-email"]
        plugin = ["--dns-cloudflare", "--dns-cloudflare-credentials", str(token), *wait]
        return ["certonly", *server, *plugin, "-d", name, "-d", f"*.{name}", "--cert-name", name]


@contextmanager
def revision(name: str) -> Iterator[Path]:
    """Check a revision of the program out to measure it beside this one."""
    with TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["git", "archive", name, "renewer"], cwd=ROOT, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
        subprocess.run([sys.executable, "-m", "compileall", "-q", folder], check=True)
        yield Path(folder)


def version(program: Path) -> str:
    """Return what a program says of its version."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[-1]

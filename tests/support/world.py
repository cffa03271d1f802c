"""A whole world for the program: a sandbox with a real CA, a real nginx, and `renewer` run as a process."""

import hashlib
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from support import redaction
from support.done import Done
from support.fakes import Notes
from support.nginx_master import Nginx, free_port, wait_until

from renewer import app
from renewer.config import load
from renewer.engine.cycle import Engine
from renewer.system.clock import SystemClock
from sandbox import Sandbox

Make = Callable[..., "World"]
"""Makes the world of a test; see the fixture `make`."""

ROOT = Path(__file__).parents[2]

NAME = "example.com"
"""The certificate that most tests are about; its file stem in the state folder as well."""

PATIENCE = 120.0
"""Seconds after which whatever a test waits for will not come any more; no test is about time."""

NONCE_REJECT = int(os.environ.get("PEBBLE_WFE_NONCEREJECT", "5"))
"""The percentage of good nonces that the CA refuses."""


class Run:
    """The program while it runs, as the leader of a group of its own."""

    def __init__(self, folder: Path, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        folder.mkdir()
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "renewer", *argv],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def err(self) -> str:
        return self._err.read_text()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def printed(self) -> list[str]:
        """Return all that it has printed so far."""
        return [path.read_text(errors="replace") for path in (self._out, self._err)]

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> Done:
        code = self._process.wait(seconds)
        return Done(code, self._out.read_text(), self.err)

    def kill(self) -> None:
        """Let it die on the spot, with all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


@dataclass
class Ca:
    """The CA as its log shows it."""

    box: Sandbox

    @property
    def log(self) -> str:
        return self.box.pebble.log.read_text(errors="replace")

    @property
    def orders(self) -> int:
        """How many orders it has ever made."""
        return self.log.count('Added order "')

    @property
    def asked(self) -> int:
        """How often it was sent a newOrder, those with a refused nonce included."""
        return self.log.count("POST /order-plz")

    @property
    def answered(self) -> int:
        """How often it was told to look at a challenge."""
        return self.log.count("Pulled a task from the Tasks queue")

    @property
    def issued(self) -> int:
        """How many certificates it has issued."""
        return self.log.count("Issued certificate serial")

    @property
    def accounts(self) -> int:
        """How many accounts it has known at most since its start."""
        found = re.findall(r"There are now (\d+) accounts in memory", self.log)
        return max(map(int, found), default=0)

    @property
    def refused(self) -> bool:
        """Whether a validation ever failed."""
        return "set INVALID" in self.log

    def restart(self) -> None:
        """Let it forget everything, its own root included, and come back at the same address."""
        pebble = self.box.pebble
        pebble.stop()
        pebble.log.write_text("")
        pebble._process = pebble._spawn()
        pebble._wait_for(pebble.port, "/dir")
        pebble.roots.write_bytes(pebble._wait_for(pebble.management_port, "/roots/0"))


@dataclass(frozen=True)
class Seen:
    """What a TLS client saw."""

    der: bytes
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.der).hexdigest()


def connect(port: int, name: str, context: ssl.SSLContext) -> Seen:
    """Return what is shown for the name; raises `ssl.SSLError` for what the context does not trust."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=name) as wrapped,
    ):
        return Seen(wrapped.getpeercert(binary_form=True) or b"", wrapped.getpeercert() or {})


def careless() -> ssl.SSLContext:
    """Return a context that trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def table(name: str, *domains: str, more: str = "") -> str:
    """Return a certificate as the configuration has it: the name and its wildcard, or these domains."""
    wanted = domains or (name, f"*.{name}")
    return f'[certificate."{name}"]\ndomains = {json.dumps(wanted)}\n{more}\n'


class World:
    """A sandbox, an nginx that includes the certificates `names`, and a configuration for all of it.

    Every keyword is one of `Sandbox`. Whatever it started has ended when the `with` is left, and then nothing
    that was written for people may hold a secret.
    """

    def __init__(self, folder: Path, names: Sequence[str] = (NAME,), **habits: Any) -> None:
        folder.chmod(0o755)
        self.folder = folder
        self.names = tuple(names)
        wanted = {"zones": self.names, "nonce_reject": NONCE_REJECT, "authz_reuse": 0} | habits
        self.box = Sandbox(folder / "box", **wanted)
        self.ca = Ca(self.box)
        self.nginx = Nginx(folder)
        self.port = free_port()
        self.state = self.nginx.state
        self.config = folder / "renewer.toml"
        self.told: list[str] = []
        self._runs: list[Run] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.box)
            stack.enter_context(self.nginx)
            stack.callback(self._end)
            self.write(*map(table, self.names))
            self.listen()
            self.engine().prepare()
            self.nginx.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._stack.close()
        assert kind or self.leaks() == []

    def leaks(self) -> list[str]:
        """Return which secrets stand in anything that a run printed or nginx logged."""
        logs = [self.nginx.error_log.read_text(errors="replace")] if self.nginx.error_log.exists() else []
        told = [*self.told, *logs, *(text for run in self._runs for text in run.printed())]
        return redaction.leaked(told, {*self.box.tokens, *redaction.secrets(self.state)})

    def write(self, *tables: str, edit: Callable[[str], str] = str, **toml: Any) -> Path:
        """Write the configuration with these certificates; `edit` has the last word on the text."""
        text = "\n".join([self.box.toml(self.state, **toml), *tables, self._nginx_table()])
        self.config.write_text(edit(text))
        return self.config

    def listen(self, more: str = "") -> None:
        """Write nginx's configuration, with `more` in the `http` block."""
        servers = [
            self.nginx.server(f"listen 127.0.0.1:{self.port} ssl;", f"{name} *.{name}", name)
            for name in self.names
        ]
        self.nginx.configure("".join(servers) + more, f"error_log {self.nginx.error_log} notice;")

    def engine(self) -> Engine:
        """Build what a run of the program would, in this process."""
        return app.build(load.load(self.config), SystemClock(), Notes())

    def renewer(self, *arguments: str, **environment: str) -> Done:
        """Run the program to its end."""
        return self.start(*arguments, **environment).wait()

    def renew(self, *arguments: str) -> Done:
        """Run `renew --json`, which then has to have printed that and no problem beside it."""
        done = self.renewer("renew", "--json", *arguments)
        assert done.out, done
        assert done.answer["exit"] == done.code, done
        return done

    def start(self, *arguments: str, **environment: str) -> Run:
        """Start the program."""
        folder = self.folder / f"run-{len(self._runs)}"
        run = Run(folder, ["-c", str(self.config), *arguments], inherited() | environment)
        self._runs.append(run)
        return run

    def reload(self) -> None:
        """Let nginx take up its configuration, and wait until no worker of before is left."""
        master = int(self.nginx.pid_file.read_text())
        before = set(children(master))
        os.kill(master, signal.SIGHUP)
        eventually(lambda: not before & set(children(master)))

    def ring(self, site: str) -> dict[str, Any]:
        """Return the keys of a site that nginx has, as they are stored."""
        kept = json.loads((self.state / "store" / "site" / f"{site}.json").read_text())
        found: dict[str, Any] = kept["served"]
        return found

    def shown(self, name: str = NAME, ciphers: str = "") -> Seen:
        """Return what a client that trusts nobody but the CA is shown."""
        context = ssl.create_default_context(cafile=str(self.box.roots))
        if ciphers:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(ciphers)
        return connect(self.port, name, context)

    def glimpse(self, name: str = NAME) -> str:
        """Return the fingerprint of whatever nginx shows."""
        return connect(self.port, name, careless()).fingerprint

    def journal(self, name: str = NAME) -> dict[str, Any]:
        """Return what is kept of an order under way."""
        path = self.state / "store" / "journal" / f"{name}.json"
        with suppress(FileNotFoundError):
            found: dict[str, Any] = json.loads(path.read_text())
            return found
        return {}

    def ordered(self, name: str = NAME) -> str:
        """Return the URL of the order under way, if it is written down."""
        return str((self.journal(name).get("order") or {}).get("url") or "")

    def waits_for_dns(self, name: str = NAME) -> bool:
        """Tell whether the TXT records stand and are written down."""
        return bool(self.journal(name).get("handles")) and bool(self.box.records())

    def files(self, *parts: str) -> dict[str, tuple[int, bytes]]:
        """Return mode and content of everything under these parts of the state folder."""
        tops = [self.state / part for part in parts or (".",)]
        found = [path for top in tops for path in (top, *sorted(top.rglob("*"))) if path.exists()]
        return {str(path.relative_to(self.state)): _content(path) for path in found}

    def _nginx_table(self) -> str:
        return f'[nginx]\nconfig = "{self.nginx.config}"\n'

    def _end(self) -> None:
        for run in self._runs:
            run.kill()


def inherited() -> dict[str, str]:
    """Return this process's environment without what the program would take for its own."""
    foreign = ("CLOUDFLARE_", "CREDENTIALS_", "NOTIFY_", "RENEWER_", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def eventually(true: Callable[[], object]) -> None:
    """Wait until it is so."""
    wait_until(true, PATIENCE)


def children(pid: int) -> list[int]:
    """Return the processes that this one has started and that still run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(entry.parent.name))
    return found


def seconds(validity: float) -> timedelta:
    return timedelta(seconds=validity)


def _content(path: Path) -> tuple[int, bytes]:
    mode = stat.S_IMODE(path.lstat().st_mode)
    if path.is_symlink():
        return mode, os.fsencode(path.readlink())
    return mode, path.read_bytes() if path.is_file() else b""

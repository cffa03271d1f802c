"""Runs the program many times without starting Python anew: a server that has it loaded and forks.

Each run is a process of its own. `die`, `fail` and `shift` change what it meets; see `meddle`.
"""

import errno
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Meddling:
    """What goes wrong in a run.

    `die` kills it at that step and `fail` makes that write fail with the error `code`, both counted from 1;
    steps are before and after each write and each call outside, writes are those to a disk. `shift` is by how
    many seconds the clock is off. `trace` is a file for the steps that were taken.
    """

    die: int = 0
    fail: int = 0
    code: str = "ENOSPC"
    only: tuple[str, ...] = ()
    shift: float = 0.0
    trace: str = ""


WRITES = ("fsync", "rename", "unlink", "mkdir", "symlink", "open", "rmdir")


@dataclass(frozen=True)
class Ended:
    """How a run ended; `steps` are the names of all that were counted, in their order."""

    code: int
    out: str
    err: str
    steps: tuple[str, ...] = field(default=(), repr=False)

    @property
    def writes(self) -> int:
        """How many writes were tried."""
        return sum(step.startswith("before ") and step.split()[1] in WRITES for step in self.steps)

    @property
    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def one(self) -> dict[str, Any]:
        (found,) = self.answer["certificates"]
        return dict(found)


class Forks:
    """The server; leaving the `with` ends it."""

    def __enter__(self) -> Self:
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        self._server = subprocess.Popen(
            [sys.executable, "-m", "support.forks", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**_clean(), "PYTHONPATH": path},
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._server:
            assert self._server.stdin
            self._server.stdin.close()

    def run(self, *argv: str, meddling: Meddling | None = None) -> Ended:
        """Run the program to its end."""
        assert self._server.stdin
        assert self._server.stdout
        print(json.dumps([argv, asdict(meddling or Meddling())]), file=self._server.stdin, flush=True)
        return Ended(**json.loads(self._server.stdout.readline()))


def _clean() -> dict[str, str]:
    foreign = ("CLOUDFLARE_", "CREDENTIALS_", "NOTIFY_", "RENEWER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


# -- the server ---------------------------------------------------------------------------------------------


def serve() -> None:
    """Load the program, then fork for each line on standard input.

    What a run loaded besides is loaded for those after it.
    """
    from renewer import app  # noqa: F401, PLC0415 - what a run would load
    from renewer.cli import main as cli  # noqa: F401, PLC0415 - what a run would load

    for module in (
        "engine.cycle",
        "acme.issuer",
        "dns.cloudflare.provider",
        "dns.resolver",
        "nginx.deployer",
        "notify.command",
        "secure_links.rotation",
    ):
        __import__(f"renewer.{module}")
    for line in sys.stdin:
        argv, meddling = json.loads(line)
        ended, loaded = _forked(argv, Meddling(**meddling))
        sys.stdout.write(json.dumps(asdict(ended)) + "\n")
        sys.stdout.flush()
        for module in loaded:
            with suppress(ImportError):
                importlib.import_module(module)


def _forked(argv: Sequence[str], meddling: Meddling) -> tuple[Ended, list[str]]:
    with tempfile.TemporaryDirectory() as scratch:
        out, err, trace, loaded = (Path(scratch) / name for name in ("out", "err", "trace", "loaded"))
        child = os.fork()
        if not child:
            _be(argv, Meddling(**{**asdict(meddling), "trace": str(trace)}), out, err, loaded)
        _, status = os.waitpid(child, 0)
        told, said, steps, modules = (
            path.read_text() if path.exists() else "" for path in (out, err, trace, loaded)
        )
        ended = Ended(os.waitstatus_to_exitcode(status), told, said, tuple(steps.splitlines()))
        return ended, modules.splitlines()


def _be(argv: Sequence[str], meddling: Meddling, out: Path, err: Path, loaded: Path) -> None:
    """Be the program."""
    before = set(sys.modules)
    modules = os.open(loaded, os.O_WRONLY | os.O_CREAT, 0o600)
    code = 70
    try:
        os.setsid()
        for number, path in ((0, Path(os.devnull)), (1, out), (2, err)):
            opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(opened, number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        sys.argv = ["renewer", *argv]
        meddle(meddling)
        from renewer.__main__ import main  # noqa: PLC0415

        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os.write(modules, "\n".join(set(sys.modules) - before).encode())
        os._exit(code)


# -- what goes wrong ----------------------------------------------------------------------------------------


def meddle(meddling: Meddling) -> None:
    """Count every step from here on, and let the one that is wanted go wrong."""
    counter = _Counter(meddling)
    os.fsync, os.rename, os.unlink = (counter.write(name, getattr(os, name)) for name in WRITES[:3])
    os.mkdir, os.symlink, os.rmdir = (
        counter.write(name, getattr(os, name)) for name in ("mkdir", "symlink", "rmdir")
    )
    os.open = counter.opening(os.open)
    import httpx  # noqa: PLC0415
    import requests  # noqa: PLC0415

    from renewer.engine.idle import index as idle  # noqa: PLC0415
    from renewer.system import clock, process  # noqa: PLC0415

    process.run = counter.outside("run", process.run)
    requests.adapters.HTTPAdapter.send = counter.outside("acme", requests.adapters.HTTPAdapter.send)
    httpx.HTTPTransport.handle_request = counter.outside("api", httpx.HTTPTransport.handle_request)
    if meddling.shift:
        real = clock.SystemClock.now
        by = timedelta(seconds=meddling.shift)
        clock.SystemClock.now = lambda self: real(self) + by
        idle.time = lambda: time.time() + meddling.shift


class _Counter:
    def __init__(self, meddling: Meddling) -> None:
        self._meddling = meddling
        self._steps = self._writes = 0
        self._trace = os.open(meddling.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def outside(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._step(f"before {name}")
            found = real(*arguments, **named)
            self._step(f"after {name}")
            return found

        return call

    def write(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._step(f"before {name}")
            self._fail(name, arguments)
            found = real(*arguments, **named)
            self._step(f"after {name}")
            return found

        return call

    def opening(self, real: Callable[..., int]) -> Callable[..., int]:
        written = self.write("open", real)

        def call(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
            device = str(path).startswith("/dev/")
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not device
            return int((written if writes else real)(path, flags, *arguments, **named))

        return call

    def _step(self, name: str) -> None:
        self._steps += 1
        os.write(self._trace, f"{name}\n".encode())
        if self._steps == self._meddling.die:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)

    def _fail(self, name: str, arguments: Sequence[Any]) -> None:
        if self._meddling.only and name not in self._meddling.only:
            return
        self._writes += 1
        if self._writes == self._meddling.fail or self._meddling.fail < 0:
            number = getattr(errno, self._meddling.code)
            raise OSError(number, os.strerror(number), str(arguments[0]) if arguments else "")


if __name__ == "__main__":
    serve()

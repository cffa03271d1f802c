"""Runs other programs, by argument list and with a time limit: no shell, no secret in the environment."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO

from renewer.core.errors import ConfigError, Transient

KEPT = 64 * 1024
"""Bytes kept of a program's output, counted from its end."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The folders searched for a program named without one, whatever the environment says."""

_TICK = 0.05
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Finished:
    """A program that has ended: its exit code (minus the signal that killed it) and its output."""

    code: int
    output: str


def run(
    argv: Sequence[str],
    timeout: float,
    environment: Mapping[str, str] = _NOTHING,
    given: bytes = b"",
    handed: Sequence[int] = (),
) -> Finished:
    """Run the program, with `given` on its standard input, and return how it ended.

    It inherits the descriptors `handed`. Its environment is `environment` and a few variables that every
    program gets. After `timeout` seconds it is killed with all its children, and `Transient` is raised. A
    program that is missing or cannot be run raises `ConfigError`.
    """
    child = _start(argv, environment, given, handed)
    try:
        output = _listen(child, time.monotonic() + timeout)
    except subprocess.TimeoutExpired:
        raise Transient(
            f"{argv[0]} did not finish within {timeout:g} s and was killed",
            hint=f"find out what blocks {argv[0]}",
        ) from None
    finally:
        _kill(child)
    return Finished(child.returncode, output.decode(errors="replace"))


def _start(
    argv: Sequence[str], more: Mapping[str, str], given: bytes, handed: Sequence[int]
) -> subprocess.Popen[bytes]:
    environment = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/"), **more}
    try:
        with _at_hand(given) as source:
            return subprocess.Popen(  # noqa: S603  (an argument list, from the configuration)
                argv,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                pass_fds=handed,
            )
    except BlockingIOError as error:
        raise Transient(f"{argv[0]} cannot be started at the moment: {error.strerror}") from error
    except OSError as error:
        raise ConfigError(
            f"{argv[0]} cannot be run: {(error.strerror or str(error)).lower()}",
            hint=f"install it, or correct its path in the configuration ({argv[0]})",
        ) from error


def _at_hand(given: bytes) -> IO[bytes]:
    """Return an in-memory file, so that a program that does not read it cannot block us."""
    file = os.fdopen(os.memfd_create("given"), "w+b")
    file.write(given)
    file.seek(0)
    return file


def _listen(child: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Return the end of its output; raises TimeoutExpired.

    Its children may hold the output open for ever, so the end of the program counts, not that of the output.
    """
    pipe, kept = _pipe(child), b""
    while (left := deadline - time.monotonic()) > 0:
        ended = child.poll() is not None
        if select.select([pipe], [], [], 0 if ended else min(left, _TICK))[0]:
            heard = os.read(pipe.fileno(), KEPT)
            kept = (kept + heard)[-KEPT:]
            if not heard:
                child.wait(max(deadline - time.monotonic(), 0))
                return kept
        elif ended:
            return kept
    raise subprocess.TimeoutExpired(child.args, 0)


def _pipe(child: subprocess.Popen[bytes]) -> IO[bytes]:
    if child.stdout is None:
        raise TypeError("the program was started without a pipe")
    return child.stdout


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Close its output and, if it is still running, kill its process group."""
    _pipe(child).close()
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

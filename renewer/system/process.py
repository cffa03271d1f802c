"""Other programs, run by an argument list with a time limit: no shell, no secret in the environment."""

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
"""How many bytes of a program's output are kept, counted from its end."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a program is looked for that is named without a folder, whatever the environment says."""

_TICK = 0.05
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Finished:
    """A program that ended: its exit code (minus the signal that killed it) and all that it said."""

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

    It has the descriptors `handed` too. Its environment is `environment` and a few variables that any is
    given. After `timeout` seconds it and all that it started are killed and `Transient` is raised. A program
    that is not there or cannot be run raises `ConfigError`.
    """
    child = _start(argv, environment, given, handed)
    try:
        output = _listen(child, time.monotonic() + timeout)
    except subprocess.TimeoutExpired:
        raise Transient(
            f"{argv[0]} did not end within {timeout:g} s and was killed", hint=f"see what holds {argv[0]} up"
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
        raise Transient(f"{argv[0]} cannot be started now: {error.strerror}") from error
    except OSError as error:
        raise ConfigError(
            f"{argv[0]} cannot be run: {(error.strerror or str(error)).lower()}",
            hint=f"install it, or correct its path in the configuration ({argv[0]})",
        ) from error


def _at_hand(given: bytes) -> IO[bytes]:
    """Return a file in memory alone, so that a program which does not read cannot hold us up."""
    file = os.fdopen(os.memfd_create("given"), "w+b")
    file.write(given)
    file.seek(0)
    return file


def _listen(child: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Return the end of what it says; raises TimeoutExpired.

    What a program leaves running may hold its output open for ever, so its own end counts, not the output's.
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
    """Close its output and, if it still runs, kill its whole group."""
    _pipe(child).close()
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

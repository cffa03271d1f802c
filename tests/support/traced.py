"""Runs the program and records what it asks of the file system: LOG in the command line, then its own."""

import json
import os
import stat
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any


def absolute(path: Any, folder: int | None) -> str:
    base = f"/proc/self/fd/{folder}" if folder is not None else "."
    return str(Path(Path(base).resolve(), os.fspath(path)))


class Tracer:
    """Wraps calls so that each that succeeds is noted."""

    def __init__(self, log: str) -> None:
        self._log = Path(log).open("w", buffering=1)  # noqa: SIM115 - as long as the program

    def after(self, real: Callable[..., Any], told: Callable[..., tuple[object, ...]]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            what = told(*arguments, **named)
            found = real(*arguments, **named)
            if what:
                self._log.write(json.dumps(what) + "\n")
            return found

        return call


def opened(path: Any, flags: int, *_: Any, dir_fd: int | None = None) -> tuple[object, ...]:
    return ("create", absolute(path, dir_fd)) if flags & os.O_CREAT else ()


def synced(handle: int) -> tuple[object, ...]:
    place = Path(f"/proc/self/fd/{handle}")
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        return ("fsync", str(place.resolve()), None)
    return ("fsync", str(place.resolve()), b64encode(place.read_bytes()).decode())


def moved(
    one: Any, other: Any, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
) -> tuple[object, ...]:
    return "rename", absolute(one, src_dir_fd), absolute(other, dst_dir_fd)


def linked(target: Any, path: Any, dir_fd: int | None = None) -> tuple[object, ...]:
    return "symlink", absolute(path, dir_fd), os.fspath(target)


def named(what: str) -> Callable[..., tuple[object, ...]]:
    return lambda path, *_, dir_fd=None, **__: (what, absolute(path, dir_fd))


def outside(what: str) -> Callable[..., tuple[object, ...]]:
    return lambda *_, **__: ("outside", what)


def main() -> None:
    import httpx  # noqa: PLC0415
    import requests  # noqa: PLC0415

    from renewer.cli import main as cli  # noqa: PLC0415
    from renewer.system import process  # noqa: PLC0415

    tracer = Tracer(sys.argv.pop(1))
    told = {
        "open": opened,
        "fsync": synced,
        "rename": moved,
        "symlink": linked,
        "unlink": named("unlink"),
        "mkdir": named("mkdir"),
        "rmdir": named("rmdir"),
    }
    for name, what in told.items():
        setattr(os, name, tracer.after(getattr(os, name), what))
    process.run = tracer.after(process.run, outside("run"))
    for library, method in ((requests.adapters.HTTPAdapter, "send"), (httpx.HTTPTransport, "handle_request")):
        setattr(library, method, tracer.after(getattr(library, method), outside(method)))
    cli.main()


main()

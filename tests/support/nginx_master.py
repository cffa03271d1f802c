"""A real nginx as a master of its own, with its own configuration, on free ports."""

import fcntl
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Self

from support.fakes import Notes

from renewer.nginx.deployer import NginxDeployer
from renewer.system.clock import SystemClock

BINARY = "/usr/sbin/nginx"


class Nginx:
    """The server and a deployer for it; leaving the `with` stops it.

    `servers` is text for the `http` block in which `{state}` stands for the state folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "nginx.conf"
        self.pid_file = folder / "nginx.pid"
        self.error_log = folder / "error.log"
        self.notes = Notes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def deployer(
        self,
        binary: str = BINARY,
        reload: str | tuple[str, ...] = "auto",
        probe: tuple[str, ...] | None = None,
    ) -> NginxDeployer:
        clock = SystemClock()
        return NginxDeployer(self.state, binary, str(self.config), reload, probe, clock, self.notes)

    def configure(self, servers: str, main: str = "") -> None:
        temporary = "".join(
            f"    {kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
        )
        self.config.write_text(
            f"worker_processes 2;\npid {self.pid_file};\nerror_log {self.error_log};\n{main}\n"
            f"events {{ worker_connections 256; }}\nhttp {{\n    access_log off;\n{temporary}{servers}\n}}\n"
        )

    def server(self, listen: str, names: str, certificate: str) -> str:
        include = f"include {self.state}/nginx/certificates/{certificate}.conf;"
        return f"server {{ {listen} server_name {names}; {include} return 204; }}\n"

    def start(self) -> None:
        done = subprocess.run([BINARY, "-c", self.config], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        wait_until(lambda: self.pid_file.exists() and self.pid_file.read_text().strip() != "")

    def stop(self) -> None:
        with suppress(FileNotFoundError, ValueError, ProcessLookupError):
            pid = int(self.pid_file.read_text())
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not self.pid_file.exists())

    def reloads(self) -> int:
        return self.error_log.read_text().count("(SIGHUP) received") if self.error_log.exists() else 0


class Client(threading.Thread):
    """Does one thing over and over until it is told to end, and keeps what it returned."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act
        self._end = threading.Event()
        self.results: list[Any] = []

    def run(self) -> None:
        while not self._end.is_set():
            self.results.append(self._act())

    def end(self) -> None:
        self._end.set()
        self.join()


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody else is given: not by the system, not to another test for the next 20,000."""
    low, high = 10_000, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with (Path(gettempdir()) / f"renewer-tests-ports-{os.getuid()}").open("a+") as turns:
        fcntl.flock(turns, fcntl.LOCK_EX)
        turns.seek(0)
        last = int(turns.read() or low)
        port = next(port for port in (*range(last + 1, high), *range(low, last)) if _is_free(host, port))
        turns.truncate(0)
        turns.write(str(port))
    return port


def _is_free(host: str, port: int) -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, port))
        return True
    return False


def wait_until(true: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)

"""A real Debian with systemd as its PID 1, in namespaces of this machine: booted in a second.

    with Machine(folder, image.base()) as machine:
        machine.run("systemctl is-active nginx")
        machine.reboot()

It takes root, and a kernel that lets root mount; `missing()` says what is not there.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from support.done import Done
from support.machine import image
from support.machine.image import Layers

__all__ = ["Done", "Layers", "Machine", "image", "missing"]

PATIENCE = 90.0
"""Seconds after which whatever is waited for will not come any more."""

_BOOT = Path(__file__).parent / "boot"
_ENVIRONMENT = ("env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
_NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net")
_PROGRAMS = ("mmdebstrap", "unshare", "nsenter", "ip")


def missing() -> str:
    """Return what it takes to boot a machine and is not there, empty if all is."""
    if os.geteuid() != 0:
        return "booting a machine takes root"
    lacking = [program for program in _PROGRAMS if shutil.which(program) is None]
    if lacking:
        return f"booting a machine takes {', '.join(lacking)}"
    tried = subprocess.run(
        [
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--cgroup",
            "--fork",
            "mount",
            "-t",
            "cgroup2",
            "cgroup2",
            "/mnt",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return tried.stderr.strip()


class Machine:
    """One machine; it runs from `with`, or `boot`, until it is left.

    The network is its own, with a loopback and nothing else, and stays through a reboot: what is started by
    `beside` is there all the time, as a CA elsewhere would be. `share` is a folder that both sides see, the
    machine as /share.
    """

    def __init__(self, folder: Path, layers: Layers, name: str = "machine") -> None:
        self.share = folder / "share"
        self._layers = layers
        self._folder = folder
        self._name = f"{name}-{os.getpid()}-{os.urandom(3).hex()}"
        self._init: subprocess.Popen[bytes] | None = None
        self._network: subprocess.Popen[bytes] | None = None
        self._beside: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for part in ("share", "upper", "work", "root"):
            (self._folder / part).mkdir(parents=True, exist_ok=True)
        (self._folder / "upper").chmod(0o755)
        self._network = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        own = Path("/proc/self/ns/net").readlink()
        wait(lambda: Path(f"/proc/{self._network_pid}/ns/net").readlink() != own)
        subprocess.run([*self._in_network, "ip", "link", "set", "lo", "up"], check=True)
        try:
            self.boot()
        except BaseException:  # `__exit__` is not called then; it goes on from here
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """The process, as this side counts, that is PID 1 over there."""
        assert self._init is not None
        return int(Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text().split()[0])

    @property
    def console(self) -> str:
        """What was written to the machine's console."""
        return (self.share / "console.log").read_text(errors="replace")

    def path(self, inside: str) -> Path:
        """Return where a file of the machine is seen from here; nothing is there while it is down."""
        return Path(f"/proc/{self.pid}/root", inside.lstrip("/"))

    def boot(self) -> None:
        """Start it and wait until it has booted."""
        (self.share / "console.log").write_text("")
        paths = {part.upper(): str(self._folder / part) for part in ("share", "upper", "work", "root")}
        settings = {"LOWER": ":".join(map(str, self._layers)), "NAME": self._name} | paths
        with (self._folder / "boot.log").open("wb") as log:
            self._init = subprocess.Popen(
                [*self._in_network, "unshare", "--mount", str(_BOOT)],
                env=os.environ | settings,
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        self._wait(self._is_up, "it did not boot")
        state = self.run("systemctl is-system-running --wait", check=False)
        failed = self.run("systemctl --failed --no-legend --plain", check=False)
        assert state.out.strip() == "running", (state, failed, self.console)

    def poweroff(self) -> None:
        """Shut it down in order."""
        assert self._init is not None
        self.run("systemctl --no-block poweroff", check=False)
        self._init.wait(PATIENCE)
        self._init = None

    def reboot(self) -> None:
        """Shut it down and boot it again, with the files it had."""
        self.poweroff()
        self.boot()

    def run(self, script: str, *, check: bool = True, seconds: float = PATIENCE, user: str = "") -> Done:
        """Run a script of bash in it, as root or as another user; with `check` it has to succeed."""
        enter = ("nsenter", "--target", str(self.pid), *_NAMESPACES, "--", *_ENVIRONMENT)
        shell = ("HOME=/root", "LANG=C.UTF-8", "bash", "-c", script)
        other = (
            "LANG=C.UTF-8",
            "setpriv",
            f"--reuid={user}",
            f"--regid={user}",
            "--init-groups",
            "bash",
            "-c",
        )
        argv = (*enter, *other, script) if user else (*enter, *shell)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False, cwd="/")
        assert not check or done.returncode == 0, (script, done.stdout, done.stderr)
        return Done(done.returncode, done.stdout, done.stderr)

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Put a file of root's there, with the folders above it."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=mode)
        path.chmod(mode)
        path.write_text(text)

    def until(self, script: str, seconds: float = PATIENCE) -> None:
        """Wait until the script succeeds."""
        wait(lambda: self.run(script, check=False).code == 0, seconds, script)

    def beside(self, *argv: str) -> None:
        """Start a program of this side in the machine's network; it ends with the machine's `with`."""
        with (self._folder / f"beside-{len(self._beside)}.log").open("wb") as log:
            self._beside.append(
                subprocess.Popen([*self._in_network, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )

    @property
    def _network_pid(self) -> int:
        assert self._network is not None
        return self._network.pid

    @property
    def _in_network(self) -> Sequence[str]:
        return ("nsenter", f"--net=/proc/{self._network_pid}/ns/net", "--")

    def _is_up(self) -> bool:
        with suppress(OSError, IndexError):
            if Path(f"/proc/{self.pid}/comm").read_text().strip() == "systemd":
                return self.path("/run/systemd/private").is_socket()
        return False

    def _wait(self, true: Callable[[], object], problem: str) -> None:
        assert self._init is not None
        init = self._init
        wait(lambda: true() or init.poll() is not None, PATIENCE, problem)
        told = (self._folder / "boot.log").read_text(errors="replace")
        assert init.poll() is None, f"{problem}: {told}{self.console}"

    def _end(self) -> None:
        for helper in self._beside:
            helper.terminate()  # it has its own to end
            with suppress(subprocess.TimeoutExpired):
                helper.wait(5)
        for process in (*self._beside, self._init, self._network):
            if process is not None:
                process.kill()
                process.wait()
        _forget(self._name)


def wait(true: Callable[[], object], seconds: float = PATIENCE, what: str = "") -> None:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"it never came about: {what}"
        time.sleep(0.05)


_FORGET = """
mount --make-rprivate /
mount -t cgroup2 cgroup2 /mnt
for _ in {1..50}; do
  find "/mnt/$NAME" -depth -type d -exec rmdir {} + && break
  sleep 0.1
done
"""


def _forget(name: str) -> None:
    """Take the machine's cgroups out, as soon as its last processes are dead."""
    subprocess.run(
        ["unshare", "--mount", "bash", "-c", _FORGET],
        env=os.environ | {"NAME": name},
        capture_output=True,
        check=False,
    )

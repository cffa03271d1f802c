"""What a machine boots from: a Debian as a folder, and layers on top of it; kept below ~/.cache."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PACKAGES = (
    "ca-certificates",
    "cron",
    "curl",
    "dbus",
    "iproute2",
    "nginx-light",
    "procps",
    "python3",
    "python3-venv",
    "systemd",
    "systemd-sysv",
)
"""What every image has beside Debian's minimum."""

Layers = tuple[Path, ...]
"""Folders that lie upon each other, the topmost first."""

_IN_LAYERS = """
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs tmpfs "$ROOT/tmp"
mkdir "$ROOT/tmp/given"
mount --bind "$GIVEN" "$ROOT/tmp/given"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 chroot "$ROOT" bash -euc "$SCRIPT"
"""


def suite() -> str:
    """Return the name of the Debian that the machines run: that of this machine."""
    return os.environ.get("RENEWER_SUITE") or platform.freedesktop_os_release()["VERSION_CODENAME"]


def base(packages: Sequence[str] = PACKAGES) -> Layers:
    """Return a Debian with these packages; the first time it takes a minute and the network."""
    wanted = ",".join(sorted(packages))
    with _cached(f"{suite()}-{_digest(wanted)}") as (made, part):
        if not made.exists():
            argv = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={wanted}"]
            _run([*argv, suite(), str(part)])
            part.rename(made)
    return (made,)


def layer(below: Layers, name: str, script: str, key: str, give: Callable[[Path], None]) -> Layers:
    """Return the layers with one more, which the script made (bash, as root).

    What `give` puts into the folder that it is called with, the script finds at /tmp/given. `key` says what
    the layer is made from: with another key it is another layer.
    """
    with _cached(f"{name}-{_digest(script, key, *map(str, below))}") as (made, part):
        if not made.exists():
            folders = {name: part / name.lower() for name in ("UPPER", "WORK", "ROOT", "GIVEN")}
            for folder in folders.values():
                folder.mkdir(mode=0o755, parents=True)
            give(folders["GIVEN"])
            settings = {name: str(path) for name, path in folders.items()}
            settings |= {"LOWER": ":".join(map(str, below)), "SCRIPT": script}
            _run(["unshare", "--mount", "bash", "-euc", _IN_LAYERS], settings)
            folders["UPPER"].rename(made)
            shutil.rmtree(part)
    return (made, *below)


def python(layers: Layers) -> str:
    """Return the version of the image's Python, such as 3.11."""
    link = next(path for one in layers if (path := one / "usr/bin/python3").is_symlink())
    return link.readlink().name.removeprefix("python")


@contextmanager
def _cached(name: str) -> Iterator[tuple[Path, Path]]:
    """Yield where it is kept and where it is made; nobody else makes it meanwhile."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "renewer-tests")
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.part"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(part, ignore_errors=True)
        yield folder / name, part


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _run(argv: Sequence[str], settings: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        argv, env=os.environ | (settings or {}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{argv[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}"

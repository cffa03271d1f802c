"""Finds the nginx of this machine."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from renewer.nginx.control import LIMIT
from renewer.system import permissions, process

PLACES = (
    "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/usr/local/nginx/sbin:/usr/local/openresty/nginx/sbin"
)
"""The folders searched before $PATH."""

USUAL = Path("/etc/nginx/nginx.conf")


@dataclass(frozen=True)
class Installed:
    """The program, and its default main configuration."""

    binary: Path
    config: Path


def find() -> Installed | None:
    """Return this machine's nginx, or `None` if there is none that only root or this user can change."""
    found = shutil.which("nginx", path=f"{PLACES}:{os.environ.get('PATH', '')}")
    if found is None or permissions.foreign(Path(found)):
        return None
    said = re.search(r"--conf-path=(\S+)", process.run((found, "-V"), LIMIT).output)
    return Installed(Path(found), Path(said[1].strip("'\"")) if said else USUAL)

"""Which nginx this machine has."""

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
"""Where it is looked for before $PATH."""

USUAL = Path("/etc/nginx/nginx.conf")


@dataclass(frozen=True)
class Installed:
    """The program, and the main configuration that it reads when it is started without one."""

    binary: Path
    config: Path


def find() -> Installed | None:
    """Return the nginx of this machine, `None` without one; what others could change is none."""
    found = shutil.which("nginx", path=f"{PLACES}:{os.environ.get('PATH', '')}")
    if found is None or permissions.foreign(Path(found)):
        return None
    said = re.search(r"--conf-path=(\S+)", process.run((found, "-V"), LIMIT).output)
    return Installed(Path(found), Path(said[1].strip("'\"")) if said else USUAL)

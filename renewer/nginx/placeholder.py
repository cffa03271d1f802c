"""The self-signed placeholder, which exists so that nginx's configuration never names a missing file.

What exists and is whole is never replaced. A missing or dangling include gets the best certificate on disk,
so a repair never goes back to one that expires earlier.
"""

from pathlib import Path

from renewer.core.interfaces import Clock
from renewer.core.model import CertSpec, Fingerprint
from renewer.core.x509 import fingerprint, self_signed
from renewer.nginx.generations import Generations, whole
from renewer.nginx.layout import CERT, Layout, pair_files
from renewer.system import files


def prepare(generations: Generations, spec: CertSpec, clock: Clock) -> list[Path]:
    """Ensure that nginx's include and `current` name a whole pair; return what was written."""
    layout, name = generations.layout, spec.name
    for folder in (layout.state, layout.home(name).parent, layout.home(name)):
        files.folder(folder)
    written = []
    current = generations.current(name)
    if current is not None and current == generations.named(name):
        return []  # `current` has just been checked; a second check would double the time of a run
    if current is None:
        generations.point_current(name, _best(generations, spec, clock))
        written.append(layout.current(name))
    if generations.shown(name) is None:
        generations.point_include(name, _best(generations, spec, clock))
        written.append(layout.include(name))
    return written


def stands_in(generations: Generations, name: str) -> bool:
    """Return whether nginx's include names the placeholder."""
    folder = generations.layout.placeholder(name)
    return generations.named(name) == folder and whole(folder)


def placeholder_fingerprint(layout: Layout, name: str) -> Fingerprint | None:
    """Return the fingerprint of the placeholder, if there is one."""
    text = files.read(layout.placeholder(name) / f"{CERT}.pem")
    return fingerprint(text.decode("ascii")) if text else None


def _best(generations: Generations, spec: CertSpec, clock: Clock) -> Path:
    """Return the whole generation that expires last, or else the placeholder, created if needed."""
    newest = generations.newest(spec.name)
    if newest is not None:
        return newest
    folder = generations.layout.placeholder(spec.name)
    if not whole(folder):
        _make(folder, spec, clock)
    return folder


def _make(folder: Path, spec: CertSpec, clock: Clock) -> None:
    files.discard(folder)
    files.tree(folder, pair_files(*self_signed(spec.domains, clock.now())))

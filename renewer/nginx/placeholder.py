"""What stands in until there is a certificate, so that nginx's configuration never names a missing file.

The placeholder is a self-signed pair. What exists and is whole is never replaced; what is missing or dangling
is made to name the best that is there, so healing never goes back to a certificate that ends earlier.
"""

from pathlib import Path

from renewer.core.interfaces import Clock
from renewer.core.model import CertSpec, Fingerprint
from renewer.core.x509 import fingerprint, self_signed
from renewer.nginx.generations import Generations, whole
from renewer.nginx.layout import CERT, Layout, pair_files
from renewer.system import files


def prepare(generations: Generations, spec: CertSpec, clock: Clock) -> list[Path]:
    """See to it that nginx's include and `current` lead to a whole pair; return what was written."""
    layout, name = generations.layout, spec.name
    for folder in (layout.state, layout.home(name).parent, layout.home(name)):
        files.folder(folder)
    written = []
    current = generations.current(name)
    if current is not None and current == generations.named(name):
        return []  # to look twice whether the key fits would be most of a run
    if current is None:
        generations.point_current(name, _best(generations, spec, clock))
        written.append(layout.current(name))
    if generations.shown(name) is None:
        generations.point_snippet(name, _best(generations, spec, clock))
        written.append(layout.snippet(name))
    return written


def stands_in(generations: Generations, name: str) -> bool:
    """Return whether nginx is given the placeholder."""
    folder = generations.layout.placeholder(name)
    return generations.named(name) == folder and whole(folder)


def placeholder_fingerprint(layout: Layout, name: str) -> Fingerprint | None:
    """Return the fingerprint of the placeholder, if one was made."""
    text = files.read(layout.placeholder(name) / f"{CERT}.pem")
    return fingerprint(text.decode("ascii")) if text else None


def _best(generations: Generations, spec: CertSpec, clock: Clock) -> Path:
    """Return the whole generation that ends last, else the placeholder, made if need be."""
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

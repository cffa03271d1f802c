"""The generations of a certificate on disk, listed for a person or read back as a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from renewer.core import x509
from renewer.core.errors import Declined, Refused, RenewerError
from renewer.core.model import Fingerprint, Material, Pair
from renewer.nginx.generations import Generations
from renewer.nginx.layout import FULLCHAIN, PRIVKEY, Layout, suffixes
from renewer.system import files


@dataclass(frozen=True)
class Generation:
    """A generation: its pairs, or the problem with them; `served`: nginx's include names it."""

    name: str
    pairs: tuple[Pair, ...] = ()
    problem: str = ""
    served: bool = False

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """The fingerprints a TLS client may see, the first pair's first."""
        return tuple(pair.fingerprint for pair in self.pairs)

    @property
    def not_after(self) -> datetime | None:
        """The earliest expiry of its certificates."""
        return min((pair.not_after for pair in self.pairs), default=None)


@dataclass(frozen=True)
class Archive:
    """The certificates on disk in the state folder."""

    state: Path

    def generations(self, name: str) -> Sequence[Generation]:
        """Return the generations of a certificate, newest first."""
        shown = self._generations.shown(name)
        return [_read(folder, served=folder == shown) for folder in self._generations.folders(name)]

    def find(self, name: str, wanted: str) -> Generation:
        """Return one by its name or number; raises `Declined` if it does not exist or cannot be used."""
        every = self.generations(name)
        number = wanted.removeprefix("g").lstrip("0")
        found = next((one for one in every if one.name.lstrip("g0") == number), None)
        if found is None:
            there = ", ".join(one.name for one in every) or "none"
            raise Declined(f"{name} has no generation {wanted}", hint=f"its generations: {there}")
        if found.problem:
            why = f"{found.name} of {name} cannot be used: {found.problem}"
            raise Declined(why, hint="choose another one")
        return found

    def hold(self, name: str, material: Material) -> None:
        """Ensure that a generation holds this certificate, whichever is in use."""
        self._generations.hold(name, material)

    @property
    def _generations(self) -> Generations:
        return Generations(Layout(self.state))


def _read(folder: Path, *, served: bool) -> Generation:
    try:
        pairs = tuple(_pair(folder, suffix) for suffix in suffixes(files.names(folder)))
    except RenewerError as error:
        return Generation(folder.name, problem=str(error), served=served)
    return Generation(folder.name, pairs, "" if pairs else "it contains no key", served)


def _pair(folder: Path, suffix: str) -> Pair:
    texts = (files.read(folder / f"{kind}{suffix}.pem") or b"" for kind in (PRIVKEY, FULLCHAIN))
    key, chain = (text.decode("ascii", errors="replace") for text in texts)
    if not key or not chain:
        raise Refused(
            f"a file of the pair is missing or empty ({PRIVKEY}{suffix}.pem, {FULLCHAIN}{suffix}.pem)"
        )
    return x509.known_pair(key, chain)

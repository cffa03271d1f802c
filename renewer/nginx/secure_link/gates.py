"""The nginx includes for secure links: the maps with the keys, the entry, and the two gates.

nginx's `secure_link` (ngx_http_secure_link_module) checks links and sessions: it compares an MD5 over the
key, the signed text, and the key again. Everything specific to a site is in the maps, so one entry and one
gate serve every site; `$rn_scope` names the site. The templates are beside this module.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from renewer.core import tokens
from renewer.core.site import Gate, Guard, Mode
from renewer.nginx.includes import Includes
from renewer.nginx.layout import Layout
from renewer.system import files

HTTP, *_ = _FILES = ("http.conf", "enter.conf", "gate.conf", "gate-url.conf")

_TEXTS = Path(__file__).parent

KNOWN = "29a17b3f538b3444891f8d4c57ddcedccb2d5dedb41ff8c36f5f28ce492f0665"
"""The closing key of renewer 0.1 for a configuration without sites: always the same, and publicly known."""

_CLOSING = re.compile(rb'\$rn_(?:url_)?key \{\n    default "([^"\n]*)";\n')


@dataclass(frozen=True)
class Gates:
    """The files on disk."""

    layout: Layout

    def prepare(self) -> list[Path]:
        """Write the missing files, without a key that opens anything; return them."""
        missing = [name for name in _FILES if files.read(self.path(name)) is None]
        plain = texts(Guard(()), secrets.token_hex(32)) if missing else {}
        for name in missing:
            self._includes.write(self.path(name), plain[name].encode())
        return [self.path(name) for name in missing]

    def hold(self, guard: Guard) -> bool:
        """Return whether the files are exactly right."""
        return self._closed(guard) != ""

    def closing(self) -> str | None:
        """Return the closing key; empty if there is no usable one, `None` if there is no file."""
        http = files.read(self.path(HTTP))
        return None if http is None else _closing(http)

    def contents(self) -> dict[str, bytes | None]:
        """Return the contents of the files, by name."""
        return {name: files.read(self.path(name)) for name in _FILES}

    def write(self, guard: Guard) -> None:
        """Write the files; each is replaced whole, and one that is right already is left alone.

        Changed files get a new closing key, so that one that has leaked does not last.
        """
        self.restore(_encoded(guard, self._closed(guard) or secrets.token_hex(32)))

    def restore(self, contents: Mapping[str, bytes | None]) -> None:
        """Restore earlier contents."""
        for name, content in contents.items():
            if content is None:
                self._includes.remove(self.path(name))
            else:
                self._includes.write(self.path(name), content)
        files.sweep(self.path(HTTP).parent)

    def written(self) -> float:
        """Return when the last of the files was written, in seconds since 1970."""
        return max(files.changed(self.path(name)) for name in _FILES)

    def path(self, name: str) -> Path:
        """Return the path of the file with this name."""
        return self.layout.secure_link(name)

    def _closed(self, guard: Guard) -> str:
        """Return the closing key if the files are exactly right; otherwise an empty text."""
        found = self.contents()
        closed = _closing(found[HTTP] or b"")
        return closed if closed and found == _encoded(guard, closed) else ""

    @cached_property
    def _includes(self) -> Includes:
        return Includes(self.layout)


def texts(guard: Guard, closed: str) -> dict[str, str]:
    """Return the text of each file, by name; the first one contains keys.

    `closed` is the closing key: the value of the maps for an unknown site, key or person. Nobody may know it,
    so it is random and independent of everything else.
    """
    sessions = [gate for gate in guard.gates if gate.spec.mode is Mode.SESSION]
    urls = [gate for gate in guard.gates if gate.spec.mode is Mode.URL]
    parts = {
        "closed": closed,
        "home": _lines((f"{gate.spec.name}.", gate.spec.home) for gate in sessions),
        "keys": _lines(entry for gate in sessions for entry in _keys(gate)),
        "url_keys": _lines(entry for gate in urls for entry in _url_keys(gate)),
        "sessions": _lines(entry for gate in sessions for entry in _sessions(gate)),
        "refresh": _lines(
            (f"ok:{gate.spec.name}.{kid}", "$rn_setcookie") for gate in sessions for kid in gate.refreshed
        ),
    }
    found = {name: (_TEXTS / name).read_text("ascii") for name in _FILES}
    for name, part in parts.items():
        found[HTTP] = found[HTTP].replace(f"@{name}@", part)
    return found


def _encoded(guard: Guard, closed: str) -> dict[str, bytes]:
    return {name: text.encode("ascii") for name, text in texts(guard, closed).items()}


def _closing(http: bytes) -> str:
    """Return the closing key in the text of `http.conf`; empty if it is missing or publicly known."""
    keys = {key.decode("ascii", "replace") for key in _CLOSING.findall(http)}
    fit = keys if all(re.fullmatch("[0-9a-f]{64}", key) for key in keys) and KNOWN not in keys else set()
    return fit.pop() if len(fit) == 1 else ""


def _keys(gate: Gate) -> Iterator[tuple[str, str]]:
    site = gate.spec.name
    for key in gate.ring.honoured:
        for person in gate.spec.people:
            yield f"{site}.{key.kid}.{person}", tokens.derived(key.master, site, person)


def _url_keys(gate: Gate) -> Iterator[tuple[str, str]]:
    site = gate.spec.name
    for key in gate.ring.honoured:
        yield f"{site}.{key.kid}", tokens.derived(key.master, site)


def _sessions(gate: Gate) -> Iterator[tuple[str, str]]:
    site, ring = gate.spec.name, gate.ring
    for person in gate.spec.people:
        yield f"{site}.{person}", tokens.session(ring.current, site, person, ring.session_end)


def _lines(entries: Iterable[tuple[str, str]]) -> str:
    return "".join(f'    "{name}" "{value}";\n' for name, value in entries)

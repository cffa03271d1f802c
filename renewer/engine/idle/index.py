"""The index: the record that nothing is due, left by a cycle for the next run, and when it is valid.

A cycle checks everything: values in the store, files of nginx, handshakes. If all of it was in order, it
records until when nothing is due, with evidence that would show any change since: the stamps of the files,
and the processes of nginx. If the next run finds the same evidence, it knows the result of a full check. On
any difference or doubt it does the full check. The index is optional: without it every run does the full
check.

As in git's index, a stamp counts only if the file was last changed well before the check began: then a later
change cannot have the same stamp. A run with nothing to do imports only this part of the program.
"""

from __future__ import annotations

import os
import stat
import sys
from binascii import crc32
from time import time

from renewer import __version__
from renewer.engine.idle import stamps
from renewer.engine.idle.nginx_processes import crew
from renewer.system import safe_paths

TYPE_CHECKING = False  # that of `typing` would have to be loaded
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INDEX = "rest"
"""The index's name in the state folder."""

USUAL_FILE, USUAL_STATE = "/etc/renewer/renewer.toml", "/var/lib/renewer"
"""The default configuration file and the default state folder."""

HANDED = "RENEWER_CONFIGURATION"
"""The environment variable in which the daemon passes when and where it read the configuration text."""

WELL_BEFORE = 1.0
"""Seconds; the coarsest timestamps of any file system with links."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LOOK = 2
"""Increased when the full check covers more, so that an index of an older version is not used."""

_MAGIC = f"renewer {__version__} at rest {_LOOK}".encode()
_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Scope:
    """What a cycle checks: a configuration (its text and its file), its state folder, and other places.

    `files` are those outside of the state folder, see `stamps.files`. `pid_file` is nginx's, empty if nginx
    is not checked; `file` is empty for a configuration from standard input.
    """

    def __init__(self, text: bytes, state: str, files: Sequence[str], pid_file: str, file: str = "") -> None:
        self.text, self.state, self.files, self.pid_file = text, state, tuple(files), pid_file
        self.file = file

    def witness(self) -> Witness | None:
        """Return the present evidence; `None` if nginx's processes cannot be seen."""
        seen = crew(self.pid_file) if self.pid_file else (b"", float("inf"))
        if seen is None:
            return None
        found, changed = stamps.together(
            (
                stamps.rights(self.state),
                stamps.files(self.files),
                stamps.tree(f"{self.state}/store"),
                stamps.tree(f"{self.state}/nginx"),
                stamps.linked(f"{self.state}/certificates", "current"),
            )
        )
        return Witness(b"\n".join((_around(), seen[0], found)), changed, seen[1])


class Witness:
    """The evidence: `text` to compare, the last change (ns since 1970), nginx's age (s)."""

    def __init__(self, text: bytes, changed: int, age: float) -> None:
        self.text, self.changed, self.age = text, changed, age

    def settled(self, now: float, since: float) -> bool:
        """Return whether nothing changed in the last `since` seconds before `now` (seconds since 1970)."""
        return self.changed / 1e9 < now - since - WELL_BEFORE and self.age > since + WELL_BEFORE


class Index:
    """The record: its configuration, its period of validity (seconds since 1970), and the outcome."""

    def __init__(self, scope: Scope, begin: float, end: float, seen: bytes, outcome: bytes) -> None:
        self.scope, self.begin, self.end, self.seen, self.outcome = scope, begin, end, seen, outcome

    def encoded(self) -> bytes:
        """Return the contents of the file: a line with a checksum, then each part after its length."""
        scope = self.scope
        named = (scope.state, scope.pid_file, scope.file, *scope.files)
        paths = "\0".join(named).encode(errors="surrogateescape")
        times = f"{self.begin!r} {self.end!r}".encode()
        parts = (times, paths, scope.text, self.seen, self.outcome)
        body = b"".join(b"%d\n%s" % (len(part), part) for part in parts)
        return b"%s %08x\n%s" % (_MAGIC, crc32(body), body)

    def holds(self, text: bytes, now: float) -> bool:
        """Return whether it is valid for this configuration and time, and the evidence is unchanged."""
        if self.scope.text != text or not self.begin <= now < self.end:
            return False
        seen = self.scope.witness()
        return seen is not None and seen.text == self.seen


def decoded(data: bytes) -> Index | None:
    """Decode the result of `encoded`; `None` if it is damaged, truncated, or of another version."""
    head, _, body = data.partition(b"\n")
    if head != b"%s %08x" % (_MAGIC, crc32(body)):
        return None
    try:
        times, paths, text, seen, outcome = _parts(body)
        begin, end = map(float, times.split())
        state, pid_file, file, *files = paths.decode(errors="surrogateescape").split("\0")
    except ValueError:
        return None
    return Index(Scope(text, state, files, pid_file, file), begin, end, seen, outcome)


def _parts(body: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(body):
        start = body.index(b"\n", place) + 1
        place = start + int(body[place:start])
        yield body[start:place]


def answer(arguments: Sequence[str]) -> bytes | None:
    """Return what a run with these arguments would print if nothing is due; otherwise `None`.

    A person at a terminal, and any command other than a plain `renew`, gets the full check.
    """
    asked = _Asked(list(arguments))
    if not asked.plain or not (asked.as_json or (asked.quiet and not _on_terminal())):
        return None
    text = _text(asked.file)
    state = _state(text) if text is not None else ""
    index = decoded(_kept(f"{state}/{INDEX}")) if state else None
    if text is None or index is None or not index.holds(text, time()):
        return None
    if (index.scope.state, index.scope.file) != (state, _absolute(asked.file)):
        return None  # the folder may belong to another configuration
    return index.outcome if asked.as_json else b""


class _Asked:
    """The command line; it is `plain` if it has the form `renewer [-c FILE] [-v] renew [--json]`."""

    def __init__(self, words: list[str]) -> None:
        self.file, self.quiet = USUAL_FILE, True
        while words[:1] in (["-v"], ["--verbose"], ["-c"], ["--config"]):
            if words.pop(0) in ("-v", "--verbose"):
                self.quiet = False
            elif words:
                self.file = words.pop(0)
        self.as_json = words[1:] == ["--json"]
        self.plain = words[:1] == ["renew"] and (len(words) == 1 or self.as_json)


def _on_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _text(file: str) -> bytes | None:
    """Return the configuration; text from standard input is put back for the next reader."""
    try:
        if file != "-":
            if safe_paths.stranger(file):  # rejected even if nothing is due
                return None
            with open(file, "rb") as named:  # noqa: PTH123
                return named.read().removeprefix(_BYTE_ORDER_MARK)
        if sys.stdin is None:
            return None
        data = sys.stdin.buffer.read()
    except (OSError, ValueError):
        return None
    from io import BytesIO, TextIOWrapper  # noqa: PLC0415

    sys.stdin = TextIOWrapper(BytesIO(data))
    return data.removeprefix(_BYTE_ORDER_MARK)


def _absolute(file: str) -> str:
    """Return the file's path; for standard input, the path of the file that the daemon read."""
    if file == "-":
        return os.environ.get(HANDED, "").partition(" ")[2]
    return file if file.startswith("/") else f"{os.getcwd()}/{file}"  # noqa: PTH109


def _state(text: bytes) -> str:
    """Return the state folder from a quick scan; empty if it is written in an unusual way.

    A wrong guess does no harm, because an index contains its configuration and its state folder.
    """
    for line in text.partition(b"\n[")[0].split(b"\n"):
        key, _, value = line.partition(b"=")
        if key.strip() == b"state":
            quote = value.strip()[:1]
            plain, closed, after = value.strip()[1:].partition(quote or b"=")
            fit = quote in (b'"', b"'") and closed and after.strip()[:1] in (b"", b"#") and b"\\" not in plain
            return plain.decode(errors="replace") if fit else ""
    return USUAL_STATE


def _kept(path: str) -> bytes:
    """Return the contents of the index file; empty unless it is our own and private."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(handle, "rb") as file:  # noqa: PTH123
            status = os.fstat(handle)
            ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
            return file.read() if ours and not status.st_mode & _BY_OTHERS else b""
    except (OSError, ValueError):
        return b""


def _around() -> bytes:
    """Return what else a run depends on: its user, and the secrets that systemd passes on."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    names = " ".join(stamps.names(folder)) if folder else ""
    return f"{os.geteuid()} {folder} {names}".encode(errors="surrogateescape")

"""The secrets of other services, each in a file of its own or a systemd credential.

Unlike most of its package, this module reads files. A secret is read each time it is needed, so that a
rotated one takes effect at once; no message ever contains one.
"""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from renewer.config.fields import https_or_local_url
from renewer.core.errors import ConfigError, Fault
from renewer.core.printable import shell
from renewer.system import permissions

_FORBIDDEN = stat.S_IRWXO | stat.S_IWGRP
_LONGEST = 4096
_REMEMBERED: dict[Path, bytes] = {}
_ALONE = "save only the secret in it, on one line"


def remember(paths: Iterable[Path]) -> None:
    """Keep the contents of these files in memory, for when this process may no longer read them."""
    for path in paths:
        with suppress(OSError, ConfigError):  # reading it when it is needed reports the error
            _REMEMBERED[path] = _read(path, "")


def read_secret(path: Path, place: str) -> str:
    """Return the one line in the file, without its newline; `place` is the key that names the file.

    Raises `ConfigError` for a file that other users can read or write, and for one that is not a single word.
    """
    return word(_text(path, place), place, f"{path} ")


def source(configured: Path | None, credential: str, environ: Mapping[str, str]) -> Path | None:
    """Return the file of an optional secret: the one configured, or else systemd's credential."""
    if configured or not (folder := environ.get("CREDENTIALS_DIRECTORY")):
        return configured
    path = Path(folder, credential)
    return path if os.access(path, os.F_OK) else None


def read_addresses(path: Path, place: str) -> Mapping[int, str]:
    """Return the addresses in the file by line number; there is one per line, and lines with # are comments.

    Raises `ConfigError` for a file that other users can read or write, and for a line that is not an address.
    """
    lines = enumerate(_text(path, place).decode("utf-8", "replace").splitlines(), start=1)
    found = {
        number: line.strip() for number, line in lines if line.strip() and not line.strip().startswith("#")
    }
    if not found:
        raise fault(place, f"{path} contains no address", "write an address (apprise URL) on each line")
    if wrong := [number for number, line in found.items() if not re.fullmatch(r"\w+://\S+", line)]:
        raise fault(
            place,
            f"line {wrong[0]} of {path} is not an address",
            "write it like mailtos://user:password@host",
        )
    return found


def ping_address(path: Path, place: str) -> str:
    """Return the URL in the file; raises `ConfigError`, which does not contain it."""
    address = read_secret(path, place)
    try:
        return https_or_local_url(address)
    except ConfigError as error:
        raise fault(place, f"the address in {path} {error}", "copy the check's address again") from None


def eab_hmac_key(path: Path) -> str:
    """Return the HMAC key of an external account (RFC 8555, section 7.3.4), in base64url."""
    place = "acme.eab_hmac_key_file"
    key = read_secret(path, place).rstrip("=")
    if not re.fullmatch(r"[A-Za-z0-9_-]{2,}", key) or len(key) % 4 == 1:
        raise fault(place, f"{path} is not a base64url key", "copy the HMAC key again, as the CA gave it")
    return key


def _text(path: Path, place: str) -> bytes:
    try:
        return _read(path, place)
    except OSError as error:
        if isinstance(error, PermissionError) and path in _REMEMBERED:
            return _REMEMBERED[path]
        hint = "save the secret there, readable only by this user, or name the right file"
        raise fault(place, f"{path} cannot be read: {error.strerror}", hint) from None


def denied(path: Path) -> bool:
    """Return whether this user lacks the permission to read the file."""
    if path in _REMEMBERED:
        return False
    try:
        with open(path, "rb", opener=_at_once):
            return False
    except PermissionError:
        return True
    except OSError:
        return False


def _read(path: Path, place: str) -> bytes:
    with open(path, "rb", opener=_at_once) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise fault(place, f"{path} is not a regular file")
        if mode & _FORBIDDEN:
            hint = f"chmod 600 {shell(path)}"
            raise fault(place, f"other users can read or write {path} (mode {mode & 0o7777:04o})", hint)
        if why := permissions.foreign(path):
            raise fault(place, f"{path} {why}", permissions.alone(path))
        return file.read(_LONGEST + 1)


def _at_once(path: str, flags: int) -> int:
    """Open without blocking: a named pipe is rejected, not read."""
    return os.open(path, flags | os.O_NONBLOCK)


def word(data: bytes, place: str, whose: str = "") -> str:
    """Return the secret in `data`: one word of visible ASCII."""
    secret = data.removesuffix(b"\n").removesuffix(b"\r")
    if not secret.strip():
        raise fault(place, f"{whose}is empty")
    if len(secret) > _LONGEST:
        raise fault(place, f"{whose}is too long for a secret of this kind")
    if b"\n" in secret:
        raise fault(place, f"{whose}has more than one line; save only the secret in it")
    if re.match(rb"(?i)(authorization:\s*)?bearer\b", secret):
        raise fault(place, f"{whose}begins with the word Bearer; save only the token itself")
    if not re.fullmatch(rb"[!-~]+", secret):
        raise fault(place, f"{whose}has a space or another character that is not part of a secret")
    return secret.decode("ascii")


def fault(place: str, message: str, hint: str = _ALONE) -> ConfigError:
    """Return the error about a secret at `place`; the message never shows it."""
    return ConfigError([Fault(place, message)], hint=hint)

"""The syntax of single values in the configuration: durations, paths, addresses, URLs, names.

Each function returns the value or raises `ConfigError` with a sentence to follow the key's name. The
sentences never repeat the value: a secret may have been pasted into the wrong line.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from renewer.core.domains import host, is_ip
from renewer.core.errors import ConfigError

LONGEST = timedelta(days=3650)
"""The longest duration, ten years; a longer one is a typing error."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")
_VISIBLE = re.compile(r"[!-~]+")
_EMAIL = re.compile(r"[!-?A-~]+@[A-Za-z0-9.-]+")
_NGINX_PATH = re.compile(r"[A-Za-z0-9_./-]+")
_HOME = re.compile(r"/(?:[A-Za-z0-9_.~-][A-Za-z0-9_./~-]*)?")
_CERTIFICATE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_LONGEST_CERTIFICATE_NAME = 200
_LAST_PORT = 65535
_LARGEST_SHARE = 33


def matching(pattern: str, sentence: str) -> Callable[[str], str]:
    """Return a function that accepts only text of this form, and rejects any other with the sentence."""

    def form(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ConfigError(sentence)
        return text

    return form


def duration(text: str) -> timedelta:
    """Return a duration such as "90s", "15m", "12h" or "30d"; it is positive and at most ten years."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ConfigError("is not a duration; write it like 90s, 15m, 12h or 30d")
    length = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if not length:
        raise ConfigError("must be longer than zero")
    if length > LONGEST:
        raise ConfigError("is longer than ten years")
    return length


def share_of_life(text: str) -> float:
    """Return a share such as "25%" as a fraction; at a third of the life, a renewal is due."""
    found = re.fullmatch(r"([0-9]{1,2})%", text)
    if found is None or not 1 <= int(found[1]) <= _LARGEST_SHARE:
        raise ConfigError(f"must be a share of the lifetime such as 25%, from 1% to {_LARGEST_SHARE}%")
    return int(found[1]) / 100


def textfile(text: str) -> Path:
    """Return the absolute path of a file for node_exporter's textfile collector."""
    if not text.endswith(".prom"):
        raise ConfigError("must end in .prom, or node_exporter does not read it")
    return path(text)


def path(text: str) -> Path:
    """Return an absolute path."""
    if not text.startswith("/"):
        raise ConfigError("must be an absolute path, beginning with /")
    if not text.isprintable():
        raise ConfigError("has a character that is not allowed in a path")
    return Path(text)


def file_mode(text: str) -> int:
    """Return a file mode in octal, as for chmod; only owner and group may have access."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ConfigError('is not a file mode; write it like "0640"')
    mode = int(text, 8)
    if mode & 0o007:
        raise ConfigError("lets everybody on this machine read the secret; it must end in 0")
    return mode


def nginx_path(text: str) -> Path:
    """Return an absolute path that nginx's configuration can contain unquoted."""
    found = path(text)
    if not _NGINX_PATH.fullmatch(text):
        raise ConfigError("may contain only letters, digits and _ . / - because nginx reads it")
    return found


def address(text: str) -> str:
    """Return "host", "host:port" or "[::1]:port"; the host is an IP address or a name."""
    if is_ip(text):
        return text
    found = _ADDRESS.fullmatch(text)
    if found is None or (found["six"] and not is_ip(found["six"])):
        raise ConfigError("is not an address; write it like 127.0.0.1:443, [::1]:443 or name:443")
    if found["host"]:
        host(found["host"])
    if found["port"] and not 1 <= int(found["port"]) <= _LAST_PORT:
        raise ConfigError(f"has a port that is not between 1 and {_LAST_PORT}")
    return text


def https_url(text: str) -> str:
    """Return an https URL."""
    if _url(text).scheme != "https":
        raise ConfigError("must be a URL that begins with https://")
    return text


def https_or_local_url(text: str) -> str:
    """Return an https URL, or an http one of this machine itself."""
    parts = _url(text)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ConfigError("must begin with https://; http:// would expose the token on the network")
    if parts.scheme not in {"http", "https"}:
        raise ConfigError("must be a URL that begins with https://")
    return text


def origin(text: str) -> str:
    """Return the https address of a site: scheme, host and optional port, without a path."""
    parts = _url(https_url(text))
    if parts.path not in {"", "/"} or parts.query or "?" in text:
        raise ConfigError("must end after the host name (or its port)")
    return text.removesuffix("/")


def home(text: str) -> str:
    """Return the path of a site's start page, to which nginx redirects."""
    if not _HOME.fullmatch(text):
        raise ConfigError("must be a path such as /ui/, of letters, digits and _ . / - ~")
    return text


def email(text: str) -> str:
    """Return an e-mail address as ACME expects it."""
    if text.lower().startswith("mailto:"):
        raise ConfigError("must be the bare address, without mailto:")
    if not _EMAIL.fullmatch(text) or "," in text:
        raise ConfigError("is not a single e-mail address")
    return text


def certificate_name(text: str) -> str:
    """Return the name of a certificate, which is also the name of a folder and of a file."""
    if "*" in text:
        raise ConfigError("must not contain a star; the wildcard belongs under domains")
    if text != text.lower():
        raise ConfigError("must be in lower case")
    if len(text) > _LONGEST_CERTIFICATE_NAME:
        raise ConfigError(f"is longer than {_LONGEST_CERTIFICATE_NAME} characters")
    if not _CERTIFICATE_NAME.fullmatch(text) or ".." in text:
        raise ConfigError(
            "may contain only letters, digits, single dots and hyphens, and not begin or end with . or -"
        )
    return text


def _url(text: str) -> SplitResult:
    """Split a URL; it has a host, no user, no fragment, and nothing that programs parse differently."""
    try:
        parts = urlsplit(text)
        whole = bool(parts.hostname and (parts.port is None or parts.port))
    except ValueError:
        whole = False
        parts = SplitResult("", "", "", "", "")
    if not whole or not _VISIBLE.fullmatch(text) or "#" in text or "\\" in text:
        raise ConfigError("is not a complete URL such as https://host/path")
    if parts.username is not None:
        raise ConfigError("contains a user name; remove it")
    return parts


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (is_ip(name) and ip_address(name).is_loopback)


AbsolutePath = Annotated[Path, path]
Duration = Annotated[timedelta, duration]

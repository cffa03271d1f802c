"""How single values are written in the configuration: durations, paths, addresses, URLs, names.

Each function returns the value or raises `ConfigError` with a sentence that follows on the value's place. The
sentences never repeat the value: somebody may have pasted a secret in the wrong line.
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
"""No wait is longer than ten years: more is a slip of the finger."""

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
    """Return a function that takes text of this form only, and says the sentence about any other."""

    def form(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ConfigError(sentence)
        return text

    return form


def duration(text: str) -> timedelta:
    """Return a duration such as "90s", "15m", "12h" or "30d"; it is positive and at most ten years."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ConfigError("is no duration; write it like 90s, 15m, 12h or 30d")
    length = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if not length:
        raise ConfigError("is a duration of nothing; it has to be longer")
    if length > LONGEST:
        raise ConfigError("is longer than ten years")
    return length


def share_of_life(text: str) -> float:
    """Return a share such as "25%" as a part of one; at a third of the life a renewal is only due."""
    found = re.fullmatch(r"([0-9]{1,2})%", text)
    if found is None or not 1 <= int(found[1]) <= _LARGEST_SHARE:
        raise ConfigError(f"has to be a share of the life such as 25%, from 1% to {_LARGEST_SHARE}%")
    return int(found[1]) / 100


def textfile(text: str) -> Path:
    """Return the absolute path of a file that node_exporter reads."""
    if not text.endswith(".prom"):
        raise ConfigError("has to end in .prom, or node_exporter does not read it")
    return path(text)


def path(text: str) -> Path:
    """Return an absolute path."""
    if not text.startswith("/"):
        raise ConfigError("has to be an absolute path, one that begins with /")
    if not text.isprintable():
        raise ConfigError("has a character that belongs into no path")
    return Path(text)


def file_mode(text: str) -> int:
    """Return a file's permissions, in octal as for chmod; nobody but owner and group may be let in."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ConfigError('is no mode of a file; write it like "0640"')
    mode = int(text, 8)
    if mode & 0o007:
        raise ConfigError("lets everybody on this machine read the secret; end it in 0")
    return mode


def nginx_path(text: str) -> Path:
    """Return an absolute path that can stand in nginx's configuration as it is."""
    found = path(text)
    if not _NGINX_PATH.fullmatch(text):
        raise ConfigError("may only have letters, digits and _ . / - because nginx reads it")
    return found


def address(text: str) -> str:
    """Return "host", "host:port" or "[::1]:port", with an IP address or a name for the host."""
    if is_ip(text):
        return text
    found = _ADDRESS.fullmatch(text)
    if found is None or (found["six"] and not is_ip(found["six"])):
        raise ConfigError("is no address; write it like 127.0.0.1:443, [::1]:443 or name:443")
    if found["host"]:
        host(found["host"])
    if found["port"] and not 1 <= int(found["port"]) <= _LAST_PORT:
        raise ConfigError(f"has a port outside 1 to {_LAST_PORT}")
    return text


def https_url(text: str) -> str:
    """Return a URL of https."""
    if _url(text).scheme != "https":
        raise ConfigError("has to be a URL that begins with https://")
    return text


def https_or_local_url(text: str) -> str:
    """Return a URL of https, or one of http that stays on this machine."""
    parts = _url(text)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ConfigError("has to begin with https://; http:// would show the token to the network")
    if parts.scheme not in {"http", "https"}:
        raise ConfigError("has to be a URL that begins with https://")
    return text


def origin(text: str) -> str:
    """Return the https address of a site: scheme, host and perhaps a port, nothing after it."""
    parts = _url(https_url(text))
    if parts.path not in {"", "/"} or parts.query or "?" in text:
        raise ConfigError("has to end after the name of the host (or its port)")
    return text.removesuffix("/")


def home(text: str) -> str:
    """Return the path on a site where its pages begin; it goes into a redirect of nginx."""
    if not _HOME.fullmatch(text):
        raise ConfigError("has to be a path such as /ui/, of letters, digits and _ . / - ~")
    return text


def email(text: str) -> str:
    """Return a mail address as ACME takes it."""
    if text.lower().startswith("mailto:"):
        raise ConfigError("has to be the bare address, without mailto:")
    if not _EMAIL.fullmatch(text) or "," in text:
        raise ConfigError("is not the mail address of one person")
    return text


def certificate_name(text: str) -> str:
    """Return the name of a certificate; it is a folder's and a file's name as well."""
    if "*" in text:
        raise ConfigError("name it without the star; the wildcard belongs under domains")
    if text != text.lower():
        raise ConfigError("the name has to be in lower case")
    if len(text) > _LONGEST_CERTIFICATE_NAME:
        raise ConfigError(f"the name is longer than {_LONGEST_CERTIFICATE_NAME} characters")
    if not _CERTIFICATE_NAME.fullmatch(text) or ".." in text:
        raise ConfigError(
            "the name may only have letters, digits, single dots and hyphens, and no . or - at an end"
        )
    return text


def _url(text: str) -> SplitResult:
    """Part a URL; it has a host, no user, no fragment, and nothing that a program might read differently."""
    try:
        parts = urlsplit(text)
        whole = bool(parts.hostname and (parts.port is None or parts.port))
    except ValueError:
        whole = False
        parts = SplitResult("", "", "", "", "")
    if not whole or not _VISIBLE.fullmatch(text) or "#" in text or "\\" in text:
        raise ConfigError("is no complete URL such as https://host/path")
    if parts.username is not None:
        raise ConfigError("has a user's name in it; leave that out")
    return parts


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (is_ip(name) and ip_address(name).is_loopback)


AbsolutePath = Annotated[Path, path]
Duration = Annotated[timedelta, duration]

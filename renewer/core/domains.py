"""The domains of a certificate: host names of RFC 1035 and 5890, in their ASCII form."""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address

from renewer.core.errors import ConfigError

MOST = 100
"""Most domains of one Let's Encrypt certificate."""

LONGEST_NAME, LONGEST_LABEL = 253, 63

_PORT = re.compile(r":[0-9]*$")
_STAR = "it must be the whole first label, as in *.example.com"


def domain(text: str) -> str:
    """Return a domain, possibly a wildcard, in lower case.

    Raises `ConfigError` with a sentence to follow the domain's place.
    """
    name = text.lower()
    _not_something_else(name)
    base = name.removeprefix("*.")
    if "*" in base:
        raise ConfigError(_misplaced_star(name, base))
    if len(name) > LONGEST_NAME:
        raise ConfigError(f"is longer than {LONGEST_NAME} characters")
    labels = base.split(".")
    if len(labels) == 1:
        raise ConfigError("needs at least two labels, such as example.com")
    for label in labels:
        _check_label(label)
    if labels[-1].isdigit():
        raise ConfigError("ends in a label of digits only, which is not a domain")
    return name


def plain_domain(text: str) -> str:
    """Return a domain in lower case; raises `ConfigError` for a wildcard, too."""
    if text.startswith("*."):
        raise ConfigError("is a wildcard; write it without the star")
    return domain(text)


def covers(domains: Iterable[str], name: str) -> bool:
    """Return whether a certificate for these domains is valid for the host `name` (RFC 9525, section 6.3)."""
    return bool({name, f"*.{name.partition('.')[2]}"} & set(domains))


def within(name: str, zone: str) -> bool:
    """Return whether a name lies in a zone: at its apex, or whole labels below it."""
    return name == zone or name.endswith(f".{zone}")


def closest(name: str, zones: Iterable[str]) -> str | None:
    """Return the zone that a name's records go into: of those it lies in, the one with the longest name."""
    return max((zone for zone in zones if within(name, zone)), key=len, default=None)


def host(text: str) -> str:
    """Return a host name or an IP address (without brackets), in lower case."""
    name = text.lower()
    if is_ip(name):
        return name
    labels = name.split(".")
    for label in labels:
        _check_label(label)
    if labels[-1].isdigit():
        raise ConfigError("is neither an IP address nor a host name")
    return name


def is_ip(text: str) -> bool:
    """Return whether this is an IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def clashes(domains: Mapping[int, str]) -> Iterator[tuple[int | None, str]]:
    """Yield why Let's Encrypt would refuse these domains in one certificate, with the index to blame."""
    seen: set[str] = set()
    for index, name in domains.items():
        wildcard = "*." + name.partition(".")[2]
        if name in seen:
            yield index, f"{name} is there twice; remove one of them"
        elif not name.startswith("*.") and wildcard in domains.values():
            yield index, f"{wildcard} already covers {name}; remove {name}"
        seen.add(name)
    if len(seen) > MOST:
        yield None, f"has {len(seen)} domains, but a certificate has {MOST} at most"


def _not_something_else(name: str) -> None:
    """Raise `ConfigError` for text that is not a domain, saying what it is instead."""
    if not name:
        raise ConfigError("is empty")
    if "/" in name:
        raise ConfigError("is a URL or a path; write only the host name")
    if is_ip(name.strip("[]")):
        raise ConfigError("is an IP address, which cannot be validated through the DNS; write a domain")
    if _PORT.search(name):
        raise ConfigError("has a port; remove it")
    if name.endswith("."):
        raise ConfigError("ends with a dot; remove it")
    if not name.isascii():
        raise ConfigError(_international(name))


def _international(name: str) -> str:
    try:
        form = name.encode("idna")
        same = form.decode("idna") == name
    except UnicodeError:
        return "has letters outside ASCII that are not allowed in a domain"
    # The codec implements IDNA 2003, which maps some letters to others (ß to ss): a different domain.
    return f"write it in its ASCII form{f', {form.decode()}' if same else ' (xn--…)'}"


def _misplaced_star(name: str, base: str) -> str:
    if name.startswith("*.") and name.count("*") > 1:
        return "has a second star; a wildcard stands for one label only"
    if "*" in base.split(".")[1:]:
        return f"has a star in the middle; {_STAR}"
    return f"has a star among other characters; {_STAR}"


def _check_label(label: str) -> None:
    if not label:
        raise ConfigError("has an empty label: two dots in a row, or one at an end")
    if len(label) > LONGEST_LABEL:
        raise ConfigError(f"has a label longer than {LONGEST_LABEL} characters")
    if "_" in label:
        raise ConfigError("has an underscore, which a host name cannot have")
    if not re.fullmatch(r"[a-z0-9-]+", label):
        raise ConfigError("has characters other than letters, digits, hyphens and dots")
    if label.startswith("-") or label.endswith("-"):
        raise ConfigError("has a label that begins or ends with a hyphen")

"""Makes links, sessions and signed URLs as nginx's `secure_link` checks them. Pure.

A token is `kid.person.end.signature`. `end` is in seconds since 1970 (10 digits), the signature 22 characters
of base64url over an MD5. MD5 is the only hash of ngx_http_secure_link_module; here it is a tag with a secret
key at both ends, which neither collisions nor appended text help to forge.
"""

import hmac
from base64 import urlsafe_b64encode
from datetime import datetime
from hashlib import md5
from math import ceil
from urllib.parse import quote, unquote

from renewer.core.errors import ConfigError
from renewer.core.site import Key

LINK, SESSION = "L", "S"
"""The kinds of tokens; one kind is never accepted as the other."""

_UNCHANGED = "/!$&'()*+,;=:@~"
"""Characters that stay unencoded in a URL's path, besides letters, digits and `_ . -` (RFC 3986, 3.3)."""


def derived(master: str, site: str, person: str = "") -> str:
    """Return the key nginx gets for a person, or for a whole site; nginx never gets a master (hex)."""
    tag = hmac.digest(bytes.fromhex(master), f"{site}\0{person}".encode(), "sha256")
    return urlsafe_b64encode(tag).decode().rstrip("=")


def link(key: Key, site: str, person: str, end: datetime) -> str:
    """Return the token of a link, which opens a session until `end`."""
    return _token(LINK, key, site, person, end)


def session(key: Key, site: str, person: str, end: datetime) -> str:
    """Return the token of a session, the value of the cookie."""
    return _token(SESSION, key, site, person, end)


def url(key: Key, site: str, path: str, end: datetime) -> str:
    """Return a URL path with its signature; raises `ConfigError` for a path that nginx would change.

    nginx checks the decoded path. The rest is the example in nginx's manual: `md5` over `expires`, the path,
    a space and the secret.
    """
    plain, expires = _plain(path), _seconds(end)
    signature = _md5(f"{expires}{plain} {derived(key.master, site)}")
    return f"{quote(plain, safe=_UNCHANGED)}?k={key.kid}&expires={expires}&md5={signature}"


def _token(kind: str, key: Key, site: str, person: str, end: datetime) -> str:
    secret, expires = derived(key.master, site, person), _seconds(end)
    signature = _md5(f"{secret}|{kind}|{site}|{key.kid}|{person}|{expires}|{secret}")
    return f"{key.kid}.{person}.{expires}.{signature}"


def _seconds(end: datetime) -> str:
    return f"{ceil(end.timestamp()):010}"


def _md5(text: str) -> str:
    return urlsafe_b64encode(md5(text.encode(), usedforsecurity=False).digest()).decode().rstrip("=")


def _plain(path: str) -> str:
    """Return the path decoded."""
    plain = unquote(path, errors="strict") if _decodable(path) else ""
    if not path.startswith("/") or not plain:
        raise ConfigError(
            f"{path!r} is not a URL path: it must begin with / and be UTF-8 where it is encoded",
            hint="write the part of the URL after the host: --uri /file.zip",
        )
    if "?" in path or "#" in path:
        raise ConfigError(
            f"{path!r} is more than a path: only a path is signed", hint="write %3F for ? and %23 for #"
        )
    if not plain.isprintable() or any(part in {"", ".", ".."} for part in plain[1:].split("/")[:-1]):
        raise ConfigError(f"nginx would change the path {path!r}", hint="write it without //, /./ and /../")
    if plain.endswith(("/.", "/..")):
        raise ConfigError(f"nginx would change the path {path!r}", hint="write it without . or .. at its end")
    return plain


def _decodable(path: str) -> bool:
    try:
        unquote(path, errors="strict")
    except UnicodeDecodeError:
        return False
    return True

"""The transport to a CA, on `requests`: https only, complete answers of limited size, no credentials."""

from urllib.parse import urlsplit

import requests

from renewer.system.http_bounds import Astray, Peer

TIMEOUT = (10, 45)
"""Seconds to connect, and to wait for more bytes of an answer."""

ANSWER = 90.0
"""Seconds for a complete answer, including the DNS lookup of the CA."""

SETTING = "[acme] server"


def secure(url: str) -> str:
    """Return an https URL; raise `Astray` for any other. All but the first are sent by the CA."""
    if not url.lower().startswith("https://"):
        raise Astray(
            f"the CA leads to {url[:200]}, which is not https",
            hint=f"check {SETTING}; if it is right, the CA has to give addresses that begin with https://",
        )
    return url


def peer(url: str) -> Peer:
    """Return the host of a URL; raise `Astray` unless it is an https URL."""
    return Peer(f"the CA at {urlsplit(secure(url)).netloc}", SETTING)


def prepare(session: requests.Session) -> None:
    """Make a session ignore the credentials in ~/.netrc, and return only complete answers.

    Proxies and root certificates are still taken from the environment.
    """
    session.auth = _as_it_is
    session.headers["Accept-Encoding"] = "identity"
    session.hooks["response"].append(_bounded)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _bounded(response: requests.Response, **_: object) -> None:
    """Read the body before `requests` does, which would decompress and read it without a limit."""
    far, headers = peer(response.url), response.headers
    try:
        far.require_plain(
            response.status_code, headers.get("Location", ""), headers.get("Content-Encoding", "")
        )
        response._content = far.whole(response.iter_content(16 * 1024))  # noqa: SLF001 - as it does itself
    except BaseException:
        response.close()
        raise

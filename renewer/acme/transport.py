"""The way to a CA, on `requests`: https only, whole answers within bounds, nothing sent but what is ours."""

from urllib.parse import urlsplit

import requests

from renewer.system.http_bounds import Astray, Peer

TIMEOUT = (10, 45)
"""Seconds to connect, and to wait for the next bytes of an answer."""

ANSWER = 90.0
"""Seconds for a whole answer, the look-up of the CA's address included."""

SETTING = "[acme] server"


def secure(url: str) -> str:
    """Return a URL of https; raise `Astray` for any other: the CA hands out all but the first."""
    if not url.lower().startswith("https://"):
        raise Astray(
            f"the CA leads to {url[:200]}, which is not https",
            hint=f"check {SETTING}; if it is right, the CA has to give addresses that begin with https://",
        )
    return url


def peer(url: str) -> Peer:
    """Return who is asked by a URL; raise `Astray` unless it is one of https."""
    return Peer(f"the CA at {urlsplit(secure(url)).netloc}", SETTING)


def prepare(session: requests.Session) -> None:
    """Have a session add no credentials of ~/.netrc, and give out whole answers or none.

    Proxies and roots of trust are still those of the environment.
    """
    session.auth = _as_it_is
    session.headers["Accept-Encoding"] = "identity"
    session.hooks["response"].append(_bounded)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _bounded(response: requests.Response, **_: object) -> None:
    """Read the body before `requests` does, which would unpack it and read it to whatever end."""
    far, headers = peer(response.url), response.headers
    try:
        far.require_plain(
            response.status_code, headers.get("Location", ""), headers.get("Content-Encoding", "")
        )
        response._content = far.whole(response.iter_content(16 * 1024))  # noqa: SLF001 - as it does itself
    except BaseException:
        response.close()
        raise

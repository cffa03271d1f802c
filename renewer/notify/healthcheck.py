"""Pings a monitor after each cycle: at the address itself if all is well, at /fail if not.

This is the convention of healthchecks.io (https://healthchecks.io/docs/http_api/). The address is a secret:
no message contains it, or the server's answer.
"""

import socket
from collections.abc import Callable
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener, getproxies, proxy_bypass

from renewer import __version__
from renewer.core.errors import Transient
from renewer.system.http_bounds import Peer

PATIENCE = 10.0
"""Seconds for a ping, including the lookup of the server's address."""

_MONITOR = Peer("the monitor", "[notify] ping")
_PORTS = {"https": 443}
_HINT = "check that this machine can reach the monitor, and that the check still exists there"


class Ping:
    """Pings the address that `address` returns, once in each cycle."""

    def __init__(self, address: Callable[[], str]) -> None:
        self._address = address

    def beat(self, *, good: bool) -> None:
        """See `interfaces.Pulse`; raises `Transient` if the server does not answer, or rejects the ping."""
        address = self._address()
        try:
            trouble = _MONITOR.within(PATIENCE, lambda: _get(address if good else failed(address)))
        except Transient:
            trouble = f"it did not answer within {PATIENCE:g} s"
        if trouble:
            raise Transient(f"the monitor could not be pinged: {trouble}", hint=_HINT)

    def reach(self) -> None:
        """Connect to the server of the address, or to the proxy, without a request: that would be a ping.

        Raises `Transient` if it cannot be reached.
        """
        parts = urlsplit(self._address())
        proxy = getproxies().get(parts.scheme)
        if proxy and not proxy_bypass(parts.hostname or ""):
            parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        try:
            place = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)
            _MONITOR.within(PATIENCE, lambda: socket.create_connection(place, timeout=PATIENCE).close())
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise Transient(f"the monitor cannot be reached: {why}", hint=_HINT) from None


def failed(address: str) -> str:
    """Return the address that reports a failure; the query stays."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/fail"))


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirects: the address is only for this server."""

    def redirect_request(self, *_: object) -> None:
        return None


def _get(address: str) -> str:
    """Request the address once; return what is wrong, or an empty text."""
    request = Request(address, headers={"User-Agent": f"renewer/{__version__}"})  # noqa: S310 - https, or local
    try:
        with build_opener(_NoRedirect).open(request, timeout=PATIENCE):
            return ""
    except HTTPError as error:
        error.close()
        return f"it answers {error.code}"
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        return getattr(reason, "strerror", None) or type(reason).__name__

"""A monitor that is pinged after each cycle: the address itself when all is well, with /fail when not.

That is the convention of healthchecks.io (https://healthchecks.io/docs/http_api/). The address is a secret:
no sentence here shows it, nor what the server says of it.
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
"""Seconds that a ping may take, the search for the server's address included."""

_MONITOR = Peer("the monitor", "[notify] ping")
_PORTS = {"https": 443}
_HINT = "see whether this machine reaches the monitor, and whether the check is still there"


class Ping:
    """Pings the address that `address` returns, once for each cycle."""

    def __init__(self, address: Callable[[], str]) -> None:
        self._address = address

    def beat(self, *, good: bool) -> None:
        """See `interfaces.Pulse`; raises `Transient` when nobody is there, or somebody refuses."""
        address = self._address()
        try:
            trouble = _MONITOR.within(PATIENCE, lambda: _get(address if good else failed(address)))
        except Transient:
            trouble = f"it did not answer within {PATIENCE:g} s"
        if trouble:
            raise Transient(f"the monitor could not be told: {trouble}", hint=_HINT)

    def reach(self) -> None:
        """Connect to where the address is, or to the proxy on the way; to ask for it would be a ping.

        Raises `Transient` when nobody is there.
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
    """Return the address for a failure; what comes after the path stays there."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/fail"))


class _NoRedirect(HTTPRedirectHandler):
    """Follows nobody elsewhere: the address is for this server alone."""

    def redirect_request(self, *_: object) -> None:
        return None


def _get(address: str) -> str:
    """Ask for it once, and return what is wrong; empty for nothing."""
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

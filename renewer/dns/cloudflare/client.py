"""Calls to Cloudflare's API, on its SDK `cloudflare`: the only file that knows it.

They go out by the SDK's own way for any path: its classes for each kind of resource take longer to load than
the rest of an issuance takes to compute. The SDK itself is loaded with the first call, or ahead in a thread
while the CA is asked: the two take about as long.
"""
# ruff: noqa: PLC0415  (see above: the late imports are the point)

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from renewer.core.errors import RenewerError, Transient
from renewer.core.http_headers import retry_after
from renewer.core.interfaces import Clock, Report
from renewer.dns.cloudflare.errors import Said, codes
from renewer.dns.cloudflare.settings import Settings, token
from renewer.system.http_bounds import Peer
from renewer.system.once import Once
from renewer.system.rate_limiter import RateLimiter

if TYPE_CHECKING:
    import cloudflare
    import httpx

Answer = Mapping[str, Any]
"""What Cloudflare says, the envelope around it included."""

PATIENCE = timedelta(seconds=60)
"""The longest Retry-After that a run sits out; beyond it the run ends and the next one honours the rest."""

TRIES = 3
"""How often a call that was told to wait is made."""

CALLS, PERIOD = 1000, 300.0
"""Calls that are made at most in so many seconds; Cloudflare's limit is 1,200, and who crosses it is blocked,
with all other programs of that user (developers.cloudflare.com/fundamentals/api/reference/limits)."""

AT_ONCE = 500
"""Calls that are made as they come; the rest are spread, and a zone's changes wait for company meanwhile."""

PER_PAGE = 50
"""Zones in one answer; the most that Cloudflare gives."""

STEP, CONNECT = 30.0, 10.0
"""Seconds for each step of an answer, and to connect."""

ANSWER = 60.0
"""Seconds for a whole answer, the look-up of the API's address included."""

SENT = {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"}
"""The headers that are sent as the libraries set them; of ours there is only the token's."""


def opened(settings: Settings, clock: Clock, report: Report) -> "Api":
    """Return the API with the token of the configuration; raises `ConfigError` without one."""
    secret = token(settings, os.environ)
    return Api(lambda: client(secret, settings.base_url), clock, report)


def client(secret: str, base_url: str) -> "cloudflare.Cloudflare":
    """Return a connection to the API with this token.

    Of the environment it takes what leads there (HTTPS_PROXY, SSL_CERT_FILE and the like) and nothing else.
    """
    # httpx loads a command line of its own, with rich and pygments, where these are installed, and does
    # without where that cannot be imported; None makes it so (docs.python.org/3/reference/import.html).
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # the interpreter takes it
    # The SDK would have every module of this process log to standard error where this says so.
    os.environ.pop("CLOUDFLARE_LOG", None)
    import cloudflare
    import httpx

    timeout = httpx.Timeout(STEP, connect=CONNECT)
    made = cloudflare.Cloudflare(api_token=secret, base_url=base_url, max_retries=0, timeout=timeout)
    http = made._client  # noqa: SLF001 - one made by hand would not be closed by itself
    http.follow_redirects = False
    http.headers["Accept-Encoding"] = "identity"
    http.event_hooks = {"request": [_ours(secret)], "response": [_bounded(_peer(made))]}
    return made


def _ours(secret: str) -> "Callable[[httpx.Request], None]":
    """Return what takes all out of a request that the SDK has found in CLOUDFLARE_… variables.

    It would send an e-mail address or a key in place of the token, and whatever headers it finds.
    """

    def ours(request: "httpx.Request") -> None:
        for name in [name for name in request.headers if name not in SENT]:
            del request.headers[name]
        request.headers["Authorization"] = f"Bearer {secret}"

    return ours


def _bounded(api: Peer) -> "Callable[[httpx.Response], None]":
    """Return what reads a body before `httpx` does, which would unpack it and read it to whatever end."""

    def bounded(response: "httpx.Response") -> None:
        headers = response.headers
        api.require_plain(
            response.status_code, headers.get("Location", ""), headers.get("Content-Encoding", "")
        )
        response._content = api.whole(response.iter_raw())  # noqa: SLF001 - as it does itself

    return bounded


def _peer(client: "cloudflare.Cloudflare") -> Peer:
    return Peer(f"Cloudflare's API at {client.base_url.netloc.decode()}", "[cloudflare] base_url")


class Api:
    """The API for one run, never asked faster than it takes; safe to use from threads.

    `connect` returns the connection. A refusal is raised as `Said`, what makes no sense or does not come as
    `Transient`.
    """

    def __init__(self, connect: "Callable[[], cloudflare.Cloudflare]", clock: Clock, report: Report) -> None:
        self._client = Once(connect)
        self._clock = clock
        self._report = report
        self._pace = RateLimiter(clock, CALLS, PERIOD, self._waits, AT_ONCE)

    def begin(self) -> None:
        """Load the SDK ahead, in a thread."""
        self._client.begin()

    def get(self, path: str, query: Mapping[str, str | int]) -> Answer:
        """Return what there is at a path."""
        return self._call(lambda api: api.get(path, cast_to=object, options={"params": dict(query)}))

    def post(self, path: str, body: Mapping[str, object]) -> Answer:
        """Send a document, and return what is said to it."""
        return self._call(lambda api: api.post(path, cast_to=object, body=body))

    def _waits(self, pause: float) -> None:
        said = f"waits {pause:.0f} seconds: more than {CALLS:,} calls in 5 minutes would be too many"
        self._report.doing("cloudflare", said)

    def _call(self, call: "Callable[[cloudflare.Cloudflare], object]") -> Answer:
        """Make a call; one that is told to come back soon is made again then (429 with Retry-After)."""
        for _ in range(TRIES - 1):
            self._pace.wait()
            try:
                return self._once(call)
            except Said as answer:
                wait = answer.retry_after
                if not answer.limited or wait is None or wait > PATIENCE:
                    raise
                self._report.doing("cloudflare", f"asks to wait {wait.total_seconds():.0f} seconds")
                self._clock.sleep(wait.total_seconds())
        self._pace.wait()
        return self._once(call)

    def _once(self, call: "Callable[[cloudflare.Cloudflare], object]") -> Answer:
        client = self._client()
        import cloudflare

        try:
            with sensible():
                answer = _peer(client).within(ANSWER, lambda: call(client))
        except cloudflare.APIStatusError as error:
            header = error.response.headers.get("retry-after", "")
            wait = retry_after(header, self._clock.now())
            raise Said(error.status_code, codes(error.body), wait) from error
        except cloudflare.APIConnectionError as error:
            if isinstance(error.__cause__, RenewerError):  # it was one of ours that ended the answer
                raise error.__cause__ from None
            raise Transient(
                f"Cloudflare's API cannot be reached: {error.__cause__ or error}",
                hint="check [cloudflare] base_url and this machine's network; nothing is lost",
            ) from error
        except cloudflare.CloudflareError as error:
            raise nonsense(error) from error
        if not isinstance(answer, dict):
            raise nonsense(TypeError("it is no object"))
        if answer.get("success") is False:
            raise Said(HTTPStatus.OK, codes(answer), None)
        return answer


@contextmanager
def sensible() -> Iterator[None]:
    """Raise for an answer that breaks the API's description, so that it does not look like our bug."""
    try:
        yield
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise nonsense(error) from error


def nonsense(error: Exception) -> Transient:
    """Return the error for an answer that makes no sense."""
    return Transient(
        f"Cloudflare's answer makes no sense: {error}",
        hint="check [cloudflare] base_url; if that is right, it may pass by itself",
    )

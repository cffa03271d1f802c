"""Calls to Cloudflare's API, on its SDK `cloudflare`: the only file that knows it.

They go out by the SDK's own way for any path: its classes for each kind of resource take longer to load than
the rest of an issuance takes to compute.
"""

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus

import cloudflare
import httpx

from renewer.dns.calls import Answer, nonsense, sensible
from renewer.dns.refusals import Said, codes
from renewer.errors import Transient
from renewer.pace import Pace
from renewer.ports import Clock, Report
from renewer.problems import retry_after

Client = cloudflare.Cloudflare
"""A connection with a token."""

PATIENCE = timedelta(seconds=60)
"""The longest Retry-After that a run sits out; beyond it the run ends and the next one honours the rest."""

TRIES = 3
"""How often a call that was told to wait is made."""

CALLS, PERIOD = 1000, 300.0
"""Calls that are made at most in so many seconds; Cloudflare's limit is 1,200, and who crosses it is blocked,
with all other programs of that user (developers.cloudflare.com/fundamentals/api/reference/limits)."""

AT_ONCE = 500
"""Calls that are made as they come; the rest are spread, and a zone's changes wait for company meanwhile."""

TIMEOUT = httpx.Timeout(30.0, connect=10.0)

FOREIGN = ("API_KEY", "API_EMAIL", "API_USER_SERVICE_KEY", "CUSTOM_HEADERS", "BASE_URL")
"""The SDK would fill these in from CLOUDFLARE_… variables; a stray one would send the token elsewhere."""


def client(token: str, base_url: str) -> Client:
    """Return a connection to the API with this token and nothing from the environment."""
    for name in FOREIGN:
        os.environ.pop(f"CLOUDFLARE_{name}", None)
    return Client(api_token=token, base_url=base_url, max_retries=0, timeout=TIMEOUT)


class Api:
    """The `Calls` of one run, never made faster than the API takes them."""

    def __init__(self, client: Client, clock: Clock, report: Report) -> None:
        self._client = client
        self._clock = clock
        self._report = report
        self._pace = Pace(clock, CALLS, PERIOD, self._waits, AT_ONCE)

    def get(self, path: str, query: Mapping[str, str | int]) -> Answer:
        """See `Calls`."""
        return self._call(lambda: self._client.get(path, cast_to=object, options={"params": dict(query)}))

    def post(self, path: str, body: Mapping[str, object]) -> Answer:
        """See `Calls`."""
        return self._call(lambda: self._client.post(path, cast_to=object, body=body))

    def _waits(self, pause: float) -> None:
        said = f"waits {pause:.0f} seconds: more than {CALLS:,} calls in 5 minutes would be too many"
        self._report.doing("cloudflare", said)

    def _call(self, call: Callable[[], object]) -> Answer:
        """Make a call; one that is told to come back soon is made again then (429 with Retry-After)."""
        for _ in range(TRIES - 1):
            self._pace.wait()
            try:
                return _once(call, self._clock)
            except Said as answer:
                wait = answer.retry_after
                if not answer.limited or wait is None or wait > PATIENCE:
                    raise
                self._report.doing("cloudflare", f"asks to wait {wait.total_seconds():.0f} seconds")
                self._clock.sleep(wait.total_seconds())
        self._pace.wait()
        return _once(call, self._clock)


def _once(call: Callable[[], object], clock: Clock) -> Answer:
    try:
        with sensible():
            answer = call()
    except cloudflare.APIStatusError as error:
        header = error.response.headers.get("retry-after", "")
        raise Said(error.status_code, codes(error.body), retry_after(header, clock.now())) from error
    except cloudflare.APIConnectionError as error:
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

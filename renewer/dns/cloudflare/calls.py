"""What a call to Cloudflare's API takes and gives."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from renewer.core.errors import Transient

Answer = Mapping[str, Any]
"""What Cloudflare says, the envelope around it included."""


class Calls(Protocol):
    """The API for one run, safe to use from threads.

    A refusal is raised as `Said`, what makes no sense or does not come as `Transient`.
    """

    def get(self, path: str, query: Mapping[str, str | int]) -> Answer:
        """Return what there is at a path."""

    def post(self, path: str, body: Mapping[str, object]) -> Answer:
        """Send a document, and return what is said to it."""


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

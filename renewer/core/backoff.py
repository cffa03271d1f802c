"""How long to wait after a failure. Pure.

The table follows Let's Encrypt's advice (docs/integration-guide), shortened if a certificate is about to
expire.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from renewer.core.errors import Refused, RenewerError, Transient
from renewer.core.failure import Failure, Stage
from renewer.core.model import Material

TABLE = {
    Stage.ISSUE: (timedelta(minutes=1), timedelta(minutes=10), timedelta(minutes=100), timedelta(days=1)),
    Stage.DEPLOY: (timedelta(minutes=1), timedelta(minutes=10)),
}
"""The waits after the first, second, … failure in a row; the last entry repeats."""

SOONEST = timedelta(minutes=1)
"""When to retry after an error that could not be recorded."""

HOOK = (timedelta(minutes=1), timedelta(minutes=10), timedelta(minutes=100), timedelta(days=1))
"""The waits of a hook; its failures count against no limit, so a run started by a person does not wait."""

JITTER = 1 / 10
"""The random part, up or down, of the longest wait of an issuance."""

OF_LIFE = 1 / 10
"""The longest wait, as a share of the certificate's life, and of what is left of it."""

NEAR_THE_END = timedelta(minutes=10)
"""The remaining life does not shorten the wait below this."""


@dataclass(frozen=True)
class Attempt:
    """An attempt: its stage, its time, and for an order its CA; `chance` is random, in [0, 1)."""

    stage: Stage
    at: datetime
    chance: float = 0.5
    directory_url: str = ""


def failure(
    attempt: Attempt, error: RenewerError, before: Failure | None, material: Material | None
) -> Failure:
    """Return the failure to store: its count in a row, and when to try again.

    It is binding if the CA named the time, or if another failure would count against one of its limits.
    """
    row = before if before and before.stage is attempt.stage else None
    told = error.retry_after if isinstance(error, Transient) else None
    spent = isinstance(error, Refused) and error.spent
    count = row.count + 1 if row else 1
    retry = attempt.at + max(wait(attempt, count, material), told or timedelta(0))
    binding = told is not None or spent
    bound = {url: until for url, until in (row.bound if row else {}).items() if until > attempt.at}
    if binding and attempt.directory_url:
        bound[attempt.directory_url] = retry
    return Failure(
        stage=attempt.stage,
        count=count,
        at=attempt.at,
        retry=retry,
        message=str(error),
        hint=error.hint,
        exit_code=error.exit_code,
        binding=binding,
        since=row.began if row else attempt.at,
        directory_url=attempt.directory_url,
        bound=bound,
    )


def hook(count: int) -> timedelta:
    """Return how long the daemon waits after a hook's `count`-th failure in a row (1 is the first)."""
    return HOOK[min(count, len(HOOK)) - 1]


def wait(attempt: Attempt, count: int, material: Material | None) -> timedelta:
    """Return how long to wait after the `count`-th failure in a row (1 is the first)."""
    table = TABLE[attempt.stage]
    found = table[min(count, len(table)) - 1]
    if attempt.stage is Stage.ISSUE and count >= len(table):
        found *= 1 + JITTER * (2 * attempt.chance - 1)
    if material is None:
        return found
    life, left = material.not_after - material.not_before, material.not_after - attempt.at
    return min(found, life * OF_LIFE, max(left * OF_LIFE, NEAR_THE_END))

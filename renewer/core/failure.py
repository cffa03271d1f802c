"""Failures, as values. Frozen, no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Stage(StrEnum):
    """The stage at which an attempt failed."""

    ISSUE = "issue"
    DEPLOY = "deploy"


@dataclass(frozen=True)
class Failure:
    """The last failure of a certificate: the `count`-th in a row.

    `retry` is when to try next; `binding` forbids an earlier attempt, because the CA asked for the wait or
    because another failure would count against one of its limits. `since` is the time of the first failure in
    the row, `directory_url` is that of the CA that was to issue, if any; `bound` is until when each CA binds.
    """

    stage: Stage
    count: int
    at: datetime
    retry: datetime
    message: str
    hint: str = ""
    exit_code: int = 1
    binding: bool = False
    since: datetime | None = None
    directory_url: str = ""
    bound: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def began(self) -> datetime:
        """The time of the first failure in the row."""
        return self.since or self.at


@dataclass(frozen=True)
class Deploys:
    """The results of a certificate's deployments: `failure` is the last one, if none has succeeded since.

    `taken_up` is the fingerprint of what nginx last loaded without a check that it is served.
    """

    taken_up: str = ""
    failure: Failure | None = None

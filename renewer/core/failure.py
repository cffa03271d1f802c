"""What is kept of what failed, as values. Frozen, no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Stage(StrEnum):
    """Where an attempt failed."""

    ISSUE = "issue"
    DEPLOY = "deploy"


@dataclass(frozen=True)
class Failure:
    """The last failure of a certificate: the `count`-th in a row.

    `retry` is when to try next; `binding` says that nobody may try sooner, because the CA asked for it or
    because another failure would count against one of its limits. `since` is when the first in the row came,
    `directory_url` is that of the CA that was to issue, where one was; `bound` has until when each CA binds.
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
        """When the first in the row came."""
        return self.since or self.at


@dataclass(frozen=True)
class Deploys:
    """How the deploys of a certificate ended: `failure` is the last one, if none has succeeded since.

    `taken_up` is the fingerprint of what nginx last took up without anybody seeing it served.
    """

    taken_up: str = ""
    failure: Failure | None = None

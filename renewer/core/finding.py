"""What a look at one thing found: a frozen value, and what several of them mean."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from renewer.core.errors import ConfigError, RenewerError
from renewer.core.printable import printable


class Status(StrEnum):
    """How bad it is: nothing, something that may bite, something that will fail."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Group(StrEnum):
    """What is looked at, in the order in which a person is told."""

    CONFIGURATION = "configuration"
    TOKEN = "token"  # noqa: S105 - a heading
    ZONES = "zones"
    DNS = "dns"
    CA = "ca"
    CLOCK = "clock"
    STATE = "state"
    NGINX = "nginx"
    RENEWAL = "renewal"
    OUTSIDE = "outside"
    OTHERS = "others"

    @property
    def heading(self) -> str:
        """What a person reads."""
        titles = {
            "dns": "DNS",
            "ca": "CA",
            "state": "state folder",
            "outside": "those outside",
            "others": "other clients",
        }
        return titles.get(self, str(self))


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `check` names it for programs, such as `nginx.include`.

    `what` was found, `why` it matters, `hint` what to do; the last two are empty where all is well.
    """

    group: Group
    check: str
    status: Status
    what: str
    why: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Topic:
    """Makes the findings of one group; what they repeat of foreign text is made printable here."""

    group: Group

    def ok(self, check: str, what: str) -> Finding:
        """Return that all is well."""
        return self._found(check, Status.OK, what)

    def warning(self, check: str, what: str, why: str, hint: str) -> Finding:
        """Return what may bite."""
        return self._found(check, Status.WARNING, what, why, hint)

    def error(self, check: str, what: str, why: str, hint: str) -> Finding:
        """Return what will fail."""
        return self._found(check, Status.ERROR, what, why, hint)

    def refused(self, check: str, error: RenewerError, why: str) -> Finding:
        """Return what the program itself would fail with."""
        return self.error(check, str(error).replace("\n", "; "), why, error.hint)

    def _found(self, check: str, status: Status, *sentences: str) -> Finding:
        return Finding(self.group, f"{self.group}.{check}", status, *map(printable, sentences))


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 if something will fail, 78 if that is because the configuration cannot be read, else 0."""
    codes = {
        ConfigError.exit_code if one.check == UNREADABLE else 1
        for one in findings
        if one.status is Status.ERROR
    }
    return max(codes, default=0)


def listed(names: Sequence[str]) -> str:
    """Return names for a sentence, which holds only so many of them."""
    shown, more = sorted(names)[:LISTED], len(names) - LISTED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


LISTED = 5
"""How many names a sentence holds."""

FILE = "file"
UNREADABLE = f"{Group.CONFIGURATION}.{FILE}"
"""The check that finds a configuration which is not in force at all."""

"""Findings of the checks: frozen values, and the exit code they amount to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from renewer.core.errors import ConfigError, RenewerError
from renewer.core.printable import printable


class Status(StrEnum):
    """Severity: fine, may cause trouble, will fail."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Group(StrEnum):
    """The subjects of the checks, in the order of the output."""

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
        """The heading for a person; the value itself is what programs get."""
        titles = {
            "dns": "DNS",
            "ca": "CA",
            "state": "state folder",
            "outside": "notifications",
            "others": "other clients",
        }
        return titles.get(self, str(self))


@dataclass(frozen=True)
class Finding:
    """One result; `check` identifies it for programs, such as `nginx.include`.

    `what` was found, `why` it matters, `hint` what to do; `why` and `hint` are empty if all is well.
    """

    group: Group
    check: str
    status: Status
    what: str
    why: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Topic:
    """Makes the findings of one group, with foreign text in them made printable."""

    group: Group

    def ok(self, check: str, what: str) -> Finding:
        """Return a finding that all is well."""
        return self._found(check, Status.OK, what)

    def warning(self, check: str, what: str, why: str, hint: str) -> Finding:
        """Return a finding that may cause trouble."""
        return self._found(check, Status.WARNING, what, why, hint)

    def error(self, check: str, what: str, why: str, hint: str) -> Finding:
        """Return a finding that will make a renewal fail."""
        return self._found(check, Status.ERROR, what, why, hint)

    def refused(self, check: str, error: RenewerError, why: str) -> Finding:
        """Return an error that the program itself would stop with."""
        return self.error(check, str(error).replace("\n", "; "), why, error.hint)

    def _found(self, check: str, status: Status, *sentences: str) -> Finding:
        return Finding(self.group, f"{self.group}.{check}", status, *map(printable, sentences))


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 78 if the configuration cannot be read, 1 for any other error, else 0."""
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
"""The check that finds a configuration that cannot be loaded."""

"""Errors, named by what the caller does next.

Each carries one clear sentence, a `hint` (one line that tells a person what to do) and the exit code of the
contract. Adapters translate foreign exceptions into these at their border; whatever foreign text the sentence
repeats is made printable there and then, and so stays wherever the sentence is stored, logged or sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from renewer.core.printable import printable


class RenewerError(Exception):
    """The one base: `str(error)` is the sentence, `error.hint` what to do about it, each on one line.

    Only with several sentences there is a line for each.
    """

    exit_code = 1

    def __init__(self, *sentences: str, hint: str = "") -> None:
        super().__init__("\n".join(map(printable, sentences)))
        self.hint = printable(hint)


@dataclass(frozen=True)
class Fault:
    """One thing wrong with the configuration: where it stands, and what is wrong there."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class ConfigError(RenewerError):
    """A person must edit something; every fault is listed at once and nothing was touched."""

    exit_code = 78  # EX_CONFIG of sysexits.h

    def __init__(self, faults: Sequence[Fault] | str, *, hint: str = "") -> None:
        self.faults = (Fault("", faults),) if isinstance(faults, str) else tuple(faults)
        super().__init__(*map(str, self.faults), hint=hint)


class Refused(RenewerError):
    """The other side understood and said no: asking again at once would not help.

    `spent` tells that the attempt counts against a limit of the CA (a failed authorization), so that the next
    one has to wait.
    """

    def __init__(self, message: str, *, hint: str = "", spent: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.spent = spent


class Declined(Refused):
    """What a person asked for is not to be had; nothing is wrong with how things stand."""


class Transient(RenewerError):
    """It may work later: the network, a 5xx, a rate limit.

    `retry_after` is how long the other side asked to be left alone; `undone` that it surely did nothing.
    """

    exit_code = 75  # EX_TEMPFAIL of sysexits.h

    def __init__(
        self, message: str, *, hint: str = "", retry_after: timedelta | None = None, undone: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        self.undone = undone


class Stopped(Transient):
    """Asked to end (SIGTERM) in the middle of a wait; the next run goes on from here."""


class LockBusy(RenewerError):
    """Another process is at it: look again later."""

    exit_code = 75


class Outdated(RenewerError):
    """A newer text of the configuration is in force than the one at hand: nothing was done that undoes it."""

    exit_code = 75


class LostLease(RenewerError):
    """The lease was lost on the way; nothing was written under it."""

    exit_code = 75


class DeployFailed(RenewerError):
    """nginx refuses the configuration: deploy again later, without a new certificate.

    `ours` tells whether the change itself was refused, or whether nginx's configuration is broken without it.
    """

    def __init__(self, message: str, *, hint: str = "", ours: bool) -> None:
        super().__init__(message, hint=hint)
        self.ours = ours


class NotServed(RenewerError):
    """nginx took the change but something else is seen in the TLS handshake: deploy again later."""


class HookFailed(RenewerError):
    """A hook alone failed; what it is about stays as it is, and the next cycle runs the hook again."""


class OrderFailed(RenewerError):
    """An order at the CA of `directory_url` failed with `error`: that CA is the one to leave alone."""

    def __init__(self, error: RenewerError, directory_url: str) -> None:
        super().__init__(str(error), hint=error.hint)
        self.error = error
        self.directory_url = directory_url


class Unexpected(RenewerError):
    """A bug of ours; keeps its `__cause__`."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h


def worst(codes: Sequence[int]) -> int:
    """Return the exit code that stands for several: a bug, then configuration, failure, try later, done."""
    order = (Unexpected.exit_code, ConfigError.exit_code, 1, Transient.exit_code, 0)
    return min(codes, key=order.index, default=0)

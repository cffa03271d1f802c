"""Runs the checks in parallel: one that hangs or breaks neither delays nor hides another."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from renewer.core.errors import RenewerError, Stopped
from renewer.core.finding import Finding, Group, Topic
from renewer.core.interfaces import Clock, Report

LIMIT = 25.0
"""Seconds for one check; what it found by then counts."""

TIDY = 20.0
"""Seconds for a check to clean up when the program is asked to stop."""

_GLANCE = 0.02


@dataclass(frozen=True)
class Look:
    """One check: its group, and the function that yields its findings; `limit` in seconds."""

    group: Group
    at: Callable[[], Iterator[Finding]]
    limit: float = LIMIT
    tidies: bool = False


@dataclass
class _Walk:
    """A check under way, with its findings so far in `found`."""

    look: Look
    report: Report
    found: list[Finding] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def walk(self) -> None:
        topic = Topic(self.look.group)
        try:
            self.report.doing(self.look.group.heading, "checking")
            for finding in self.look.at():
                self.found.append(finding)
        except RenewerError as error:
            self.found.append(topic.refused("look", error, "the program would stop here"))
        except Exception as bug:  # noqa: BLE001 - a check that breaks must not hide what the others find
            self.report.bug(self.look.group, bug)
            hint = "please report it with the lines on standard error; the other checks are not affected"
            self.found.append(
                topic.error("bug", f"this check broke: {bug!r}", "it is a bug in renewer", hint)
            )
        finally:
            self.report.idle(self.look.group.heading)
            self.over.set()

    def told(self) -> list[Finding]:
        """Return the findings, and one more if the check is not finished."""
        found = list(self.found)
        if not self.over.is_set():
            what = f"not finished within {self.look.limit:.0f} seconds; the rest is not checked"
            why = "a server that does not answer now will also delay a renewal"
            hint = "find out which of the servers in the configuration does not answer"
            found.append(Topic(self.look.group).error("time", what, why, hint))
        return found


def around(looks: Sequence[Look], clock: Clock, report: Report) -> tuple[Finding, ...]:
    """Return the findings of all checks, in the order of the groups.

    Raises `Stopped` when the program is asked to stop, after the checks that clean up have done so.
    """
    walks = [_Walk(look, report) for look in looks]
    for walk in walks:
        threading.Thread(target=walk.walk, daemon=True).start()
    begin = clock.monotonic()
    try:
        for walk in walks:
            while not walk.over.is_set() and clock.monotonic() - begin < walk.look.limit:
                clock.sleep(_GLANCE)
    except Stopped:
        for walk in walks:
            if walk.look.tidies:
                walk.over.wait(TIDY)
        raise
    return in_order(finding for walk in walks for finding in walk.told())


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings in the order of their groups."""
    order = list(Group)
    return tuple(sorted(findings, key=lambda one: order.index(one.group)))

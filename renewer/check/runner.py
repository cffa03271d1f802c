"""The looks, side by side: none that hangs or breaks holds up or hides another."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from renewer.core.errors import RenewerError, Stopped
from renewer.core.finding import Finding, Group, Topic
from renewer.core.interfaces import Clock, Report

LIMIT = 25.0
"""Seconds that a look has; what it found until then counts."""

TIDY = 20.0
"""Seconds that a look has to clean up when the program is asked to end."""

_GLANCE = 0.02


@dataclass(frozen=True)
class Look:
    """One look: what it is about, and what finds it out; `limit` in seconds."""

    group: Group
    at: Callable[[], Iterator[Finding]]
    limit: float = LIMIT
    tidies: bool = False


@dataclass
class _Walk:
    """A look under way; what it has found so far is in `found`."""

    look: Look
    report: Report
    found: list[Finding] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def walk(self) -> None:
        topic = Topic(self.look.group)
        try:
            self.report.doing(self.look.group.heading, "being looked at")
            for finding in self.look.at():
                self.found.append(finding)
        except RenewerError as error:
            self.found.append(topic.refused("look", error, "the program would stop here"))
        except Exception as bug:  # noqa: BLE001 - one look that breaks must not hide what the others find
            self.report.bug(self.look.group, bug)
            hint = "please report it with the lines on standard error; the other looks are not concerned"
            self.found.append(topic.error("bug", f"this look broke: {bug!r}", "it is a bug of renewer", hint))
        finally:
            self.report.idle(self.look.group.heading)
            self.over.set()

    def told(self) -> list[Finding]:
        """Return what was found, with a word of it if it is not over."""
        found = list(self.found)
        if not self.over.is_set():
            what = f"no end of it within {self.look.limit:.0f} seconds; the rest is not looked at"
            why = "whoever does not answer now will hold up a renewal too"
            hint = "see which of the servers that are named in the configuration does not answer"
            found.append(Topic(self.look.group).error("time", what, why, hint))
        return found


def around(looks: Sequence[Look], clock: Clock, report: Report) -> tuple[Finding, ...]:
    """Return what all looks found, in the order of the groups.

    Raises `Stopped` when the program is asked to end, after those that clean up have done so.
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
    """Return findings in the order of the groups."""
    order = list(Group)
    return tuple(sorted(findings, key=lambda one: order.index(one.group)))

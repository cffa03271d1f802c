"""Checks side by side: none hides another or holds it up."""

import threading
from collections.abc import Iterator

import pytest
from support.scene import Heard, told

from renewer.check.runner import Look, around
from renewer.core.errors import Refused, Stopped
from renewer.core.finding import Finding, Group, Topic
from renewer.system.clock import SystemClock


def fine() -> Iterator[Finding]:
    yield Topic(Group.NGINX).ok("test", "fine")


def broken() -> Iterator[Finding]:
    yield Topic(Group.CA).ok("reach", "found before it broke")
    raise KeyError("a bug")


def refused() -> Iterator[Finding]:
    raise Refused("no", hint="do this")
    yield


def test_a_look_that_breaks_hides_no_other() -> None:
    report = Heard()
    looks = [Look(Group.NGINX, fine), Look(Group.CA, broken), Look(Group.DNS, refused)]
    found = around(looks, SystemClock(), report)
    assert told(iter(found)) == [
        ("dns.look", "error"),
        ("ca.reach", "ok"),
        ("ca.bug", "error"),
        ("nginx.test", "ok"),
    ]
    assert "KeyError('a bug')" in found[2].what
    assert [type(bug) for bug in report.bugs] == [KeyError]
    assert (found[0].what, found[0].hint) == ("no", "do this")


def test_a_look_that_hangs_holds_up_no_other() -> None:
    forever = threading.Event()

    def hanging() -> Iterator[Finding]:
        yield Topic(Group.CA).ok("reach", "found before it hung")
        forever.wait()

    found = around([Look(Group.CA, hanging, limit=0.05), Look(Group.NGINX, fine)], SystemClock(), Heard())
    forever.set()
    assert told(iter(found)) == [("ca.reach", "ok"), ("ca.time", "error"), ("nginx.test", "ok")]


def test_who_cleans_up_is_waited_for_when_asked_to_end() -> None:
    clock, cleaned = SystemClock(), threading.Event()

    def cleaning() -> Iterator[Finding]:
        yield Topic(Group.ZONES).ok("edit", "created")
        clock.stop()
        threading.Event().wait(0.1)
        cleaned.set()

    with pytest.raises(Stopped):
        around([Look(Group.ZONES, cleaning, tidies=True)], clock, Heard())
    assert cleaned.is_set()

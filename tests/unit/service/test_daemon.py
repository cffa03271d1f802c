"""When the daemon's next cycle is, and what it makes of a check that fails; how it lives has live tests."""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.facts import missing
from support.fakes import Notes

from renewer.core.errors import ConfigError, RenewerError, Transient
from renewer.service import accepted, watched
from renewer.service import daemon as room
from renewer.service.accepted import Accepted
from renewer.service.daemon import AFTER_A_CRASH, LOOK, Daemon

SLACK = timedelta(seconds=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
nexts = json_values | st.datetimes().map(datetime.isoformat)
certificates = json_values | st.lists(json_values | st.fixed_dictionaries({"next": nexts}), max_size=3)


class SetBack(datetime):
    """The wall clock, once somebody has set it back by `late`."""

    late = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) - cls.late


def daemon() -> Daemon:
    return Daemon(
        lambda **_: Accepted("", Path("/nowhere"), timedelta(hours=1)), Notes(), "/nowhere/renewer.toml"
    )


def answer(*instants: datetime) -> str:
    return json.dumps(
        {"sites": [], "certificates": [{"next": f"{one:%Y-%m-%dT%H:%M:%S.%fZ}"} for one in instants]}
    )


def test_the_earliest_certificate_decides() -> None:
    soon, later = (datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (5, 10))
    assert daemon()._next(answer(later, soon)) == soon


def test_what_is_due_already_is_due() -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert daemon()._next(answer(past)) == past


@pytest.mark.parametrize("instants", [(), (datetime(2100, 1, 1, tzinfo=UTC),)])
def test_it_looks_at_everything_every_half_hour(instants: tuple[datetime, ...]) -> None:
    due = daemon()._next(answer(*instants)) - datetime.now(UTC)
    assert LOOK - SLACK < due <= LOOK


GARBAGE = [
    "",
    "{",
    "null",
    "7",
    "[]",
    '{"certificates": null}',
    '{"certificates": [null]}',
    '{"certificates": [{}]}',
    '{"certificates": [], "sites": [], "error": "nginx.binary: is not there", "exit": 78}',
]
ODD = ['{"certificates": [{"next": null}]}', '{"certificates": [{"next": "soon"}]}']


@pytest.mark.parametrize("garbage", [*GARBAGE, *ODD, '{"certificates": [{"next": "2027-01-01T00:00:00"}]}'])
def test_after_a_worker_that_died_it_is_tried_again_a_little_later(garbage: str) -> None:
    ours = daemon()
    for wait in (*AFTER_A_CRASH, AFTER_A_CRASH[-1]):
        due = ours._next(garbage) - datetime.now(UTC)
        assert wait - SLACK < due <= wait
    ours._next(answer(datetime.now(UTC)))
    assert ours._next(garbage) - datetime.now(UTC) <= AFTER_A_CRASH[0]


@given(
    st.text()
    | json_values.map(json.dumps)
    | st.fixed_dictionaries({"certificates": certificates}).map(json.dumps)
)
def test_no_answer_stops_the_clock(text: str) -> None:
    due = daemon()._next(text)
    assert due.tzinfo is not None
    assert due <= datetime.now(UTC) + LOOK


PASSING = {
    "kill -9 $$": "was killed by signal 9",
    "exit 75": "failed with 75",
    "exit 70": "failed with 70",
    "exit 1": "failed with 1",
    "sleep 60": "took more than 0.2 s and was killed",
}


@pytest.mark.parametrize("check", PASSING)
def test_a_check_that_was_cut_off_says_nothing_about_the_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], check: str
) -> None:
    """Exit code 78 would keep systemd from starting it ever again (RestartPreventExitStatus)."""
    monkeypatch.setattr(accepted, "RENEWER", ("/bin/sh", "-c", check))
    monkeypatch.setattr(accepted, "CHECK", 60.0 if check != "sleep 60" else 0.2)
    monkeypatch.setattr(sys, "argv", ["renewer", "/etc/renewer/renewer.toml"])
    with pytest.raises(SystemExit) as ended:
        room.main()
    assert ended.value.code == 75
    told, hint = capsys.readouterr().err.splitlines()
    assert missing(told, "renewer: ", "configuration", PASSING[check]) == []
    assert hint.startswith("  -> ")


def test_a_check_that_finds_faults_has_told_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(accepted, "RENEWER", ("/bin/sh", "-c", "exit 78"))
    monkeypatch.setattr(sys, "argv", ["renewer", "/etc/renewer/renewer.toml"])
    with pytest.raises(SystemExit) as ended:
        room.main()
    assert (ended.value.code, capsys.readouterr().err) == (78, "")


def test_what_is_read_again_just_when_a_cycle_ends_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = daemon()
    plan, reloads = ours._plan, [ours._reload]

    def plan_late(due: datetime) -> None:
        while reloads:
            reloads.pop()()
        plan(due)

    monkeypatch.setattr(ours, "_plan", plan_late)
    monkeypatch.setattr(ours, "_work", lambda _: datetime.now(UTC) + LOOK)
    ours._cycle()
    assert ours._due <= datetime.now(UTC)


def test_another_state_folder_takes_a_restart() -> None:
    """The lease that keeps a second daemon away is held on the old one."""
    found, notes = [Accepted("", Path(one), timedelta(hours=1)) for one in ("/new", "/old")], Notes()
    ours = Daemon(lambda **_: found.pop(), notes, "/nowhere/renewer.toml")
    ours._reload()
    assert ours.state == Path("/old")
    ((_, told),) = notes.of("problem")
    assert missing(told, "old configuration", "state", "/new") == []


@pytest.fixture
def undisturbed() -> Iterator[None]:
    """Give back the signals that the daemon takes."""
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("undisturbed")
def test_a_clock_that_is_set_back_does_not_stop_the_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler goes by the wall clock, so it waits for that to come back; the heartbeat does not."""
    for place in ("apscheduler.schedulers.base", "apscheduler.triggers.date", "renewer.service.daemon"):
        monkeypatch.setattr(f"{place}.datetime", SetBack)
    monkeypatch.setattr(room, "_distance", lambda: -SetBack.late.total_seconds())
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    ours, worked = daemon(), threading.Semaphore(0)
    monkeypatch.setattr(ours, "_work", lambda _: [worked.release(), datetime.now(UTC) + LOOK][1])
    seen = []

    def look_on() -> None:
        seen.append(worked.acquire(timeout=30))
        monkeypatch.setattr(SetBack, "late", timedelta(days=1))
        seen.append(worked.acquire(timeout=30))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look_on).start()
    ours.run()
    assert seen == [True, True]


class Parent:
    """A daemon whose file can be edited, and what it said; reading it raises `wrong`, if that is set."""

    def __init__(self, folder: Path) -> None:
        self.file, self.notes = folder / "renewer.toml", Notes()
        self.wrong: RenewerError | None = None
        self.worked: list[str] = []
        self.quiet = False
        self.file.write_text("one")
        self.daemon = Daemon(self.read, self.notes, str(self.file))
        self.daemon._work = self.work  # type: ignore[method-assign]

    def read(self, *, quiet: bool) -> Accepted:
        self.quiet = quiet
        if self.wrong:
            raise self.wrong
        return Accepted(self.file.read_text(), Path("/state"), timedelta(hours=1))

    def work(self, config: Accepted) -> datetime:
        self.worked.append(config.text)
        return datetime.now(UTC) + LOOK

    def said(self) -> list[str]:
        """Return what it has said since this was last asked."""
        words, self.notes.told = [what for _, _, what in self.notes.told], []
        return words


def assert_taken(said: list[str]) -> None:
    """A new configuration is in force, and that is told once."""
    (told,) = said
    assert "new configuration" in told


@pytest.fixture
def parent(tmp_path: Path) -> Parent:
    return Parent(tmp_path)


def test_a_file_that_has_changed_is_taken_before_the_next_cycle(parent: Parent) -> None:
    parent.daemon._cycle()
    parent.file.write_text("two")
    parent.daemon._cycle()
    parent.daemon._cycle()
    assert parent.worked == ["one", "two", "two"]
    assert_taken(parent.said())


def test_the_heartbeat_sees_it_and_plans_a_cycle_at_once(parent: Parent) -> None:
    parent.daemon._due = datetime.now(UTC) + LOOK
    parent.daemon._beat()
    assert parent.daemon._due > datetime.now(UTC)
    parent.file.write_text("two")
    parent.daemon._beat()
    assert parent.daemon._due <= datetime.now(UTC)
    assert parent.daemon._config.text == "two"


def test_a_fault_that_is_mended_elsewhere_is_seen_by_itself(tmp_path: Path) -> None:
    """Such as a file that the configuration names, which is put there later."""
    parent = Parent(tmp_path)
    parent.wrong = ConfigError("it names a file that is not there", hint="put it there")
    parent.file.write_text("two")
    for _ in range(3):
        parent.daemon._beat()
    assert len(parent.said()) == 1
    assert parent.quiet
    parent.wrong = None
    parent.daemon._beat()
    assert_taken(parent.said())
    assert parent.daemon._config.text == "two"


def test_a_faulty_file_is_told_once_for_each_content_and_the_old_one_stays(parent: Parent) -> None:
    parent.wrong = ConfigError("it has faults", hint="mend them")
    for text in ("faulty", "faulty", "as bad"):
        parent.file.write_text(text)
        parent.daemon._cycle()
        parent.daemon._beat()
    parent.file.unlink()
    parent.daemon._beat()
    parent.daemon._beat()
    assert len(parent.said()) == 3
    parent.wrong = None
    parent.file.write_text("mended")
    parent.daemon._beat()
    assert_taken(parent.said())
    parent.daemon._cycle()
    assert parent.worked == ["one"] * 3 + ["mended"]


def test_what_was_taken_between_the_notice_and_the_check_is_no_news_again(parent: Parent) -> None:
    """An editor empties the file before it writes: the check may see the second step, then the look does."""
    parent.wrong = ConfigError("it is empty")
    parent.file.write_text("")
    parent.daemon._beat()
    parent.wrong = None
    parent.file.write_text("two")
    parent.daemon._take(quiet=True)
    parent.daemon._beat()
    assert_taken([what for _, what in parent.notes.of("done")])


def test_a_check_that_was_cut_off_is_made_again_at_the_next_heartbeat(parent: Parent) -> None:
    parent.wrong = Transient("the check was killed by signal 9")
    parent.file.write_text("two")
    parent.daemon._beat()
    parent.wrong = None
    parent.daemon._beat()
    assert parent.daemon._config.text == "two"
    assert_taken([what for _, what in parent.notes.of("done")])


def test_sighup_reads_it_although_it_has_not_changed(parent: Parent) -> None:
    parent.wrong = ConfigError("nginx is gone")
    for _ in range(2):
        parent.daemon._reload()
    assert len(parent.said()) == 2
    parent.wrong = None
    parent.daemon._reload()
    parent.daemon._beat()
    assert_taken(parent.said())


def test_who_is_asked_to_end_begins_no_check(parent: Parent) -> None:
    parent.daemon._end_worker()
    parent.file.write_text("two")
    parent.daemon._cycle()
    assert parent.daemon._config.text == "one"


def test_a_file_is_looked_into_only_when_its_stamp_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "renewer.toml"
    file.write_text("one")
    read: list[str] = []
    real = watched._content
    monkeypatch.setattr(watched, "_content", lambda path: [read.append(path), real(path)][1])
    monkeypatch.setattr(watched.time, "time", lambda: file.stat().st_ctime + 60)
    seen = watched.Watched(str(file))
    assert [seen.changed(), seen.changed(), len(read)] == [False, False, 1]
    file.touch()
    assert (seen.changed(), len(read)) == (False, 2)
    file.write_text("two")
    assert [seen.changed(), seen.changed(), len(read)] == [True, False, 3]


def test_a_file_that_was_just_written_is_looked_into_again(tmp_path: Path) -> None:
    """It may change once more within one tick of the disk's clock: same size, same time."""
    file = tmp_path / "renewer.toml"
    file.write_text("one")
    seen = watched.Watched(str(file))
    assert seen._stamp == b""
    file.write_text("two")
    assert seen.changed()


@pytest.mark.parametrize("what", ["gone", "a pipe", "a folder", "a device"])
def test_what_is_no_file_counts_as_nothing_and_holds_nobody_up(tmp_path: Path, what: str) -> None:
    file = tmp_path / "renewer.toml"
    file.write_text("one")
    seen = watched.Watched(str(file))
    file.unlink()
    if what == "a pipe":
        os.mkfifo(file)
    elif what == "a folder":
        file.mkdir()
    elif what == "a device":
        file.symlink_to("/dev/zero")
    assert [seen.changed(), seen.changed()] == [True, False]

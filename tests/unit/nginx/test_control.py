"""nginx's words, its processes, its error log and the helper that root runs, without nginx."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from renewer.core.errors import NotServed, Transient
from renewer.nginx.control import Control, Reloaded, words
from renewer.nginx.error_log import ErrorLog
from renewer.nginx.helper import Answer, Helper
from renewer.nginx.processes import Master, accepting, master

EMERG = '[emerg] unknown directive "bogus" in /etc/nginx/nginx.conf:3'


class Acting:
    """A clock on which something happens during every wait."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self._time = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self._time

    def sleep(self, seconds: float) -> None:
        self._time += seconds
        self._act()

    def fraction(self) -> float:
        return 0


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (f"nginx: [warn] old\nnginx: {EMERG}\nnginx: configuration file x test failed\n", EMERG[8:]),
        (f"2026/11/23 21:29:08 [emerg] 10511#10511: {EMERG[8:]}\nnginx: x test failed\n", EMERG[8:]),
        ("nginx: [alert] could not open error log\nnginx: [emerg] one\nnginx: [emerg] two\n", "one"),
        ('nginx: [error] open() "/run/nginx.pid" failed\n', 'open() "/run/nginx.pid" failed'),
        ("Job for nginx.service failed.\n\n", "Job for nginx.service failed."),
        ("", "it printed nothing"),
    ],
)
def test_the_words_that_matter(output: str, said: str) -> None:
    assert words(output) == said


class Root:
    """The helper, which answers what it is told to."""

    def __init__(self, folder: Path, answer: str) -> None:
        self.files = Helper(folder / "reload.request", folder / "result")
        self._answer = answer
        self.kind = "none"
        self.files.result.write_text("0123456789abcdef\nok\n2026-01-01T00:00:00Z\n")

    def act(self) -> None:
        if self.files.request.exists():
            nonce, _, self.kind = self.files.request.read_text().partition(" ")
            assert len(nonce) == 16
            self.files.request.unlink()
            self.files.result.write_text(f"{nonce}\n{self._answer}")

    def control(self) -> Control:
        return Control("/no/nginx", "/etc/nginx/nginx.conf", "request", Acting(self.act), self.files)


def test_the_helper_s_answer_to_our_own_request_counts(tmp_path: Path) -> None:
    for status in ("ok", "not-confirmed"):
        reloaded = Root(tmp_path, f"{status}\n2026-01-01T00:00:00Z\n").control().reload(Master())
        assert reloaded == Reloaded(confirmed=status == "ok")


def test_the_helper_tells_why_nginx_refuses(tmp_path: Path) -> None:
    refused = Root(tmp_path, f"test-failed\n2026-01-01T00:00:00Z\nnginx: {EMERG}\nnginx: test failed\n")
    assert refused.control().reload(Master()) == Reloaded(EMERG[8:])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("nginx-down\n2026-01-01T00:00:00Z\n", "running"),
        ("reload-failed\n2026-01-01T00:00:00Z\nno bus\n", "no bus"),
        ("bad-request\n2026-01-01T00:00:00Z\nx.conf: line 3\n", "x.conf: line 3"),
        ("place-failed\n2026-01-01T00:00:00Z\n", "place-failed"),
        ("half", "did not answer"),
    ],
)
def test_the_helper_that_fails_is_told(tmp_path: Path, answer: str, told: str) -> None:
    with pytest.raises(NotServed, match=told):
        Root(tmp_path, answer).control().reload(Master())


def test_it_is_asked_to_put_in_place_alone(tmp_path: Path) -> None:
    root = Root(tmp_path, "ok\n2026-01-01T00:00:00Z\n")
    root.control().place()
    assert root.kind == "place"
    root.control().reload(Master())
    assert root.kind == ""
    with pytest.raises(NotServed, match="place-failed"):
        Root(tmp_path, "place-failed\n2026-01-01T00:00:00Z\n").control().place()


def test_an_absent_helper_is_told(tmp_path: Path) -> None:
    helper = Helper(tmp_path / "no" / "request", tmp_path / "no" / "result")
    with pytest.raises(Transient, match="cannot write"):
        helper.reload(Acting(lambda: None))
    helper = Helper(tmp_path / "request", tmp_path / "no" / "result")
    assert helper.reload(Acting(lambda: None)) == Answer("")


def test_where_nobody_took_an_older_request_it_is_waited_less(tmp_path: Path) -> None:
    helper = Helper(tmp_path / "request", tmp_path / "result")
    waited = []
    for age in (None, 1, 31):
        if age is not None:
            then = datetime.now(UTC).timestamp() - age
            os.utime(helper.request, (then, then))
        clock = Acting(lambda: None)
        assert helper.reload(clock) == Answer("")
        waited.append(round(clock.monotonic()))
    assert waited == [30, 30, 3]


def test_a_master_is_known_by_its_pid_file(tmp_path: Path) -> None:
    file = tmp_path / "nginx.pid"
    assert not master(None).down
    assert master(file).down
    for text in ("", "\n", "nonsense", "-1", "0", f"{2**22 + 1}", f"{os.getpid()}"):
        file.write_text(text)
        assert master(file).down, text  # the last is alive, but no nginx
    file.unlink()
    file.mkdir()
    assert not master(file).down


def test_workers_that_cannot_be_seen_are_unknown() -> None:
    assert accepting(Master()) is None
    assert accepting(Master(2**22 + 1, sure=True)) is None
    assert accepting(Master(os.getpid(), sure=True)) is None
    assert not Master().ours_to_signal
    assert Master(os.getpid(), sure=True).ours_to_signal


def test_the_error_log_tells_what_is_newer_than_the_mark(tmp_path: Path) -> None:
    log = ErrorLog(tmp_path / "error.log")
    assert (log.mark(), log.since(0), ErrorLog(None).since(ErrorLog(None).mark())) == (0, "", "")
    line = "2026/11/23 21:29:08 [{}] 1#1: {}\n".format
    (tmp_path / "error.log").write_text(line("emerg", "of yesterday"))
    mark = log.mark()
    assert log.since(mark) == ""
    with (tmp_path / "error.log").open("a") as file:
        file.write(line("error", '*5 open() "/x" failed, client: 192.0.2.1'))
        assert log.since(mark) == ""
        file.write(line("notice", "reconfiguring") + line("error", "of our own"))
        file.flush()
        assert log.since(mark) == "of our own"
        file.write(line("emerg", "bind() to 0.0.0.0:80 failed (98: Address already in use)"))
        file.write(line("emerg", "still could not bind()"))
    assert log.since(mark) == "bind() to 0.0.0.0:80 failed (98: Address already in use)"

"""What a cycle at rest leaves for the next one, and everything that ends the trust in it."""

import os
import shutil
import signal
import time
from binascii import crc32
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import FakeClock, FakeDeployer

from renewer.cli import main as cli
from renewer.config import load, schema
from renewer.core.errors import RenewerError, Transient
from renewer.core.followed import View
from renewer.core.model import Grounds
from renewer.engine.idle import index as idle
from renewer.engine.idle import stamps
from renewer.engine.idle.nginx_processes import crew
from renewer.engine.idle.writer import AT_MOST, Began, Resting

SAID = '{"certificates": [], "exit": 0}'
LONG_AGO = timedelta(hours=1)


@dataclass
class Nginx(FakeDeployer):
    """An nginx with this file, unless it cannot be told."""

    file: str
    broken: RenewerError | None = None
    files: tuple[str, ...] = ()

    def grounds(self) -> Grounds:
        if self.broken:
            raise self.broken
        return Grounds(self.file, self.files)


class House:
    """A state folder as a cycle leaves it, a configuration, and an nginx: this process, with children."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.file, self.pid_file = folder / "renewer.toml", folder / "nginx.pid"
        self.home = self.state / "certificates" / "example.com"
        (self.home / "g000001").mkdir(parents=True)
        for part in ("store/certificate", "store/suggestion", "nginx/certificates", "nginx/secure_link"):
            (self.state / part).mkdir(parents=True)
        for path in self.files:
            path.write_text("as it was")
        (self.home / "current").symlink_to("g000001")
        (self.folder / "nginx").write_text("")
        self.file.write_text(
            f'# a comment\nstate = "{self.state}"  # and another\n[nginx]\n'
            f'binary = "{folder}/nginx"\nconfig = "{folder}/nginx.conf"\n'
            '[certificate."example.com"]\ndomains = ["example.com"]\n'
        )
        self.state.chmod(0o700)
        self.pid_file.write_text(f"{os.getpid()}\n")

    @property
    def stored(self) -> Path:
        return self.state / "store" / "certificate" / "example.com.json"

    @property
    def include(self) -> Path:
        return self.state / "nginx" / "certificates" / "example.com.conf"

    @property
    def files(self) -> list[Path]:
        generation = [self.home / "g000001" / f"{kind}.pem" for kind in ("cert", "privkey")]
        gate = self.state / "nginx" / "secure_link" / "gate.conf"
        return [self.stored, self.include, gate, self.folder / "nginx.conf", *generation]

    @property
    def index(self) -> Path:
        return self.state / idle.INDEX

    def keep(
        self,
        pid_file: str = "",
        *,
        ago: timedelta = LONG_AGO,
        rest_of: timedelta = timedelta(days=9),
        files: tuple[str, ...] = (),
        named: bool = True,
    ) -> None:
        """Keep the index of a cycle that ends now; the clock says that all of this was made long `ago`."""
        now = datetime.now(UTC)
        clock = FakeClock(now + ago)
        view = self.view if named else replace(self.view, file=None)
        Resting(load.load(self.file), view, clock).keep(
            now + rest_of, SAID, Nginx(pid_file, files=files), Began.at(clock)
        )

    @property
    def view(self) -> View:
        return View(load.read(self.file), datetime.now(UTC), self.file)

    @property
    def answer(self) -> bytes | None:
        return idle.answer(["-c", str(self.file), "renew", "--json"])


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house at rest: its index is kept, as by a cycle an hour after all of it was made."""
    monkeypatch.setattr(idle, "time", lambda: time.time() + LONG_AGO.total_seconds() + 60)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    house = House(tmp_path)
    house.keep()
    return house


def test_where_nothing_has_changed_a_run_answers_as_the_one_before(house: House) -> None:
    assert house.answer == SAID.encode()
    assert idle.answer(["-c", str(house.file), "renew"]) == b""
    assert idle.answer(["--verbose", "--config", str(house.file), "renew", "--json"]) == SAID.encode()


@pytest.mark.parametrize(
    "more",
    [
        ["renew", "--json", "--force"],
        ["renew", "--json", "example.com"],
        ["renew", "--dry-run"],
        ["-v", "renew"],
        ["status", "--json"],
        ["--nonsense", "renew"],
        ["renew", "--help"],
        ["-c"],
        [],
    ],
)
def test_whoever_asks_for_more_gets_the_look(house: House, more: list[str]) -> None:
    assert idle.answer(["-c", str(house.file), *more]) is None


def test_the_same_text_in_another_file_gets_the_look(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder belongs to the first; whether the second may take its place a look has to say."""
    copy = house.folder / "copy.toml"
    copy.write_text(house.file.read_text())
    assert idle.answer(["-c", str(copy), "renew", "--json"]) is None
    monkeypatch.chdir(house.folder)
    assert idle.answer(["-c", house.file.name, "renew", "--json"]) == SAID.encode()


def handed(text: bytes, monkeypatch: pytest.MonkeyPatch) -> bytes | None:
    """Run with the text on standard input; return the answer, and see that whoever goes on has it all."""
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(text)))
    answer = idle.answer(["-c", "-", "renew", "--json"])
    if answer is None:
        assert load.read("-") == text.decode()
    return answer


def test_a_text_on_standard_input_is_the_daemon_s_or_nobody_s(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = house.file.read_bytes()
    monkeypatch.delenv(idle.HANDED, raising=False)
    assert handed(text, monkeypatch) is None
    monkeypatch.setenv(idle.HANDED, house.view.handed)
    assert handed(text, monkeypatch) == SAID.encode()
    assert handed(text + b"\n", monkeypatch) is None
    monkeypatch.delenv(idle.HANDED)
    house.keep(named=False)
    assert handed(text, monkeypatch) == SAID.encode()
    assert house.answer is None


def test_a_person_at_a_terminal_gets_the_look(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert idle.answer(["-c", str(house.file), "renew"]) is None
    assert house.answer


def edited(path: Path) -> None:
    path.write_text("as it is!")


def replaced(path: Path) -> None:
    status = path.stat()
    path.with_name("other").write_text(path.read_text())
    os.utime(path.with_name("other"), ns=(status.st_atime_ns, status.st_mtime_ns))
    path.with_name("other").rename(path)


def edited_in_secret(path: Path) -> None:
    """Write something as long, and set the time of the last write back."""
    status = path.stat()
    path.write_text("as it IS ")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


BREAKS: dict[str, Callable[[House], object]] = {
    "a certificate in the store": lambda house: edited(house.stored),
    "a new value in the store": lambda house: edited(house.stored.with_name("journal.json")),
    "a value in a new folder of the store": lambda house: (house.state / "store" / "failure").mkdir(),
    "a value taken out of the store": lambda house: house.stored.unlink(),
    "what nginx includes": lambda house: edited(house.include),
    "what nginx includes, in secret": lambda house: edited_in_secret(house.include),
    "what nginx includes, by the same text": lambda house: replaced(house.include),
    "what nginx includes is gone": lambda house: house.include.unlink(),
    "a file for secure links": lambda house: edited(house.state / "nginx/secure_link/gate.conf"),
    "a file of the generation": lambda house: edited(house.home / "g000001" / "privkey.pem"),
    "a file of the generation is gone": lambda house: (house.home / "g000001" / "cert.pem").unlink(),
    "one more in the generation": lambda house: edited(house.home / "g000001" / "chain.pem"),
    "the link current leads elsewhere": lambda house: repointed(house.home / "current", "g000002"),
    "the link current is gone": lambda house: (house.home / "current").unlink(),
    "a certificate of old": lambda house: (house.state / "certificates" / "old.example").mkdir(),
    "who may write in the state folder": lambda house: house.state.chmod(0o770),
    "who may write above it": lambda house: house.folder.chmod(0o777),
    "nginx's program is gone": lambda house: (house.folder / "nginx").unlink(),
    "nginx's configuration": lambda house: edited(house.folder / "nginx.conf"),
    "the configuration": lambda house: house.file.write_text(house.file.read_text() + "\n"),
    "the configuration is gone": lambda house: house.file.unlink(),
    "the index is cut off": lambda house: house.index.write_bytes(house.index.read_bytes()[:-1]),
    "the index has a wrong bit": lambda house: house.index.write_bytes(flipped(house.index.read_bytes())),
    "the index is empty": lambda house: house.index.write_bytes(b""),
    "the index is gone": lambda house: house.index.unlink(),
    "the index can be read by others": lambda house: house.index.chmod(0o640),
    "the index is a link": lambda house: linked(house.index),
    "the index is a folder": lambda house: (house.index.unlink(), house.index.mkdir()),
    "the index is a pipe": lambda house: (house.index.unlink(), os.mkfifo(house.index, 0o600)),
}


def repointed(link: Path, target: str) -> None:
    link.unlink()
    link.symlink_to(target)


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def flipped(data: bytes) -> bytes:
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("what", BREAKS)
def test_whatever_changed_gets_the_look(house: House, what: str) -> None:
    assert house.answer
    BREAKS[what](house)
    assert house.answer is None


def test_the_placeholder_and_former_generations_are_no_concern_of_nginx(house: House) -> None:
    for name in ("placeholder", "g000000"):
        (house.home / name).mkdir()
        edited(house.home / name / "cert.pem")
    assert house.answer


@pytest.mark.parametrize("hours", [-0.001, 1.001, -24 * 365, 24 * 365])
def test_another_time_gets_the_look(house: House, monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    kept = time.time() + LONG_AGO.total_seconds()
    monkeypatch.setattr(idle, "time", lambda: kept + hours * 3600)
    assert house.answer is None


def test_it_holds_until_something_is_due_and_for_an_hour_at_most(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = time.time() + LONG_AGO.total_seconds()
    monkeypatch.setattr(idle, "time", lambda: kept + AT_MOST.total_seconds() - 60)
    assert house.answer
    house.keep(rest_of=LONG_AGO + timedelta(minutes=30))
    assert house.answer is None
    monkeypatch.setattr(idle, "time", lambda: kept + 1740)
    assert house.answer


def test_credentials_of_systemd_get_the_look(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(house.folder / "credentials"))
    assert house.answer is None
    house.keep()
    assert house.answer
    (house.folder / "credentials").mkdir()
    (house.folder / "credentials" / "ping_url").touch()
    assert house.answer is None


def test_another_user_gets_the_look(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert idle._kept(str(house.index))
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert house.answer is None
    assert idle._kept(str(house.index)) == b""  # nor does root believe what a user wrote


@pytest.mark.parametrize(
    ("one", "other"), [(b"renewer ", b"renewer 0"), (b" at rest 2 ", b" at rest ")], ids=["version", "look"]
)
def test_what_another_version_or_a_look_at_less_left_gets_the_look(
    house: House, one: bytes, other: bytes
) -> None:
    data = house.index.read_bytes()
    assert one in data
    house.index.write_bytes(data.replace(one, other, 1))
    assert house.answer is None


@pytest.mark.parametrize(
    "written",
    ["'{}'", '"{}"', ' "{}"#', '"{}"\r\n'],
)
def test_the_state_folder_is_found_however_it_is_written(house: House, written: str) -> None:
    house.file.write_text(house.file.read_text().replace(f'"{house.state}"', written.format(house.state)))
    house.keep()
    assert house.answer


@pytest.mark.parametrize("line", ['state = """{}"""', '"state" = "{}"', 'state = "{}\\u0061"', "state ="])
def test_a_state_folder_that_is_written_oddly_only_costs_the_look(house: House, line: str) -> None:
    house.file.write_text(
        house.file.read_text().replace(f'state = "{house.state}"', line.format(house.state))
    )
    assert house.answer is None


def test_what_the_configuration_leaves_out_is_the_same_everywhere() -> None:
    assert Path(idle.USUAL_STATE) == schema.Config().state
    assert Path(idle.USUAL_FILE) == Path(cli.DEFAULT)


@given(st.binary() | st.lists(st.binary(max_size=9)).map(lambda parts: b"".join(map(part, parts))))
def test_no_bytes_are_an_error_even_with_the_right_checksum(body: bytes) -> None:
    assert idle.decoded(body) is None
    idle.decoded(b"%s %08x\n%s" % (idle._MAGIC, crc32(body), body))


def part(data: bytes) -> bytes:
    return b"%d\n%s" % (len(data), data)


@given(st.binary(), st.binary(), st.binary(), st.lists(st.text("/ab\u00e9\udc80", min_size=1)))
def test_what_was_written_is_what_is_read(text: bytes, seen: bytes, said: bytes, paths: list[str]) -> None:
    scope = idle.Scope(text, "/state", paths, "", "/etc/renewer/renewer.toml")
    found = idle.decoded(idle.Index(scope, 1.25, 1e9 / 3, seen, said).encoded())
    assert found
    assert (found.begin, found.end, found.seen, found.outcome) == (1.25, 1e9 / 3, seen, said)
    assert vars(found.scope) == vars(scope)


def test_an_index_of_another_state_folder_is_none(house: House) -> None:
    """A glance at the configuration may see a wrong folder; an index found there is of another one."""
    other = house.folder / "other"
    shutil.copytree(house.state, other, symlinks=True)
    scope = idle.Scope(house.file.read_bytes(), str(other), [], "", str(house.file))
    seen = scope.witness()
    assert seen
    house.index.write_bytes(idle.Index(scope, 0.0, time.time() * 2, seen.text, b"{}").encoded())
    assert house.answer is None


def test_what_changed_just_before_the_cycle_is_not_written_down(house: House) -> None:
    """A file that changes twice within one tick of the disk's clock has one time for both."""
    house.keep(ago=timedelta())
    assert not house.index.exists()


def test_a_cycle_during_which_the_clock_was_set_leaves_nothing(house: House) -> None:
    clock = FakeClock(datetime.now(UTC) + LONG_AGO)
    resting, began = Resting(load.load(house.file), house.view, clock), Began.at(clock)
    clock.time += timedelta(minutes=5)
    resting.keep(clock.now() + timedelta(days=1), SAID, Nginx(""), began)
    assert not house.index.exists()


def test_a_disk_that_cannot_hold_it_spoils_no_cycle(house: House) -> None:
    house.index.unlink()
    house.index.mkdir()
    house.keep()
    assert house.index.is_dir()
    assert house.answer is None


def test_an_nginx_that_cannot_be_asked_spoils_no_cycle(house: House) -> None:
    clock = FakeClock(datetime.now(UTC) + LONG_AGO)
    nginx = Nginx("", broken=Transient("it hangs", hint=""))
    resting = Resting(load.load(house.file), house.view, clock)
    resting.keep(clock.now() + timedelta(days=1), SAID, nginx, Began.at(clock))
    assert not house.index.exists()


def test_what_nginx_reads_is_looked_at_where_it_changes_or_something_is_beside_it(house: House) -> None:
    folder = house.folder / "conf.d"
    folder.mkdir()
    (folder / "one.conf").write_text("server {}")
    house.keep(files=(str(folder / "one.conf"), f"{folder}/"))
    assert house.answer
    (folder / "two.conf").touch()
    assert house.answer is None
    (folder / "two.conf").unlink()
    assert house.answer
    (folder / "one.conf").write_text("server { }")
    assert house.answer is None


class TestNginx:
    @pytest.fixture
    def children(self) -> Iterator[list[int]]:
        """Processes that only wait, as children of this one."""
        started = [waiting(), waiting()]
        yield started
        for pid in started:
            os.kill(pid, 9)
            os.waitpid(pid, 0)

    def test_as_long_as_it_is_the_same_processes_it_is_the_same(
        self, house: House, children: list[int]
    ) -> None:
        time.sleep(idle.WELL_BEFORE + 0.1)  # they have to be older than that
        house.keep(str(house.pid_file))
        assert house.answer
        os.kill(children[0], 9)
        os.waitpid(children[0], 0)
        assert house.answer is None
        children[0] = waiting()
        assert house.answer is None

    def test_who_is_stopped_serves_nobody(self, house: House, children: list[int]) -> None:
        time.sleep(idle.WELL_BEFORE + 0.1)  # they have to be older than that
        house.keep(str(house.pid_file))
        assert house.answer
        os.kill(children[0], signal.SIGSTOP)
        os.waitpid(children[0], os.WUNTRACED)
        assert crew(str(house.pid_file)) is None
        assert house.answer is None
        os.kill(children[0], signal.SIGCONT)
        os.waitpid(children[0], os.WCONTINUED)
        assert house.answer

    def test_a_worker_that_has_just_begun_may_be_of_a_reload_under_way(self, house: House) -> None:
        new = waiting()
        try:
            house.keep(str(house.pid_file))
            assert not house.index.exists()
        finally:
            os.kill(new, 9)
            os.waitpid(new, 0)

    @pytest.mark.parametrize("text", ["", "no number", "-1", "4194305", "0", "1" * 5000])
    def test_an_nginx_that_cannot_be_seen_leaves_nothing(self, house: House, text: str) -> None:
        house.pid_file.write_text(text)
        assert crew(str(house.pid_file)) is None
        house.keep(str(house.pid_file))
        assert not house.index.exists()
        house.pid_file.unlink()
        assert crew(str(house.pid_file)) is None


def waiting() -> int:
    """Start a process that does nothing."""
    return os.posix_spawn("/bin/sleep", ["sleep", "600"], os.environ)


def test_stamps_tell_apart_what_lies_in_which_folder(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    (tmp_path / "one" / "file").write_text("")
    before, changed = stamps.tree(str(tmp_path))
    assert changed == (tmp_path / "one" / "file").lstat().st_ctime_ns
    (tmp_path / "one" / "file").rename(tmp_path / "two" / "file")
    assert stamps.tree(str(tmp_path))[0] != before

"""What every store owes, and what the one in a folder owes besides."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from support.fakes import MemStore

from renewer.core.errors import LockBusy, LostLease, Refused, Transient
from renewer.core.interfaces import Fence, Store
from renewer.store.files import FileStore

ROOT = Path(__file__).parents[3]
TTL = timedelta(minutes=1)
HOLDER = """
import sys, datetime, pathlib
from renewer.store.files import FileStore
with FileStore(pathlib.Path(sys.argv[1])).lease("certificate.a", datetime.timedelta(minutes=1)) as fence:
    print(fence.token, flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another process that holds a lease until its end."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.token = int(self._process.stdout.readline())

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()
        assert self._process.returncode == -signal.SIGKILL


@pytest.fixture(params=["files", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return FileStore(tmp_path / "state") if request.param == "files" else MemStore()


class TestContract:
    """For every implementation of `interfaces.Store`, the fake included."""

    def test_a_value_is_there_until_it_is_taken_out(self, store: Store) -> None:
        assert store.get("certificate/a") is None
        with store.lease("a", TTL) as fence:
            store.put("certificate/a", b"\x00one", fence)
            store.put("certificate/a", b"two", fence)
            assert store.get("certificate/a") == b"two"
            store.delete("certificate/a", fence)
            store.delete("certificate/a", fence)
        assert store.get("certificate/a") is None

    def test_keys_are_listed_by_their_beginning_sorted(self, store: Store) -> None:
        keys = ["certificate/b.example", "certificate/a.example", "failure/a.example", "certificate/a.json"]
        assert list(store.keys("")) == []
        with store.lease("a", TTL) as fence:
            for key in keys:
                store.put(key, b"{}", fence)
        assert list(store.keys("certificate/")) == sorted(keys[:2] + keys[3:])
        assert list(store.keys("certificate/a")) == ["certificate/a.example", "certificate/a.json"]

    def test_the_token_grows_with_every_lease(self, store: Store) -> None:
        tokens = []
        for _ in range(3):
            with store.lease("a", TTL) as fence:
                tokens.append(fence.token)
        assert tokens == sorted(set(tokens))

    @pytest.mark.parametrize("write", ["put", "delete"])
    def test_a_stale_fence_writes_nothing(self, store: Store, write: str) -> None:
        with store.lease("a", TTL) as old:
            store.put("certificate/a", b"one", old)

        def late() -> None:
            with pytest.raises(LostLease):
                store.put("certificate/a", b"late", old) if write == "put" else store.delete(
                    "certificate/a", old
                )

        late()
        with store.lease("a", TTL):
            late()
        with pytest.raises(LostLease):
            store.put("certificate/a", b"made up", Fence("b", 1))
        assert store.get("certificate/a") == b"one"

    def test_a_second_holder_is_refused_and_takes_nothing_from_the_first(self, store: Store) -> None:
        with store.lease("a", TTL) as fence:
            for _ in range(2):
                with pytest.raises(LockBusy), store.lease("a", TTL):
                    pass
            store.put("certificate/a", b"one", fence)
        assert store.get("certificate/a") == b"one"

    def test_leases_of_other_names_are_free(self, store: Store) -> None:
        with store.lease("a", TTL) as first, store.lease("b", TTL) as second:
            store.put("one", b"1", first)
            store.put("two", b"2", second)
        assert list(store.keys("")) == ["one", "two"]

    def test_a_lease_ends_with_what_goes_wrong_inside(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError), store.lease("a", TTL):
            raise ZeroDivisionError
        with store.lease("a", TTL):
            pass


class TestFiles:
    def test_nothing_of_it_is_for_other_eyes(self, tmp_path: Path) -> None:
        store = FileStore(tmp_path / "state")
        with store.lease("certificate.a", TTL) as fence:
            store.put("certificate/a", b"key", fence)
        modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "state").rglob("*")}
        assert len(modes) == 5
        assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
        assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}

    def test_another_store_of_the_same_folder_sees_value_and_lease(self, tmp_path: Path) -> None:
        first, second = FileStore(tmp_path), FileStore(tmp_path)
        with first.lease("certificate.a", TTL) as fence:
            first.put("certificate/a", b"one", fence)
            with pytest.raises(LostLease):
                second.put("certificate/a", b"two", fence)
            with pytest.raises(LockBusy), second.lease("certificate.a", TTL):
                pass
        assert second.get("certificate/a") == b"one"

    def test_a_program_that_is_just_being_started_holds_no_lease(self, tmp_path: Path) -> None:
        """It has a copy of every handle from fork to exec, as that of this test is one."""
        store, path = FileStore(tmp_path), tmp_path / "lock" / "certificate.a"
        with store.lease("certificate.a", TTL):
            (handle,) = [one.name for one in Path("/proc/self/fd").iterdir() if one.resolve() == path]
            copy = os.dup(int(handle))
        with store.lease("certificate.a", TTL):
            pass
        os.close(copy)

    def test_another_process_is_named_and_kill_9_frees_its_lease(self, tmp_path: Path) -> None:
        store = FileStore(tmp_path)
        holder = Holder(tmp_path)
        try:
            with pytest.raises(LockBusy) as caught, store.lease("certificate.a", TTL):
                pass
        finally:
            holder.kill()
        assert str(caught.value) == f"another renewer (process {holder.pid}) is working on a"
        assert caught.value.hint
        with store.lease("certificate.a", TTL) as fence:
            assert fence.token > holder.token

    @pytest.mark.parametrize("words", [b"", b"garbage \xff\xfe", b"7", b"-3 x"])
    def test_a_lock_file_with_anything_in_it_can_be_taken(self, tmp_path: Path, words: bytes) -> None:
        (tmp_path / "lock").mkdir()
        (tmp_path / "lock" / "a").write_bytes(words)
        store = FileStore(tmp_path)
        with store.lease("a", TTL) as first:
            store.put("one", b"1", first)
        with store.lease("a", TTL) as second:
            assert second.token > first.token

    @pytest.mark.parametrize("prepare", [Path.touch, lambda path: path.symlink_to("/etc/passwd")])
    def test_a_value_s_folder_that_is_none_is_refused_in_words(
        self, tmp_path: Path, prepare: Callable[[Path], None]
    ) -> None:
        (tmp_path / "store").mkdir()
        prepare(tmp_path / "store" / "certificate")
        store = FileStore(tmp_path)
        with (
            store.lease("a", TTL) as fence,
            pytest.raises(Refused, match=r"cannot .*: \S"),
        ):
            store.put("certificate/a", b"key", fence)

    def test_a_lock_file_that_cannot_be_opened_is_refused_in_words(self, tmp_path: Path) -> None:
        (tmp_path / "lock").mkdir()
        (tmp_path / "lock" / "a").symlink_to("/etc/passwd")
        with pytest.raises(Refused), FileStore(tmp_path).lease("a", TTL):
            pass


def test_a_lock_that_cannot_be_written_is_told_and_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(tmp_path)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with (
            pytest.raises(Transient, match="no space left") as caught,
            store.lease("nginx", timedelta(minutes=1)),
        ):
            pass
    assert str(tmp_path / "lock" / "nginx") in str(caught.value)
    with store.lease("nginx", timedelta(minutes=1)) as fence:
        store.put("a/b", b"1", fence)


def test_what_dead_runs_left_of_a_file_goes_with_the_next_write_of_it(tmp_path: Path) -> None:
    """Also where the folder was looked through for another file before."""
    folder = tmp_path / "store" / "certificate"
    folder.mkdir(parents=True)
    left = [folder / f".tmp-{name}.json-0123456789abcdef" for name in "abc"]
    for path in left:
        path.write_text("half")
    store = FileStore(tmp_path)
    with store.lease("certificate.a", TTL) as fence:
        for name in "ab":
            store.put(f"certificate/{name}", b"whole", fence)
        store.put("certificate/d", b"whole", fence)
    assert [path.exists() for path in left] == [False, False, True]


def test_only_the_folder_of_a_prefix_is_looked_into(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    with store.lease("certificate.a", TTL) as fence:
        for key in ("hook/a", "hooks", "site/hook", "hook/deep/b"):
            store.put(key, b"", fence)
    assert list(store.keys("hook/")) == ["hook/a", "hook/deep/b"]
    assert list(store.keys("hook")) == ["hook/a", "hook/deep/b", "hooks"]
    assert list(store.keys("hook/d")) == ["hook/deep/b"]
    assert list(store.keys("nothing/")) == []

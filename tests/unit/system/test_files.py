"""Atomic files."""

import errno
import os
from pathlib import Path

import pytest

from renewer.core.errors import ConfigError, Refused, Transient
from renewer.system import files, permissions

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")


Refusal = tuple[int, type[Exception], str]


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_file_is_written_replaced_read_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert files.read(path) is None
    files.write(path, b"one")
    files.write(path, b"two")
    assert files.read(path) == b"two"
    assert mode(path) == 0o600
    assert everything(tmp_path) == {"file"}
    files.remove(path)
    files.remove(path)
    files.remove(tmp_path / "no" / "folder")
    assert everything(tmp_path) == set()


def test_no_link_at_the_end_of_a_path_is_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("theirs")
    (tmp_path / "inside").mkdir()
    (tmp_path / "link").symlink_to("secret")
    (tmp_path / "linked").symlink_to("inside")
    with pytest.raises(Refused, match="link"):
        files.read(tmp_path / "link")
    with pytest.raises(Refused):
        files.write(tmp_path / "linked" / "file", b"ours")
    with pytest.raises(Refused, match="link"):
        files.folder(tmp_path / "linked")
    files.write(tmp_path / "link", b"ours")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "secret").read_text() == "theirs"


def test_a_pipe_in_a_file_s_place_does_not_hold_us_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert files.read(tmp_path / "pipe") == b""


def test_a_folder_comes_with_those_above_it(tmp_path: Path) -> None:
    files.folder(tmp_path / "a" / "b" / "c")
    files.folder(tmp_path / "a" / "b" / "c")
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b" / "c") == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(Refused):
        files.folder(tmp_path / "file")


def test_a_tree_comes_whole(tmp_path: Path) -> None:
    files.tree(tmp_path / "g1", {"a": b"1", "b": b"2"})
    assert everything(tmp_path) == {"g1", "g1/a", "g1/b"}
    assert (mode(tmp_path / "g1"), mode(tmp_path / "g1" / "a")) == (0o700, 0o600)
    with pytest.raises(Refused):
        files.tree(tmp_path / "g1", {"a": b"3"})
    assert files.read(tmp_path / "g1" / "a") == b"1"
    files.discard(tmp_path / "g1")
    files.discard(tmp_path / "g1")
    assert everything(tmp_path) == set()


def test_a_link_is_pointed_and_what_is_in_its_way_is_kept(tmp_path: Path) -> None:
    link = tmp_path / "current"
    assert files.target(link) is None
    files.point(link, "g1")
    files.point(link, "g2")
    assert files.target(link) == "g2"
    link.unlink()
    link.mkdir()
    (link / "privkey.pem").touch()
    files.point(link, "g3")
    assert files.target(link) == "g3"
    (moved,) = tmp_path.glob("current.replaced-*")
    assert (moved / "privkey.pem").exists()


def test_what_dead_runs_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".new-1").mkdir()
    (tmp_path / ".new-1" / "half").touch()
    (tmp_path / ".cur-1").symlink_to("nowhere")
    (tmp_path / ".tmp-1").touch()
    (tmp_path / "kept").touch()
    files.sweep(tmp_path)
    files.sweep(tmp_path / "no folder")
    assert everything(tmp_path) == {"kept"}


@pytest.mark.parametrize("call", ["fsync", "rename", "open", "mkdir", "symlink"])
@pytest.mark.parametrize(
    "refusal",
    [
        (errno.ENOSPC, Transient, "free some space"),
        (errno.EDQUOT, Transient, "quota"),
        (errno.EROFS, Transient, "writable"),
        (errno.EIO, Transient, "dmesg"),
        (errno.EACCES, Refused, "ls -ld"),
    ],
)
def test_a_disk_that_refuses_leaves_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, refusal: Refusal
) -> None:
    code, kind, advice = refusal
    files.write(tmp_path / "file", b"old")
    files.tree(tmp_path / "g1", {"a": b"1"})
    files.point(tmp_path / "current", "g1")
    before, works = everything(tmp_path), getattr(os, call)

    def refuse(path: object, *rest: object, **named: object) -> object:
        writes = call != "open" or (rest and isinstance(rest[0], int) and rest[0] & os.O_CREAT)
        if writes:
            raise OSError(code, os.strerror(code))
        return works(path, *rest, **named)

    steps = {
        "file": lambda: files.write(tmp_path / "file", b"new"),
        "g2": lambda: files.tree(tmp_path / "g2", {"a": b"2"}),
        "current": lambda: files.point(tmp_path / "current", "g2"),
    }
    touched = {"mkdir": ["g2"], "symlink": ["current"], "open": ["file", "g2"]}.get(call, list(steps))
    monkeypatch.setattr(os, call, refuse)
    for name in touched:
        with pytest.raises(kind, match=str(tmp_path / name)) as refused:
            steps[name]()
        assert advice in getattr(refused.value, "hint", "")
    monkeypatch.undo()
    assert not [name for name in everything(tmp_path) if name.startswith(".")]
    if call != "fsync":  # the folder's own fsync comes after the rename
        assert everything(tmp_path) == before
        assert (files.read(tmp_path / "file"), files.target(tmp_path / "current")) == (b"old", "g1")


def test_a_state_folder_of_our_own_is_safe_also_below_a_sticky_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    permissions.refuse_unsafe(tmp_path / "state" / "not there yet")
    (tmp_path / "state").mkdir(0o700)
    permissions.refuse_unsafe(tmp_path / "state")


@pytest.mark.parametrize("writable", [0o770, 0o707])
def test_a_folder_that_others_can_write_is_refused(tmp_path: Path, writable: int) -> None:
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(writable)
    for path in (above, above / "state", above / "a" / "state"):
        with pytest.raises(ConfigError) as refused:
            permissions.refuse_unsafe(path)
        assert refused.value.hint == f"run: chmod go-w {above}"
    above.chmod(0o1000 | writable)
    with pytest.raises(ConfigError):
        permissions.refuse_unsafe(above)
    permissions.refuse_unsafe(above / "state")


def test_a_link_or_a_file_as_state_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(ConfigError, match="is a link") as refused:
        permissions.refuse_unsafe(tmp_path / "link")
    assert str(tmp_path / "real") in refused.value.hint
    (tmp_path / "file").touch(0o600)
    with pytest.raises(ConfigError, match="not a folder"):
        permissions.refuse_unsafe(tmp_path / "file")


def test_what_a_link_above_leads_to_counts_too(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to("open")
    with pytest.raises(ConfigError, match=f"{tmp_path}/link"):
        permissions.refuse_unsafe(tmp_path / "link" / "state")


@AS_ROOT
def test_root_is_told_to_become_the_owner(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(0o700)
    os.chown(state, 65534, 65534)
    with pytest.raises(ConfigError, match=r"nobody.*root") as refused:
        permissions.refuse_unsafe(state)
    assert "runuser -u nobody -- renewer" in refused.value.hint


def test_a_new_folder_has_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    former = os.umask(0o077)
    try:
        files.folder(tmp_path / "a" / "b", 0o755)
    finally:
        os.umask(former)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a" / "b")] == [0o755, 0o755]


@AS_ROOT
@pytest.mark.parametrize(
    ("owner", "mode", "shared"),
    [
        (0, 0o1770, True),
        (0, 0o1775, True),
        (0, 0o770, False),
        (0, 0o1777, False),
        (0, 0o1750, False),
        (65534, 0o1770, False),
    ],
)
def test_a_folder_is_shared_if_root_s_own_cannot_be_renamed_in_it(
    tmp_path: Path, owner: int, mode: int, *, shared: bool
) -> None:
    os.chown(tmp_path, owner, 65534)
    tmp_path.chmod(mode)
    assert permissions.shared(tmp_path) is shared
    assert not permissions.shared(tmp_path / "none")


@AS_ROOT
def test_root_itself_works_in_no_folder_that_it_shares(tmp_path: Path) -> None:
    os.chown(tmp_path, 0, 65534)
    tmp_path.chmod(0o1770)
    with pytest.raises(ConfigError, match="other users"):
        permissions.refuse_unsafe(tmp_path)

"""Root writes for other programs into folders of other users, who swap what it writes for links meanwhile."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.certs import NOW
from support.hostile import attacker

from renewer.core.errors import Refused
from renewer.core.metrics import Readings
from renewer.core.site import Signer
from renewer.notify.prometheus import Textfile
from renewer.secure_links.rotation import _hand_over
from renewer.system import files

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="another user attacks root")


def textfile(folder: Path) -> None:
    Textfile(folder / "renewer.prom").show(Readings(NOW, 0, {}, {}))


def signer(folder: Path) -> None:
    _hand_over(Signer(folder / "signer.json", "www-data", 0o640), b"{}\n")


WRITERS = {"metrics": textfile, "signer": signer}
STEPS = ("open", "fchown", "fchmod", "chown", "chmod", "fsync", "rename")
"""What the system is asked for while a file is written, now or before this was mended."""


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Return a folder of the attacker's, as Debian's /var/lib/prometheus is of the user prometheus."""
    (tmp_path / "theirs").mkdir(0o755)
    return attacker.own(tmp_path / "theirs")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a file of root's that others neither read nor run, and which is run with root's rights."""
    path = tmp_path / "victim"
    path.write_text("secret")
    path.chmod(0o4750)
    return path


def facts(path: Path) -> tuple[int, int, int, bytes]:
    status = path.lstat()
    return status.st_uid, status.st_gid, status.st_mode, path.read_bytes() if path.is_file() else b""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("what", WRITERS)
def test_a_temporary_file_swapped_for_a_link_changes_nothing_elsewhere(
    theirs: Path, victim: Path, monkeypatch: pytest.MonkeyPatch, what: str, step: str
) -> None:
    before = facts(victim)
    works, target = getattr(os, step), str(victim)

    def slow(*arguments: Any, **named: Any) -> Any:
        if step == "rename":
            attacker.acts(theirs, lambda folder: attacker.swap(folder, files.FILE, target))
        done = works(*arguments, **named)
        attacker.acts(theirs, lambda folder: attacker.swap(folder, files.FILE, target))
        return done

    with monkeypatch.context() as patched:
        patched.setattr(os, step, slow)
        WRITERS[what](theirs)
    assert facts(victim) == before


def test_a_folder_of_root_s_renamed_like_a_leftover_is_not_removed(theirs: Path) -> None:
    """Who owns the folder may rename what is in it, though not remove it."""
    kept = theirs / f"{files.FILE}signer.json-0" / "backup"
    kept.mkdir(parents=True)
    (kept / "precious").write_text("root's")
    leftover = theirs / f"{files.FILE}signer.json-1"
    leftover.write_text("of a run that died")
    signer(theirs)
    assert (kept / "precious").read_text() == "root's"
    assert not leftover.exists()


@pytest.mark.parametrize("what", WRITERS)
def test_nothing_is_written_through_a_link_of_theirs_on_the_way(
    theirs: Path, tmp_path: Path, what: str
) -> None:
    (tmp_path / "roots" / "cron.d").mkdir(parents=True)
    target = str(tmp_path / "roots")
    attacker.acts(theirs, lambda folder: os.symlink(target, "way", dir_fd=folder))
    with pytest.raises(Refused):
        WRITERS[what](theirs / "way" / "cron.d")
    assert list((tmp_path / "roots" / "cron.d").iterdir()) == []


def test_a_folder_swapped_for_a_link_keeps_its_mode(
    theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = tmp_path / "roots"
    roots.mkdir(0o700)
    works = os.mkdir

    def slow(*arguments: Any, **named: Any) -> None:
        works(*arguments, **named)
        os.chown(theirs / "signer", attacker.UID, attacker.UID)
        attacker.acts(theirs, lambda folder: attacker.swap(folder, "signer", str(roots)))

    with monkeypatch.context() as patched:
        patched.setattr(os, "mkdir", slow)
        with pytest.raises(Refused):
            signer(theirs / "signer")
    assert (facts(roots), list(roots.iterdir())) == ((0, 0, 0o40700, b""), [])


@pytest.mark.parametrize("mode", [0o777, 0o1777])
@pytest.mark.parametrize("what", WRITERS)
def test_a_folder_that_everybody_can_write_is_refused(tmp_path: Path, what: str, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(Refused) as refused:
        WRITERS[what](folder)
    assert str(folder) in str(refused.value)
    assert f"chmod o-w {folder}" in refused.value.hint
    assert list(folder.iterdir()) == []


HELD: dict[str, Callable[[int, str], object]] = {
    "a link to a secret": lambda folder, victim: os.symlink(victim, "signer.json", dir_fd=folder),
    "a pipe": lambda folder, _: os.mkfifo("signer.json", dir_fd=folder),
    "a file without end": lambda folder, _: os.truncate(
        os.open("signer.json", os.O_RDWR | os.O_CREAT, dir_fd=folder), 1 << 40
    ),
}


@pytest.mark.parametrize("what", HELD)
def test_what_stands_in_the_file_s_place_is_neither_waited_for_nor_followed(
    theirs: Path, victim: Path, what: str
) -> None:
    before = facts(victim)
    attacker.acts(theirs, lambda folder: HELD[what](folder, str(victim)))
    signer(theirs)
    assert (theirs / "signer.json").read_bytes() == b"{}\n"
    assert facts(victim) == before


def test_what_is_read_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 10)
    (tmp_path / "file").write_bytes(b"x" * 11)
    with pytest.raises(Refused):
        files.read(tmp_path / "file")

"""Root's helper and a user `renewer` who means harm: nginx is given root's copies of plain files only."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.hostile import attacker
from support.roots_helper import loaded

from renewer.nginx.layout import Layout, include_text, pair_names

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="another user attacks root")

HELPER = loaded()
NAME, GENERATION = "example.com", "g000001"
FILES = pair_names("")
SECRET = "what root alone may read"
NGINX = """#!/bin/sh
echo "$@" >> {folder}/calls
test ! -e {folder}/refuses || exit 1
case "$*" in *-T*) cat {folder}/dump;; esac
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Lay out a state folder that root shares with the attacker, who wants his certificate included."""
    state = tmp_path / "state"
    for folder in ("certificates", "wanted/certificates", "nginx/certificates"):
        (state / folder).mkdir(parents=True)
    for folder in ("certificates", "wanted", "wanted/certificates"):
        attacker.own(state / folder)
    os.chown(state, 0, attacker.UID)
    state.chmod(0o1770)
    nginx = tmp_path / "nginx"
    nginx.write_text(NGINX.format(folder=tmp_path))
    nginx.chmod(0o755)
    (tmp_path / "dump").touch()
    issue(state)
    want(state)
    return state


def issue(state: Path, name: str = NAME, generation: str = GENERATION) -> Path:
    folder = state / "certificates" / name / generation
    folder.mkdir(parents=True)
    for file in FILES:
        (folder / file).write_text(f"{name} {generation} {file}")
    for path in (folder.parent, folder, *folder.iterdir()):
        attacker.own(path)
    return folder


def want(state: Path, name: str = NAME, generation: str = GENERATION) -> None:
    folder = Layout(state).copy(state / "certificates" / name / generation)
    wish = state / "wanted" / "certificates" / f"{name}.conf"
    wish.write_bytes(include_text(folder, FILES))
    attacker.own(wish)


def wants_nothing(state: Path) -> None:
    for wish in (state / "wanted" / "certificates").iterdir():
        wish.unlink()


def before_copies(state: Path, name: str = NAME, generation: str = GENERATION) -> None:
    """Let nginx include the lines that an earlier helper wrote: they name renewer's own folder."""
    lines = include_text(state / "certificates" / name / generation, FILES)
    (state / "nginx" / "certificates" / f"{name}.conf").write_bytes(lines)


def carry_out(state: Path, *, place_only: bool = False) -> tuple[str, str]:
    told: tuple[str, str] = HELPER.carry_out(
        str(state.parent / "nginx"), "/etc/nginx/nginx.conf", str(state), place_only=place_only
    )
    return told


def below(folder: Path) -> dict[str, tuple[int, int, int, str]]:
    """Return owner, group, mode and content of everything in a folder."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        text = path.read_text() if path.is_file() else ""
        found[str(path.relative_to(folder))] = status.st_uid, status.st_gid, status.st_mode & 0o7777, text
    return found


def includes(state: Path) -> list[str]:
    return sorted(path.name for path in (state / "nginx" / "certificates").iterdir())


def copies(state: Path, name: str = NAME) -> list[str]:
    folder = state / "nginx" / "copies" / "certificates" / name
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def renamed(name: str) -> Callable[[int], object]:
    """Return an attempt to take something out of its folder."""
    return lambda folder: os.rename(name, "away", src_dir_fd=folder, dst_dir_fd=folder)


def test_nginx_is_given_files_of_root_s_that_renewer_cannot_touch(state: Path) -> None:
    carry_out(state)
    held = below(state / "nginx")
    copy = f"copies/certificates/{NAME}/{GENERATION}"
    assert {file: text for file, (_, _, mode, text) in held.items() if mode == 0o640} == {
        f"certificates/{NAME}.conf": include_text(state / "nginx" / copy, FILES).decode(),
        **{f"{copy}/{file}": f"{NAME} {GENERATION} {file}" for file in FILES},
    }
    assert {facts[:2] for facts in held.values()} == {(0, attacker.UID)}
    assert {facts[2] for facts in held.values()} == {0o750, 0o640}
    for path in (state / "nginx", *(state / "nginx").rglob("*")):
        with pytest.raises(AssertionError):
            attacker.acts(path.parent, renamed(path.name))
    assert below(state / "nginx") == held


def swapped(harm: Callable[[Path, Path], object]) -> Callable[[Path, Path], None]:
    """Return a harm that takes the key away first."""

    def done(folder: Path, secret: Path) -> None:
        (folder / "privkey.pem").unlink()
        harm(folder, secret)

    return done


def linked(level: int) -> Callable[[Path, Path], None]:
    """Return a harm that puts a link in the place of a folder, to one of root's with the same files."""

    def done(folder: Path, secret: Path) -> None:
        place = [folder, *folder.parents][level]
        hidden = secret.parent / "hidden"
        place.rename(hidden)
        place.symlink_to(hidden)

    return done


HARM: dict[str, Callable[[Path, Path], object]] = {
    "a link to root's key": swapped(lambda folder, secret: (folder / "privkey.pem").symlink_to(secret)),
    "a link to nothing": swapped(lambda folder, _: (folder / "privkey.pem").symlink_to("/nowhere")),
    "a second name": swapped(lambda folder, secret: os.link(secret, folder / "privkey.pem")),
    "a file of root's": swapped(lambda folder, _: (folder / "privkey.pem").write_text(SECRET)),
    "a pipe": swapped(lambda folder, _: os.mkfifo(folder / "privkey.pem")),
    "zeros": swapped(lambda folder, _: (folder / "privkey.pem").symlink_to("/dev/zero")),
    "a folder": swapped(lambda folder, _: (folder / "privkey.pem").mkdir()),
    "no key": swapped(lambda *_: None),
    "a terabyte": lambda folder, _: os.truncate(folder / "privkey.pem", 1 << 40),
    "a link in another file": lambda folder, secret: (
        (folder / "chain.pem").unlink(),
        (folder / "chain.pem").symlink_to(secret),
    ),
    "a linked generation": linked(0),
    "a linked certificate": linked(1),
    "linked certificates": linked(2),
}


@pytest.mark.parametrize("what", HARM)
def test_what_is_no_plain_file_of_renewer_s_is_not_copied(state: Path, tmp_path: Path, what: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    before = below(state / "nginx")
    HARM[what](state / "certificates" / NAME / GENERATION, secret)
    status, text = carry_out(state)
    assert (status, SECRET in text) == ("bad-request", False)
    assert below(state / "nginx") == before
    assert not (tmp_path / "calls").exists(), "nginx was not even asked"


def test_the_answer_does_not_tell_which_files_of_root_s_there_are(state: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    key, answers = state / "certificates" / NAME / GENERATION / "privkey.pem", set()
    for target in (secret, tmp_path, Path("/nowhere"), Path("/dev/zero"), Path("/nowhere/at/all")):
        key.unlink()
        key.symlink_to(target)
        answers.add(carry_out(state))
    assert len(answers) == 1


@pytest.mark.parametrize("step", ["copy", "drop_copies", "place"])
def test_what_is_swapped_after_the_first_look_is_not_copied(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    folder, works = state / "certificates" / NAME / GENERATION, getattr(HELPER, step)

    def late(*arguments: Any) -> Any:
        target = str(secret)
        attacker.acts(folder, lambda handle: attacker.swap(handle, "privkey.pem", target))
        return works(*arguments)

    monkeypatch.setattr(HELPER, step, late)
    status, text = carry_out(state)
    assert SECRET not in text
    assert not [file for file, facts in below(state / "nginx").items() if SECRET in facts[3]]
    assert status == ("nginx-down" if step == "place" else "place-failed"), "the copy was made before"


@pytest.mark.parametrize("step", ["open", "fstat", "read"])
def test_each_file_is_looked_at_and_read_through_one_handle(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    folder, works = state / "certificates" / NAME / GENERATION, getattr(os, step)

    def slow(*arguments: Any, **named: Any) -> Any:
        done, target = works(*arguments, **named), str(secret)
        attacker.acts(folder, lambda handle: attacker.swap(handle, "privkey.pem", target))
        return done

    with monkeypatch.context() as patched:
        patched.setattr(os, step, slow)
        carry_out(state, place_only=True)
    assert not [file for file, facts in below(state / "nginx").items() if SECRET in facts[3]]


def test_lines_from_before_there_were_copies_are_mended_by_the_first_request(state: Path) -> None:
    before_copies(state)
    wants_nothing(state)
    assert carry_out(state, place_only=True) == ("ok", "")
    held = below(state / "nginx")
    copy = f"copies/certificates/{NAME}/{GENERATION}"
    assert held[f"certificates/{NAME}.conf"][3] == include_text(state / "nginx" / copy, FILES).decode()
    assert held[f"{copy}/privkey.pem"] == (0, attacker.UID, 0o640, f"{NAME} {GENERATION} privkey.pem")


def test_such_lines_are_not_believed_where_a_link_was_put(state: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    before_copies(state)
    wants_nothing(state)
    HARM["a link to root's key"](state / "certificates" / NAME / GENERATION, tmp_path / "secret")
    status, text = carry_out(state)
    assert (status, f"{GENERATION}/privkey.pem" in text) == ("place-failed", True)
    assert SECRET not in str(below(state / "nginx"))


def test_such_lines_name_nothing_that_renewer_could_put_there_later(state: Path) -> None:
    before_copies(state, "gone.example")
    assert carry_out(state, place_only=True) == ("ok", "")
    lines = (state / "nginx" / "certificates" / "gone.example.conf").read_text()
    assert f"{state}/certificates" not in lines
    assert copies(state, "gone.example") == []


def test_of_the_copies_those_stay_that_nginx_is_or_was_just_given(state: Path) -> None:
    for number in range(1, 5):
        generation = f"g{number:06}"
        if number > 1:
            issue(state, generation=generation)
        want(state, generation=generation)
        assert carry_out(state)[0] == "nginx-down"
    assert copies(state) == ["g000003", "g000004"]


def test_what_nginx_refuses_goes_back_to_a_copy_that_is_still_there(state: Path, tmp_path: Path) -> None:
    carry_out(state)
    held = below(state / "nginx" / "copies")
    issue(state, generation="g000002")
    want(state, generation="g000002")
    (tmp_path / "refuses").touch()
    assert carry_out(state)[0] == "test-failed"
    lines = (state / "nginx" / "certificates" / f"{NAME}.conf").read_text()
    assert GENERATION in lines
    assert below(state / "nginx" / "copies") == held


def test_a_copy_that_is_another_is_made_anew(state: Path) -> None:
    carry_out(state)
    copy = state / "nginx" / "copies" / "certificates" / NAME / GENERATION
    held = below(copy)
    (copy / "privkey.pem").write_text("other")
    (copy / "more").touch()
    assert carry_out(state)[0] == "nginx-down"
    assert below(copy) == held


def test_lines_pile_up_no_more(state: Path, tmp_path: Path) -> None:
    for name in ("a.example", "included.example"):
        issue(state, name)
        want(state, name)
    assert carry_out(state)[0] == "nginx-down"
    wants_nothing(state)
    for name in ("a.example", "included.example"):
        (state / "certificates" / name).rename(tmp_path / name)
    kept = state / "nginx" / "certificates" / "included.example.conf"
    dump = f"# configuration file /etc/nginx/nginx.conf:\n\n# configuration file {kept}:\n"
    everything = [f"{name}.conf" for name in ("a.example", NAME, "included.example")]
    (tmp_path / "dump").write_text(dump)
    (tmp_path / "refuses").touch()
    carry_out(state)
    assert includes(state) == everything, (
        "what nginx includes is not known while it refuses its configuration"
    )
    (tmp_path / "refuses").unlink()
    assert carry_out(state, place_only=True) == ("ok", "")
    assert includes(state) == everything
    assert carry_out(state)[0] == "nginx-down"
    assert includes(state) == [f"{NAME}.conf", "included.example.conf"]
    assert [copies(state, name) for name in ("a.example", NAME, "included.example")] == [
        [], [GENERATION], [GENERATION],
    ]  # fmt: skip


def test_there_is_a_bound_to_the_names(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HELPER, "MOST", 4)
    for number in range(4):
        issue(state, f"{number}.example")
        want(state, f"{number}.example")
    assert carry_out(state)[0] == "bad-request"
    wants_nothing(state)
    for number in range(4):
        want(state, f"{number}.example")
    assert carry_out(state)[0] == "nginx-down"
    wants_nothing(state)
    want(state)
    assert carry_out(state)[0] == "place-failed"
    assert len(includes(state)) == 4


def test_the_answer_is_for_those_who_may_ask(tmp_path: Path) -> None:
    helper = loaded()
    helper.REQUEST, helper.ANSWERS = tmp_path / "run" / "reload.request", tmp_path / "answers"
    helper.REQUEST.parent.mkdir()
    attacker.own(helper.REQUEST.parent)
    helper.REQUEST.write_text("0123456789abcdef")
    assert helper.take() == ("0123456789abcdef", "")
    former = os.umask(0o022)
    helper.answer("0123456789abcdef", "ok", "text")
    os.umask(former)
    status = (helper.ANSWERS / "result").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, attacker.UID, 0o640)
    assert [path.name for path in helper.ANSWERS.iterdir()] == ["result"]


def test_a_certificate_with_more_kinds_of_keys_than_there_are_is_refused(state: Path) -> None:
    wish = state / "wanted" / "certificates" / f"{NAME}.conf"
    folder = Layout(state).copy(state / "certificates" / NAME / GENERATION)
    many = [name for number in range(HELPER.PAIRS + 1) for name in pair_names(f"-k{number}")]
    wish.write_bytes(include_text(folder, many))
    assert carry_out(state)[0] == "bad-request"
    assert copies(state) == []


def test_copies_do_not_pile_up_where_nothing_is_reloaded_either(state: Path) -> None:
    for number in range(1, 5):
        if number > 1:
            issue(state, generation=f"g00000{number}")
        want(state, generation=f"g00000{number}")
        assert carry_out(state, place_only=True)[0] == "ok"
    assert copies(state) == ["g000003", "g000004"]


def test_a_copy_with_more_files_than_any_has_can_still_be_removed(state: Path) -> None:
    assert carry_out(state, place_only=True)[0] == "ok"
    old = state / "nginx" / "copies" / "certificates" / NAME / "g000009"
    old.mkdir()
    for number in range(HELPER.MOST + 1):
        (old / str(number)).touch()
    assert carry_out(state, place_only=True)[0] == "ok"
    assert not old.exists()


def test_a_request_that_cannot_be_removed_is_answered_and_blocks_no_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sticky folder of another user: the unit has no right to remove what is in it."""
    helper = loaded()
    helper.REQUEST, helper.ANSWERS = tmp_path / "requests" / "reload.request", tmp_path / "answers"
    helper.REQUEST.mkdir(parents=True)
    (helper.REQUEST / "x").touch()
    monkeypatch.setattr(helper, "discard", lambda _: None)
    assert helper.take() == ("", "")
    helper.answer("", "bad-request", "")
    (helper.REQUEST / "x").unlink()
    helper.REQUEST.rmdir()
    helper.REQUEST.write_text("0123456789abcdef")
    assert helper.take() == ("0123456789abcdef", "")
    assert [path.name for path in helper.ANSWERS.iterdir()] == ["result"]

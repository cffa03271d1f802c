"""`renewer check`, run by root, reads what other clients have in the homes of people who mean harm."""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from support import certs
from support.fakes import FakeClock
from support.hostile import attacker

from renewer.check import other_clients, scheduling
from renewer.check.context import Scene
from renewer.config.schema import Certificate, Config
from renewer.core.finding import Finding

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="another user attacks root")

NAME = "example.com"
SECRET = f"very-secret.{NAME}"
LEGO, HELD = ".lego/certificates", "x.json"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the home of the attacker, with a folder of lego's."""
    folder = tmp_path / "home" / "me" / LEGO
    folder.mkdir(parents=True)
    for path in (folder, *folder.parents[:2]):
        attacker.own(path)
    return tmp_path / "home" / "me"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a folder of root's alone, in which a client has a certificate for a name that is secret."""
    folder = tmp_path / "secret"
    folder.mkdir(mode=0o700)
    (folder / HELD).write_text(json.dumps({"domain": SECRET}))
    _, chain = certs.CA.issue((SECRET,), certs.NOW, certs.NOW + timedelta(days=1))
    (folder / "x.crt").write_text(chain)
    return folder


def found(root: Path) -> list[Finding]:
    config = Config(state=root / "state", certificates={NAME: Certificate((NAME, f"*.{NAME}"))})
    return list(other_clients.look(Scene(config, "renewer.toml", FakeClock(), root)))


def words(findings: list[Finding]) -> str:
    return "\n".join(f"{one.what} {one.why} {one.hint}" for one in findings)


def lego(home: Path, harm: Callable[[int], object]) -> None:
    attacker.acts(home / LEGO, harm)


def write(folder: int, name: str, text: str) -> None:
    with os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=folder), "w") as file:
        file.write(text)


def test_what_is_honest_is_found(home: Path, tmp_path: Path) -> None:
    lego(home, lambda folder: write(folder, HELD, json.dumps({"domain": f"WWW.{NAME}"})))
    (one,) = found(tmp_path)
    assert one.status == "warning"
    assert f"lego has a certificate for www.{NAME}, too (/home/me/{LEGO}/{HELD})" in one.what


LEADING: dict[str, Callable[[int, str], object]] = {
    "a link to the file": lambda folder, secret: os.symlink(f"{secret}/{HELD}", HELD, dir_fd=folder),
    "a link to the certificate": lambda folder, secret: (
        write(folder, HELD, "{}"),
        os.symlink(f"{secret}/x.crt", "x.crt", dir_fd=folder),
    ),
}


@pytest.mark.parametrize("what", LEADING)
def test_no_link_leads_to_what_root_alone_may_read(
    home: Path, secret: Path, tmp_path: Path, what: str
) -> None:
    lego(home, lambda folder: LEADING[what](folder, str(secret)))
    assert SECRET not in words(found(tmp_path))


@pytest.mark.parametrize("level", [".lego", LEGO])
def test_no_linked_folder_leads_there_either(home: Path, secret: Path, tmp_path: Path, level: str) -> None:
    (secret / "certificates").symlink_to(".")
    (home / level).rename(home / "away")
    target = str(secret)
    attacker.acts((home / level).parent, lambda folder: os.symlink(target, Path(level).name, dir_fd=folder))
    assert SECRET not in words(found(tmp_path))


def test_a_second_name_of_a_file_of_root_s_is_not_read(home: Path, secret: Path, tmp_path: Path) -> None:
    os.link(secret / HELD, home / LEGO / HELD)  # as he can where fs.protected_hardlinks is off
    assert SECRET not in words(found(tmp_path))


def test_a_file_of_nginx_proxy_manager_names_nothing_outside(secret: Path, tmp_path: Path) -> None:
    renewal = tmp_path / "opt" / "npm" / "letsencrypt" / "renewal"
    renewal.mkdir(parents=True)
    for path in (renewal, *renewal.parents[:2]):
        attacker.own(path)
    text = f"cert = {secret}/x.crt\n"
    attacker.acts(renewal, lambda folder: write(folder, "npm-1.conf", text))
    assert SECRET not in words(found(tmp_path))


ODD = {
    "an escape sequence": f"\x1b]52;c;ZXZpbA==\x07.{NAME}",
    "a line of its own": f"a\n<0>emergency.{NAME}",
    "another direction": f"\u202e.{NAME}",
    "a blank": f"a b.{NAME}",
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_no_name_of_a_domain_is_not_told(home: Path, tmp_path: Path, what: str) -> None:
    lego(home, lambda folder: write(folder, HELD, json.dumps({"domain": ODD[what]})))
    (home / ".acme.sh" / "x").mkdir(parents=True)
    for path in (home / ".acme.sh", home / ".acme.sh" / "x"):
        attacker.own(path)
    text = f"Le_Domain='{ODD[what]}'\n"
    attacker.acts(home / ".acme.sh" / "x", lambda folder: write(folder, "x.conf", text))
    assert [one.status for one in found(tmp_path)] == ["ok"]


@pytest.mark.parametrize("what", [what for what, text in ODD.items() if not text.isprintable()])
def test_a_file_whose_name_plays_with_the_terminal_is_passed_over(
    home: Path, tmp_path: Path, what: str
) -> None:
    text, name = json.dumps({"domain": f"www.{NAME}"}), f"{ODD[what]}.json"
    lego(home, lambda folder: write(folder, name, text))
    assert [one.status for one in found(tmp_path)] == ["ok"]


ENDLESS: dict[str, Callable[[int], object]] = {
    "a pipe": lambda folder: os.mkfifo(HELD, dir_fd=folder),
    "a pipe for the certificate": lambda folder: (
        write(folder, HELD, "{}"),
        os.mkfifo("x.crt", dir_fd=folder),
    ),
    "zeros": lambda folder: os.symlink("/dev/zero", HELD, dir_fd=folder),
    "a terabyte": lambda folder: os.truncate(os.open(HELD, os.O_RDWR | os.O_CREAT, dir_fd=folder), 1 << 40),
    "a circle": lambda folder: os.symlink(HELD, HELD, dir_fd=folder),
    "a folder": lambda folder: os.mkdir(HELD, dir_fd=folder),
    "brackets": lambda folder: write(folder, HELD, "[" * 200_000),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_has_no_end_holds_nobody_up(home: Path, tmp_path: Path, what: str) -> None:
    lego(home, ENDLESS[what])
    assert [one.status for one in found(tmp_path)] == ["ok"]


def test_more_files_than_are_looked_at_are_told(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_clients, "MOST", 20)
    lego(home, lambda folder: [write(folder, f"{number}.json", "{}") for number in range(30)])
    (one, *others) = found(tmp_path)
    assert (one.status, "/home/me has more files of lego" in one.what, others) == ("warning", True, [])


def test_a_cron_table_is_neither_waited_for_nor_followed(tmp_path: Path, secret: Path) -> None:
    tables = tmp_path / "var/spool/cron/crontabs"
    tables.mkdir(parents=True)
    attacker.own(tables)
    (secret / "table").write_text("0 0 * * * renewer renew\n")
    target = str(secret / "table")
    attacker.acts(tables, lambda folder: os.symlink(target, "me", dir_fd=folder))
    attacker.acts(tables, lambda folder: os.mkfifo("pipe", dir_fd=folder))
    assert list(scheduling.jobs(tmp_path)) == []

"""The units as systemd reads and rates them, what is adapted in them, and whose a folder becomes."""

import grp
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.facts import missing

from renewer.config.schema import Config, Notify
from renewer.core.errors import ConfigError, Refused
from renewer.service import install, ownership, unit_files
from renewer.service.requirements import Setting
from renewer.service.unit_files import Adaptation, FileState, Placed
from renewer.system import privileges

ROOT = Path(__file__).parents[3]
UNITS = ROOT / "systemd"
NOBODY = 65534
HERE = Adaptation(
    program=Path("/opt/pipx/bin/renewer"),
    config=Path("/srv/renewer.toml"),
    state=Path("/srv/renewer"),
    credentials={"cloudflare_token": Path("/srv/token")},
    nginx=Path("/opt/nginx/sbin/nginx"),
    nginx_config=Path("/opt/nginx/nginx.conf"),
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away, which takes root")


def units(folder: Path) -> list[Path]:
    """Lay the units out with programs that are there, as systemd wants them."""
    for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.path"), *UNITS.glob("*.timer")]:
        text = unit.read_text().replace("/usr/bin/renewer ", "/bin/true ")
        (folder / unit.name).write_text(text.replace("/usr/libexec/renewer/reload ", "/bin/true "))
    return sorted(folder.iterdir())


class TestUnits:
    def test_systemd_finds_no_fault(self, tmp_path: Path) -> None:
        argv = ["systemd-analyze", "verify", "--man=no", *units(tmp_path)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert [line for line in done.stderr.splitlines() if "renewer" in line] == []

    @pytest.mark.parametrize(
        ("unit", "most"),
        [("renewer.service", 1.2), ("renewer-renew.service", 1.2), ("renewer-reload.service", 2.6)],
    )
    def test_how_much_it_is_exposed(self, unit: str, most: float) -> None:
        argv = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(UNITS / unit)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        (score,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
        assert float(score) <= most

    def test_the_one_shot_may_do_just_what_the_daemon_may(self) -> None:
        def rights(name: str) -> list[str]:
            lines = (UNITS / name).read_text().partition("\nUser=")[2].partition("[Install]")[0].splitlines()
            return [line for line in lines if line and not line.startswith("#")]

        assert rights("renewer.service") == rights("renewer-renew.service")
        assert len(rights("renewer.service")) > 40

    def test_the_helper_runs_with_pythons_standard_library_alone(self) -> None:
        helper = UNITS / "reload"
        assert os.access(helper, os.X_OK)
        imported = re.findall(r"^(?:import|from) (\w+)", helper.read_text(), re.MULTILINE)
        assert set(imported) <= sys.stdlib_module_names


class TestShipped:
    def texts(self, adaptation: Adaptation) -> dict[str, str]:
        return {file.path.name: file.text for file in unit_files.placed(adaptation)}

    def test_the_machines_own_paths_are_named(self) -> None:
        texts = self.texts(HERE)
        for name, line in {
            "renewer.service": "ExecStart=/opt/pipx/bin/renewer -c /srv/renewer.toml run",
            "renewer-renew.service": "ExecStart=/opt/pipx/bin/renewer -v -c /srv/renewer.toml renew",
            "renewer-reload.service": f"ExecStart={unit_files.HELPER} {HERE.nginx} {HERE.nginx_config}"
            f" {HERE.state}",
            "renewer.conf": "d /srv/renewer/nginx 0750 root renewer -",
        }.items():
            assert line in texts[name].splitlines()
        for name in ("renewer.service", "renewer-renew.service"):
            lines = texts[name].splitlines()
            assert "LoadCredential=cloudflare_token:/srv/token" in lines
            assert "ReadWritePaths=/srv/renewer" in lines
        assert not any("/var/lib/renewer" in text for text in texts.values())

    def test_root_has_its_own_texts_for_secure_links(self) -> None:
        beside = unit_files.HELPER.parent / "secure_link"
        placed = {file.path.name: file.text for file in unit_files.placed(HERE) if file.path.parent == beside}
        assert placed == {path.name: path.read_text() for path in unit_files._TEXTS.glob("*.conf")}
        assert len(placed) == 4

    @pytest.mark.parametrize(
        "name", ["with blank", "with%percent", "with$dollar", "with\nline", 'with"quote']
    )
    def test_a_path_that_a_unit_cannot_hold_is_refused(self, name: str) -> None:
        odd = Adaptation(**vars(HERE) | {"config": Path("/srv") / name})
        with pytest.raises(ConfigError, match=r"character.*unit"):
            self.texts(odd)

    @pytest.mark.parametrize("text", ["[Unit]\n", "#!/bin/sh\ntrue\n", ""])
    def test_what_was_edited_is_known(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "new" / "file"
        file, newer = Placed(path, text), Placed(path, f"{text}# more\n")
        assert file.state is FileState.MISSING
        (tmp_path / "new").mkdir()
        path.write_text(file._marked)
        assert (file.state, newer.state) == (FileState.SAME, FileState.OLDER)
        assert path.read_text().startswith("#!/bin/sh\n# ") == text.startswith("#!")
        path.write_text(file._marked + "\n")
        assert (file.state, newer.state) == (FileState.EDITED, FileState.EDITED)
        path.write_text("somebody's own\n")
        assert file.state is FileState.EDITED

    def test_a_link_in_its_place_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "file").symlink_to("/etc/passwd")
        with pytest.raises(Refused, match="link"):
            _ = Placed(tmp_path / "file", "").state


@as_root
class TestOwnership:
    @pytest.fixture
    def state(self, tmp_path: Path) -> Path:
        state = tmp_path / "state"
        (state / "certificates" / "a" / "g000001").mkdir(parents=True)
        (state / "certificates" / "a" / "g000001" / "key").write_text("key")
        (state / "certificates" / "a" / "current").symlink_to("g000001")
        (state / "nginx" / "secure_link").mkdir(parents=True)
        (state / "nginx" / "secure_link" / "http.conf").write_text("")
        return state

    def test_all_of_it_goes_to_the_user_but_what_nginx_includes_and_back(self, state: Path) -> None:
        assert not ownership.is_shared(state, NOBODY, NOBODY)
        ownership.share(state, NOBODY, NOBODY)
        assert ownership.is_shared(state, NOBODY, NOBODY)
        assert (owner(state), owner(state / "certificates" / "a")) == (
            (0, NOBODY, 0o1770),
            (NOBODY, NOBODY, 0o755),
        )
        assert owner(state / "nginx" / "secure_link") == (0, NOBODY, 0o750)
        assert owner(state / "nginx" / "secure_link" / "http.conf") == (0, NOBODY, 0o640)
        assert not ownership.is_roots(state)
        ownership.take_back(state)
        assert ownership.is_roots(state)
        assert not ownership.is_shared(state, NOBODY, NOBODY)
        assert owner(state / "nginx" / "secure_link" / "http.conf") == (0, 0, 0o600)

    @pytest.mark.parametrize(
        "place", [".", "nginx", "nginx/secure_link", "nginx/secure_link/http.conf", "certificates/a/current"]
    )
    def test_whatever_is_another_s_is_seen(self, state: Path, place: str) -> None:
        ownership.share(state, NOBODY, NOBODY)
        os.chown(state / place, 54321, 54321, follow_symlinks=False)
        assert not ownership.is_shared(state, NOBODY, NOBODY)
        ownership.share(state, NOBODY, NOBODY)
        assert ownership.is_shared(state, NOBODY, NOBODY)

    def test_what_a_cycle_takes_out_meanwhile_is_passed_over(
        self, state: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        walk = os.fwalk

        def behind(*wanted: Any, **more: Any) -> Iterator[tuple[str, list[str], list[str], int]]:
            for place, folders, files, handle in walk(*wanted, **more):
                yield place, folders, [*files, "taken-out"], handle

        monkeypatch.setattr(os, "fwalk", behind)
        ownership.share(state, NOBODY, NOBODY)
        assert ownership.is_shared(state, NOBODY, NOBODY)
        ownership.take_back(state)
        assert ownership.is_roots(state)

    def test_what_a_link_leads_to_keeps_its_owner(self, state: Path, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "file").write_text("")
        (state / "link").symlink_to(tmp_path / "outside")
        ownership.share(state, NOBODY, NOBODY)
        assert owner(tmp_path / "outside") == (0, 0, 0o755)
        assert (tmp_path / "outside" / "file").stat().st_uid == 0
        with pytest.raises(Refused, match="link"):
            ownership.take_back(state)

    def test_root_takes_no_link_among_what_nginx_includes(self, state: Path, tmp_path: Path) -> None:
        (state / "nginx" / "secure_link" / "gate.conf").symlink_to("/etc/shadow")
        with pytest.raises(Refused, match="link"):
            ownership.share(state, NOBODY, NOBODY)
        shutil.rmtree(state / "nginx")
        (tmp_path / "outside").mkdir()
        (state / "nginx").symlink_to(tmp_path / "outside")
        with pytest.raises(Refused, match="link"):
            ownership.share(state, NOBODY, NOBODY)
        assert owner(tmp_path / "outside") == (0, 0, 0o755)

    def test_a_file_with_a_second_name_is_not_given_away(self, state: Path, tmp_path: Path) -> None:
        (tmp_path / "shadow").write_text("")
        os.link(tmp_path / "shadow", state / "innocent")
        with pytest.raises(Refused, match=r"innocent.*hard link"):
            ownership.share(state, NOBODY, NOBODY)
        assert (tmp_path / "shadow").stat().st_uid == 0
        (state / "innocent").unlink()
        ownership.share(state, NOBODY, NOBODY)
        assert ownership.is_shared(state, NOBODY, NOBODY)

    def test_a_pipe_is_neither_opened_nor_given_away(self, state: Path) -> None:
        os.mkfifo(state / "pipe")
        with pytest.raises(Refused, match=r"pipe.*neither a file nor"):
            ownership.share(state, NOBODY, NOBODY)


def owner(path: Path) -> tuple[int, int, int]:
    status = path.lstat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


class TestIdentity:
    def test_who_owns_the_state_folder_stays_who_he_is(self, tmp_path: Path) -> None:
        assert privileges.owner_to_become(tmp_path) is None
        assert privileges.owner_to_become(tmp_path / "none") is None

    @as_root
    def test_root_becomes_the_owner_for_good(self, tmp_path: Path) -> None:
        state = tmp_path / "state"
        state.mkdir()
        os.chown(state, NOBODY, NOBODY)
        owner = privileges.owner_to_become(state)
        assert owner is not None
        (tmp_path / "link").symlink_to(state)
        assert privileges.owner_to_become(tmp_path / "link") is None, "a link is refused later"
        child = os.fork()
        if child == 0:
            with suppress(ConfigError):  # this checkout may be where nobody else can read it
                privileges.become(owner, state)
            ours = {*os.getresuid(), *os.getresgid(), *os.getgroups()}
            os._exit(0 if ours == {NOBODY} and not _can_become_root() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    @as_root
    def test_root_is_the_owner_for_a_while_and_then_root_again(self, tmp_path: Path) -> None:
        before = (os.getresuid(), os.getresgid(), os.getgroups())
        with privileges.as_owner(tmp_path):
            assert (os.getresuid(), os.getresgid(), os.getgroups()) == before
        state = tmp_path / "state"
        state.mkdir()
        os.chown(state, NOBODY, NOBODY)
        with suppress(Refused), privileges.as_owner(state):
            assert (os.geteuid(), os.getegid(), set(os.getgroups())) == (NOBODY, NOBODY, {NOBODY})
            raise Refused("whatever goes wrong meanwhile")
        assert (os.getresuid(), os.getresgid(), os.getgroups()) == before

    @as_root
    def test_root_becomes_whom_it_shares_the_folder_with(self, tmp_path: Path) -> None:
        os.chown(tmp_path, 0, grp.getgrnam("www-data").gr_gid)
        assert privileges.owner_to_become(tmp_path) is None
        tmp_path.chmod(0o1770)
        found = privileges.owner_to_become(tmp_path)
        assert found is not None
        assert found.pw_name == "www-data"
        os.chown(tmp_path, 0, 54321)
        with pytest.raises(ConfigError, match="group #54321"):
            privileges.owner_to_become(tmp_path)

    @as_root
    def test_an_owner_whom_nobody_knows(self, tmp_path: Path) -> None:
        os.chown(tmp_path, 54321, 54321)
        with pytest.raises(ConfigError, match="#54321"):
            privileges.owner_to_become(tmp_path)


class TestTakenOut:
    def test_what_the_group_can_still_read_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("renewer.toml", "urls", "key"):
            (tmp_path / name).touch()
            (tmp_path / name).chmod(0o640 if name != "key" else 0o600)
        monkeypatch.setattr(install, "_uid", os.getuid)
        monkeypatch.setattr(install, "_gid", os.getgid)
        config = Config(
            state=tmp_path, notify=Notify(urls_file=tmp_path / "urls", ping_file=tmp_path / "key")
        )
        told = [
            step.what for step in install.remove(Setting(tmp_path / "renewer.toml", config)) if not step.act
        ]
        files = f"{tmp_path}/renewer.toml", f"{tmp_path}/urls"
        assert missing(told[-1], "group renewer", f"chgrp root {' '.join(files)}") == []
        assert f"{tmp_path}/key" not in told[-1]

    @pytest.mark.parametrize("elsewhere", [True, False])
    def test_a_purge_says_what_becomes_of_the_token(self, tmp_path: Path, *, elsewhere: bool) -> None:
        etc = tmp_path / "etc/renewer"
        etc.mkdir(parents=True)
        token = tmp_path / "token" if elsewhere else etc / "cloudflare.token"
        token.touch()
        (etc / "renewer.toml").write_text(f'[cloudflare]\ntoken_file = "{token}"  # for all zones\n')
        script = (UNITS / "debian/postrm").read_text().replace("deb-systemd-helper", "no-helper")
        script = re.sub(r"(?<![\w/])(?=/(?:etc|run|var/lib)/renewer)", str(tmp_path), script)
        done = subprocess.run(
            ["sh", "-c", script, "postrm", "purge"], capture_output=True, text=True, check=True
        )
        assert (f"removed {token}\n" in done.stdout, token.exists()) == (not elsewhere, elsewhere)
        assert (f"{token} was not" in done.stdout) == elsewhere
        assert missing(done.stdout, "token", "https://dash.cloudflare.com") == []
        assert not etc.exists()


def _can_become_root() -> bool:
    try:
        os.setresuid(0, 0, 0)
    except PermissionError:
        return False
    return True


def test_the_shipped_files_are_all_placed_or_examples() -> None:
    shipped_names = {path.name for path in UNITS.iterdir() if path.is_file()}
    assert shipped_names - set(unit_files._PLACES) == {"renewer.cron"}
    assert stat.S_IMODE((UNITS / "reload").stat().st_mode) & 0o111
    assert shutil.which("systemd-analyze"), "these tests ask systemd itself"

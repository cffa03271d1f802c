"""`renewer run`."""

import pwd

import pytest
from support.facts import missing
from support.program import Home, Program

from renewer.service import unit_files
from renewer.system import privileges


class TestRun:
    """The advice for root, beside a service whose user has the state folder; it has to work."""

    @pytest.fixture
    def foreign(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
        monkeypatch.setattr(privileges, "owner_to_become", lambda _: pwd.getpwnam("nobody"))
        monkeypatch.setattr(unit_files, "UNITS", home.folder / "units")
        monkeypatch.setattr(unit_files, "PACKAGED", home.folder / "lib" / "renewer.service")
        unit_files.PACKAGED.parent.mkdir()
        return home

    def test_systemd_starts_the_daemon_that_it_has(self, program: Program, foreign: Home) -> None:
        unit_files.PACKAGED.write_text(f"ExecStart=/usr/bin/renewer -c {foreign.file} run\n")
        done = program("-c", foreign.file, "run")
        assert (done.code, done.out) == (78, "")
        assert missing(done.err, foreign.state, "nobody", "root", "systemctl start renewer\n") == []

    def test_without_a_unit_for_this_configuration_the_user_gets_a_copy_of_the_token(
        self, program: Program, foreign: Home
    ) -> None:
        unit_files.PACKAGED.write_text("ExecStart=/usr/bin/renewer -c /etc/renewer/renewer.toml run\n")
        assert (
            f"runuser -u nobody -- renewer -c {foreign.file} run\n" in program("-c", foreign.file, "run").err
        )
        foreign.configure('[cloudflare]\ntoken_file = "/etc/token"')
        advice = program("-c", foreign.file, "run").err
        assert "install -o nobody -m 400 /etc/token /run/renewer-token/cloudflare_token && " in advice
        assert (
            f" CREDENTIALS_DIRECTORY=/run/renewer-token runuser -u nobody -- renewer -c {foreign.file} run"
            in advice
        )

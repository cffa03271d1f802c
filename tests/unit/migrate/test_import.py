"""`renewer import` as a shell sees it: what is printed where, and what is written."""

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from support import certs
from support.fakes import Notes
from support.hostile_text import MARK, TEXT, harm

from renewer.config.acme import DIRECTORIES
from renewer.config.load import load
from renewer.core.followed import Followed
from renewer.store.files import FileStore
from renewer.store.state import State

LE = DIRECTORIES["letsencrypt"]
TOKEN = "a-token-that-is-as-long-as-they-are-usually"
DAY = timedelta(days=1)


class Home:
    """A folder of certbot with a good certificate and one that has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "letsencrypt"
        self.config, self.state = folder / "etc" / "renewer.toml", folder / "state"
        self.ini = folder / "cloudflare.ini"
        self.ini.write_text(f"dns_cloudflare_api_token = {TOKEN}\n")
        self.add("good.example", 60)
        self.add("old.example", -1)

    def add(self, name: str, days: int) -> None:
        key, chain = certs.CA.issue((name,), certs.NOW - 90 * DAY, certs.NOW + days * DAY)
        files = {
            f"renewal/{name}.conf": f"server = {LE}\ndns_cloudflare_credentials = {self.ini}\n",
            f"live/{name}/privkey.pem": key,
            f"live/{name}/fullchain.pem": chain,
        }
        for file, text in files.items():
            (self.path / file).parent.mkdir(parents=True, exist_ok=True)
            (self.path / file).write_text(text)

    def call(
        self, *more: str, program: Sequence[str] = ("-m", "renewer")
    ) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, *program, "-c", str(self.config), "import", "certbot", str(self.path)]
        done = subprocess.run(
            [*argv, *more], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        assert TOKEN not in done.stdout + done.stderr
        return done

    def fresh(
        self, *more: str, program: Sequence[str] = ("-m", "renewer")
    ) -> subprocess.CompletedProcess[str]:
        return self.call("--state", str(self.state), *more, program=program)

    def owned(self) -> int:
        """Give the state folder to another user, where this is root; return who it is."""
        owner = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
        self.state.mkdir(mode=0o700)
        os.chown(self.state, owner, -1)
        for folder in (self.folder, *self.folder.parents):
            if folder.stat().st_uid == os.geteuid() and "pytest-of-" in str(folder):
                folder.chmod(0o755)  # pytest makes them such that nobody else may enter
        return owner


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_what_is_taken_is_configured_and_what_is_not_is_told(home: Home) -> None:
    done = home.fresh()
    assert done.returncode == 1
    assert "good.example: imported as good.example (good.example), expires" in done.stdout
    assert "token: found in" in done.stdout
    assert "Do not revoke certificates or delete the account with certbot" in done.stdout
    assert "old.example: not imported: it expired on" in done.stderr
    assert "  -> the next renew orders a new one, once it is in the configuration" in done.stderr
    assert "  -> the next order creates a new account" in done.stderr
    assert list(load(home.config).certificates) == ["good.example"]
    assert '# [certificate."old.example"]' in home.config.read_text().splitlines()
    assert not home.config.with_name("cloudflare.token").exists()


def test_a_dry_run_writes_nothing(home: Home) -> None:
    done = home.fresh("--dry-run", "--token")
    assert "good.example: to be imported" in done.stdout
    assert not home.config.parent.exists()
    assert [path for path in home.state.rglob("*") if path.is_file()] == []


def test_json_and_nothing_else(home: Home) -> None:
    answer = json.loads(home.fresh("--json", "--token").stdout)
    fates = {one["lineage"]: one["action"] for one in answer["certificates"]}
    assert (fates["good.example"], fates["old.example"]) == ("imported", "failed")
    assert answer["configuration"] == {"file": str(home.config), "written": True}
    assert (answer["token"], answer["exit"]) == ("imported", 1)
    token = home.config.with_name("cloudflare.token")
    assert (token.read_text(), token.stat().st_mode & 0o777) == (f"{TOKEN}\n", 0o600)


def test_what_another_client_left_is_only_read(home: Home) -> None:
    spoilt = TEXT.replace("\0", "").replace("\n", " ").replace("\r", "")
    home.add(f"<0>{MARK}", 60)
    key, chain = certs.CA.issue((f"{MARK}\x1b]0;x\x07\n[hook]",), certs.NOW - DAY, certs.NOW + DAY)
    home.add("good.example", -2)
    (home.path / "live/good.example/privkey.pem").write_text(key)
    (home.path / "live/good.example/fullchain.pem").write_text(chain)
    home.add("new.example", 50)
    (home.path / "renewal/old.example.conf").write_text(f"server = {spoilt}\naccount = {spoilt}\n")
    for more in ((), ("--json",), ("--dry-run",), ("--token",)):
        done = home.fresh(*more)
        assert [*harm(done.stdout), *harm(done.stderr)] == []
        assert MARK in done.stdout + done.stderr
        if more == ("--json",):
            told = json.dumps(json.loads(done.stdout), ensure_ascii=False, indent=1)
            assert [*harm(told)] == []
        if home.config.exists():
            assert [*harm(home.config.read_text())] == []
            assert not load(home.config).hooks.commands
            home.config.unlink()


def test_a_global_key_is_refused_with_the_reason(home: Home) -> None:
    home.ini.write_text("dns_cloudflare_email = a@b.de\ndns_cloudflare_api_key = 0123\n")
    done = home.fresh("--token")
    assert "is not imported: it is a Global API Key" in done.stderr
    assert not home.config.with_name("cloudflare.token").exists()


def test_a_configuration_that_is_there_is_left_as_it_is(home: Home) -> None:
    home.config.parent.mkdir()
    text = f'state = "{home.state}"\n[certificate."own"]\ndomains = ["own.example"]\n'
    home.config.write_text(text)
    done = home.call()
    assert home.config.read_text() == text
    table = '[certificate."good.example"]\ndomains = ["good.example"]\n'
    assert (
        f"{home.config} is left as it is. To have these certificates renewed, add to it:\n\n{table}"
        in done.stdout
    )
    home.config.write_text(f"{text}{table}")
    assert "good.example: skipped: it was imported before" in home.call().stdout


def test_a_configuration_that_is_faulty_stops_it(home: Home) -> None:
    home.config.parent.mkdir()
    home.config.write_text("stat = 1\n")
    done = home.call()
    assert (done.returncode, done.stdout) == (78, "")
    assert not home.state.exists()


def test_where_nothing_can_be_taken_nothing_is_written(home: Home) -> None:
    for file in (home.path / "live").glob("*/privkey.pem"):
        file.write_text("")
    done = home.fresh()
    assert done.returncode == 1
    assert "nothing can be imported; nothing was written" in done.stderr
    assert not home.config.parent.exists()


@pytest.mark.parametrize(("client", "code"), [("lego", 78), ("acme.sh", 78), ("caddy", 78)])
def test_a_folder_of_another_client(home: Home, client: str, code: int) -> None:
    argv = [sys.executable, "-m", "renewer", "-c", str(home.config), "import", client, str(home.path)]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == code


def test_what_is_written_belongs_to_whom_the_state_folder_belongs_to(home: Home) -> None:
    owner = home.owned()
    everybody = (
        "from renewer.cli import main as cli; from renewer.system import privileges\n"
        "privileges.require_program = lambda *_: None\n"
        "cli.main()"
    )
    done = home.fresh(program=("-c", everybody))  # this checkout may be where nobody else can read it
    assert "good.example: imported" in done.stdout, done.stderr
    assert {path.stat().st_uid for path in home.state.rglob("*")} == {owner}
    assert home.config.stat().st_uid == os.geteuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives the state folder away, which takes root")
def test_for_a_user_who_may_not_read_the_program_nothing_is_written(home: Home) -> None:
    home.owned()
    shut = home.folder / "shut"
    shut.touch(0o700)
    script = f"import sys; sys.executable = '{shut}'\nfrom renewer.cli import main as cli\ncli.main()"
    done = home.fresh("--token", program=("-c", script))
    assert (done.returncode, done.stdout) == (78, "")
    assert "belongs to nobody, who may not read the program in" in done.stderr
    assert "  -> install it where every user can read it" in done.stderr
    assert list(home.state.iterdir()) == []
    assert not home.config.parent.exists()


def test_another_state_folder_than_that_of_the_configuration_is_refused(home: Home) -> None:
    home.config.parent.mkdir()
    home.config.write_text(f'state = "{home.state}"\n[certificate."own"]\ndomains = ["own.example"]\n')
    done = home.call("--state", f"{home.state}-2")
    assert (done.returncode, done.stdout) == (78, "")
    assert (
        f"--state is only for a new configuration: {home.config} exists and has state = {home.state}"
        in done.stderr
    )
    assert "  -> omit --state, or name a new configuration with -c FILE" in done.stderr
    assert not home.state.exists()
    assert "good.example: imported" in home.call("--state", str(home.state)).stdout


def test_a_chain_that_is_not_whole_is_told_with_what_to_do(home: Home) -> None:
    chain = home.path / "live/good.example/fullchain.pem"
    chain.write_text(
        chain.read_text().partition("-----END CERTIFICATE-----\n")[0] + "-----END CERTIFICATE-----\n"
    )
    key = home.path / "live/old.example/privkey.pem"
    key.write_text("nonsense")
    err = home.fresh().stderr
    assert (
        "the chain of its certificate is incomplete or does not match\n  -> append the CA's intermediate"
        in err
    )
    assert "the private key cannot be read\n  -> the next renew orders a new one" in err


def test_nothing_goes_into_the_state_folder_of_another_configuration(home: Home) -> None:
    owner = home.folder / "owner.toml"
    owner.write_text(f'state = "{home.state}"\n[certificate."own"]\ndomains = ["own.example"]\n')
    home.state.mkdir(mode=0o700)
    vault = State(FileStore(home.state), Notes())
    with vault.sites() as shelf:
        shelf.follow(Followed(str(owner), "0" * 64, certs.NOW))
    done = home.fresh()
    assert (done.returncode, str(owner) in done.stderr, str(home.config) in done.stderr) == (78, True, True)
    assert list(vault.store.keys("")) == ["configuration"]
    assert not home.config.exists()
    owner.unlink()
    assert "good.example: imported" in home.fresh().stdout

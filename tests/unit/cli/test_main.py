"""The commands, as a shell sees them: exit codes, what is printed where, and what is never loaded."""

import json
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support import certs
from support.fakes import FakeClock, Notes

from renewer import __version__
from renewer.cli import main as cli
from renewer.cli.render import text
from renewer.config.acme import DIRECTORIES
from renewer.core.errors import worst
from renewer.core.failure import Deploys, Failure, Stage
from renewer.core.model import CertSpec, KeyKind, Material, Suggestion
from renewer.core.rate_limits import Event, EventKind, History
from renewer.engine.idle import WELL_BEFORE
from renewer.nginx.deployer import NginxDeployer
from renewer.service import unit_files
from renewer.store.files import FileStore
from renewer.store.state import State
from renewer.system import privileges

ROOT = Path(__file__).parents[3]
NAME = "example.com"
SPEC = CertSpec(NAME, (NAME, f"*.{NAME}"), DIRECTORIES["letsencrypt"], (KeyKind.EC256,))
FAR = datetime(2100, 1, 1, tzinfo=UTC)
HEAVY = {"acme", "josepy", "requests", "cloudflare", "httpx", "cryptography", "rich", "apscheduler", "dns"}
HEAVY |= {"apprise", "prometheus_client"}


@dataclass(frozen=True)
class Done:
    """A run of the program that ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Program = Callable[..., Done]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Program]:
    """The program in this process, without a terminal; the signals are given back at the end."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    former = [signal.getsignal(number) for number in numbers]
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["renewer", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return Done(int(caught.value.code or 0), printed.out, printed.err)

    yield call
    for number, handler in zip(numbers, former, strict=True):
        signal.signal(number, handler)
    signal.set_wakeup_fd(-1)


@dataclass(frozen=True)
class Home:
    """A configuration, a state folder, and an nginx that is neither reloaded nor looked at."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "renewer.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def textfile(self) -> Path:
        return self.folder / "renewer.prom"

    @property
    def vault(self) -> State:
        return State(FileStore(self.state), Notes())

    def configure(self, text: str = "") -> None:
        (self.folder / "nginx.conf").write_text("events {}\n")
        self.file.write_text(
            f'state = "{self.state}"\n{text}\n[certificate."{NAME}"]\n'
            f'domains = ["{NAME}", "*.{NAME}"]\n'
            f'[nginx]\nbinary = "/bin/true"\nconfig = "{self.folder}/nginx.conf"\n'
            'reload = "none"\nprobe = []\n'
        )

    def keep(self, material: Material, *, deployed: bool = True) -> None:
        with self.vault.certificate(NAME) as ledger:
            ledger.keep(material)
            soon = datetime.now(UTC) + timedelta(hours=23)
            ledger.suggest(Suggestion(material.pairs[0].ari, ask_again=soon))
            ledger.deployed(Deploys(material.fingerprints[0]))
        if deployed:
            conf = str(self.folder / "nginx.conf")
            deployer = NginxDeployer(self.state, "/bin/true", conf, "none", (), FakeClock(certs.NOW), Notes())
            deployer.prepare([SPEC])
            deployer._generations.publish(NAME, material)


@pytest.fixture(scope="module")
def fresh() -> Material:
    return replace(
        certs.material(replace(SPEC, directory_url=certs.SERVER), days=200), directory_url=SPEC.directory_url
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.configure()
    return home


@pytest.fixture
def settled(home: Home, fresh: Material) -> Home:
    """A home where nothing is due."""
    home.keep(fresh)
    return home


class TestWrongCalls:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--nonsense"], "--nonsense"),
            (["nonsense"], "No such command 'nonsense'"),
            (["renew", "--froce"], "--froce"),
            (["-c"], "requires an argument"),
            (["status", "too", "many"], "unexpected extra arguments"),
        ],
    )
    def test_what_the_program_does_not_know_is_for_a_person_to_mend(
        self, program: Program, arguments: list[str], said: str
    ) -> None:
        done = program(*arguments)
        assert (done.code, done.out) == (78, "")
        assert said in done.err

    @pytest.mark.parametrize("command", ["renew", "status", "nginx", "run"])
    def test_a_missing_configuration(self, program: Program, tmp_path: Path, command: str) -> None:
        done = program("-c", tmp_path / "none.toml", command)
        assert (done.code, done.out) == (78, "")
        assert "none.toml: the configuration cannot be read: No such file" in done.err
        assert "  -> name the right file with -c FILE" in done.err

    @pytest.mark.parametrize("command", ["renew", "status", "nginx", "run"])
    def test_every_fault_is_told_at_once_and_nothing_touched(
        self, program: Program, home: Home, command: str
    ) -> None:
        home.file.write_text(
            'stat = "/x"\n[certificate.a]\ndomains = ["localhost"]\n[propagation]\ntimeout = "soon"'
        )
        done = program("-c", home.file, command)
        assert (done.code, done.out) == (78, "")
        for place in ("stat:", "certificate.a.domains[0]:", "propagation.timeout:"):
            assert place in done.err
        assert "Traceback" not in done.err
        assert not home.state.exists()

    def test_an_unknown_certificate(self, program: Program, settled: Home) -> None:
        done = program("-c", settled.file, "renew", "example.org")
        assert done.code == 78
        assert "no certificate named example.org" in done.err
        assert f"it has {NAME}" in done.err

    def test_what_this_machine_does_not_have_is_told_at_once(self, program: Program, home: Home) -> None:
        home.configure(f'[acme]\nca_bundle = "{home.folder}/none.pem"')
        home.file.write_text(home.file.read_text().replace("/bin/true", "/no/nginx"))
        done = program("-c", home.file, "renew")
        assert done.code == 78
        assert "nginx.binary:" in done.err
        assert "acme.ca_bundle:" in done.err
        assert not home.state.exists()

    def test_a_state_folder_open_to_others(self, program: Program, home: Home) -> None:
        home.state.mkdir()
        home.state.chmod(0o777)
        done = program("-c", home.file, "status")
        assert done.code == 78
        assert "chmod go-w" in done.err


class TestJson:
    @pytest.mark.parametrize(
        ("arguments", "lists"),
        [
            ("renew nosuch", {"certificates", "sites"}),
            ("renew --dry-run nosuch", {"certificates", "sites"}),
            ("rotate nosuch", {"certificates", "sites"}),
            ("revoke nosuch", {"certificates", "sites"}),
            ("restore nosuch g000001", {"certificates", "sites"}),
            ("list-generations nosuch", {"generations"}),
        ],
    )
    def test_whoever_asks_for_what_is_not_there_is_answered(
        self, program: Program, settled: Home, arguments: str, lists: set[str]
    ) -> None:
        done = program("-c", settled.file, *arguments.split(), "--json")
        assert (done.code, done.answer["exit"]) == (78, 78)
        assert done.answer.keys() == {*lists, "error", "exit"}
        assert all(done.answer[name] == [] for name in lists)
        assert f"renewer: {done.answer['error']}\n" in done.err
        assert "named nosuch" in done.answer["error"]

    @pytest.mark.parametrize(
        "arguments", ["renew", "rotate s", "status", "check", f"revoke {NAME}", f"import certbot {ROOT}"]
    )
    def test_a_faulty_configuration_is_an_answer(self, program: Program, home: Home, arguments: str) -> None:
        home.file.write_text("nonsense")
        done = program("-c", home.file, *arguments.split(), "--json")
        assert (done.code, done.answer["exit"]) == (78, 78)


class TestRenew:
    def test_without_a_terminal_nothing_is_said_when_nothing_is_due(
        self, program: Program, settled: Home
    ) -> None:
        assert program("-c", settled.file, "renew") == Done(0, "", "")

    def test_with_verbose_each_certificate_has_its_line(self, program: Program, settled: Home) -> None:
        done = program("-v", "-c", settled.file, "renew")
        assert done.code == 0
        assert done.out.startswith(f"{NAME}  fresh")
        assert "expires" in done.out

    def test_json_has_exactly_the_keys_of_the_contract(
        self, program: Program, settled: Home, fresh: Material
    ) -> None:
        done = program("-c", settled.file, "renew", "--json")
        assert (done.code, done.err) == (0, "")
        assert done.answer.keys() == {"certificates", "sites", "exit"}
        (one,) = done.answer["certificates"]
        due = datetime.fromisoformat(one.pop("next"))
        assert abs(due - (certs.NOW - timedelta(days=200) + timedelta(days=400) * 2 / 3)) < timedelta(
            seconds=1
        )
        assert datetime.fromisoformat(one.pop("not_after")) == fresh.not_after
        assert one == {
            "name": NAME,
            "action": "fresh",
            "fingerprint": fresh.fingerprints[0],
            "served": None,
            "error": None,
        }
        assert (done.answer["sites"], done.answer["exit"]) == ([], 0)

    def test_a_dry_run_tells_and_does_nothing(self, program: Program, home: Home) -> None:
        done = program("-c", home.file, "renew", "--dry-run")
        assert done.code == 0
        assert "to be ordered" in done.out
        assert not home.state.exists()

    def test_what_is_stored_is_deployed_without_a_token(
        self, program: Program, home: Home, fresh: Material
    ) -> None:
        home.keep(fresh, deployed=False)
        done = program("-c", home.file, "renew", "--json")
        assert done.answer["certificates"][0]["action"] == "deployed"
        folder = home.state / "certificates" / NAME / "current"
        assert (folder / "cert.pem").read_text() in fresh.pairs[0].chain
        assert (folder / "privkey.pem").read_text() == fresh.pairs[0].key

    def test_a_failure_is_told_on_standard_error_and_counts(
        self, program: Program, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("CLOUDFLARE_API_TOKEN", "CREDENTIALS_DIRECTORY"):
            monkeypatch.delenv(name, raising=False)
        done = program("-c", home.file, "renew", "--json")
        assert (done.code, done.answer["exit"]) == (78, 78)
        (one,) = done.answer["certificates"]
        assert (one["action"], one["not_after"], one["fingerprint"]) == ("failed", None, None)
        assert "there is no token" in one["error"]
        assert f"{NAME}: cloudflare: there is no token" in done.err
        assert "  -> create an API token" in done.err

    def test_a_second_renewer_is_told_to_come_back(
        self, program: Program, home: Home, fresh: Material
    ) -> None:
        home.keep(replace(fresh, directory_url="https://former.example/"))
        with home.vault.certificate(NAME):
            done = program("-c", home.file, "renew")
        assert (done.code, done.out) == (75, "")
        assert f"(process {os.getpid()}) is working on {NAME}" in done.err


class TestOutside:
    @pytest.mark.parametrize(
        ("arguments", "more", "code"),
        [
            (["renew"], "", 0),
            (["renew", NAME], "", 0),
            (["rotate", "s"], '[site.s]\nhost = "https://a.example"', 1),  # nobody reloads nginx here
        ],
    )
    def test_each_cycle_leaves_its_figures(
        self, program: Program, settled: Home, arguments: list[str], more: str, code: int
    ) -> None:
        settled.configure(f'[metrics]\ntextfile = "{settled.textfile}"\n{more}')
        assert program("-c", settled.file, *arguments).code == code
        assert f"renewer_last_cycle_exit_code {code}.0\n" in settled.textfile.read_text()

    def test_a_cycle_that_is_refused_in_its_midst_leaves_them_too(
        self, program: Program, settled: Home
    ) -> None:
        other = '[certificate."b.example"]\ndomains = ["b.example"]\n[site.s]\nhost = "https://b.example"'
        settled.configure(f'[metrics]\ntextfile = "{settled.textfile}"\n{other}')
        (settled.state / "store" / "certificate" / "b.example.json").mkdir()
        done = program("-c", settled.file, "renew", NAME)
        assert (done.code, "b.example.json" in done.err) == (1, True)
        assert "renewer_last_cycle_exit_code 1.0\n" in settled.textfile.read_text()

    @pytest.mark.parametrize("arguments", [["restore", NAME, "7"], ["renew", "no.example"], ["rotate", "s"]])
    def test_a_person_s_mistake_leaves_none(
        self, program: Program, settled: Home, arguments: list[str]
    ) -> None:
        settled.configure(f'[metrics]\ntextfile = "{settled.textfile}"')
        assert program("-c", settled.file, *arguments).code in (1, 78)
        assert not settled.textfile.exists()

    @pytest.mark.parametrize("arguments", [["renew", "--dry-run"], ["status"], ["nginx"]])
    def test_what_is_no_cycle_leaves_none(
        self, program: Program, settled: Home, arguments: list[str]
    ) -> None:
        settled.configure(f'[metrics]\ntextfile = "{settled.textfile}"')
        assert program("-c", settled.file, *arguments).code == 0
        assert not settled.textfile.exists()

    def test_a_package_that_is_not_there_is_told_with_how_to_install_it(
        self, program: Program, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for package in ("apprise", "prometheus_client"):
            monkeypatch.setitem(sys.modules, package, None)
        home.configure(f'[metrics]\ntextfile = "{home.textfile}"\n[notify]\nurls_file = "/no/urls"')
        done = program("-c", home.file, "renew")
        assert (done.code, done.out) == (78, "")
        assert (
            "metrics.textfile: needs the package prometheus_client, which is not installed"
            " (pipx inject renewer prometheus_client, or: pip install 'renewer[metrics]')\n"
        ) in done.err
        assert "notify.urls_file: needs the package apprise" in done.err
        assert "pip install 'renewer[notify]'" in done.err


class TestStatus:
    def test_it_says_what_is_stored_and_due(self, program: Program, settled: Home) -> None:
        done = program("-c", settled.file, "status")
        assert (done.code, done.err) == (0, "")
        heads, row, *below = done.out.splitlines()
        assert (heads.split()[0], row.startswith(f"{NAME}  not checked")) == ("CERTIFICATE", True)
        assert "  renewal 2" in row
        assert all(line.startswith("  ") for line in below)

    def test_it_remembers_the_last_failure(self, program: Program, settled: Home, fresh: Material) -> None:
        with settled.vault.certificate(NAME) as ledger:
            ledger.keep(replace(fresh, directory_url="https://former.example/"))
            ledger.failed(Failure(Stage.ISSUE, 1, certs.NOW, FAR, "the CA said no", exit_code=75))
        done = program("-c", settled.file, "status", "--json")
        assert (done.code, done.answer["exit"]) == (75, 75)
        assert done.answer["certificates"][0]["error"] == "the CA said no"
        assert done.answer["certificates"][0]["next"].startswith("2100-01-01T00:00:00")

    def test_it_writes_nothing(self, program: Program, home: Home) -> None:
        done = program("-c", home.file, "status")
        assert "to be ordered" in done.out
        assert not home.state.exists()


class TestNginx:
    def test_it_prints_the_lines_and_puts_a_placeholder_there(self, program: Program, home: Home) -> None:
        done = program("-c", home.file, "nginx")
        include = home.state / "nginx" / "certificates" / f"{NAME}.conf"
        assert (done.code, done.err) == (0, "")
        assert f"include {include};" in done.out
        assert f"server_name {NAME} *.{NAME};" in done.out
        lines = dict(
            line.rstrip(";").split() for line in include.read_text().splitlines() if line.startswith("ssl_")
        )
        assert lines.keys() == {"ssl_certificate", "ssl_certificate_key"}
        assert all(Path(path).is_file() for path in lines.values())
        assert (home.state / "certificates" / NAME / "current" / "fullchain.pem").is_file()

    def test_a_certificate_that_is_there_stays(self, program: Program, settled: Home) -> None:
        include = settled.state / "nginx" / "certificates" / f"{NAME}.conf"
        before = include.read_bytes()
        program("-c", settled.file, "nginx")
        assert include.read_bytes() == before


class TestHelp:
    @pytest.mark.parametrize("option", ["-h", "--help"])
    @pytest.mark.parametrize("command", [[], ["renew"], ["status"], ["nginx"], ["run"]])
    def test_it_is_there(self, program: Program, command: list[str], option: str) -> None:
        done = program(*command, option)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("Usage: ")

    def test_it_names_the_exit_codes_and_the_default(self, program: Program) -> None:
        text = program("--help").out
        assert "/etc/renewer/renewer.toml" in text
        for code in ("0 done", "1 failed", "75 try", "78 the", "70 a bug"):
            assert code in " ".join(text.split())

    def test_the_version(self, program: Program) -> None:
        assert program("--version").out == f"renewer, version {__version__}\n"


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
        assert f"the state folder {foreign.state} belongs to nobody, but this runs as root" in done.err
        assert done.err.endswith("-> let systemd run it as that user: systemctl start renewer\n")

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


class TestMain:
    def test_a_bug_has_its_traceback_and_its_exit_code(
        self, program: Program, settled: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(text.COLOURS, "fresh", "no such colour")  # type: ignore[misc] # a slip
        done = program("-v", "-c", settled.file, "renew")
        assert done.code == 70
        assert "Traceback" in done.err
        assert "please report it" in done.err

    def test_of_several_codes_the_worst_counts(self) -> None:
        order = [70, 78, 1, 75, 0]
        for place, code in enumerate(order):
            assert worst(order[place:]) == code
            assert worst(order[place:][::-1]) == code
        assert worst([]) == 0


@pytest.mark.parametrize(
    ("configured", "needed"),
    [
        ("", set()),
        ('[notify]\nping = "http://127.0.0.1:9/"\nurls_file = "/no/urls"', set()),
        ('[metrics]\ntextfile = "/no/renewer.prom"', {"prometheus_client"}),
    ],
)
def test_where_nothing_is_due_nothing_heavy_is_loaded(
    settled: Home, configured: str, needed: set[str]
) -> None:
    settled.configure(configured)
    script = (
        "import sys\nfrom renewer.cli.main import main\ntry:\n    main()\n"
        "except SystemExit as end:\n    print(end.code, *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "-c", settled.file, "renew"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    code, *loaded = done.stdout.split()
    assert (code, bool(done.stderr)) == ("0", bool(configured))
    assert "renewer" in loaded
    assert HEAVY & set(loaded) == needed


AT_REST = {
    "__future__",
    "binascii",
    "errno",
    "renewer",
    "renewer.__main__",
    "renewer.engine",
    "renewer.engine.idle",
    "renewer.engine.idle_files",
    "renewer.engine.idle_processes",
    "renewer.system",
    "renewer.system.safe_paths",
}
"""All that a run may load if nothing has changed since the last one, besides what the interpreter does."""


def test_a_run_at_rest_loads_next_to_nothing(settled: Home) -> None:
    script = (
        "import sys\nbefore = {*sys.modules}\nfrom renewer.__main__ import main\ntry:\n    main()\n"
        "except SystemExit as end:\n    print(end.code, *{*sys.modules} - before)"
    )
    argv = [sys.executable, "-c", script, "-c", str(settled.file), "renew"]
    subprocess.run(argv, cwd=ROOT, capture_output=True, check=True)  # notes whose the state folder is
    time.sleep(WELL_BEFORE + 0.1)  # what was made just now might change once more unseen
    looked, rested = (
        subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert "renewer.engine.cycle" in looked.stdout.split()
    code, *loaded = rested.stdout.split()
    assert (code, rested.stderr) == ("0", "")
    assert set(loaded) == AT_REST
    reader, writer = os.pipe()
    os.close(reader)
    unread = subprocess.run([*argv, "--json"], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (unread.returncode, unread.stderr) == (1, b"")


def test_with_standard_error_closed_it_works_and_says_nothing_else_where(settled: Home) -> None:
    shell = f"{sys.executable} -m renewer -c {settled.file} renew --json 2>&-"
    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["exit"]) == (0, 0)
    faulty = f"{sys.executable} -m renewer -c /nowhere renew --json 2>&-"
    done = subprocess.run(["sh", "-c", faulty], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["exit"]) == (78, 78)


def test_with_standard_input_closed_there_is_no_configuration_on_it() -> None:
    shell = f"{sys.executable} -m renewer -c - renew <&-"
    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("renewer: standard input is closed\n  -> ")


@pytest.mark.parametrize("arguments", ["--help", "renew --json"])
def test_a_standard_output_that_is_full_is_told_in_one_sentence(settled: Home, arguments: str) -> None:
    shell = f"{sys.executable} -m renewer -c {settled.file} {arguments} >/dev/full"
    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("renewer: cannot write to standard output: No space left on device\n  -> ")


@pytest.mark.parametrize("arguments", ["renew nosuch", "renew --nonsense"])
def test_a_standard_error_that_is_full_changes_no_exit_code(settled: Home, arguments: str) -> None:
    settled.file.write_text("nonsense")
    shell = f"{sys.executable} -m renewer -c {settled.file} {arguments} 2>/dev/full"
    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 78


def test_what_a_limit_forbids_is_not_announced(
    program: Program, settled: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "a-made-up-token-of-forty-characters-abcd")
    used = History(tuple(Event(datetime.now(UTC), EventKind.CERTIFICATE, SPEC.domains) for _ in range(5)))
    settled.vault.keep_history(SPEC.directory_url, lambda _: used)
    done = program("-c", settled.file, "renew", "--force", "--dry-run")
    assert done.code == 75
    assert "to be ordered" not in done.out
    assert f"{NAME}  failed" in done.out
    assert f"no order is sent to the CA at {SPEC.directory_url} before " in done.out
    assert "5 of 5 certificates for exactly these names in 7 days are used up" in done.out

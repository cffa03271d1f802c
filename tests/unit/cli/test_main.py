"""The program as a shell sees it: exit codes, and what is printed where."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.facts import missing
from support.program import NAME, ROOT, Home, Program

from renewer import __version__
from renewer.cli.render import text
from renewer.core.errors import worst


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
        assert missing(done.err, "none.toml", "No such file", "-c FILE") == []

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
        assert missing(done.err, "example.org", NAME) == []

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
        assert missing(done.err, home.state, "other users") == []


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


class TestMain:
    def test_a_bug_has_its_traceback_and_its_exit_code(
        self, program: Program, settled: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(text.COLOURS, "fresh", "no such colour")  # type: ignore[misc] # a slip
        done = program("-v", "-c", settled.file, "renew")
        assert done.code == 70
        assert "Traceback" in done.err
        assert missing(done.err, "no such colour", "report") == []

    def test_of_several_codes_the_worst_counts(self) -> None:
        order = [70, 78, 1, 75, 0]
        for place, code in enumerate(order):
            assert worst(order[place:]) == code
            assert worst(order[place:][::-1]) == code
        assert worst([]) == 0


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
    assert missing(done.stderr, "standard input", "\n  -> ") == []


@pytest.mark.parametrize("arguments", ["--help", "renew --json"])
def test_a_standard_output_that_is_full_is_told_in_one_sentence(settled: Home, arguments: str) -> None:
    shell = f"{sys.executable} -m renewer -c {settled.file} {arguments} >/dev/full"
    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said, hint = done.stderr.splitlines()
    assert missing(said, "standard output", "No space left on device") == []
    assert missing(hint, "  -> ", "space") == []


@pytest.mark.parametrize("arguments", ["renew nosuch", "renew --nonsense"])
def test_a_standard_error_that_is_full_changes_no_exit_code(settled: Home, arguments: str) -> None:
    settled.file.write_text("nonsense")
    shell = f"{sys.executable} -m renewer -c {settled.file} {arguments} 2>/dev/full"
    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 78

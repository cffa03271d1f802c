"""`renewer renew`, and what each cycle leaves for metrics."""

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support import certs
from support.done import Done
from support.facts import missing
from support.program import NAME, SPEC, Home, Program

from renewer.core.model import Material
from renewer.core.rate_limits import Event, EventKind, History


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
        assert missing(one["error"], "no token", "token_file", "CLOUDFLARE_API_TOKEN") == []
        assert f"{NAME}: {one['error']}\n  -> " in done.err

    def test_a_second_renewer_is_told_to_come_back(
        self, program: Program, home: Home, fresh: Material
    ) -> None:
        home.keep(replace(fresh, directory_url="https://former.example/"))
        with home.vault.certificate(NAME):
            done = program("-c", home.file, "renew")
        assert (done.code, done.out) == (75, "")
        assert missing(done.err, f"process {os.getpid()}", NAME) == []


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
        for key, package, extra in (
            ("metrics.textfile", "prometheus_client", "metrics"),
            ("notify.urls_file", "apprise", "notify"),
        ):
            (line,) = (line for line in done.err.splitlines() if f"{key}:" in line and package in line)
            assert missing(line, f"pipx inject renewer {package}", f"pip install 'renewer[{extra}]'") == []


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
    assert missing(done.out, SPEC.directory_url, "5 of 5 certificates", "7 days") == []

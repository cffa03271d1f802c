"""`renewer status`."""

from dataclasses import replace

from support import certs
from support.program import FAR, NAME, Home, Program

from renewer.core.failure import Failure, Stage
from renewer.core.model import Material


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

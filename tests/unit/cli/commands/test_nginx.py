"""`renewer nginx`."""

from pathlib import Path

from support.program import NAME, Home, Program


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

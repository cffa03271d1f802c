"""What helps at the command line: examples, completion, manual pages."""

import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from renewer.cli import man
from renewer.cli.commands import help as offered
from renewer.cli.main import COMMANDS, commands
from renewer.config.reader import Table
from renewer.config.schema import Config

ROOT = Path(__file__).parents[3]
SAMPLE = (ROOT / "examples" / "renewer.toml").read_text()
CONTEXT = click.Context(commands, info_name="renewer", **commands.context_settings)
PUBLIC = {
    name: found for name in COMMANDS if (found := commands.get_command(CONTEXT, name)) and not found.hidden
}
COMPLETED = {
    "name": offered.certificates,
    "names": offered.certificates,
    "site": offered.sites,
    "person": offered.people,
}
"""What an argument of this name is completed with."""

TOML = """
[certificate."example.com"]
domains = ["example.com"]
[certificate."example.org"]
domains = ["example.org"]
[site.nodered]
host = "https://nodered.example.com"
people = ["phone", "laptop"]
[site.notes]
host = "https://notes.example.com"
"""


def calls(name: str) -> list[list[str]]:
    """Return the words of each example of a command, up to a pipe."""
    mark, heading, *lines = (PUBLIC[name].epilog or "\n").splitlines()
    assert (mark, heading) == ("\b", offered.HEADING), f"{name} needs epilog=examples(…)"
    found = []
    for line in lines:
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        found.append([*takewhile(lambda word: word not in {"|", ">"}, words)])
    return found


class TestExamples:
    @pytest.mark.parametrize("name", PUBLIC)
    def test_every_command_has_some_and_takes_them(self, name: str) -> None:
        assert calls(name)
        for program, *arguments in calls(name):
            context = commands.make_context(program, [*arguments])
            rest = [*context._protected_args, *context.args]
            assert (program, rest[0]) == ("renewer", name)
            PUBLIC[name].make_context(name, rest[1:], parent=context)

    @pytest.mark.parametrize("name", PUBLIC)
    def test_they_end_its_help_as_they_are_and_fit_a_terminal(self, name: str) -> None:
        text = CliRunner().invoke(commands, [name, "--help"]).output
        last = (PUBLIC[name].epilog or "").splitlines()[1:]
        assert [line.strip() for line in text.splitlines()[-len(last) :]] == [line.strip() for line in last]
        assert max(map(len, text.splitlines()[-len(last) :])) <= 80


class TestCompletion:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "renewer.toml"
        path.write_text(TOML)
        return path

    def offers(self, *words: object) -> list[str]:
        """Return what is offered for the last word."""
        *before, begun = map(str, words)
        shell = ShellComplete(commands, {}, "renewer", "_RENEWER_COMPLETE")
        return [item.value for item in shell.get_completions(before, begun)]

    def test_commands_and_options(self) -> None:
        assert set(self.offers("")) == set(PUBLIC)
        assert self.offers("ren") == ["renew"]
        assert self.offers("renew", "--f") == ["--force"]
        assert self.offers("completion", "") == ["bash", "fish", "zsh"]

    def test_names_of_the_configuration(self, file: Path) -> None:
        assert self.offers("-c", file, "renew", "") == ["example.com", "example.org"]
        assert self.offers("-c", file, "renew", "--force", "example.com", "") == ["example.org"]
        assert self.offers("-c", file, "revoke", "example.o") == ["example.org"]
        assert self.offers("-c", file, "rotate", "no") == ["nodered", "notes"]
        assert self.offers(f"--config={file}", "link", "nod") == ["nodered"]
        assert self.offers("-c", file, "link", "nodered", "") == ["phone", "laptop"]
        assert self.offers("-c", file, "link", "--qr", "nodered", "l") == ["laptop"]
        assert self.offers("-c", file, "link", "notes", "") == []
        assert self.offers("-c", file, "link", "none", "") == []

    @pytest.mark.parametrize(
        "text", [None, "certificate = 1", "[certificate", "\0\xff", TOML + "[unknown]\n"]
    )
    def test_a_missing_or_faulty_one_offers_nothing_and_says_nothing(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str | None
    ) -> None:
        file = tmp_path / "renewer.toml"
        if text is not None:
            file.write_bytes(text.encode("latin-1"))
        for words in (("renew",), ("rotate",), ("link",), ("link", "nodered")):
            assert self.offers("-c", file, *words, "") == []
            assert self.offers("-c", tmp_path, *words, "") == []
            assert self.offers("-c", "-", *words, "") == []
        assert capfd.readouterr() == ("", "")

    def test_every_argument_that_names_something_is_completed(self) -> None:
        for name, command in PUBLIC.items():
            for parameter in command.params:
                if isinstance(parameter, click.Argument) and parameter.name in COMPLETED:
                    wanted = COMPLETED[parameter.name]
                    assert parameter._custom_shell_complete is wanted, f"{name}: {parameter.name}"


class TestManual:
    def test_the_page_of_the_program_has_every_command_option_and_example(self) -> None:
        page = plain(man.program(CONTEXT, "1.2"))
        for name, command in PUBLIC.items():
            assert f".SS {name}\n" in page
            for parameter in command.params:
                if isinstance(parameter, click.Option):
                    assert f"{parameter.opts[0]}" in page
                    assert " ".join((parameter.help or "").split()) in page
            for line in (command.epilog or "").splitlines()[1:]:
                assert line in page
        assert not [name for name in COMMANDS if name not in PUBLIC and f".SS {name}\n" in page]

    def test_the_page_of_the_configuration_has_every_key_and_what_is_said_of_it(self) -> None:
        page = plain(man.configuration(SAMPLE, "1.2"))
        for path in keys(Config):
            *_, key = path
            assert f"{key} = " in page, path
        said = re.findall(r"#\s+([^#=\[]{12,}[^#=\[.,])$", SAMPLE, re.MULTILINE)
        assert len(said) > 20
        assert [words for words in said if words not in page] == []
        assert ".SS [[acme.fallback]]\nanother CA" in page.replace(".PP\n", "")

    def test_what_the_formatter_would_take_for_its_own_is_escaped(self) -> None:
        text = "# Above.\n\n# [a]  # .so /etc/passwd\n# key = \"it's # \\\\x\"  # 'tis -x ~ ^\n"
        page = man.configuration(text, "1")
        assert "\n\\&.so /etc/passwd\n" in page
        assert '\\fBkey = "it\\(aqs # \\e\\ex"\\fR\n\\(aqtis \\-x \\(ti \\(ha\n' in page

    def test_the_command_writes_both(self, tmp_path: Path) -> None:
        folder = tmp_path / "some" / "man"
        sample = str(ROOT / "examples" / "renewer.toml")
        done = CliRunner().invoke(commands, ["man", str(folder), sample], standalone_mode=False)
        assert done.output.splitlines() == [str(folder / name) for name in ("renewer.1", "renewer.toml.5")]
        for line in done.output.splitlines():
            assert Path(line).read_text().startswith(".TH ")


def plain(page: str) -> str:
    """Return a page without what is written for the formatter alone."""
    for written, meant in {"\\(ti": "~", "\\(ha": "^", "\\(ga": "`", "\\(aq": "'", "|\\:": "|"}.items():
        page = page.replace(written, meant)
    return re.sub(r"\\([-&]|f[BR])", lambda found: "-" if found[1] == "-" else "", page).replace("\\e", "\\")


def keys(kind: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every key that the configuration may have, as a path of names; what is no table is at its end."""
    for field in msgspec.structs.fields(kind):
        tables = [*tables_in(field.type)]
        here = (*path, field.encode_name)
        if not tables:
            yield here
        for table in tables:
            yield from keys(table, here)


def tables_in(kind: Any) -> Iterator[type[Table]]:
    if isinstance(kind, type) and issubclass(kind, Table):
        yield kind
    for argument in get_args(kind):
        yield from tables_in(argument)

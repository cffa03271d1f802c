"""What is written for people, against the program."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from renewer import __version__
from renewer.cli.main import COMMANDS, commands
from renewer.config.load import load, parse
from renewer.core.errors import Unexpected
from renewer.nginx import snippets

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = {path: path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "examples").glob("*.md")))}
CONTEXT = click.Context(commands, **commands.context_settings)
SHOWN = {
    name: found for name in COMMANDS if (found := commands.get_command(CONTEXT, name)) and not found.hidden
}
TABLE = re.compile(r"^\| `renewer ([\w-]+)([^`]*)` \| (.+) \|$", re.MULTILINE)


def blocks(*languages: str, text: str = README) -> list[str]:
    """Return the fenced blocks in one of these languages, without the indentation of a list."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [
        "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))
        for indent, language, text in found
        if language in languages
    ]


def calls() -> Iterator[list[str]]:
    """Yield the words of every call of the program: in shell blocks, and between backticks."""
    everything = "\n".join(text for page, text in PAGES.items() if page.name != "TROUBLESHOOTING.md")
    lines = [line for block in blocks("sh", "console", "", text=everything) for line in block.splitlines()]
    for line in [*lines, *re.findall(r"`(renewer [^`\n]*)`", everything)]:
        if found := re.search(
            r"(?:^|[\s/])renewer((?: +(?:-|[a-z\[])[^#|]*)?)$", line.split("#")[0].rstrip()
        ):
            yield shlex.split(found[1])


def parameters(command: str) -> set[str]:
    return {option for parameter in SHOWN[command].params for option in parameter.opts}


def test_there_is_a_configuration_in_the_readme_and_it_is_right() -> None:
    first, site = blocks("toml")
    parse(first, "README.md")
    parse(first + site, "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_file_that_a_page_links_is_there(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", PAGES[page])
    assert [target for target in targets if not (page.parent / target).exists()] == []


def headings(text: str) -> set[str]:
    """Return what a page can be linked by, as GitHub makes it of its headings."""
    found = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_heading_that_a_page_links_is_there(page: Path) -> None:
    for target, heading in re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", PAGES[page]):
        linked = (page.parent / target).read_text() if target else PAGES[page]
        assert heading in headings(linked), (target, heading)


def test_the_six_lines_are_six() -> None:
    assert "of six lines" in README
    assert len(blocks("toml")[0].splitlines()) == 6


def test_every_call_of_the_program_is_one_that_it_knows() -> None:
    found = [words for words in calls() if words]
    assert len({words[0] for words in found}) >= len(SHOWN)
    for words in found:
        command, *rest = words
        assert command in SHOWN, words
        options = {word.strip("[].") for word in rest if word.strip("[").startswith("-")}
        assert options <= parameters(command), words


def test_the_table_of_commands_is_that_of_the_program_with_all_options() -> None:
    table: dict[str, set[str]] = {}
    for name, usage, _ in TABLE.findall(README):
        table.setdefault(name, set()).update(re.findall(r"--[\w-]+", usage))
    assert table == {
        name: {option for option in parameters(name) if option.startswith("--")} for name in SHOWN
    }


@pytest.mark.parametrize("command", sorted(SHOWN))
def test_every_command_is_in_the_help_and_has_its_own(command: str) -> None:
    runner = CliRunner()
    assert re.search(rf"^  {command} ", runner.invoke(commands, ["--help"]).output, re.MULTILINE)
    own = runner.invoke(commands, [command, "--help"])
    assert own.exit_code == 0
    assert all(option in own.output for option in parameters(command) if option.startswith("--"))


def test_every_option_has_its_sentence() -> None:
    for command in (commands, *SHOWN.values()):
        assert command.help
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or getattr(parameter, "help", None), parameter


def test_the_exit_codes_are_those_of_the_program() -> None:
    told = set(re.findall(r"^\| (\d+) \|", README, re.MULTILINE))
    assert told == {"0", "1", "75", "78", str(Unexpected.exit_code)}


def test_the_lines_for_nginx_are_those_that_the_program_prints() -> None:
    config = parse(blocks("toml")[0], "README.md")
    (printed,) = blocks("nginx")
    said = [line.strip() for line in snippets.text(config.specs, (), config.state).splitlines()]
    assert [line.strip() for line in printed.splitlines()] == [
        line for line in said if not line.startswith("#")
    ]


def test_every_file_that_is_linked_is_there() -> None:
    for text in ((ROOT / "CHANGELOG.md").read_text(), (ROOT / "CONTRIBUTING.md").read_text()):
        targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", text)
        assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_file_that_an_example_links_is_there() -> None:
    for page in (ROOT / "examples").rglob("*.md"):
        if "node_modules" not in page.parts:
            targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
            assert [target for target in targets if not (page.parent / target).exists()] == [], page


def test_the_programs_of_the_readme_are_there() -> None:
    own = [
        line.split()[0]
        for block in blocks("sh")
        for line in block.splitlines()
        if re.match(r"(examples|tests)/", line)
    ]
    assert own
    assert [program for program in own if not (ROOT / program).is_file()] == []


def test_the_sample_configuration_is_right_also_with_every_default_written_out() -> None:
    path = ROOT / "examples" / "renewer.toml"
    text = path.read_text()
    plain = load(path)
    assert plain.specs
    written = re.sub(r"^# (?=[a-z_]+ = |\[)", "", text, flags=re.MULTILINE)
    assert written != text
    parse(written, str(path))


def test_the_newest_version_is_the_same_everywhere() -> None:
    newest = re.search(
        r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert newest is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert newest[1] == project["version"] == __version__

"""The page that explains the messages, against the messages in the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "renewer"
PAGE = (ROOT / "examples" / "TROUBLESHOOTING.md").read_text()
HEADINGS = re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)

STANDS_FOR = r"(?:[A-Z]+|…)"
"""What a heading has where the message has something that differs."""

ALWAYS = {"DeployFailed", "HookFailed", "LockBusy", "NotServed"}
"""Errors of these kinds meet everybody sooner or later: each of them has to be explained."""


def patterns(tree: ast.AST) -> Iterator[str]:
    """Yield every text in the code, as a pattern for how a heading has it."""
    inner = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and node not in inner):
            yield from filter(None, [pattern(node)])


def pattern(node: ast.expr) -> str:
    """Return a text, with what is filled in as a heading has it; empty for what is none."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    written = [
        re.escape(part.value) if isinstance(part.value, str) else ""
        for part in parts
        if isinstance(part, ast.Constant)
    ]
    if not "".join(written):
        return ""
    filled = (
        f"'?{STANDS_FOR}'?" if isinstance(part, ast.FormattedValue) else re.escape(str(part.value))
        for part in parts
        if isinstance(part, ast.FormattedValue | ast.Constant)
    )
    return "".join(filled)


def sentences(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the texts that a message may be, both arms of a condition included."""
    if isinstance(node, ast.IfExp):
        yield from (*sentences(node.body), *sentences(node.orelse))
    elif isinstance(node, ast.JoinedStr | ast.Constant):
        yield node


TREES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
KNOWN = [re.compile(one) for tree in TREES.values() for one in patterns(tree)]
RAISED = [
    (f"{path.relative_to(PACKAGE)}:{node.lineno}", ast.unparse(sentence), pattern(sentence))
    for path, tree in TREES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ALWAYS and node.args
    for sentence in sentences(node.args[0])
    if re.search(r"[a-z]{4}", pattern(sentence))
]


def test_there_are_many() -> None:
    assert len(HEADINGS) == len(set(HEADINGS))
    assert len(HEADINGS) >= 60


@pytest.mark.parametrize("heading", HEADINGS)
def test_each_heading_is_a_message_of_the_program(heading: str) -> None:
    assert re.search(r"[a-z]{4}", heading), "there is nothing to search for"
    assert any(one.fullmatch(heading) for one in KNOWN)


@pytest.mark.parametrize(("place", "text", "wanted"), RAISED, ids=[place for place, _, _ in RAISED])
def test_what_meets_everybody_is_explained(place: str, text: str, wanted: str) -> None:
    assert any(re.fullmatch(wanted, heading) for heading in HEADINGS), f"{place}: no heading for {text}"


def test_each_has_an_explanation_and_each_link_leads_somewhere() -> None:
    for part in re.split(r"^### .*\n(?:\n### .*\n)*", PAGE, flags=re.MULTILINE)[1:]:
        assert len(part.split()) >= 8, part
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGE):
        assert (ROOT / "examples" / target).exists(), target
    titles = {re.sub(r"\W+", "-", title.lower()) for title in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= titles

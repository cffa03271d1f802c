"""The page about security names the tests that hold its promises: they are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "examples" / "SECURITY.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::((?:\w+::)?test_\w+)`")
REFERENCES = sorted(set(NAMED.findall(PAGE)))


def promises() -> list[str]:
    """Return the rows of the table of promises."""
    part = PAGE.partition("## What is promised")[2].partition("\n## ")[0]
    return [line for line in part.splitlines() if line.startswith("| ")][1:]


@cache
def known(file: str) -> frozenset[str]:
    """Return the tests of a file, those of a class with its name before them."""
    found = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return frozenset(found)


def test_each_promise_names_a_test() -> None:
    assert len(promises()) > 10
    assert [row for row in promises() if not NAMED.search(row)] == []


def test_nothing_that_looks_like_a_test_is_passed_over() -> None:
    assert PAGE.count("::test_") == len(NAMED.findall(PAGE))


@pytest.mark.parametrize(("file", "test"), REFERENCES)
def test_each_test_that_is_named_is_there(file: str, test: str) -> None:
    assert test in known(file)


def test_what_has_to_be_said_is_said() -> None:
    """Who is trusted, and how to report a flaw."""
    trusted = PAGE.partition("## What is promised")[0]
    everybody = "root, renewer, nginx, a link, sibling, a back end, the CA, Cloudflare, the DNS, other users"
    assert [who for who in everybody.split(", ") if who not in trusted] == []
    assert "private security advisory" in PAGE
    assert "(examples/SECURITY.md)" in (ROOT / "README.md").read_text()

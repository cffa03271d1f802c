"""What nobody may read in anything that the program, or nginx for it, ever wrote for people."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PRIVATE = ("key", "master", "closed", "secret")
"""What a private value is called in a document of the store."""

SHORTEST = 16
"""Shorter text may stand somewhere by chance."""


def secrets(state: Path) -> set[str]:
    """Return every secret in a state folder: keys line by line, and what nginx has of the sites."""
    found: set[str] = set()
    for path in (state / "store").rglob("*.json"):
        try:
            found |= set(_private(json.loads(path.read_bytes())))
        except (OSError, ValueError):
            continue  # what a test has damaged
    for path in (state / "certificates").glob("*/g*/privkey*.pem"):
        found |= set(_lines(path.read_text(errors="replace")))
    for path in (state / "nginx" / "secure_link").glob("http.conf"):
        found |= set(re.findall(r'^    "[^"]*" "([A-Za-z0-9_.-]{16,})";$', path.read_text(), re.MULTILINE))
    return found


def leaked(told: Iterable[str], hidden: Iterable[str]) -> list[str]:
    """Return the beginnings of those secrets that stand in what was told."""
    said = "\n".join(told)
    return [f"{secret[:6]}…" for secret in hidden if secret in said]


def _private(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in PRIVATE and isinstance(inner, str):
                yield from _lines(inner)
            yield from _private(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _private(inner)


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) >= SHORTEST and not line.startswith("-----")]

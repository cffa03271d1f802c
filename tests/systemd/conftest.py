"""Machines for the tests, and a clear word where none can boot."""

import pytest
from support.machine import missing


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """End at once, with one line, where a machine cannot boot: that these tests ran is never pretended."""
    ours = [item for item in items if "/tests/systemd/" in str(item.path)]
    if ours and not config.option.collectonly and (problem := missing()):
        pytest.exit(f"tests/systemd cannot run here: {problem}", returncode=1)

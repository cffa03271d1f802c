"""What the checks of files share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.scene import NOBODY


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A folder that everybody may enter, with a state folder of nobody's in it."""
    for folder in (tmp_path, *tmp_path.parents):
        if "pytest-of-" in str(folder):
            folder.chmod(0o755)
    (tmp_path / "state").mkdir(mode=0o700)
    os.chown(tmp_path / "state", NOBODY.pw_uid, NOBODY.pw_gid)
    yield tmp_path
    (tmp_path / "state").chmod(0o700)

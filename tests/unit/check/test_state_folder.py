"""The state folder, and who may use it."""

import os
from pathlib import Path

import pytest
from support.facts import missing
from support.scene import as_root, by_nobody, put, scene, served, told

from renewer.check import (
    state_folder,
)


def test_a_state_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert told(state_folder.look(scene(tmp_path))) == [("state.folder", "ok"), ("state.room", "ok")]
    assert list(tmp_path.iterdir()) == []


@as_root
@pytest.mark.parametrize("mode", [0o000, 0o555])
def test_a_state_folder_that_its_owner_may_not_use(shared: Path, mode: int) -> None:
    folder = shared / "state"
    folder.chmod(mode)
    found = by_nobody(lambda: state_folder.look(scene(shared)))
    status, what, hint = found["state.writable"]
    assert (status, missing(what, "nobody", folder), missing(hint, f"chmod 700 {folder}")) == (
        "error",
        [],
        [],
    )
    assert ("state.file" in found) == (mode == 0o555)


@as_root
def test_a_state_folder_that_root_has_left_something_in(shared: Path) -> None:
    left = put(shared / "state/store/failure/example.com.json", "{}").parent.parent
    found = by_nobody(lambda: state_folder.look(scene(shared)))
    assert missing(found["state.writable"][1], "nobody", left) == []
    assert found["state.writable"][2].endswith(f"chown -Rh nobody: {left} && chmod -R u+rwX {left}")


@as_root
def test_a_state_folder_that_root_took_from_the_service(shared: Path) -> None:
    os.chown(shared / "state", 0, 0)
    assert "state.owner" not in [one.check for one in state_folder.look(scene(shared))]
    (found,) = [one for one in state_folder.look(served(shared)) if one.check == "state.owner"]
    assert (found.status, missing(found.hint, "renewer install-service")) == ("error", [])
    assert missing(found.what, "renewer.service", "user renewer") == []

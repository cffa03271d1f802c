"""Secrets in files: what is read of them, and what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.facts import missing

from renewer.config import secrets
from renewer.core.errors import ConfigError

ROOT = Path(__file__).parents[3]
TOKEN = "v4lid-T0ken_0123456789abcdefghijklmnopqr"


def secret(path: Path, content: str = TOKEN + "\n", mode: int = 0o600) -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


def refusal(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        secrets.read_secret(path, "cloudflare.token_file")
    assert error.value.faults[0].place == "cloudflare.token_file"
    assert TOKEN[:8] not in str(error.value) + error.value.hint
    assert error.value.__cause__ is None
    return error.value


def test_addresses_are_told_by_their_lines_without_those_that_do_not_count(tmp_path: Path) -> None:
    path = secret(tmp_path / "urls", "# mine\n\n json://a.example/x \nmailtos://b:c@d.example\n")
    found = secrets.read_addresses(path, "notify.urls_file")
    assert found == {3: "json://a.example/x", 4: "mailtos://b:c@d.example"}


@pytest.mark.parametrize(
    ("content", "mode", "fact"),
    [
        ("\n# nobody\n", 0o600, "no address"),
        ("json://a.example\nme@a.example\n", 0o600, "line 2"),
        ("json://a.example\n", 0o644, "other users"),
    ],
)
def test_what_names_no_addresses_is_told(tmp_path: Path, content: str, mode: int, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact) as error:
        secrets.read_addresses(secret(tmp_path / "urls", content, mode), "notify.urls_file")
    assert error.value.faults[0].place == "notify.urls_file"


def test_a_secret_that_may_be_left_out_is_in_its_file_or_in_a_credential(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    own = secret(tmp_path / "own")
    assert secrets.source(None, "ping_url", {}) is None
    assert secrets.source(None, "ping_url", environ) is None
    handed = secret(tmp_path / "ping_url")
    assert secrets.source(None, "ping_url", environ) == handed
    assert secrets.source(own, "ping_url", environ) == own


@pytest.mark.parametrize("content", [TOKEN, TOKEN + "\n", TOKEN + "\r\n"])
@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_a_secret_is_the_one_line_of_its_file(tmp_path: Path, content: str, mode: int) -> None:
    assert secrets.read_secret(secret(tmp_path / "token", content, mode), "x") == TOKEN


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o660, 0o644, 0o666])
def test_what_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret(tmp_path / "a token", mode=mode)
    error = refusal(path)
    assert missing(str(error), "other users", f"{mode:04o}") == []
    assert error.hint == f"chmod 600 '{path}'"


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("", "empty"),
        ("\n", "empty"),
        (" \n", "empty"),
        (f"{TOKEN}\n{TOKEN}\n", "more than one line"),
        (f"{TOKEN}\n\n", "more than one line"),
        (f"# the token\n{TOKEN}\n", "more than one line"),
        (f"Bearer {TOKEN}", "Bearer"),
        (f" {TOKEN}", "space"),
        (f"{TOKEN}\t", "space"),
        (f"“{TOKEN}”", "another character"),
        (TOKEN * 200, "too long"),
    ],
)
def test_what_is_no_single_word_is_refused(tmp_path: Path, content: str, fact: str) -> None:
    assert fact in str(refusal(secret(tmp_path / "token", content)))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "regular file" in str(refusal(tmp_path / "pipe"))
    assert "Is a directory" in str(refusal(tmp_path))
    assert "No such file" in str(refusal(tmp_path / "missing"))


def test_what_root_may_read_is_remembered_when_it_becomes_somebody_else(tmp_path: Path) -> None:
    path = secret(tmp_path / "token")
    script = f"""
import os
from pathlib import Path
from renewer.config import secrets
path = Path({str(path)!r})
secrets.remember([path, Path("/nowhere/at/all")])
path.chmod(0)
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
print(secrets.read_secret(path, "cloudflare.token_file") == {TOKEN!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"

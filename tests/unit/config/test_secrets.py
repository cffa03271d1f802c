"""The token: where it comes from, and what cannot be one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from renewer.config import secrets
from renewer.config.schema import Cloudflare, Config
from renewer.core.errors import ConfigError

ROOT = Path(__file__).parents[3]
TOKEN = "v4lid-T0ken_0123456789abcdefghijklmnopqr"
GLOBAL = "0123456789abcdef0123456789abcdef01234"


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
    ("content", "mode", "sentence"),
    [
        ("\n# nobody\n", 0o600, "contains no address"),
        ("json://a.example\nme@a.example\n", 0o600, "line 2 of"),
        ("json://a.example\n", 0o644, "mode 0644"),
    ],
)
def test_what_names_no_addresses_is_told(tmp_path: Path, content: str, mode: int, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as error:
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
    assert f"(mode {mode:04o})" in str(error)
    assert error.hint == f"chmod 600 '{path}'"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        (" \n", "is empty"),
        (f"{TOKEN}\n{TOKEN}\n", "more than one line"),
        (f"{TOKEN}\n\n", "more than one line"),
        (f"# the token\n{TOKEN}\n", "more than one line"),
        (f"Bearer {TOKEN}", "begins with the word Bearer"),
        (f" {TOKEN}", "has a space"),
        (f"{TOKEN}\t", "has a space"),
        (f"“{TOKEN}”", "another character"),
        (TOKEN * 200, "too long"),
    ],
)
def test_what_is_no_single_word_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    assert sentence in str(refusal(secret(tmp_path / "token", content)))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in str(refusal(tmp_path / "pipe"))
    assert "cannot be read: Is a directory" in str(refusal(tmp_path))
    assert "cannot be read: No such file" in str(refusal(tmp_path / "missing"))


def configured(path: Path | None = None) -> Config:
    return Config(cloudflare=Cloudflare(token_file=path))


def test_the_token_comes_from_the_first_of_three_ways(tmp_path: Path) -> None:
    by_file = secret(tmp_path / "by-file", "by-file")
    secret(tmp_path / "cloudflare_token", "by-credential", 0o400)
    variable = {"CLOUDFLARE_API_TOKEN": "by-variable"}
    everything = {**variable, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert secrets.token(configured(by_file), everything) == "by-file"
    assert secrets.token(configured(), everything) == "by-credential"
    assert secrets.token(configured(), variable) == "by-variable"
    assert secrets.token(configured(), {**variable, "CREDENTIALS_DIRECTORY": "/nowhere"}) == "by-variable"


def test_a_faulty_file_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cloudflare\.token_file: .*cannot be read"):
        secrets.token(configured(tmp_path / "missing"), {"CLOUDFLARE_API_TOKEN": TOKEN})


def test_without_a_token_all_ways_are_named() -> None:
    with pytest.raises(ConfigError) as error:
        secrets.token(configured(), {})
    for way in ("token_file", "LoadCredential=cloudflare_token", "$CLOUDFLARE_API_TOKEN"):
        assert way in str(error.value)


@pytest.mark.parametrize("value", ["", " ", f"{TOKEN} {TOKEN}", "\udce4"])
def test_a_variable_is_looked_at_like_a_file(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^\$CLOUDFLARE_API_TOKEN: (is empty|has a space)"):
        secrets.token(configured(), {"CLOUDFLARE_API_TOKEN": value})


def test_a_global_api_key_is_told_apart(tmp_path: Path) -> None:
    for config, environ in [
        (configured(secret(tmp_path / "key", GLOBAL)), {}),
        (configured(), {"CLOUDFLARE_API_TOKEN": GLOBAL}),
    ]:
        with pytest.raises(ConfigError, match="this is a Global API Key") as error:
            secrets.token(config, environ)
        assert error.value.hint.startswith("create an API token")
        assert GLOBAL not in str(error.value)


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

"""The token: where it comes from, and what cannot be one."""

from pathlib import Path

import pytest

from renewer.core.errors import ConfigError
from renewer.dns.cloudflare import settings
from renewer.dns.cloudflare.settings import Settings

TOKEN = "v4lid-T0ken_0123456789abcdefghijklmnopqr"
GLOBAL = "0123456789abcdef0123456789abcdef01234"


def secret(path: Path, content: str = TOKEN + "\n", mode: int = 0o600) -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


def configured(path: Path | None = None) -> Settings:
    return Settings(token_file=path)


def test_the_token_comes_from_the_first_of_three_ways(tmp_path: Path) -> None:
    by_file = secret(tmp_path / "by-file", "by-file")
    secret(tmp_path / "cloudflare_token", "by-credential", 0o400)
    variable = {"CLOUDFLARE_API_TOKEN": "by-variable"}
    everything = {**variable, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert settings.token(configured(by_file), everything) == "by-file"
    assert settings.token(configured(), everything) == "by-credential"
    assert settings.token(configured(), variable) == "by-variable"
    assert settings.token(configured(), {**variable, "CREDENTIALS_DIRECTORY": "/nowhere"}) == "by-variable"


def test_a_faulty_file_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cloudflare\.token_file: .*cannot be read"):
        settings.token(configured(tmp_path / "missing"), {"CLOUDFLARE_API_TOKEN": TOKEN})


def test_without_a_token_all_ways_are_named() -> None:
    with pytest.raises(ConfigError) as error:
        settings.token(configured(), {})
    for way in ("token_file", "LoadCredential=cloudflare_token", "$CLOUDFLARE_API_TOKEN"):
        assert way in str(error.value)


@pytest.mark.parametrize("value", ["", " ", f"{TOKEN} {TOKEN}", "\udce4"])
def test_a_variable_is_looked_at_like_a_file(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^\$CLOUDFLARE_API_TOKEN: (is empty|has a space)"):
        settings.token(configured(), {"CLOUDFLARE_API_TOKEN": value})


def test_a_global_api_key_is_told_apart(tmp_path: Path) -> None:
    for config, environ in [
        (configured(secret(tmp_path / "key", GLOBAL)), {}),
        (configured(), {"CLOUDFLARE_API_TOKEN": GLOBAL}),
    ]:
        with pytest.raises(ConfigError, match="this is a Global API Key") as error:
            settings.token(config, environ)
        assert error.value.hint.startswith("create an API token")
        assert GLOBAL not in str(error.value)

"""The paths and texts that nginx reads."""

from pathlib import Path

import pytest
from support.certs import CA, material, pair, spec

from renewer.core.errors import ConfigError
from renewer.core.model import KeyKind
from renewer.nginx.layout import Layout, files_of, folder_named, include_text, pair_files

BOTH = spec("example.com", kinds=(KeyKind.EC256, KeyKind.RSA2048))


def test_the_paths_are_those_of_the_contract() -> None:
    layout = Layout(Path("/var/lib/renewer/../renewer"))
    assert layout.home("example.com") == Path("/var/lib/renewer/certificates/example.com")
    assert layout.current("example.com").name == "current"
    assert layout.include("example.com") == Path("/var/lib/renewer/nginx/certificates/example.com.conf")


@pytest.mark.parametrize(
    "state", ["/var/lib/my state", "/srv/{x}", "/srv/$host", '/srv/"', "/srv/a;b", "/srv/ä"]
)
def test_a_state_folder_that_nginx_would_misread_is_refused(state: str) -> None:
    with pytest.raises(ConfigError, match=r"^state: .*nginx"):
        Layout(Path(state))


@pytest.mark.parametrize("name", ["*.example.com", "..", ".", "", "a/b", "a b", "a;b", ".hidden"])
def test_a_name_that_nginx_would_misread_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        Layout(Path("/var/lib/renewer")).include(name)


def test_a_pair_has_four_files() -> None:
    one = pair(spec("example.com"))
    files = pair_files(one.key, one.chain)
    assert files["privkey.pem"].decode() == one.key
    assert files["fullchain.pem"].decode() == one.chain
    assert files["cert.pem"] + files["chain.pem"] == files["fullchain.pem"]
    assert files["chain.pem"].decode() == CA.intermediate_pem


def test_a_certificate_alone_is_its_own_chain() -> None:
    one = pair(spec("example.com"))
    leaf = pair_files(one.key, one.chain)["cert.pem"].decode()
    files = pair_files(one.key, leaf)
    assert files["cert.pem"] == files["chain.pem"] == files["fullchain.pem"]


def test_the_include_names_the_folder_itself_once_for_each_key() -> None:
    folder = Path("/s/certificates/example.com/g000001")
    names = files_of(material(BOTH))
    lines = include_text(folder, names).decode().splitlines()[1:]
    assert lines == [
        f"ssl_certificate     {folder}/fullchain.pem;",
        f"ssl_certificate_key {folder}/privkey.pem;",
        f"ssl_certificate     {folder}/fullchain-rsa2048.pem;",
        f"ssl_certificate_key {folder}/privkey-rsa2048.pem;",
    ]
    assert folder_named(include_text(folder, names)) == folder
    assert folder_named(b"# nothing\n") is None

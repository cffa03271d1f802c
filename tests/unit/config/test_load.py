"""Reading a configuration: its file, all of its faults at once, and none of its values shown."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.configuration import (
    SIX_LINES,
    faults,
)
from support.facts import missing

from renewer.config import load
from renewer.core.errors import ConfigError


def test_all_faults_are_told_at_once() -> None:
    text = """
    state = "here"
    [acme]
    server = "http://ca.example"
    eab_kid = "k"
    [certificate."*.example.com"]
    domains = ["a_b.example", "c.example", "c.example"]
    [certificate.d]
    profil = "x"
    [site.s]
    rotate = "never"
    session = "1d"
    """
    assert [fault.place for fault in faults(text)] == [
        "state",
        "acme.server",
        "acme.eab_hmac_key_file",
        'certificate."*.example.com"',
        'certificate."*.example.com".domains[0]',
        'certificate."*.example.com".domains[2]',
        "certificate.d.profil",
        "certificate.d.domains",
        "site.s.rotate",
        "site.s.host",
    ]


def test_no_fault_shows_a_value() -> None:
    secret = "s3cret"
    tables = {
        "acme": ["server", "email", "ca_bundle", "eab_hmac_key_file"],
        "cloudflare": ["token_file", "base_url", "token", "zone_ids"],
        "propagation": ["resolver", "timeout"],
        "nginx": ["binary", "config", "reload", "probe"],
        "site.s": ["host", "home", "mode", "people", "rotate", "signer_file"],
    }
    lines = [
        f"[{table}]\n" + "".join(f'{key} = "{secret}"\n' for key in keys) for table, keys in tables.items()
    ]
    said = faults("\n".join(lines))
    assert len(said) == sum(map(len, tables.values())) - 1  # a resolver may have such a name
    assert secret not in str(said)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "renewer.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SIX_LINES.replace("\n", "\r\n").encode())
    assert load.load(path) == load.load(str(path)) == load.parse(SIX_LINES, "f")


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SIX_LINES.encode())))
    assert load.load("-") == load.parse(SIX_LINES, "f")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x = 1")))
    with pytest.raises(ConfigError) as error:
        load.load("-")
    assert "standard input" in error.value.hint


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, fact in [
        (tmp_path / "missing.toml", "No such file"),
        (tmp_path, "Is a directory"),
        (Path("a\0b"), "zero byte"),
    ]:
        with pytest.raises(ConfigError, match=fact):
            load.load(path)


def test_what_is_no_utf8_is_told_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "renewer.toml"
    path.write_bytes(b"# one\n# two\n# b\xfccher\n")
    with pytest.raises(ConfigError, match=r"line 3.*UTF-8") as error:
        load.load(path)
    assert missing(error.value.hint, path, "UTF-8") == []


def test_reading_it_loads_nothing_heavy() -> None:
    program = "import sys; from renewer.config import schema, secrets; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(ran.stdout.split())
    assert "renewer.config.schema" in loaded
    assert not loaded & {"cryptography", "acme", "josepy", "cloudflare", "requests", "rich", "click", "ssl"}


@pytest.mark.parametrize(
    ("user", "command"),
    [(110, "chgrp "), (1000, "sudo"), (0, "root")],
)
def test_who_may_not_read_it_is_told_what_helps_there(
    user: int, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(ConfigError, match="Permission denied") as caught:
        load.read(tmp_path / "renewer.toml")
    assert command in caught.value.hint

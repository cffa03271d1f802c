"""A new configuration: what a person answers, and the text that is made of it."""

from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renewer.cli import prompts
from renewer.config.template import Draft, Planned
from renewer.core.errors import ConfigError, Refused
from renewer.core.model import KeyKind
from renewer.system import files

PLAIN = Planned("example.com", ("example.com", "*.example.com"))


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ("example.com", ["example.com"]),
        (" Example.COM. ", ["example.com"]),
        ("example.com *.example.com", ["example.com", "*.example.com"]),
        ("a.example, b.example;c.example", ["a.example", "b.example", "c.example"]),
        ("a.example a.example", ["a.example"]),
        ("https://www.example.com:8443/path?query#x", ["www.example.com"]),
        ("example.com:443", ["example.com"]),
        ("example.com/", ["example.com"]),
        ('"example.com"', ["example.com"]),
        ("münchen.de *.münchen.de", ["xn--mnchen-3ya.de", "*.xn--mnchen-3ya.de"]),
        ("", []),
    ],
)
def test_domains_that_are_meant(answer: str, names: list[str]) -> None:
    assert list(prompts.domains([answer])) == names


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("localhost", "localhost: needs at least two labels"),
        ("127.0.0.1", "is an IP address"),
        ("https://[::1]/", "is an IP address"),
        ("https://[x/", "is a URL or a path"),
        ("/etc/passwd", "is a URL or a path"),
        ("straße.de", "write it in its ASCII form"),
        ("*.*.example.com", "second star"),
        ("www.example.com *.example.com", r"\*.example.com already covers www.example.com"),
        ("ops@example.com", "characters other than letters"),
    ],
)
def test_what_is_no_domain_is_told(answer: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        prompts.domains([answer])


@given(st.text(max_size=40))
def test_any_answer_is_names_or_a_sentence(answer: str) -> None:
    with suppress(ConfigError):
        found = prompts.domains([answer])
        assert prompts.domains(found) == found


def test_each_line_of_the_text_is_explained_and_the_program_reads_what_was_meant() -> None:
    draft = Draft(
        [PLAIN, Planned("old.example", ("old.example",), (KeyKind.RSA2048,), "it ended\non 2026-01-01")],
        token_file=Path("/etc/renewer/a token"),
        server="https://acme-staging-v02.api.letsencrypt.org/directory",
        others=["https://ca.example/dir"],
        email="ops@example.com",
        state=Path("/srv/renewer"),
        base_url="http://127.0.0.1:1/v4",
        nginx=Path("/opt/nginx"),
        nginx_config=Path("/opt/nginx.conf"),
    )
    found = draft.parsed("a test")
    (spec,) = found.specs
    assert (spec.name, spec.domains, spec.keys) == ("example.com", PLAIN.domains, (KeyKind.EC256,))
    assert (found.acme.server, found.acme.email) == ("letsencrypt-staging", "ops@example.com")
    assert [one.directory for one in found.acme.fallbacks] == ["https://ca.example/dir"]
    assert str(found.cloudflare.token_file) == "/etc/renewer/a token"
    assert found.cloudflare.base_url == "http://127.0.0.1:1/v4"
    assert (str(found.nginx.binary), str(found.nginx.config)) == ("/opt/nginx", "/opt/nginx.conf")
    assert str(found.state) == "/srv/renewer"
    lines = draft.text.splitlines()
    for before, line in pairwise(lines):
        said = (
            not line or line.startswith(("#", "[")) or before.startswith(("#", "[[")) or before[-4:] == "conf"
        )
        assert said or line.startswith(("after", "config")), line


def test_what_is_not_asked_for_is_left_to_the_program() -> None:
    text = Draft([PLAIN], Path("/etc/renewer/cloudflare.token")).text
    told = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert told == [
        "[acme]",
        'server = "letsencrypt"',
        "accept_terms = true",
        "[cloudflare]",
        'token_file = "/etc/renewer/cloudflare.token"',
        '[certificate."example.com"]',
        'domains = ["example.com", "*.example.com"]',
        "[nginx]",
    ]


@pytest.mark.parametrize("there", ["file", "folder", "link", "lost link"])
def test_a_new_file_never_takes_the_place_of_anything(tmp_path: Path, there: str) -> None:
    path, other = tmp_path / "new", tmp_path / "other"
    other.write_text("other")
    match there:
        case "file":
            path.write_text("old")
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(other)
        case _:
            path.symlink_to("nowhere")
    before = path.lstat()
    with pytest.raises(Refused, match="cannot write"):
        files.create(path, b"new")
    assert path.lstat() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["new", "other"]
    assert other.read_text() == "other"


def test_a_new_file_has_its_mode(tmp_path: Path) -> None:
    files.create(tmp_path / "secret", b"x")
    assert ((tmp_path / "secret").stat().st_mode & 0o777, (tmp_path / "secret").read_bytes()) == (0o600, b"x")
    assert (tmp_path / "secret").stat().st_nlink == 1

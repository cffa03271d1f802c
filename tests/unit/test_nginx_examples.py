"""What the examples of nginx, and the lines that the program prints, have to be like to be copied."""

import re
from pathlib import Path

import pytest

from renewer.config.load import parse
from renewer.nginx import snippets

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*/nginx/**/*.conf"))
DIRECTIVES = {path: re.sub(r"#.*", "", path.read_text()) for path in FILES}

SITE = """
[certificate."example.com"]
domains = ["*.example.com"]
[site.nodered]
host = "https://nodered.example.com{port}"
people = ["phone"]
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXAMPLES)))
class TestFile:
    def test_the_host_is_the_one_that_nginx_serves(self, path: Path) -> None:
        assert "$http_host" not in DIRECTIVES[path]

    def test_no_location_goes_by_a_pattern(self, path: Path) -> None:
        """Which has regard to case, or lists what is refused: back ends read paths in their own way."""
        assert re.findall(r"location\s+(?:~\*?|\^~)", DIRECTIVES[path]) == []

    def test_http_2_is_switched_on_by_hand(self, path: Path) -> None:
        """Each nginx has it in its own way, and warns of the other."""
        assert "http2" not in DIRECTIVES[path]


def test_what_a_back_end_is_told_is_the_same_everywhere() -> None:
    """Whoever copies two examples into one nginx has one file."""
    found = [path.read_bytes() for path in FILES if path.name == "renewer-proxy.conf"]
    assert len(found) > 1
    assert len(set(found)) == 1


@pytest.mark.parametrize(("port", "host"), [("", "$host"), (":8443", "$host:8443")])
def test_the_lines_that_are_printed_hand_on_the_host_with_the_site_s_port(port: str, host: str) -> None:
    config = parse(SITE.format(port=port), "renewer.toml")
    printed = snippets.text(config.specs, config.site_specs, config.state)
    assert f"proxy_set_header Host {host};" in printed
    assert "$http_host" not in printed

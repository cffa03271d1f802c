"""What a stranger says, as it gets into a real journal: no line of it has a level of its own."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from support.hostile.text import MARK, TEXT, harm
from support.house import FILE, House
from support.machine import wait

NAME = "example.com"
WORST = 3
"""An error, and what is worse (syslog(3)): nothing that renewer says has such a level."""

CLOUDFLARE = f"""
import http.server, json, pathlib, sys
BODY = json.dumps({{"success": False, "errors": [{{"code": 10000, "message": {TEXT!r}}}]}}).encode()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(403)
        self.end_headers()
        self.wfile.write(BODY)
    do_POST = do_GET
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
pathlib.Path(sys.argv[1]).write_text(str(server.server_port))
server.serve_forever()
"""
"""A Cloudflare that refuses everything in hostile words."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("journal"), (NAME,)) as house:
        port = house.machine.share / "port"
        house.machine.beside(sys.executable, "-c", CLOUDFLARE, str(port))
        wait(lambda: port.exists() and port.read_text(), what="the hostile API is there")
        house.configure(NAME)
        house.renewer("nginx")
        house.machine.run("systemctl reload nginx")
        text = house.machine.path(FILE).read_text()
        here = next(line for line in text.splitlines() if line.startswith("base_url"))
        house.machine.path(FILE).write_text(
            text.replace(here, f'base_url = "http://127.0.0.1:{port.read_text()}"')
        )
        yield house


def journal(house: House, *matches: str) -> list[tuple[int, str]]:
    """Return what the journal has, each entry as its level and its text."""
    house.machine.run("journalctl --sync")
    said = house.machine.run(f"journalctl -q -o json --all {' '.join(matches)}").out
    entries: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
    return [(int(one["PRIORITY"]), _text(one["MESSAGE"])) for one in entries]


def _text(message: str | list[int]) -> str:
    """Return a message; one that may not be printed stands in JSON as its bytes."""
    return message if isinstance(message, str) else bytes(message).decode(errors="replace")


def only_read(entries: list[tuple[int, str]]) -> None:
    assert [one for one in entries if one[0] <= WORST] == []
    assert any(MARK in text for _, text in entries)
    assert not [bad for _, text in entries for bad in harm(f"x {text}")]


def test_a_blank_before_it_is_enough_for_journald_to_take_a_level_for_text(house: House) -> None:
    script = "printf '<0>emergency\\n <0>one blank\\n  <1>two\\n' | systemd-cat -t levels -p info"
    house.machine.run(script)
    found = journal(house, "-t levels")
    assert found == [(0, "emergency"), (6, " <0>one blank"), (6, "  <1>two")]


@pytest.mark.parametrize("command", ["-v renew", "check", "status"])
def test_a_stranger_logs_no_emergency(house: House, command: str) -> None:
    unit = f"hostile-{command.rsplit(maxsplit=1)[-1]}"
    house.machine.run(f"systemd-run --wait -q -u {unit} renewer -c {FILE} {command}", check=False)
    only_read(journal(house, f"-u {unit}.service _TRANSPORT=stdout"))


def test_nor_does_he_through_roots_helper(house: House) -> None:
    house.renewer("install-service --timer")
    bad = f'"{MARK}\n<0>of nginx\x1b]0;x\x07" on;\n'
    house.machine.write("/etc/nginx/conf.d/hostile.conf", bad)
    house.machine.run("printf 0123456789abcdef > /run/renewer/new", user="renewer")
    house.machine.run("mv /run/renewer/new /run/renewer/reload.request", user="renewer")
    house.machine.until("grep -q test-failed /run/renewer-reload/result")
    house.machine.until("test $(systemctl is-active renewer-reload.service) != activating")
    only_read(journal(house, "-u renewer-reload.service _TRANSPORT=stdout"))
    assert not [*harm(house.machine.path("/run/renewer-reload/result").read_text().replace("\n", "\n "))]

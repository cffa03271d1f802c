"""A newcomer's path: an empty Debian, the README and nothing else, up to a certificate that is served.

The commands are the README's own. What a test has to put in for the world outside is in `Newcomer`.
"""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from house import FILE, ROOT, House
from machine import Layers, Machine, image, package

pytestmark = pytest.mark.xdist_group("newcomer")

NAME = "example.com"
EMPTY = ("ca-certificates", "curl", "dbus", "iproute2", "procps", "systemd", "systemd-sysv")
"""What a Debian has whose owner has installed nothing yet; ip, curl and ps are for the test."""

README = (ROOT / "README.md").read_text()
SH = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
CHECKOUT = "/root/renewer"

ASKED = """\
sudo() { "$@"; }
apt-get() { DEBIAN_FRONTEND=noninteractive command apt-get --yes --quiet=2 --no-install-recommends "$@"; }
"""
"""What a person does at a terminal: give sudo the password, and apt a yes."""


def section(heading: str) -> str:
    """Return what stands under a heading, up to the next one of any kind."""
    return re.split(r"^##+ ", README.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def commands(text: str) -> list[str]:
    """Return the lines of its shell blocks."""
    return [line.strip() for _, block in SH.findall(text) for line in block.splitlines()]


def block(language: str, text: str) -> str:
    """Return its only block in that language."""
    (found,) = re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


LINES_FOR_NGINX = block("nginx", section("Use it"))
(FILE_FOR_NGINX,) = re.findall(r"`(/etc/nginx/[^`]*)`", section("Use it"))


def nothing(_: Path) -> None:
    """Put nothing there."""


class Newcomer:
    """Has read a path of commands; those that fetch from Debian are followed before the machine boots."""

    def __init__(self, path: list[str], given: Callable[[Path], None]) -> None:
        self._fetched = [line for line in path if re.fullmatch(r"sudo apt-get install [a-z0-9 -]+", line)]
        self._given = given
        self.path = [line for line in path if line not in self._fetched]

    def layers(self, _: Layers) -> Layers:
        """Return an empty Debian with what the commands fetch, and what is given in place of PyPI."""
        script = "\n".join(
            [ASKED, "apt-get update", *self._fetched, "apt-get clean", "cp -r /tmp/given /opt/pypi"]
        )
        return image.layer(image.base(EMPTY), "newcomer", script, "", self._given)

    def install(self, machine: Machine) -> None:
        """Lay out the checkout, which is all that a newcomer has."""
        machine.run(f"mkdir -p {CHECKOUT}/dist")


def settled(folder: Path, path: list[str], given: Callable[[Path], None]) -> House:
    """Return a machine whose owner is about to follow the path; `house.means.path` is what is left of it."""
    return House(folder, (NAME,), means=Newcomer(path, given))


def follow(house: House, line: str) -> str:
    """Do what a line of the README says, with the places of the test's CA, API and name servers put in."""
    facts = json.loads((house.box / "sandbox.json").read_text())
    words = shlex.split(line, comments=True)
    if words == ["systemd/debian/build"]:
        deb = package.built()
        house.machine.path(f"{CHECKOUT}/dist/{deb.name}").write_bytes(deb.read_bytes())
        return ""
    if words[:3] == ["sudo", "renewer", "init"]:
        line += f" --server {facts['directory']} --base-url {facts['api_url']}"
    if words[:3] == ["sudo", "nginx", "-t"]:
        house.machine.write(FILE_FOR_NGINX, LINES_FOR_NGINX)
    done = house.machine.run(f"{ASKED}cd {CHECKOUT}\n{{ {line}\n}} <<<'{house.token}'", seconds=300)
    if words[:3] == ["sudo", "renewer", "init"]:
        toml = house.machine.path(FILE)
        world = f'ca_bundle = "/share/box/pebble/ca.pem"\n\n[propagation]\nresolver = "{facts["resolver"]}"\n'
        toml.write_text(toml.read_text().replace("accept_terms = true\n", f"accept_terms = true\n{world}"))
    return done.out


def test_from_an_empty_debian_to_a_certificate_that_is_served(tmp_path: Path) -> None:
    path = commands(section("Use it")) + commands(section("To keep it going"))
    with settled(tmp_path, path, nothing) as house:
        house.machine.run("rm -r /etc/renewer; ! command -v renewer")
        said = {line: follow(house, line) for line in house.means.path}
        assert "issued, served by nginx" in said["sudo renewer renew"]
        assert all(line in said["sudo renewer nginx"] for line in LINES_FOR_NGINX.splitlines())
        house.until_served(NAME)
        house.machine.reboot()
        house.until_served(NAME)
        assert house.shows("renewer.service", "ActiveState", "NRestarts") == ["active", "0"]

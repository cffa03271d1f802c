"""A newcomer's path: an empty Debian, the README and nothing else, up to a certificate that is served.

The commands are the README's own; what a test has to put in for the world outside is in `Surroundings`.
"""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from support.house import FILE, ROOT, House
from support.machine import Layers, Machine, image, package, program

pytestmark = pytest.mark.xdist_group("package")  # which is built once for both

NAME = "example.com"
EMPTY = ("ca-certificates", "curl", "dbus", "iproute2", "procps", "systemd", "systemd-sysv")
"""What a Debian has whose owner has installed nothing yet; ip, curl and ps are for the test."""

README = (ROOT / "README.md").read_text()
SH = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
CHECKOUT = "/srv/renewer"
PYPI = "/opt/pypi"
BUNDLE = "/share/box/pebble/ca.pem"
PINNED = (ROOT / "tests" / "constraints.txt").read_text()

ASKED = """\
sudo() { case $1 in *=*) env "$@" ;; *) "$@" ;; esac; }
export PIP_NO_INDEX=1 PIP_FIND_LINKS=/opt/pypi PIP_NO_COMPILE=1
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
    return dedent(found)


LINES_FOR_NGINX = block("nginx", section("Use it"))
(FILE_FOR_NGINX,) = re.findall(r"`(/etc/nginx/[^`]*)`", section("Use it"))


def nothing(_: Path) -> None:
    """Put nothing there."""


class Newcomer:
    """Has read a path of commands; those that fetch from Debian are followed before the machine boots.

    What `give` puts into a folder is at PYPI in the machine, instead of PyPI.
    """

    def __init__(self, path: list[str], give: Callable[[Path], None] = nothing) -> None:
        self._fetched = [line for line in path if re.fullmatch(r"sudo apt-get install [a-z0-9 -]+", line)]
        self._give = give
        self.path = [line for line in path if line not in self._fetched]

    def layers(self, _: Layers) -> Layers:
        """Return an empty Debian with what the commands fetch."""
        lines = [ASKED, "apt-get update", *self._fetched, "apt-get clean", f"cp -r /tmp/given {PYPI}"]
        return image.layer(image.base(EMPTY), "newcomer", "\n".join(lines), PINNED, self._give)

    def install(self, machine: Machine) -> None:
        """Lay out the checkout, which is all that a newcomer has."""
        machine.run(f"mkdir -p {CHECKOUT}/dist")


class Surroundings:
    """What the README cannot know: where the test has its CA, its API, its name servers and its packages."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._facts = json.loads((house.box / "sandbox.json").read_text())

    @property
    def ca(self) -> str:
        """The CA's directory."""
        return str(self._facts["directory"])

    @property
    def api(self) -> str:
        """Where Cloudflare's API is."""
        return str(self._facts["api_url"])

    def follow(self, path: list[str]) -> dict[str, str]:
        """Do what the lines say, one after the other; return what each of them printed."""
        return {line: self._follow(line) for line in path}

    def configured(self, text: str) -> None:
        """Write a configuration, with the places of this world."""
        text = text.replace("[acme]\n", f'[acme]\nca_bundle = "{BUNDLE}"\n')
        self._house.machine.write(FILE, f'{text}\n[propagation]\nresolver = "{self._facts["resolver"]}"\n')

    def _follow(self, line: str) -> str:
        match shlex.split(line, comments=True):
            case ["systemd/debian/build"]:
                deb = package.built()
                self._house.machine.path(f"{CHECKOUT}/dist/{deb.name}").write_bytes(deb.read_bytes())
                return ""
            case ["sudo", "renewer", "init"]:
                places = f"--server {self.ca} --base-url {self.api}"
                said = self._run(f"{line} --domain {NAME} --domain '*.{NAME}' {places}")
                self.configured(self._house.machine.path(FILE).read_text())
                return said
            case ["sudo", "nginx", "-t", *_]:
                self._house.machine.write(FILE_FOR_NGINX, LINES_FOR_NGINX)
            case ["sudo", *_, "pipx", "install", "."]:
                line = f"{line.removesuffix('.')}{program.give_wheel(self._house.machine, CHECKOUT)}"
        return self._run(line)

    def _run(self, line: str) -> str:
        shell = f"{ASKED}cd {CHECKOUT}\n{{ {line}\n}} <<<'{self._house.token}'"
        return self._house.machine.run(shell, seconds=300).out


def test_from_an_empty_debian_to_a_certificate_that_is_served(tmp_path: Path) -> None:
    path = [*commands(section("Use it")), *commands(section("To keep it going"))]
    with House(tmp_path, (NAME,), means=Newcomer(path)) as house:
        house.machine.run("rm -r /etc/renewer; ! command -v renewer")
        world, left = Surroundings(house), house.means.path
        said = world.follow(left[: left.index("sudo renewer renew") + 1])
        assert LINES_FOR_NGINX in said["sudo renewer nginx"]
        shown = house.served(NAME)
        world.follow(left[left.index("sudo renewer renew") + 1 :])
        house.machine.reboot()
        assert house.served(NAME) == shown
        assert house.shows("renewer.service", "ActiveState", "NRestarts") == ["active", "0"]


def test_the_same_without_the_package_and_with_the_configuration_by_hand(tmp_path: Path) -> None:
    above = commands(section("Use it"))
    path = [*commands(section("Without the package")), *above[above.index("sudo renewer init") + 1 :]]
    path += commands(section("To keep it going"))
    with House(tmp_path, (NAME,), means=Newcomer(path, program.everything)) as house:
        house.machine.run("rm -r /etc/renewer; ! command -v renewer")
        world, left = Surroundings(house), house.means.path
        world.follow(left[:2])
        api = f'[cloudflare]\nbase_url = "{world.api}"\n'
        by_hand = block("toml", section("Use it")).replace("[cloudflare]\n", api)
        world.configured(by_hand.replace("[acme]\n", f'[acme]\nserver = "{world.ca}"\n'))
        world.follow(left[2:])
        house.until_served(NAME)
        assert house.shows("renewer.service", "UnitFileState", "ActiveState") == ["enabled", "active"]

"""A machine with Debian's nginx and the program, and beside it, in its network, the sandbox."""

import json
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, Self

from support.machine import Done, Layers, Machine, image, program, wait

ROOT = Path(__file__).parents[2]
FILE = "/etc/renewer/renewer.toml"
STATE = "/var/lib/renewer"
TOKEN = "/etc/renewer/cloudflare.token"

_SERVER = """server {{
    listen 443 ssl;
    server_name {name} *.{name};
    include /var/lib/renewer/nginx/certificates/{name}.conf;
    return 204;
}}
"""


class Means(Protocol):
    """A way for the program into a machine."""

    def layers(self, below: Layers) -> Layers:
        """Return what the machine boots from."""

    def install(self, machine: Machine) -> None:
        """Put the program into the machine, which has booted."""


class House:
    """The machine, with what a person sees of it.

    `means` is how the program gets there: a module with `layers` to boot from, and `install`. A certificate
    is valid for so many seconds, if `validity` is given.
    """

    def __init__(
        self,
        folder: Path,
        zones: Sequence[str],
        *,
        means: Means = program,
        lag: float = 0.0,
        validity: float = 0.0,
    ) -> None:
        self.machine = Machine(folder, means.layers(image.base()))
        self.means = means
        self.zones = tuple(zones)
        self.box = self.machine.share / "box"
        self._lag = lag
        self._more = [f"--validity={validity}"] if validity else []
        self._head = ""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.machine)
            self._move_in()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _move_in(self) -> None:
        zones = [option for zone in self.zones for option in ("--zone", zone)]
        delays = f"--delays={self._lag},{self._lag}"
        sandbox = (sys.executable, str(ROOT / "examples" / "sandbox"), str(self.box))
        options = (delays, "--nonce-reject=0", "--authz-reuse=0", *self._more)
        self.machine.beside(*sandbox, *zones, *options)
        self.means.install(self.machine)
        wait((self.box / "sandbox.json").exists, what="the sandbox is ready")
        self._head = (self.box / "sandbox.toml").read_text().replace(str(self.machine.share), "/share")
        self._head = re.sub(r"(?m)^(state|token_file) = .*", self._place, self._head)
        token = (self.box / "cloudflare.token").read_text()
        self.machine.write(TOKEN, token, 0o600)

    @property
    def token(self) -> str:
        return (self.box / "cloudflare.token").read_text().strip()

    def configure(self, *names: str, more: str = "") -> None:
        """Write the configuration for these certificates, and let nginx include them."""
        tables = [f'[certificate."{name}"]\ndomains = ["{name}", "*.{name}"]\n' for name in names]
        text = "\n".join([self._head, *tables, more])
        path = self.machine.path(FILE)
        if path.exists():
            path.write_text(text)  # as an editor would: owner and mode stay
        else:
            self.machine.write(FILE, text)
        for name in names:
            self.machine.write(f"/etc/nginx/conf.d/{name}.conf", _SERVER.format(name=name))

    def renewer(self, arguments: str, *, code: int = 0, user: str = "") -> Done:
        """Run the program as a person would, as root or as somebody else; it has to end with this code."""
        done = self.machine.run(f"renewer {arguments}", check=False, user=user)
        assert done.code == code, (arguments, done)
        return done

    def served(self, name: str) -> str:
        """Return the fingerprint of what nginx shows a client who trusts nobody but the CA."""
        fetch = f"curl -sS --cacert /share/box/pebble/roots.pem --resolve www.{name}:443:127.0.0.1"
        self.machine.run(f"{fetch} https://www.{name}/")
        return self.shown(name)

    def shown(self, name: str) -> str:
        """Return the fingerprint of whatever nginx shows."""
        show = f"openssl s_client -connect 127.0.0.1:443 -servername www.{name} </dev/null 2>/dev/null"
        done = self.machine.run(f"{show} | openssl x509 -noout -fingerprint -sha256")
        return done.out.partition("=")[2].strip().replace(":", "").lower()

    def status(self, user: str = "") -> dict[str, Any]:
        """Return what `status` says of each certificate, by its name; it fails while nginx serves another."""
        answer = json.loads(self.machine.run("renewer status --json", check=False, user=user).out)
        return {one["name"]: one for one in answer["certificates"]}

    def shows(self, unit: str, *properties: str) -> list[str]:
        """Return what systemd says of a unit, in the order of the properties."""
        return [self.machine.run(f"systemctl show -P {one} {unit}").out.strip() for one in properties]

    def pid(self) -> int:
        """Return the daemon's process, as the machine counts."""
        return int(self.shows("renewer.service", "MainPID")[0])

    def until_served(self, name: str) -> None:
        """Wait until nginx shows what is stored, and see that a client trusts it."""
        wait(lambda: self.status().get(name, {}).get("served"), what=f"{name} is served")
        assert self.served(name) == self.status()[name]["fingerprint"]

    @staticmethod
    def _place(found: re.Match[str]) -> str:
        return f'{found[1]} = "{STATE if found[1] == "state" else TOKEN}"'

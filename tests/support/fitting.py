"""The examples of nginx as an administrator would have them, with other ports and folders."""

import os
import pwd
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.authelia_standin import Authelia, authelia
from support.hostile.requests import REACHED, Caller, Recorder, recorder
from support.nginx_master import BINARY
from support.world import ROOT, World

from renewer.core import tokens
from renewer.core.site import Key

EXAMPLES = ROOT / "examples"
HOME, OUTSIDE = "127.0.0.1", "127.0.0.2"
"""The home network of the examples, and an address that is none of it."""

_HTTP2 = (1, 25, 1)
"""The first nginx with a directive `http2`."""


@cache
def version() -> tuple[int, ...]:
    done = subprocess.run([BINARY, "-v"], capture_output=True, text=True, check=True)
    return tuple(map(int, re.findall(r"nginx/([\d.]+)", done.stderr)[0].split(".")))


def listening(port: int) -> dict[str, str]:
    """Return what is other than in an example where nginx listens on this port; HTTP/2 is on."""
    own = version() >= _HTTP2
    return {
        "listen 443 ssl;": f"listen {HOME}:{port} ssl{'' if own else ' http2'};",
        "listen [::]:443 ssl;": "",
        "# http2 on;": "http2 on;" if own else "",
    }


def places(world: World) -> dict[str, str]:
    """Return what is other in a test than in an example: its addresses and folders."""
    return {
        **listening(world.port),
        "192.168.1.0/24": HOME,
        "/var/lib/renewer/": f"{world.state}/",
        "/etc/nginx/": f"{world.folder}/",
        "/var/log/nginx/": f"{world.folder}/",
        "/srv/": f"{world.folder}/",
        "/run/renewer/": f"{world.folder}/handed/",
        "root:www-data": pwd.getpwuid(os.geteuid()).pw_name,
    }


def fitted(path: Path, found: Mapping[str, object]) -> str:
    """Return a file of an example with this test's addresses and paths."""
    text = path.read_text()
    for old, new in found.items():
        text = text.replace(old, str(new))
    return text


@dataclass(frozen=True)
class Door:
    """A guarded server: the site, its host, and what opens it to a person."""

    host: str
    home: str = "/"
    person: str = ""
    cookie: str = ""
    arguments: str = ""


@dataclass
class Example:
    """One example before a real nginx: all of its servers, and its own configuration of renewer."""

    folder: Path
    world: World
    behind: Recorder
    login: Authelia
    changed: Mapping[str, str]

    def set_up(self) -> None:
        """Do what its README tells."""
        (self.world.folder / "files").mkdir()
        for name in ("plain.txt", "secret.txt"):
            (self.world.folder / "files" / name).write_bytes(REACHED)
        if (self.folder / "make-ca").exists():
            self._run("sh", str(self.folder / "make-ca"), f"{self._client_ca}")
            made = self._run("sh", str(self.folder / "make-client"), "handset", f"{self._client_ca}")
            password = made.splitlines()[0].rpartition(" ")[2]
            packed = ("-in", f"{self._client_ca}/handset.p12", "-passin", f"pass:{password}", "-nodes")
            self._run("openssl", "pkcs12", *packed, "-out", f"{self._client_ca}/handset.pem")
        self.world.write(self._tables())
        self.renewer("nginx")
        for path in sorted((self.folder / "nginx").rglob("*.conf")):
            copy = self.world.folder / path.relative_to(self.folder / "nginx")
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(self._fitted(path))
        main = "".join(f"include {path};\n" for path in self.world.folder.glob("modules-enabled/*.conf"))
        reader = "user root;\n" if os.geteuid() == 0 else ""  # the files lie where only this user may look
        http = f"    lingering_timeout 50ms;\n    include {self.world.folder}/conf.d/*.conf;"
        self.world.nginx.configure(http, main + reader)
        self.renewer("renew", "--force")

    def renewer(self, *arguments: str) -> str:
        """Run the program, which has to do what it is told, and return what it prints."""
        done = self.world.renewer(*arguments)
        assert (done.code, done.err) == (0, ""), done
        return done.out

    def tested(self) -> str:
        """Return all that nginx says of its configuration."""
        call = [BINARY, "-t", "-c", str(self.world.nginx.config)]
        return subprocess.run(call, capture_output=True, text=True, check=True).stderr

    @property
    def doors(self) -> list[Door]:
        sites = tomllib.loads((self.folder / "renewer.toml").read_text()).get("site", {})
        return [self._door(name, site) for name, site in sites.items()]

    def caller(self, *, inside: bool) -> Caller:
        """Return a client in the home network with a certificate, or one that is outside and has none."""
        identity = self._client_ca / "handset.pem"
        if inside and identity.exists():
            return Caller(self.world.port, HOME, identity)
        return Caller(self.world.port, HOME if inside else OUTSIDE)

    def _door(self, name: str, site: Mapping[str, Any]) -> Door:
        host, end = str(urlsplit(site["host"]).hostname), datetime.now(UTC) + timedelta(minutes=10)
        key = Key(**self.world.ring(name)["current"])
        if site.get("mode") == "url":
            home, _, arguments = tokens.url(key, name, "/plain.txt", end).partition("?")
            return Door(host, home, arguments=f"?{arguments}")
        (person, *_) = site["people"]
        cookie = f"__Host-rn-{name}={tokens.session(key, name, person, end)}"
        return Door(host, site.get("home", "/"), person, cookie)

    @contextmanager
    def first(self, door: Door) -> Iterator[None]:
        """Let this door's server be nginx's first for a while, which takes names that no server has."""
        found = self.world.folder.glob("conf.d/*.conf")
        (path,) = (one for one in found if f"server_name {door.host};" in one.read_text())
        first = path.with_name(f"000-{path.name}")
        path.rename(first)
        self.world.reload()
        yield
        first.rename(path)
        self.world.reload()

    @property
    def _client_ca(self) -> Path:
        return self.world.folder / "client-ca"

    def _tables(self) -> str:
        text = fitted(self.folder / "renewer.toml", places(self.world))
        return text[text.index("[certificate") :].partition("[nginx]")[0]

    def _fitted(self, path: Path) -> str:
        login = {"127.0.0.1:9091": f"{HOME}:{self.login.server_port}"}
        text = fitted(path, {**self.changed, **login, **places(self.world)})
        back_ends = rf"(proxy_pass\s+http://127\.0\.0\.1:)(?!{self.login.server_port}\b)\d+"
        return re.sub(back_ends, rf"\g<1>{self.behind.port}", text)

    def _run(self, *argv: str) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@contextmanager
def set_up(folder: Path, place: Path, changed: Mapping[str, str] | None = None) -> Iterator[Example]:
    """Set an example up in a folder of the test's; `changed` is what its files of nginx have instead."""
    with ExitStack() as stack:
        behind, login = stack.enter_context(recorder()), stack.enter_context(authelia())
        found = Example(folder, stack.enter_context(World(place)), behind, login, changed or {})
        found.set_up()
        yield found

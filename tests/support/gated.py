"""Sites behind secure links before a real nginx, and a visitor of them."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Protocol

from support.visitor import Answer, ask
from support.world import NAME, World, table

from renewer.core.site import Key

HOST, OTHER, FILES = "nodered.example.com", "shop.example.com", "files.example.com"
PEOPLE = '["phone", "laptop"]'


def md5_of(text: str) -> str:
    """Return the signature that nginx makes of a text."""
    digest = md5(text.encode(), usedforsecurity=False).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


def forged(secret: str, kind: str, person: str = "phone", kid: str = "k1", site: str = "nodered") -> str:
    """Return a link (L) or a session (S) signed with any secret, as somebody makes it who knows that."""
    end = "9999999999"
    return f"{kid}.{person}.{end}.{md5_of(f'{secret}|{kind}|{site}|{kid}|{person}|{end}|{secret}')}"


class Ran(Protocol):
    """What became of a run of the program."""

    @property
    def code(self) -> int: ...
    @property
    def out(self) -> str: ...


@dataclass
class Site:
    """A world with two sites in session mode and one in url mode; `run` runs the program in it."""

    world: World
    run: Callable[..., Ran]
    more: str = ""
    """What stands in nginx's `http` besides; `{links}` is the folder with the files for secure links."""

    def __post_init__(self) -> None:
        self.listen()
        self.configure()

    def listen(self) -> None:
        """Write nginx's configuration."""
        links = self.world.state / "nginx" / "secure_link"
        gate = f"location / {{ include {links}/gate.conf; return 200 hello; }}"
        entry = f"include {links}/enter.conf;"
        self.world.listen(
            f"include {links}/http.conf;"
            + self._server(HOST, f"set $rn_scope nodered; set $rn_home /ui/; {entry} {gate}")
            + self._server(OTHER, f"set $rn_scope shop; {entry} {gate}")
            + self._server("bare.example.com", gate)
            + self._server(
                FILES, f"set $rn_scope files; location / {{ include {links}/gate-url.conf; return 200; }}"
            )
            + self.more.replace("{links}", str(links))
        )

    def _server(self, name: str, body: str) -> str:
        return (
            f"server {{ listen 127.0.0.1:{self.world.port} ssl; server_name {name};"
            f" access_log {self.world.folder}/access.log;"
            f" include {self.world.state}/nginx/certificates/{NAME}.conf; {body} }}\n"
        )

    def configure(self, people: str = PEOPLE, more: str = "") -> None:
        self.world.write(
            table(NAME),
            f'[site.nodered]\nhost = "https://{HOST}"\nhome = "/ui/"\npeople = {people}\n{more}\n'
            f'[site.shop]\nhost = "https://{OTHER}"\npeople = ["phone"]\n'
            f'[site.files]\nhost = "https://{FILES}"\nmode = "url"\nsigner_file = "{self.signer}"\n',
        )

    @property
    def signer(self) -> Path:
        return self.world.folder / "signer" / "files.json"

    def get(self, url: str, host: str = HOST, method: str = "GET", **headers: str) -> Answer:
        return ask(self.world.port, host, url, headers, method=method)

    def visit(
        self, session: str, host: str = HOST, name: str = "__Host-rn-nodered", **headers: str
    ) -> Answer:
        return self.get("/", host, **{"Cookie": f"{name}={session}"} | headers)

    def link(self, *arguments: str) -> str:
        done = self.run("link", *arguments)
        assert done.code == 0, done
        return done.out.strip()

    def enter(self, link: str) -> Answer:
        return self.get(link.partition("example.com")[2])

    def session(self, person: str = "phone") -> str:
        answer = self.enter(self.link("nodered", person))
        assert (answer.status, answer.headers["Location"]) == (303, "/ui/")
        return answer.cookie

    def ring(self, site: str = "nodered") -> Mapping[str, object]:
        return self.world.ring(site)

    def key(self, phase: str = "current", site: str = "nodered") -> Key:
        found = self.ring(site)[phase]
        assert isinstance(found, dict)
        return Key(found["kid"], found["master"])

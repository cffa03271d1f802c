"""The example `examples/node-red` as it would be on a real machine, and a browser to look at it.

Node-RED is installed once into a cache; ports and folders are other ones, nothing else.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import BrowserContext, Page, Response, WebSocket
from support.fitting import fitted, listening
from support.nginx_master import free_port, wait_until
from support.world import NAME, PATIENCE, World

EXAMPLE = Path(__file__).parents[2] / "examples" / "node-red"

ARTEFACTS = Path(__file__).parents[1] / "browser" / "artefacts"

PASSWORD = "the-second-door"

WATCH = """const {Server} = require("http"), {appendFileSync} = require("fs"), {emit} = Server.prototype;
Server.prototype.emit = function (event, request, ...more) {
    if (event === "request" || event === "upgrade")
        appendFileSync(process.env.SEEN, `${request.method} ${request.url}\\n`);
    return emit.call(this, event, request, ...more);
};
"""
"""Has Node write down each request before anybody looks at it."""

INSTANCES = {"nr1": ("1880", ""), "nr2": ("1881", ""), "plant": ("1882", "/shop")}
"""The Node-REDs of the example by their sites: the port in the files of nginx, and the path it is under."""


def installed() -> Path:
    """Return the folder with the example's packages; they are installed where they are not there yet."""
    for program in ("node", "npm"):
        assert shutil.which(program), f"{program} is missing: apt-get install nodejs npm"
    sources = [EXAMPLE / "package.json", EXAMPLE / "package-lock.json"]
    version = subprocess.run(["node", "--version"], capture_output=True, check=True).stdout
    key = hashlib.sha256(version + b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "renewer-tests"
    home = cache / f"node-red-{key}"
    if not home.exists():
        fresh = cache / f"{home.name}.{os.getpid()}"
        fresh.mkdir(parents=True)
        for path in sources:
            shutil.copy(path, fresh)
        done = subprocess.run(["npm", "ci"], cwd=fresh, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with suppress(OSError):  # somebody else was faster
            fresh.rename(home)
        shutil.rmtree(fresh, ignore_errors=True)
    return home


def hashed(home: Path, file: Path) -> Path:
    """Write the hash of the editor's password as the README says, and return the file."""
    command = [_program(home), "admin", "hash-pw"]
    done = subprocess.run(command, input=f"{PASSWORD}\n", capture_output=True, text=True, check=True)
    file.write_text(done.stdout)
    return file


class NodeRed:
    """One instance, with the example's settings and flows; leaving the `with` stops it."""

    def __init__(self, home: Path, folder: Path, admin_hash: Path, base: str = "") -> None:
        folder.mkdir()
        shutil.copy(EXAMPLE / "flows.json", folder)
        self.port = free_port()
        self.base = base
        self.log = folder / "node-red.log"
        self._presses = folder / "presses.txt"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NODE_")}
        environment |= {"PORT": str(self.port), "ADMIN_HASH_FILE": str(admin_hash), "HOME": str(folder)}
        environment |= {"BASE": base} if base else {}
        (folder / "watch.js").write_text(WATCH)
        self._seen = folder / "seen.txt"
        environment |= {"SEEN": str(self._seen), "NODE_OPTIONS": f"--require {folder}/watch.js"}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [_program(home), "--settings", EXAMPLE / "settings.js", "--userDir", "."],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self) -> None:
        """Wait until its flows run and both dashboards are there."""
        wait_until(lambda: "Started flows" in self.log.read_text(), PATIENCE)
        for path in ("/", "/ui/", "/dashboard/machine", "/whoami"):
            wait_until(lambda path=path: self._answers(path), PATIENCE)

    @property
    def seen(self) -> list[str]:
        """The requests that have reached it, with method and path."""
        return self._seen.read_text(errors="replace").splitlines()

    @property
    def presses(self) -> list[str]:
        """Where a button was pressed, as the flow has written it down."""
        lines = self._presses.read_text().splitlines() if self._presses.exists() else []
        return [line.partition(",")[0] for line in lines]

    def _answers(self, path: str) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        with suppress(OSError, urllib.error.URLError):
            url = f"http://127.0.0.1:{self.port}{self.base}{path}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        return False


class Plant:
    """The example as an administrator would have it, with other ports and folders and with a CA of ours."""

    def __init__(self, folder: Path, world: World, nodes: dict[str, NodeRed]) -> None:
        self.world = world
        self.nodes = nodes
        self.port = free_port()
        self._etc = folder / "etc"
        self._logs = folder / "log"

    def set_up(self) -> None:
        """Do what the README tells, in its order."""
        self._logs.mkdir()
        self.configure()
        self.run("nginx")
        shutil.copytree(EXAMPLE / "nginx", self._etc)
        for path in self._etc.rglob("*.conf"):
            path.write_text(self._here(path))
        main = f"error_log {self.world.nginx.error_log} notice;\ninclude {self._etc}/modules-enabled/*.conf;"
        self.world.nginx.configure(f"    include {self._etc}/conf.d/*.conf;", main)
        self.run("renew")

    def configure(self, edit: Callable[[str], str] = str) -> None:
        """Write the example's configuration; `edit` has the last word on its text."""
        text = (EXAMPLE / "renewer.toml").read_text()
        text = re.sub(r'(host = "[^"]+)"', rf'\1:{self.port}"', text[text.index("[certificate.") :])
        self.world.write(edit(text))

    @contextmanager
    def configured(self, edit: Callable[[str], str]) -> Iterator[None]:
        """Let nginx work by an edited configuration for a while."""
        try:
            self.configure(edit)
            self.run("renew")
            yield
        finally:
            self.configure()
            self.run("renew")

    def run(self, *arguments: str) -> str:
        """Run the program, which has to do what it is told, and return what it prints."""
        done = self.world.renewer(*arguments)
        assert (done.code, done.err) == (0, ""), done
        return done.out.strip()

    def url(self, site: str, path: str = "/") -> str:
        return f"https://{site}.{NAME}:{self.port}{path}"

    def session(self, site: str, person: str, end: datetime) -> str:
        """Return a session that ends then, rightly signed with one of the keys that nginx has."""
        keys = (self.world.state / "nginx/secure_link/http.conf").read_text()
        kid, key = re.findall(rf'"{site}\.([a-z0-9]+)\.{person}" "([^"]+)"', keys)[0]
        exp = f"{int(end.timestamp()):010}"
        signed = f"{key}|S|{site}|{kid}|{person}|{exp}|{key}".encode()
        signature = (
            urlsafe_b64encode(hashlib.md5(signed, usedforsecurity=False).digest()).decode().rstrip("=")
        )
        return f"{kid}.{person}.{exp}.{signature}"

    def log(self, site: str) -> list[str]:
        """Return nginx's access log of a site: method, path, protocol and status."""
        text = (self._logs / f"{site}.access.log").read_text()
        return [f"{request} {status}" for request, status in re.findall(r'"(.*?)" (\d{3}) ', text)]

    def logs(self) -> dict[str, str]:
        """Return every log of nginx and Node-RED, by its path."""
        nodes = [node.log for node in self.nodes.values()]
        paths = [*self._logs.glob("*.log"), self.world.nginx.error_log, *nodes]
        return {str(path): path.read_text(errors="replace") for path in paths}

    def conf(self, site: str) -> Path:
        """Return nginx's file of a site."""
        return self._etc / "conf.d" / f"{site}.conf"

    def authority(self) -> str:
        """Return the pin of the key that signed the certificate, for Chromium to trust it."""
        chain = (self.world.state / "certificates" / NAME / "current" / "chain.pem").read_bytes()
        key = x509.load_pem_x509_certificate(chain).public_key()
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64encode(hashlib.sha256(der).digest()).decode()

    def _here(self, path: Path) -> str:
        changed = {
            **listening(self.port),
            "/var/lib/renewer/": f"{self.world.state}/",
            "/etc/nginx/": f"{self._etc}/",
            "/var/log/nginx/": f"{self._logs}/",
            "worker_shutdown_timeout 1m;": "worker_shutdown_timeout 1s;",
        }
        for site, (port, _) in INSTANCES.items():
            for end in ";/":
                changed[f"127.0.0.1:{port}{end}"] = f"127.0.0.1:{self.nodes[site].port}{end}"
        return fitted(path, changed)


class Visitor:
    """A device: a browser profile of its own with one tab, and what it was answered."""

    def __init__(self, context: BrowserContext, plant: Plant, site: str, person: str) -> None:
        self.plant = plant
        self.site = site
        self.person = person
        self.context = context
        self.answers: list[tuple[int, str]] = []
        self.sockets: list[WebSocket] = []
        self.frames: list[str] = []
        context.set_default_timeout(PATIENCE * 1000)
        context.on("response", self._note)
        self.tab = self.new_tab()

    def new_tab(self) -> Page:
        tab = self.context.new_page()
        tab.on("websocket", self._watch)
        return tab

    def enter(self, *options: str) -> Self:
        """Open a fresh link, and wait until the pages of the site are there."""
        link = self.plant.run("link", self.site, self.person, *options)
        self.tab.goto(link)
        self.tab.wait_for_url(lambda url: "/.renewer/" not in url)
        return self

    def open(self, path: str) -> int:
        """Open a page of the site, and return the status."""
        return self.follow(self.plant.url(self.site, path))

    def follow(self, url: str) -> int:
        """Open whatever it leads to, and return the status."""
        answer = self.tab.goto(url)
        assert answer
        return answer.status

    def reload(self) -> int:
        answer = self.tab.reload()
        assert answer
        return answer.status

    @property
    def node(self) -> NodeRed:
        """The Node-RED behind the site."""
        return self.plant.nodes["nr1" if self.site == "panel" else self.site]

    @property
    def base(self) -> str:
        """The path that the site's Node-RED is under."""
        return self.node.base

    @property
    def refused(self) -> list[tuple[int, str]]:
        return [answer for answer in self.answers if answer[0] in {401, 403}]

    @property
    def connected(self) -> bool:
        return any(not socket.is_closed() for socket in self.sockets)

    @property
    def cookie(self) -> str:
        """The session, as it would be sent now."""
        cookies = self.context.cookies(self.plant.url(self.site))
        (value,) = [one["value"] for one in cookies if one["name"] == f"__Host-rn-{self.site}"]
        return value

    def take(self, session: str) -> None:
        """Have this session from now on."""
        cookie = {"name": f"__Host-rn-{self.site}", "value": session, "url": self.plant.url(self.site)}
        self.context.add_cookies([{**cookie, "secure": True, "httpOnly": True, "sameSite": "Lax"}])

    def fetch(self, path: str) -> tuple[int, str]:
        """Let the page that is open ask its own site for something; return status and text."""
        status, text = self.tab.evaluate(
            """async path => {
                const signal = AbortSignal.timeout(30000);
                const answer = await fetch(path, {signal, headers: {"X-Renewer-User": "boss"}});
                return [answer.status, await answer.text()];
            }""",
            path,
        )
        return int(status), str(text)

    def picture(self, name: str) -> None:
        self.tab.screenshot(path=ARTEFACTS / f"{name}.png")

    def until(self, true: Callable[[], object]) -> None:
        """Wait until it is so, while the browser goes on."""
        for _ in range(int(PATIENCE * 10)):
            if true():
                return
            self.tab.wait_for_timeout(100)
        raise AssertionError("it did not come to pass")

    def _note(self, response: Response) -> None:
        self.answers.append((response.status, response.url.partition("?")[0]))

    def _watch(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        socket.on("framereceived", lambda frame: self.frames.append(str(frame)))


def _program(home: Path) -> Path:
    return home / "node_modules" / ".bin" / "node-red"

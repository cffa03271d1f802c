"""One nginx with the servers of three examples, a back end behind them, and a visitor."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from support import fitting
from support.fitting import HOME, OUTSIDE, fitted, places
from support.visitor import WHO, Answer, ask
from support.world import NAME, World, table

from renewer.core import tokens
from renewer.core.site import Key

EXAMPLES = [fitting.EXAMPLES / name for name in ("static-files", "lan-or-link", "client-certificate")]
STATIC, _, CLIENT = EXAMPLES

FILES, HOUSE, WORKSHOP, TOOLS, VAULT = (
    f"{name}.example.com" for name in ("files", "house", "workshop", "tools", "vault")
)
SOON = timedelta(minutes=5)

NAMES = (
    "plain.txt",
    "a film.txt",
    "ünï/100% ✓.txt",
    "a%20b+c.txt",
    "quotes'\"`\\.txt",
    "why?#not&k=k9.txt",
    "$HOME;(*)[!]{x}<|>^,=:@.txt",
    "-_.~09azAZ.txt",
)

# A location of another site in the server of the house.
BENCH = """set $rn_scope house;
    location /bench/ {
        set $rn_scope workshop;
        include /etc/nginx/snippets/lan-or-link.conf;
        proxy_pass http://127.0.0.1:1880;
    }
"""


class Backend(BaseHTTPRequestHandler):
    """What stands behind nginx: it tells what reached it, and takes websockets."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers["Upgrade"]:
            self.send_response(101)
            for name in ("Connection", "Upgrade", WHO):
                self.send_header(name, self.headers[name] or "")
            self.end_headers()
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        told = json.dumps({"headers": dict(self.headers), "body": body}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_GET  # noqa: N815 - its name is the method's

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def backend() -> Iterator[int]:
    with ThreadingHTTPServer((HOME, 0), Backend) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@dataclass
class Place:
    """One nginx with the servers of all three examples."""

    world: World
    behind: int

    @property
    def folder(self) -> Path:
        return self.world.folder

    @property
    def ca(self) -> Path:
        return self.folder / "client-ca"

    def fitted(self, path: Path) -> str:
        """Return a file of an example with this test's addresses and paths, without HTTP/2 of its own."""
        changed = {"set $rn_scope house;\n": BENCH, "127.0.0.1:1880": f"{HOME}:{self.behind}"}
        return fitted(path, changed | places(self.world) | {"# http2 on;": ""})

    def prepare(self) -> None:
        """Put everything where nginx and the program look for it."""
        for name in (*NAMES, "album/index.html", "album/1.jpg"):
            path = self.folder / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        (self.folder / "snippets").mkdir()
        for path in (path for one in EXAMPLES for path in one.glob("nginx/snippets/*.conf")):
            (self.folder / "snippets" / path.name).write_text(self.fitted(path))
        for signer in STATIC.glob("sign.*"):
            (self.folder / signer.name).write_text(self.fitted(signer))
        run("sh", str(CLIENT / "make-ca"), str(self.ca))
        texts = [self.fitted(path) for one in EXAMPLES for path in sorted(one.glob("nginx/conf.d/*.conf"))]
        http = f"include {self.world.state}/nginx/secure_link/http.conf;\n"
        reader = (
            "user root;" if os.geteuid() == 0 else ""
        )  # the files lie where only the tests' user may look
        self.world.nginx.configure(http + "".join(text.replace(http, "") for text in texts), reader)
        sites = [self.fitted(one / "renewer.toml").partition("[site.") for one in EXAMPLES]
        self.world.write(table(NAME), *(f"[site.{rest}" for _, _, rest in sites))

    def get(  # noqa: PLR0913 - as many as a request has parts
        self,
        host: str,
        path: str = "/",
        *headers: Mapping[str, str],
        method: str = "GET",
        source: str = HOME,
        identity: Path | None = None,
        body: str | None = None,
    ) -> Answer:
        """Ask nginx; `identity` is a client certificate with its key."""
        return ask(
            self.world.port,
            host,
            path,
            *headers,
            method=method,
            body=body,
            source=source,
            roots=self.world.box.roots,
            identity=identity,
        )

    def entered(self, site: str, person: str, source: str = OUTSIDE) -> dict[str, str]:
        """Open a link as a person does, and return the session."""
        address = urlsplit(self.printed("link", site, person))
        answer = self.get(address.netloc, f"{address.path}?{address.query}", source=source)
        assert answer.status == 303
        return answer.session

    def printed(self, *arguments: str) -> str:
        done = self.world.renewer(*arguments)
        assert (done.code, done.err) == (0, ""), done
        return done.out.strip()

    def keys(self, site: str) -> tuple[Key, list[Key]]:
        """Return the site's current key, and those that are retiring."""
        kept = self.world.ring(site)
        retiring = [one["key"] for one in kept["retiring"]]
        return Key(**kept["current"]), [Key(**one) for one in retiring]

    def session(self, site: str, person: str, *, old: bool = False, ago: bool = False) -> dict[str, str]:
        """Make a session; an `old` one is signed with the replaced key, one from long `ago` has ended."""
        current, retiring = self.keys(site)
        end = datetime.now(UTC) + (-SOON if ago else SOON)
        token = tokens.session(retiring[0] if old else current, site, person, end)
        return {"Cookie": f"__Host-rn-{site}={token}"}

    def identity(self, name: str, *options: str, ca: Path | None = None, **environment: str) -> Path:
        """Make a client certificate with its script, and take it out of the .p12 as a device does."""
        folder = ca or self.ca
        done = run("sh", str(CLIENT / "make-client"), *options, name, str(folder), **environment)
        password = done.stdout.splitlines()[0].rpartition(" ")[2]
        packed, pem = folder / f"{name}.p12", folder / f"{name}.pem"
        assert packed.stat().st_mode & 0o777 == 0o600
        run(
            "openssl", "pkcs12", "-in", str(packed), "-passin", f"pass:{password}", "-nodes", "-out", str(pem)
        )
        return pem


def run(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, env=os.environ | environment, check=True, capture_output=True, text=True, timeout=60
    )

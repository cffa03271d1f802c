"""The quick start: what a user does, against a local CA, with a real nginx, before the reader's eyes."""

import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sandbox import Sandbox

NAME = "example.com"
RENEWER = (sys.executable, "-m", "renewer")
LIFE = timedelta(seconds=24)
"""How long the certificates live here; below ten days they are renewed at half of it."""

RENEWALS = 2
PATIENCE = 60.0
"""Seconds after which something is plainly wrong."""

NGINX = """\
daemon off; master_process on; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    include {folder}/state/nginx/secure_link/http.conf;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name example.com *.example.com;
        include {folder}/state/nginx/certificates/example.com.conf;
        return 200 "hello\\n";
    }}
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name nodered.example.com;
        include {folder}/state/nginx/certificates/example.com.conf;
        set $rn_scope nodered;
        set $rn_home /ui/;
        include {folder}/state/nginx/secure_link/enter.conf;
        location / {{
            include {folder}/state/nginx/secure_link/gate.conf;
            return 200 "this is behind the gate\\n";
        }}
    }}
}}
"""

CERTIFICATE = """
[certificate."example.com"]
domains = ["example.com", "*.example.com"]

[site.nodered]
host = "https://nodered.example.com:{port}"
home = "/ui/"
people = ["phone"]

[nginx]
config = "{folder}/nginx.conf"
"""


def main() -> None:
    """Show the main job, and clean up."""
    with tempfile.TemporaryDirectory(prefix="renewer-quickstart-") as name:
        folder = Path(name)
        _say("Starting a CA (pebble), a stand-in for Cloudflare with two name servers, and nginx")
        print(
            'In the configuration: the certificate "example.com", and a site "nodered" (see the last part).'
        )
        with Sandbox(
            folder / "sandbox", delays=(0.5, 1.0), latency=0.08, validity=LIFE, authz_reuse=0
        ) as sandbox:
            port = _free_port()
            (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
            config = folder / "renewer.toml"
            config.write_text(sandbox.toml(folder / "state") + CERTIFICATE.format(folder=folder, port=port))
            _renewer(config, "nginx", "what to put into nginx's configuration")
            with _running("nginx", "-c", str(folder / "nginx.conf")):
                _first(config, port, sandbox)
                _daemon(config, port, sandbox)
                _secure_link(config, port, sandbox)
    _say("Done. The temporary folder is gone; .venv in this checkout is what is left.")
    print('To have this for your own domain, go on at "Use it" in README.md.', flush=True)


def _first(config: Path, port: int, sandbox: Sandbox) -> None:
    _say(f"nginx serves the self-signed placeholder, until there is a certificate: {_served(port, None)}")
    _renewer(config, "renew", "obtains the certificate, publishes it, reloads nginx, sees it served")
    _say(f"nginx serves, verified against the CA's root: {_served(port, sandbox.roots)}")
    _say(f"calls to Cloudflare's API: {len(sandbox.calls())}, TXT records left: {len(sandbox.records())}")
    _renewer(config, "renew", "again, right after: nothing to do, no order")


def _daemon(config: Path, port: int, sandbox: Sandbox) -> None:
    """Let the daemon renew, and show each new certificate as a client sees it."""
    life = f"{LIFE.total_seconds():.0f} seconds"
    _say(f"This CA's certificates live {life}, so that you can watch the daemon renew: {RENEWALS} times now")
    print(f"$ renewer -c {config.name} run &", flush=True)
    with _running(*RENEWER, "-c", str(config), "run"):
        seen = _served(port, sandbox.roots)
        for _ in range(RENEWALS):
            seen = _next(port, sandbox.roots, seen)
            _say(f"nginx now serves {seen}")
        time.sleep(1)  # the last cycle sees that too, and ends
    print("$ kill %1", flush=True)


def _secure_link(config: Path, port: int, sandbox: Sandbox) -> None:
    """Rotate a site's key with a renewal, and open the site with a signed link."""
    home = f"https://nodered.{NAME}:{port}/ui/"
    _say("A site behind secure links: its key rotates with the certificate, under the same reload")
    _renewer(config, "renew", "a renewal, before its time", "--force")
    _say(f"A browser that opens {home} without a link gets {_asked(home, sandbox.roots).status}")
    print('A link for the person "phone", as text and for a camera:', flush=True)
    print(f"$ renewer -c {config.name} link nodered phone --qr", flush=True)
    argv = [*RENEWER, "-c", str(config), "link", "nodered", "phone", "--qr"]
    printed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    print(printed, flush=True)
    entered = _asked(printed.split()[0], sandbox.roots)
    _say(f"With the link it gets {entered.status}, a cookie, and is sent on to {entered.headers['Location']}")
    cookie = (entered.headers["Set-Cookie"] or "").partition(";")[0]
    _say(f"With the cookie it gets {_asked(home, sandbox.roots, Cookie=cookie).status}: the site is open")


def _asked(url: str, roots: Path, **headers: str) -> HTTPResponse:
    """Ask nginx as a browser would to which this machine is the site."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=roots)
    with (
        socket.create_connection(("127.0.0.1", parts.port or 443), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as secured,
    ):
        sent = {"Host": parts.netloc, "Connection": "close"} | headers
        lines = [
            f"GET {parts.path}?{parts.query} HTTP/1.1",
            *(f"{name}: {text}" for name, text in sent.items()),
        ]
        secured.sendall("\r\n".join([*lines, "", ""]).encode())
        response = HTTPResponse(secured)
        response.begin()
        return response


def _next(port: int, roots: Path, before: str) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(0.2)
        try:
            now = _served(port, roots)
        except ssl.SSLCertVerificationError as error:
            sys.exit(f"a client refuses what nginx serves: {error.verify_message}")
        if now != before:
            return now
    sys.exit("the daemon did not renew in time")


def _served(port: int, roots: Path | None) -> str:
    """Return what a TLS client sees; with `roots` it verifies name, dates and chain."""
    context = ssl.create_default_context(cafile=roots)
    if roots is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=f"www.{NAME}") as secured,
    ):
        der = secured.getpeercert(binary_form=True) or b""
        known = secured.getpeercert() or {}
    serial = f"serial {x509.load_der_x509_certificate(der).serial_number:x}"
    return f"{serial}, valid until {known['notAfter']}" if known else serial


def _renewer(config: Path, command: str, why: str, *options: str) -> None:
    print(f"$ renewer -v -c {config.name} {' '.join((command, *options))}    # {why}", flush=True)
    subprocess.run([*RENEWER, "-v", "-c", str(config), command, *options], check=True, timeout=PATIENCE)


@contextmanager
def _running(*argv: str) -> Iterator[None]:
    process = subprocess.Popen(argv)
    try:
        time.sleep(0.3)
        yield
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    main()

"""What the gates cost nginx: requests per second with and without them, side by side in one run.

Each round measures without and with the gates, the next one in the other order; what counts is the median of
the ratios. `proxied` goes on to another nginx over kept connections; `plain` is answered by nginx itself: the
hardest case, with nothing else to do than the gate.
"""

import re
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from measure import in_turns, median, paired
from support.nginx_master import Nginx, free_port

from renewer.core import tokens
from renewer.core.site import Gate, Guard, Key, Mode, Retiring, Ring, SiteSpec
from renewer.nginx.secure_link import gates

CONNECTIONS = 16

PEOPLE = tuple(f"device-{n}" for n in range(20))

GATES = {"none": "", "session": "gate.conf", "url": "gate-url.conf"}

ANSWERS = {
    "proxied": 'proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";',
    "plain": "return 200 hello;",
}


def measured(rounds: int, seconds: int) -> dict[str, Any]:
    """Return the requests per second of each answer and gate, and their ratio to those without a gate."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # nginx's workers read the files of the backend
        (folder / "front").mkdir()
        (folder / "back").mkdir()
        with Nginx(folder / "front") as front, Nginx(folder / "back") as back:
            host = f"http://127.0.0.1:{serve(front, back)}"
            load = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
            return {kind: _compared(host, kind, load, rounds) for kind in ANSWERS}


def _compared(host: str, kind: str, load: list[str], rounds: int) -> dict[str, Any]:
    acts = {gate: partial(rate, [*load, *request(host, kind, gate)]) for gate in GATES}
    found = in_turns(acts, rounds)
    return {
        gate: {"rate": median(rates), "of_none": paired(rates, found["none"])}
        for gate, rates in found.items()
    }


def rate(command: list[str]) -> float:
    """Return the requests per second that a command sees."""
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in text, text
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0])


def serve(front: Nginx, back: Nginx) -> int:
    """Start both, and return the port to ask."""
    port, behind = free_port(), free_port()
    back.configure(f"server {{ listen 127.0.0.1:{behind}; location / {{ return 200 hello; }} }}")
    back.start()
    for name, text in gates.texts(Guard(tuple(made().values())), "ff" * 32).items():
        (front.folder / name).write_text(text)
    locations = "".join(
        f"location /{kind}-{gate} {{ set $rn_scope {gate};"
        f" {f'include {front.folder}/{file};' if file else ''} {answer} }}\n"
        for kind, answer in ANSWERS.items()
        for gate, file in GATES.items()
    )
    front.configure(
        f"include {front.folder}/http.conf; keepalive_requests 1000000;\n"
        f"upstream backend {{ server 127.0.0.1:{behind}; keepalive 16; }}\n"
        f"server {{ listen 127.0.0.1:{port};\n{locations} }}"
    )
    front.start()
    return port


def request(host: str, kind: str, gate: str) -> list[str]:
    """Return what asks for a path with all that its gate wants to see; a session is always sent along."""
    end = datetime.now(UTC) + timedelta(hours=1)
    path = f"/{kind}-{gate}"
    if gate == "url":
        path = tokens.url(made()["url"].ring.current, "url", path, end)
    session = tokens.session(made()["session"].ring.current, "session", PEOPLE[-1], end)
    return ["-H", f"Cookie: __Host-rn-session={session}", host + path]


def made() -> dict[str, Gate]:
    """Return a site for each gate, with a key of every phase."""
    now = datetime.now(UTC)
    keys = [Key(f"k{n}", f"{n:02x}" * 32) for n in range(3)]
    ring = Ring(keys[2], keys[1], now, now + timedelta(days=1), 3, (Retiring(keys[0], now),))
    specs = (
        SiteSpec("session", "https://a.example.com", people=PEOPLE),
        SiteSpec("url", "https://b.example.com", mode=Mode.URL),
    )
    return {spec.name: Gate(spec, ring) for spec in specs}

"""What the gates cost nginx: requests per second with and without them, side by side in one run.

    apt-get install wrk; .venv/bin/python tests/bench/gate.py [ROUNDS] [SECONDS]

Each round measures without and with the gate, and the next one in the other order; what counts is the median of
each. `proxied` goes on to another nginx over kept connections, and `plain` is answered by nginx itself, the
hardest case: there is nothing else to do than the gate.
"""

import re
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from nginx_master import Nginx, free_port  # noqa: E402

from renewer import tokens  # noqa: E402
from renewer.nginx import gates  # noqa: E402
from renewer.sites import Gate, Guard, Key, Mode, Retiring, Ring, SiteSpec  # noqa: E402

ROUNDS, SECONDS, CONNECTIONS = 6, 4, 16

PEOPLE = tuple(f"device-{n}" for n in range(20))

GATES = {"none": "", "session": "gate.conf", "url": "gate-url.conf"}

PROXIED = 'proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";'


def main(rounds: int = ROUNDS, seconds: int = SECONDS) -> None:
    """Measure, and print a table in Markdown."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # nginx's workers read the files of the backend
        (folder / "front").mkdir()
        (folder / "back").mkdir()
        with Nginx(folder / "front") as front, Nginx(folder / "back") as back:
            port = serve(front, back)
            headers, arguments = signed()
            print("| answered | gate | requests/s | of those without |\n|---|---|--:|--:|")
            for kind in ("proxied", "plain"):
                found = measured(f"http://127.0.0.1:{port}", kind, headers, arguments, rounds, seconds)
                for gate, rates in found.items():
                    rate, base = statistics.median(rates), statistics.median(found["none"])
                    print(f"| {kind} | {gate} | {rate:,.0f} | {rate / base:.2f} |")


def measured(
    host: str, kind: str, headers: list[str], arguments: dict[str, str], rounds: int, seconds: int
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {gate: [] for gate in GATES}
    for turn in range(rounds):
        for gate in list(GATES)[:: 1 if turn % 2 else -1]:
            url = f"{host}/{kind}-{gate}{arguments[f'/{kind}-{gate}'] if gate == 'url' else ''}"
            command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *headers, url]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            assert "Non-2xx" not in text, text
            found[gate].append(float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0]))
    return found


def serve(front: Nginx, back: Nginx) -> int:
    """Start both, and return the port to ask."""
    port, behind = free_port(), free_port()
    back.configure(f"server {{ listen 127.0.0.1:{behind}; location / {{ return 200 hello; }} }}")
    back.start()
    for name, text in gates.texts(Guard(tuple(gate for gate, _ in made().values()), "ff" * 32)).items():
        (front.folder / name).write_text(text)
    locations = "".join(
        f"location /{kind}-{gate} {{ {f'set $rn_scope {gate}; include {front.folder}/{file};' if file else ''}"
        f" {PROXIED if kind == 'proxied' else 'return 200 hello;'} }}\n"
        for kind in ("proxied", "plain")
        for gate, file in GATES.items()
    )
    front.configure(
        f"include {front.folder}/http.conf; keepalive_requests 1000000;\n"
        f"upstream backend {{ server 127.0.0.1:{behind}; keepalive 16; }}\n"
        f"server {{ listen 127.0.0.1:{port};\n{locations} }}"
    )
    front.start()
    return port


def signed() -> tuple[list[str], dict[str, str]]:
    """Return the header with a session, and the arguments of each URL that is signed."""
    _, ring = made()["session"]
    end = datetime.now(UTC) + timedelta(hours=1)
    cookie = f"Cookie: __Host-rn-session={tokens.session(ring.current, 'session', PEOPLE[-1], end)}"
    _, ring = made()["url"]
    paths = ("/proxied-url", "/plain-url")
    return ["-H", cookie], {path: tokens.url(ring.current, "url", path, end)[len(path) :] for path in paths}


def made() -> dict[str, tuple[Gate, Ring]]:
    now = datetime.now(UTC)
    keys = [Key(f"k{n}", f"{n:02x}" * 32) for n in range(3)]
    ring = Ring(keys[2], keys[1], now, now + timedelta(days=1), 3, (Retiring(keys[0], now),))
    specs = (
        SiteSpec("session", "https://a.example.com", people=PEOPLE),
        SiteSpec("url", "https://b.example.com", mode=Mode.URL),
    )
    return {spec.name: (Gate(spec, ring), ring) for spec in specs}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

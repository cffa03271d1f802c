"""What the gates cost nginx: requests per second with and without them, side by side in one run.

    apt-get install wrk; .venv/bin/python tests/bench/gate.py [ROUNDS] [SECONDS]

Each round measures without and with the gates, the next one in the other order; what counts is each median.
`proxied` goes on to another nginx over kept connections; `plain` is answered by nginx itself: the hardest
case, with nothing else to do than the gate.
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

ROUNDS, SECONDS, CONNECTIONS = 12, 3, 16

PEOPLE = tuple(f"device-{n}" for n in range(20))

GATES = {"none": "", "session": "gate.conf", "url": "gate-url.conf"}

ANSWERS = {
    "proxied": 'proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";',
    "plain": "return 200 hello;",
}


def main(rounds: int = ROUNDS, seconds: int = SECONDS) -> None:
    """Measure, and print a table in Markdown."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # nginx's workers read the files of the backend
        (folder / "front").mkdir()
        (folder / "back").mkdir()
        with Nginx(folder / "front") as front, Nginx(folder / "back") as back:
            host = f"http://127.0.0.1:{serve(front, back)}"
            load = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
            print("| answered | gate | requests/s | of those without |\n|---|---|--:|--:|")
            for kind in ANSWERS:
                found = measured({gate: [*load, *request(host, kind, gate)] for gate in GATES}, rounds)
                for gate, rates in found.items():
                    rate, base = statistics.median(rates), statistics.median(found["none"])
                    print(f"| {kind} | {gate} | {rate:,.0f} | {rate / base:.2f} |")


def measured(commands: dict[str, list[str]], rounds: int) -> dict[str, list[float]]:
    """Return the requests per second that each command sees, of each round."""
    found: dict[str, list[float]] = {gate: [] for gate in commands}
    for turn in range(rounds):
        for gate in list(commands)[:: 1 if turn % 2 else -1]:
            text = subprocess.run(commands[gate], capture_output=True, text=True, check=True).stdout
            assert "Non-2xx" not in text, text
            found[gate].append(float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0]))
    return found


def serve(front: Nginx, back: Nginx) -> int:
    """Start both, and return the port to ask."""
    port, behind = free_port(), free_port()
    back.configure(f"server {{ listen 127.0.0.1:{behind}; location / {{ return 200 hello; }} }}")
    back.start()
    for name, text in gates.texts(Guard(tuple(made().values()), "ff" * 32)).items():
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


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

"""nginx: how long a stored certificate waits for its first handshake, and what reloads cost its clients."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contest import AT_ONCE, Place, Renewer, place
from measure import median
from support import certs
from support.nginx_master import Client, Nginx, free_port
from support.world import World, careless

from renewer.core.model import Publish

NAME = "example.com"


def measured(renewals: int, reloads: int, clients: int) -> dict[str, Any]:
    """Measure both."""
    with place(setting=AT_ONCE) as here:
        delays = _delays(here, renewals)
    return {
        "first_handshake": median(delays),
        "latest_handshake": max(delays),
        "renewals": renewals,
    } | _reloads(reloads, clients)


def _delays(here: Place, renewals: int) -> list[float]:
    """Return the seconds from a certificate in the store to its first handshake, of every renewal."""
    renew = Renewer(here, nginx=True).renewal()
    return [_delay(here.world, renew) for _ in range(renewals)]


def _delay(world: World, renew: Callable[[], object]) -> float:
    stored = world.state / "store" / "certificate" / f"{NAME}.json"
    before, now = world.glimpse(), time.time()
    running = threading.Thread(target=renew)
    running.start()
    while world.glimpse() == before:
        now = time.time()
    running.join()
    return max(now - stored.stat().st_mtime, 0.0)


def _reloads(reloads: int, clients: int) -> dict[str, Any]:
    """Publish and reload again and again while clients ask, each request over a connection of its own."""
    spec = certs.spec(NAME)
    materials = [certs.material(spec), certs.material(spec)]
    with TemporaryDirectory() as folder, Nginx(Path(folder)) as nginx, ExitStack() as asking:
        nginx.folder.chmod(0o755)
        port = free_port()
        nginx.configure(nginx.server(f"listen 127.0.0.1:{port} ssl;", NAME, NAME))
        deployer = nginx.deployer()
        deployer.prepare([spec])
        nginx.start()
        every = [Client(lambda: _ask(port)) for _ in range(clients)]
        for client in every:
            client.start()
            asking.callback(client.end)
        begin = time.monotonic()
        for number in range(reloads):
            deployer.apply([Publish(spec, replace(materials[number % 2]))])
        took = time.monotonic() - begin
        asking.close()
    answers = Counter(answer for client in every for answer in client.results)
    good = answers.pop("204", 0)
    return {"reloads": reloads, "reload_seconds": took / reloads, "requests": good, "lost": dict(answers)}


def _ask(port: int) -> str:
    """Return the status of one request, or what went wrong instead."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
            careless().wrap_socket(plain, server_hostname=NAME) as wrapped,
        ):
            wrapped.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
            return wrapped.recv(4096)[9:12].decode() or "no answer"
    except OSError as error:
        return type(error).__name__

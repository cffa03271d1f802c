"""A CA that asks for time is left alone."""

import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from support.done import rfc3339
from support.hostile.server import Hostile, whole
from support.world import NAME, World, table


def grumpy(tls: Path, status: int, retry_after: str) -> Hostile:
    """Return a CA that answers everything with one status, a Retry-After and a page for people."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "tls.pem", tls / "tls.key")
    page, told = b"<html><h1>Not now</h1></html>", {"Retry-After": retry_after, "Content-Type": "text/html"}
    return Hostile(lambda *_: whole(page, told, f"{status} Not now"), context)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_ca_that_asks_for_time_is_left_alone(world: World, status: int, form: str) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    header = "3600" if form == "seconds" else format_datetime(until, usegmt=True)
    served = world.glimpse()
    with grumpy(world.box.pebble.folder, status, header) as ca:
        elsewhere = f"https://127.0.0.1:{ca.port}/dir"
        world.write(table(NAME), edit=lambda text: text.replace(world.box.directory, elsewhere))
        first = world.renewer("renew")
        assert first.code == 75
        assert (len(first.sentences), len(first.hints)) == (1, 1)
        assert str(status) in first.err
        asked = len(ca.requests)
        assert asked > 0
        for more in ([], ["--force"]):
            again = world.renew(*more)
            assert (again.code, again.one["action"]) == (75, "failed")
            assert f"{rfc3339(again.one['next']):%Y-%m-%d %H:%M:%S} UTC" in again.one["error"]
            assert rfc3339(again.one["next"]) > until - timedelta(minutes=1)
        assert len(ca.requests) == asked
    assert (world.glimpse(), world.box.calls()) == (served, [])

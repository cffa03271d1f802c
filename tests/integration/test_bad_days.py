"""The bad days of a CA: it is away, another steps in, what it issued is revoked; and wrong clocks."""

import json
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from support.facts import missing
from support.world import NAME, Done, World, careless, connect

from sandbox.pebble import Habits, Pebble

PATCHED = """
import sys
from renewer.cli import main as cli
exec(sys.argv.pop(1))
cli.main()
"""


@pytest.fixture
def second(world: World, tmp_path: Path) -> Iterator[Pebble]:
    """Another CA, which looks at the same DNS."""
    with Pebble(tmp_path / "second", world.box.resolver, Habits(nonce_reject=5, authz_reuse=0)) as pebble:
        yield pebble


def orders(pebble: Pebble) -> int:
    return pebble.log.read_text(errors="replace").count('Added order "')


def shown_by(world: World, pebble: Pebble) -> bool:
    """Tell whether nginx shows a certificate of this CA."""
    try:
        return bool(connect(world.port, NAME, ssl.create_default_context(cafile=str(pebble.roots))))
    except ssl.SSLCertVerificationError:
        return False


def patched(world: World, code: str, *arguments: str) -> Done:
    """Run the program with something changed in it first."""
    done = subprocess.run(
        [sys.executable, "-c", PATCHED, code, "-c", str(world.config), *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


# -- another CA ---------------------------------------------------------------------------------------------


def test_a_second_ca_steps_in_when_the_first_has_failed_for_long_and_goes_again(
    world: World, second: Pebble
) -> None:
    extra = (
        f'[[acme.fallback]]\nserver = "{second.directory}"\nca_bundle = "{second.ca_bundle}"\nafter = "2s"\n'
    )
    world.config.write_text(world.config.read_text() + extra)
    world.box.pebble.stop()
    first = world.renew()
    assert (first.code, first.one["action"], orders(second)) == (75, "failed", 0)
    time.sleep(2)
    done = world.renew()
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True)
    assert shown_by(world, second)

    world.ca.restart()
    assert world.renew().one["action"] == "fresh"  # what the second issued is as good
    assert world.renew("--force").one["action"] == "issued"
    assert shown_by(world, world.box.pebble)
    assert orders(second) == 1


def test_after_a_failure_an_order_is_rehearsed_elsewhere_first(world: World, second: Pebble) -> None:
    text = world.config.read_text().replace(
        "[acme]\n", f'[acme]\nrehearse = "{second.directory}"\nrehearse_ca_bundle = "{second.ca_bundle}"\n'
    )
    world.config.write_text(text.replace('timeout = "30s"', 'timeout = "1s"'))
    for server in world.box.nameservers:
        server.delay = 60.0
    assert world.renew().code == 75
    assert (world.ca.orders, orders(second)) == (1, 0)
    asked = world.ca.asked

    again = world.renew()  # the rehearsal fails for the same reason: the real CA is not asked
    assert (again.code, world.ca.asked, orders(second)) == (75, asked, 1)
    for server in world.box.nameservers:
        server.delay = 0.0
    done = world.renew()
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True)
    assert shown_by(world, world.box.pebble)
    assert (world.ca.orders, orders(second), world.box.records()) == (1, 1, [])


# -- revocation ---------------------------------------------------------------------------------------------


def status_at(pebble: Pebble, certificate: bytes) -> str:
    """Return what the CA says of a certificate."""
    serial = x509.load_der_x509_certificate(certificate).serial_number
    url = f"https://127.0.0.1:{pebble.management_port}/cert-status-by-serial/{serial:x}"
    with urllib.request.urlopen(url, context=careless(), timeout=30) as answer:
        return str(json.load(answer)["Status"])


def leaf(world: World) -> bytes:
    """Return the certificate that is kept, as DER."""
    pem = (world.state / "certificates" / NAME / "current" / "cert.pem").read_text()
    return ssl.PEM_cert_to_DER_cert(pem)


def test_what_is_revoked_is_replaced_with_a_new_key_and_served(world: World) -> None:
    before = world.renew().one["fingerprint"]
    old = leaf(world)
    key = world.state / "certificates" / NAME / "current" / "privkey.pem"
    old_key = key.read_bytes()
    done = world.renewer("revoke", NAME, "--reason", "keyCompromise", "--json")
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True)
    assert world.shown().fingerprint == done.one["fingerprint"] != before
    assert key.read_bytes() != old_key
    assert status_at(world.box.pebble, old) == "Revoked"
    assert status_at(world.box.pebble, leaf(world)) == "Valid"
    assert world.renew().one["action"] == "fresh"


DEAF = """
import requests
from renewer.acme.client import Connection
def deaf(self, chain, reason):
    raise requests.exceptions.ConnectTimeout("no answer")
Connection.revoke = deaf
"""


def test_a_revocation_that_the_ca_does_not_hear_is_made_later(world: World) -> None:
    before = world.renew().one["fingerprint"]
    old = leaf(world)
    unheard = patched(world, DEAF, "revoke", NAME)
    assert (unheard.code, "not revoked" in unheard.err) == (75, True)
    assert world.shown().fingerprint != before  # it is replaced all the same
    assert status_at(world.box.pebble, old) == "Valid"
    assert world.renew().one["action"] == "fresh"
    assert status_at(world.box.pebble, old) == "Revoked"


@pytest.mark.parametrize("arguments", [("nobody.example",), (NAME, "--reason", "boredom"), ()])
def test_a_revocation_of_nothing_revokes_nothing(world: World, arguments: tuple[str, ...]) -> None:
    world.renew()
    done = world.renewer("revoke", *arguments)
    assert (done.code, done.out) == (78, "")
    assert done.err
    assert status_at(world.box.pebble, leaf(world)) == "Valid"


# -- an order whose URL was never written down --------------------------------------------------------------

DIES_AFTER_NEW_ORDER = """
import os, signal
from renewer.acme.client import Connection
real = Connection.new_order
def dying(self, *arguments):
    real(self, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)
Connection.new_order = dying
"""


def test_an_order_that_was_placed_and_not_written_down_is_found_again(world: World) -> None:
    assert patched(world, DIES_AFTER_NEW_ORDER, "renew").code == -signal.SIGKILL
    assert (world.ca.orders, world.ordered()) == (1, "")
    done = world.renew()
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True)
    assert world.ca.orders == 1


# -- clocks -------------------------------------------------------------------------------------------------

SHIFTED = """
from datetime import timedelta
from renewer.system.clock import SystemClock
real = SystemClock.now
SystemClock.now = lambda self: real(self) + timedelta(days={days})
"""


@pytest.mark.parametrize("days", [-400, 400])
def test_with_a_clock_that_is_off_nothing_is_ordered_and_it_is_said(world: World, days: int) -> None:
    world.renew()
    kept = world.files("store/certificate", "certificates", "nginx")
    done = patched(world, SHIFTED.format(days=days), "renew", "--force")
    assert done.code == 1
    assert missing(done.err, "clock", "timedatectl") == []
    assert (world.ca.orders, world.files("store/certificate", "certificates", "nginx")) == (1, kept)
    healed = world.renew()
    assert (healed.code, healed.one["action"], healed.err) == (0, "fresh", "")


# -- rate limits --------------------------------------------------------------------------------------------


def test_the_order_that_would_cross_a_limit_is_not_sent(world: World) -> None:
    text = world.config.read_text()
    world.config.write_text(f'{text}\n[acme.limits]\ncertificates_per_set = "2/7d"\n')
    assert world.renew().code == 0
    forced = world.renewer("--verbose", "renew", "--force")
    assert forced.code == 0
    assert missing(forced.err, "2 of 2 certificates", "7 days") == []
    served = world.shown().fingerprint

    dry = world.renewer("renew", "--force", "--dry-run")
    assert dry.code == 75
    assert missing(" ".join(dry.out.split()), "2 of 2 certificates", "7 days") == []
    for _ in range(2):  # it does not matter how often it is tried
        done = world.renew("--force")
        assert (done.code, done.one["action"], done.one["served"]) == (75, "failed", True)
        assert missing(done.one["error"], "2 of 2 certificates", "7 days") == []
    assert (world.ca.orders, world.ca.issued, world.shown().fingerprint) == (2, 2, served)
    assert world.renew().one["action"] == "fresh"


def test_failed_authorizations_are_counted_and_the_next_order_waits(world: World) -> None:
    text = world.config.read_text()
    world.config.write_text(f'{text}\n[acme.limits]\nfailed_authorizations = "1/1h"\n')
    everything = world.box.recursor.shown
    world.box.recursor.shown = lambda zone, name: [one for one in everything(zone, name) if one.type != "TXT"]
    failed = world.renew()
    assert (failed.code, world.ca.refused) == (1, True)
    world.box.recursor.shown = everything
    held = world.renew()
    assert (held.code, world.ca.orders) == (75, 1)
    (world.state / "store" / "failure" / f"{NAME}.json").unlink()  # even if nobody knew of the failure
    still = world.renew()
    assert (still.code, world.ca.orders) == (75, 1)
    assert missing(still.one["error"], "1 of 1 failed authorizations", NAME) == []

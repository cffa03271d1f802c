"""`renewer renew` with a real CA and a real nginx: from nothing to a certificate that a client is shown."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from support.done import rfc3339
from support.facts import missing
from support.world import NAME, Make, World, eventually, table

from sandbox import Fault, Token

OTHER = "second.example"
OF_A_CERTIFICATE = {"name", "action", "not_after", "fingerprint", "served", "next", "error"}


# -- the way that nothing stands in -------------------------------------------------------------------------


def test_the_first_certificate_is_obtained_and_served(world: World) -> None:
    done = world.renew()
    assert (done.code, done.err) == (0, "")
    assert set(done.answer) == {"certificates", "sites", "exit"}
    assert (done.answer["sites"], done.answer["exit"]) == ([], 0)
    assert set(done.one) == OF_A_CERTIFICATE
    assert (done.one["name"], done.one["action"], done.one["served"], done.one["error"]) == (
        NAME,
        "issued",
        True,
        None,
    )
    now = datetime.now(UTC)
    assert now < rfc3339(done.one["next"]) < rfc3339(done.one["not_after"])
    for name in (NAME, f"made-up.{NAME}"):
        seen = world.shown(name)
        assert seen.fingerprint == done.one["fingerprint"]
        assert {value for _, value in seen.details["subjectAltName"]} == {NAME, f"*.{NAME}"}
    assert (world.ca.orders, world.ca.accounts, world.ca.issued) == (1, 1, 1)
    assert len(world.box.calls()) == 3
    assert world.box.records() == []
    assert world.nginx.reloads() == 1


def test_a_run_right_after_has_nothing_to_do_and_nothing_to_say(world: World) -> None:
    first = world.renew().one
    calls, log, reloads = len(world.box.calls()), world.ca.log, world.nginx.reloads()
    before = world.files("certificates", "nginx", "store")
    again = world.renew()
    assert (again.code, again.one["action"], again.one["served"]) == (0, "fresh", True)
    assert again.one["fingerprint"] == first["fingerprint"]
    quiet = world.renewer("renew")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert (len(world.box.calls()), world.ca.log, world.nginx.reloads()) == (calls, log, reloads)
    assert world.files("certificates", "nginx", "store") == before


def test_with_the_zone_known_two_calls_are_enough(make: Make) -> None:
    blind = Token((NAME,), zone_read=False)
    world = make(tokens={"a-token-that-may-edit-but-not-list-zones": blind})
    world.write(table(NAME), zone_ids=True)
    assert world.renew().code == 0
    assert [call.path.rpartition("/")[2] for call in world.box.calls()] == ["batch", "batch"]
    assert world.box.records() == []


def test_the_ca_is_not_told_before_the_slowest_name_server_shows_it(make: Make) -> None:
    world = make(delays=(1.0, 2.5), latency=0.08)
    done = world.renew()
    assert (done.code, done.one["action"]) == (0, "issued")
    assert (world.ca.orders, world.ca.answered, world.ca.refused) == (1, 2, False)
    assert len(world.box.calls()) == 3
    assert world.box.records() == []


def test_what_lies_in_the_state_folder_is_whole_and_private(world: World) -> None:
    told = world.renew().one
    home = world.state / "certificates" / NAME
    assert (home / "current").readlink() == Path("g000001")
    assert sorted(path.name for path in (home / "g000001").iterdir()) == [
        "cert.pem",
        "chain.pem",
        "fullchain.pem",
        "privkey.pem",
    ]
    cert, chain, fullchain, privkey = (path.read_bytes() for path in sorted((home / "current/").iterdir()))
    leaf, *_ = x509.load_pem_x509_certificates(fullchain)
    assert leaf == x509.load_pem_x509_certificate(cert)
    assert x509.load_pem_x509_certificates(chain) == x509.load_pem_x509_certificates(fullchain)[1:]
    assert load_pem_private_key(privkey, None).public_key() == leaf.public_key()
    assert rfc3339(told["not_after"]) == leaf.not_valid_after_utc
    assert (
        str(home / "g000001/fullchain.pem") in (world.state / f"nginx/certificates/{NAME}.conf").read_text()
    )
    assert not [name for name in world.files() if "*" in name]
    for path in (world.state, *world.state.rglob("*")):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_both_kinds_of_key_are_served_from_one_generation(world: World) -> None:
    world.write(table(NAME, more='keys = ["ec256", "rsa2048"]'))
    done = world.renew()
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True)
    by_cipher = {}
    for ciphers, kind in (("aECDSA", ec.EllipticCurvePublicKey), ("aRSA", rsa.RSAPublicKey)):
        by_cipher[ciphers] = world.shown(ciphers=ciphers)
        assert isinstance(x509.load_der_x509_certificate(by_cipher[ciphers].der).public_key(), kind)
    assert done.one["fingerprint"] == by_cipher["aECDSA"].fingerprint
    home = world.state / "certificates" / NAME
    assert [path.name for path in home.glob("g*")] == ["g000001"]
    assert len(list((home / "g000001").iterdir())) == 8
    assert (world.ca.orders, world.nginx.reloads()) == (2, 1)
    assert world.box.records() == []


def test_other_domains_or_keys_in_the_configuration_are_a_new_certificate(world: World) -> None:
    first = world.renew().one
    world.write(table(NAME, NAME, "deep.down.example.com"))
    second = world.renew().one
    assert (second["action"], second["served"]) == ("issued", True)
    names = {value for _, value in world.shown().details["subjectAltName"]}
    assert names == {NAME, "deep.down.example.com"}
    world.write(table(NAME, NAME, "deep.down.example.com", more='keys = ["rsa2048"]'))
    third = world.renew().one
    assert (third["action"], third["served"]) == ("issued", True)
    assert len({first["fingerprint"], second["fingerprint"], third["fingerprint"]}) == 3
    assert world.renew().one["action"] == "fresh"
    assert world.ca.orders == 3


def test_force_orders_although_nothing_is_due(world: World) -> None:
    first = world.renew().one
    second = world.renew("--force").one
    assert (second["action"], second["served"]) == ("issued", True)
    assert second["fingerprint"] != first["fingerprint"]
    assert world.shown().fingerprint == second["fingerprint"]
    assert (world.ca.orders, world.ca.accounts) == (2, 1)


def test_a_dry_run_tells_and_changes_nothing(world: World) -> None:
    before = world.files()
    planned = world.renew("--dry-run")
    assert (planned.code, planned.one["action"], planned.one["fingerprint"]) == (0, "issued", None)
    spoken = world.renewer("renew", "--dry-run")
    assert "to be ordered" in spoken.out
    assert world.files() == before
    assert (world.ca.asked, world.box.calls(), world.nginx.reloads()) == (0, [], 0)


def test_a_delegated_challenge_is_answered_in_the_other_zone(make: Make) -> None:
    world = make(zones=(NAME, "delegated.example"))
    world.box.zones[NAME].add(f"_acme-challenge.{NAME}", "CNAME", "us.delegated.example")
    done = world.renew()
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True)
    batches = [call.path for call in world.box.calls() if call.method == "POST"]
    assert batches == [f"/zones/{world.box.zones['delegated.example'].id}/dns_records/batch"] * 2
    assert (world.ca.orders, world.ca.refused) == (1, False)
    assert world.box.records() == []


def test_status_says_what_a_run_said(world: World) -> None:
    waiting = world.renewer("status", "--json")
    assert (waiting.code, waiting.one["served"], waiting.one["fingerprint"]) == (0, False, None)
    told = world.renew().one
    calls, log = len(world.box.calls()), world.ca.log
    after = world.renewer("status", "--json")
    assert after.one == told | {"action": "fresh"}
    world.nginx.stop()
    down = world.renewer("status", "--json")
    assert (down.code, down.answer["exit"], down.one["action"]) == (1, 1, "failed")
    assert (down.one["served"], missing(down.one["error"], "running")) == (False, [])
    assert down.one["next"] < told["next"]
    assert "start nginx" in world.renewer("status").out
    assert (len(world.box.calls()), world.ca.log) == (calls, log)


# -- nginx stands in the way --------------------------------------------------------------------------------


def broken(world: World) -> str:
    """Break nginx's configuration as a person would; return the place of the wrong line."""
    world.listen("no_such_directive on;\n")
    lines = world.nginx.config.read_text().splitlines()
    return f"{world.nginx.config}:{1 + next(i for i, line in enumerate(lines) if 'no_such' in line)}"


@pytest.mark.parametrize("served", ["placeholder", "certificate"])
def test_a_certificate_waits_until_a_broken_nginx_is_mended(world: World, served: str) -> None:
    if served == "certificate":
        assert world.renew().code == 0
    before, orders = world.glimpse(), world.ca.orders
    place = broken(world)
    done = world.renewer("renew", "--force")
    assert done.code == 1
    (sentence,), (hint,) = done.sentences, done.hints
    assert sentence.startswith(f"{NAME}: ")
    assert place in sentence
    assert "not because of renewer" in sentence
    assert "kept" in hint
    assert (world.glimpse(), world.ca.orders) == (before, orders + 1)
    still = world.renew()
    assert (still.code, still.one["action"], still.one["served"]) == (1, "failed", False)
    assert place in still.one["error"]
    world.listen()
    mended = world.renew()
    assert (mended.code, mended.one["action"], mended.one["served"]) == (0, "deployed", True)
    assert mended.one["fingerprint"] == still.one["fingerprint"] == world.shown().fingerprint
    assert (world.ca.orders, world.ca.issued) == (orders + 1, orders + 1)
    assert world.renew().one["action"] == "fresh"


def test_a_certificate_waits_until_nginx_runs(world: World) -> None:
    world.nginx.stop()
    done = world.renewer("renew")
    assert done.code == 1
    (sentence,), (hint,) = done.sentences, done.hints
    assert missing(sentence, NAME, "running") == []
    assert "start nginx" in hint
    again = world.renew()
    assert (again.code, again.one["action"], again.one["served"]) == (1, "failed", False)
    world.nginx.start()
    up = world.renew()
    assert (up.code, up.one["served"], up.one["error"]) == (0, True, None)
    assert up.one["action"] in ("fresh", "deployed")
    assert up.one["fingerprint"] == world.shown().fingerprint
    assert world.ca.orders == 1


def test_a_certificate_that_no_server_includes_is_obtained_all_the_same(make: Make) -> None:
    world = make(NAME, OTHER)
    world.names = (NAME,)
    world.listen()
    done = world.renew(OTHER)
    assert (done.code, done.one["action"], done.one["served"], done.one["error"]) == (0, "issued", None, None)
    assert "PRIVATE KEY" in (world.state / f"certificates/{OTHER}/current/privkey.pem").read_text()
    again = world.renew(OTHER)
    assert (again.code, again.one["action"], again.one["served"]) == (0, "fresh", None)
    assert "no server" in world.renewer("status").out
    assert world.ca.orders == 1


# -- several certificates -----------------------------------------------------------------------------------


def test_two_certificates_cost_one_reload(make: Make) -> None:
    world = make(NAME, OTHER)
    done = world.renew()
    assert done.code == 0
    told = {one["name"]: one for one in done.answer["certificates"]}
    assert [(one["action"], one["served"]) for one in told.values()] == [("issued", True)] * 2
    for name in (NAME, OTHER):
        assert world.shown(f"any.{name}").fingerprint == told[name]["fingerprint"]
    assert (world.nginx.reloads(), world.ca.orders, world.ca.accounts) == (1, 2, 1)
    assert world.box.records() == []


def test_one_that_fails_does_not_starve_the_other(make: Make) -> None:
    world = make(NAME, OTHER, zones=(NAME,))
    done = world.renew()
    assert done.code == 1
    good, bad = done.answer["certificates"]
    assert (good["name"], good["action"], good["served"]) == (NAME, "issued", True)
    assert (bad["name"], bad["action"], bad["served"]) == (OTHER, "failed", False)
    assert OTHER in bad["error"]
    assert world.shown().fingerprint == good["fingerprint"]
    assert world.ca.orders == 1
    assert world.renew(NAME).code == 0
    assert (world.nginx.reloads(), world.box.records()) == (1, [])


def test_only_the_certificates_that_are_named_are_worked_on(make: Make) -> None:
    world = make(NAME, OTHER)
    done = world.renew(OTHER)
    assert (done.code, done.one["name"], done.one["action"]) == (0, OTHER, "issued")
    assert world.ca.orders == 1


# -- a run that dies, or is asked to end --------------------------------------------------------------------


MOMENTS: dict[str, Callable[[World], object]] = {
    "the order is written down": lambda world: world.ordered(),
    "the TXT records stand": lambda world: world.waits_for_dns(),
    "the CA is told": lambda world: world.ca.answered,
    "the CA has issued": lambda world: world.ca.issued,
    "the certificate is kept": lambda world: (world.state / f"store/certificate/{NAME}.json").exists(),
    "the generation is there": lambda world: (world.state / f"certificates/{NAME}/g000001").exists(),
    "nginx is told": lambda world: world.nginx.reloads(),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_a_killed_run_began_is_finished_by_the_next(make: Make, moment: str) -> None:
    world = make(delays=(0.0, 0.5))
    run = world.start("renew")
    eventually(lambda: run.ended or MOMENTS[moment](world))
    run.kill()
    done = world.renew()
    assert (done.code, done.err, done.one["served"]) == (0, "", True)
    assert world.shown().fingerprint == done.one["fingerprint"]
    assert (world.ca.orders, world.ca.issued, world.ca.refused) == (1, 1, False)
    assert world.box.records() == []
    assert world.renew().one["action"] == "fresh"
    assert world.journal() == {}


def test_records_whose_creation_was_never_answered_are_found_and_removed(world: World) -> None:
    lost = Fault(method="POST", path_suffix="/batch", status=None, seconds=1.0, after_effect=True)
    world.box.api.plan(lost)
    run = world.start("renew")
    eventually(lambda: lost.times == 0)
    run.kill()
    eventually(world.box.records)
    done = world.renew()
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True)
    assert (world.ca.orders, world.box.records()) == (1, [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_a_run_leaves_the_records_to_the_next(world: World, number: signal.Signals) -> None:
    world.box.nameservers[1].silent = True
    run = world.start("renew")
    eventually(world.waits_for_dns)
    run.send(number)
    ended = run.wait()
    assert ended.code == 75
    (sentence,), (hint,) = ended.sentences, ended.hints
    assert "interrupted" in sentence
    assert "next run" in hint
    standing = [record.id for record in world.box.records()]
    assert (len(standing), world.ca.answered) == (2, 0)
    assert [handle["id"] for handle in world.journal()["handles"]] == standing
    world.box.nameservers[1].silent = False
    done = world.renew()
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True)
    assert (world.ca.orders, world.box.records()) == (1, [])


def test_two_runs_at_the_same_time_are_one_order(world: World) -> None:
    world.box.nameservers[1].silent = True
    first = world.start("renew", "--json")
    eventually(world.waits_for_dns)
    second = world.renewer("renew")
    assert second.code == 75
    (sentence,) = second.sentences
    assert f"process {first.pid}" in sentence
    assert NAME in sentence
    assert second.hints
    world.box.nameservers[1].silent = False
    done = first.wait()
    assert (done.code, done.one["action"]) == (0, "issued")
    assert (world.ca.orders, world.box.records()) == (1, [])


def test_of_runs_that_start_together_one_does_the_work(world: World) -> None:
    ended = [run.wait() for run in [world.start("renew") for _ in range(3)]]
    assert {done.code for done in ended} <= {0, 75}
    assert 0 in {done.code for done in ended}
    assert world.renew().one["action"] == "fresh"
    assert (world.ca.orders, world.ca.accounts, world.ca.issued) == (1, 1, 1)
    assert world.box.records() == []

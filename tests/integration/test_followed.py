"""Access follows the newest configuration on disk, whoever runs the cycle: the daemon, cron, or a person."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.gated import HOST, Site
from support.world import NAME, ROOT, Done, Make, Run, World, children, eventually, seconds, table

VALIDITY = 20.0
"""Seconds that a certificate is valid: the daemon has a cycle with something to do every few seconds."""

BEAT = {"WATCHDOG_USEC": "1000000"}
"""What lets the daemon's heart beat twice a second."""

TAKEN = "the new configuration is in force"
KEPT = "the old configuration stays in force"

STEADY = 'rotate = "30d"'
"""A site whose keys no renewal changes."""


def by_hand(site: Site, *arguments: str) -> None:
    """Run a command as a person does, again while the daemon is at work."""
    eventually(lambda: site.run(*(arguments or ("renew",))).code == 0)


def cycles(world: World, daemon: Run, number: int) -> None:
    """Wait for so many cycles of the daemon with something to deploy."""
    before = world.ca.issued
    eventually(lambda: daemon.ended or (world.ca.issued >= before + number and not children(daemon.pid)))
    assert not daemon.ended, daemon.err


def test_a_device_that_was_taken_out_stays_out_whatever_the_daemon_had_read(make: Make) -> None:
    world = make(validity=seconds(VALIDITY))
    site = Site(world, world.renewer)
    site.configure('["phone"]', STEADY)
    by_hand(site)
    daemon = world.start("run")
    cycles(world, daemon, 1)
    phone = site.session("phone")
    assert site.visit(phone).status == 200
    site.configure('["tablet"]', STEADY)
    by_hand(site)
    tablet = site.session("tablet")
    assert (site.visit(phone).status, site.visit(tablet).status) == (403, 200)
    cycles(world, daemon, 2)
    assert (site.visit(phone).status, site.visit(tablet).status) == (403, 200)
    assert site.ring()["people"] == ["tablet"]


def test_the_keys_of_a_site_that_was_added_by_hand_stay(make: Make) -> None:
    """Nobody sends SIGHUP: `renewer nginx` and `renewer renew`, as the README says, and links are out."""
    world = make(validity=seconds(VALIDITY))
    site = Site(world, world.renewer)
    world.write(table(NAME))
    by_hand(site)
    daemon = world.start("run")
    cycles(world, daemon, 1)
    site.configure(more=STEADY)
    by_hand(site, "nginx")
    by_hand(site)
    session, link, key = site.session(), site.link("nodered", "laptop"), site.key()
    cycles(world, daemon, 2)
    assert site.key() == key
    assert site.visit(session, HOST).status == 200
    assert site.enter(link).status == 303


def followed(world: World) -> dict[str, str]:
    found: dict[str, str] = json.loads((world.state / "store" / "configuration.json").read_text())
    return found


def save(world: World, text: str) -> None:
    """Replace the configuration in one step, so that each content is there to be seen once."""
    fresh = world.config.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(world.config)


def test_who_was_taken_out_is_out_while_an_order_still_waits_for_the_dns(world: World) -> None:
    site = Site(world, world.renewer)
    site.configure(more=STEADY)
    by_hand(site)
    phone, laptop = site.session("phone"), site.session("laptop")
    site.configure('["laptop"]', STEADY)
    world.box.nameservers[1].silent = True
    run = world.start("renew", "--force")
    eventually(lambda: world.waits_for_dns() or run.ended)
    assert not run.ended
    assert (site.visit(phone).status, site.visit(laptop).status) == (403, 200)
    world.box.nameservers[1].silent = False
    assert run.wait().code == 0


@pytest.fixture
def site(world: World) -> Site:
    """A site that is open to two devices; no key and no certificate is due."""
    found = Site(world, world.renewer)
    found.configure(more=STEADY)
    by_hand(found)
    return found


def beating(site: Site) -> Run:
    """Start the daemon with a quick heart, and wait until it has looked at everything."""
    daemon = site.world.start("run", **BEAT)
    before = followed(site.world)
    eventually(lambda: (site.world.state / "rest").exists() or daemon.ended)
    eventually(lambda: not children(daemon.pid))
    assert followed(site.world) == before
    return daemon


def test_the_daemon_takes_a_changed_file_by_itself(site: Site) -> None:
    daemon = beating(site)
    phone, laptop = site.session("phone"), site.session("laptop")
    site.configure('["laptop"]', STEADY)
    eventually(lambda: site.visit(phone).status == 403 or daemon.ended)
    assert site.visit(laptop).status == 200
    assert daemon.err.count(TAKEN) == 1


def test_a_faulty_file_changes_nothing_and_is_told_once(site: Site) -> None:
    daemon, world = beating(site), site.world
    phone, good = site.session("phone"), world.config.read_text()
    save(world, good.replace('people = ["phone", "laptop"]', 'poeple = ["laptop"]\ngrace = 1'))
    eventually(lambda: KEPT in daemon.err or daemon.ended)
    assert world.renewer("renew").code == 78
    assert site.visit(phone).status == 200
    for told in (KEPT, "poeple", "site.nodered.grace"):
        assert daemon.err.count(told) == 1
    site.configure('["laptop"]', STEADY)
    eventually(lambda: site.visit(phone).status == 403 or daemon.ended)
    assert (daemon.err.count(KEPT), daemon.err.count(TAKEN)) == (1, 1)


def test_a_file_that_is_gone_changes_nothing_and_one_with_another_state_takes_a_restart(site: Site) -> None:
    daemon, world = beating(site), site.world
    phone, good = site.session("phone"), world.config.read_text()
    world.config.unlink()
    eventually(lambda: daemon.err.count(KEPT) == 1 or daemon.ended)
    save(world, good.replace(str(world.state), str(world.folder / "other")))
    eventually(lambda: daemon.err.count(KEPT) == 2 or daemon.ended)
    assert "systemctl restart renewer" in daemon.err
    assert not (world.folder / "other").exists()
    assert site.visit(phone).status == 200
    world.config.write_text(good)
    eventually(lambda: TAKEN in daemon.err or daemon.ended)
    assert site.visit(phone).status == 200


@pytest.mark.parametrize("broken", ["gone", "faulty"])
def test_what_was_followed_by_hand_stays_although_the_file_is_no_good_now(make: Make, broken: str) -> None:
    """The daemon may have missed the newer text: it must not go back to its own."""
    world = make(validity=seconds(VALIDITY))
    site = Site(world, world.renewer)
    site.configure('["phone"]', STEADY)
    by_hand(site)
    daemon = world.start("run")
    cycles(world, daemon, 1)
    phone = site.session("phone")
    site.configure('["tablet"]', STEADY)
    by_hand(site)
    tablet = site.session("tablet")
    world.config.unlink() if broken == "gone" else world.config.write_text("[acme")
    cycles(world, daemon, 2)
    assert (site.visit(phone).status, site.visit(tablet).status) == (403, 200)
    assert site.world.box.records() == []


def held(world: World, *arguments: str) -> Run:
    """Start an order, and keep it waiting for a name server until `let_go`."""
    world.box.nameservers[1].silent = True
    run = world.start("renew", "--force", "--json", *arguments)
    eventually(lambda: world.waits_for_dns() or run.ended)
    return run


def let_go(world: World, run: Run) -> Done:
    world.box.nameservers[1].silent = False
    return run.wait()


def test_a_file_that_is_replaced_while_a_cycle_is_under_way(site: Site) -> None:
    """Two runs with different texts at the same time: the older one deploys, and lets nobody in again."""
    world = site.world
    phone = site.session("phone")
    older = held(world)
    site.configure('["laptop", "tablet"]', STEADY)
    newer = world.renew()
    assert newer.code == 75  # the certificate is the other's; the sites are not
    assert {one["action"] for one in newer.answer["sites"]} == {"kept"}
    assert {one["error"] for one in newer.answer["sites"]} == {None}
    assert site.visit(phone).status == 403
    tablet, key = site.session("tablet"), site.key()
    done = let_go(world, older)
    assert (done.code, done.one["action"], done.one["served"]) == (75, "issued", True)
    nodered = next(one for one in done.answer["sites"] if one["name"] == "nodered")
    assert (nodered["action"], nodered["people"]) == ("kept", ["laptop", "tablet"])
    assert str(world.config) in nodered["error"]
    assert done.hints
    assert (site.visit(phone).status, site.visit(tablet).status, site.key()) == (403, 200, key)
    assert world.renew().code == 0


def test_keys_that_were_ended_by_hand_stay_ended(make: Make) -> None:
    world = make(validity=seconds(VALIDITY))
    site = Site(world, world.renewer)
    site.configure('["phone", "laptop"]', STEADY)
    by_hand(site)
    daemon = world.start("run")
    cycles(world, daemon, 1)
    before = [site.session("phone"), site.session("laptop")]
    site.configure('["laptop"]', STEADY)
    by_hand(site, "rotate", "nodered", "--now")
    again, key = site.session("laptop"), site.key()
    cycles(world, daemon, 2)
    assert [site.visit(one).status for one in before] == [403, 403]
    assert (site.visit(again).status, site.key()) == (200, key)


def test_a_second_configuration_on_the_same_state_folder_is_refused_by_every_command(site: Site) -> None:
    world, session, link = site.world, site.session(), site.link("nodered", "laptop")
    first, second = world.config, world.folder / "second.toml"
    text = first.read_text().replace("[site.nodered]", "[site.foreign]")
    second.write_text(text)
    files, http = world.files(), (world.state / "nginx/secure_link/http.conf").read_bytes()
    world.config = second
    for command in (
        "renew",
        "renew --dry-run",
        "renew --force",
        "nginx",
        "status",
        "run",
        "accept",
        "link shop phone",
        "link foreign phone",
        "rotate shop --now",
        f"revoke {NAME}",
        f"restore {NAME} 1",
        f"list-generations {NAME}",
    ):
        done = world.renewer(*command.split())
        assert (command, done.code, done.out) == (command, 78, "")
        assert (str(first) in done.err, str(second) in done.err, bool(done.hints)) == (True, True, True), done
    for command in ("renew", "status", "rotate shop"):
        answer = world.renewer(*command.split(), "--json").answer
        assert (answer["exit"], answer["sites"], str(first) in answer["error"]) == (78, [], True)
    found = world.renewer("check", "--json").answer["findings"]
    (told,) = (one for one in found if one["check"] == "state.configuration")
    assert (told["status"], str(first) in told["what"], str(second) in told["what"]) == ("error", True, True)
    left = {name: value for name, value in world.files().items() if not name.startswith("lock")}
    assert left == {name: value for name, value in files.items() if not name.startswith("lock")}
    assert (world.state / "nginx/secure_link/http.conf").read_bytes() == http
    world.config = first
    assert world.renew().code == 0
    assert (site.visit(session).status, site.enter(link).status) == (200, 303)


def test_a_configuration_may_be_renamed_and_the_one_in_its_place_says_so(site: Site) -> None:
    world, session = site.world, site.session()
    former, world.config = world.config, world.config.rename(world.folder / "renamed.toml")
    done = world.renewer("renew")
    assert (done.code, str(former) in done.err, str(world.config) in done.err) == (0, True, True)
    assert world.renewer("renew").err == ""
    assert followed(world)["file"] == str(world.config)
    assert site.visit(session, HOST).status == 200


def test_a_state_folder_of_an_earlier_version_is_claimed_by_the_first_run(site: Site) -> None:
    world, session = site.world, site.session()
    (world.state / "store" / "configuration.json").unlink()
    assert world.renewer("status").code == 0
    assert not (world.state / "store" / "configuration.json").exists()
    assert world.renew().code == 0
    assert followed(world)["file"] == str(world.config)
    assert site.visit(session).status == 200


def given(world: World, text: str, *arguments: str) -> Done:
    """Run the program with a configuration on its standard input."""
    argv = [sys.executable, "-m", "renewer", "-c", "-", *arguments]
    done = subprocess.run(argv, cwd=ROOT, input=text, capture_output=True, text=True, check=False)
    world.told += [done.stdout, done.stderr]
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_configuration_on_standard_input_works_beside_the_index_of_nothing_due(site: Site) -> None:
    world = site.world
    session, text = site.session(), world.config.read_text()
    eventually(lambda: world.renew().code == 0 and (world.state / "rest").exists())
    done = given(world, text, "renew", "--json")
    assert (done.code, done.err, done.one["action"]) == (0, "", "fresh")
    assert followed(world)["file"] == str(world.config)
    other = given(world, text.replace("[site.nodered]", "[site.other]"), "renew", "--json")
    assert (other.code, str(world.config) in other.answer["error"]) == (78, True)
    listed = given(world, text, "list-generations", NAME)
    assert (listed.code, listed.err) == (0, "")
    assert site.visit(session).status == 200


def test_a_state_folder_of_nobody_s_is_not_claimed_by_standard_input(world: World) -> None:
    text = world.config.read_text()
    world.config.unlink()
    for action in ("issued", "fresh", "fresh"):
        assert given(world, text, "renew", "--json").one["action"] == action
    assert not (world.state / "store" / "configuration.json").exists()
    world.config.write_text(text)
    assert world.renew().one["action"] == "fresh"
    assert followed(world)["file"] == str(Path(world.config).absolute())

"""`renewer check` against a set-up that is in order, and what it leaves behind."""

import signal

import pytest
from support.checked import OTHER, Bench, named, problems
from support.facts import missing
from support.mistakes import record, server, token
from support.nginx_master import free_port
from support.world import NAME, eventually

from renewer.core.finding import Group
from sandbox import Fault


def test_where_all_is_in_order_nothing_is_found(bench: Bench) -> None:
    bench.write()
    done = bench.run("check", "--json")
    assert problems(done) == []
    assert (done.code, done.answer["exit"], done.err) == (0, 0, "")
    groups = {one["group"] for one in done.answer["findings"]}
    assert groups == set(Group)
    assert bench.world.box.records() == []
    told = bench.run("check")
    assert (told.code, told.err) == (0, "")
    assert told.out.endswith("\nEverything is in order.\n")
    assert max(map(len, told.out.splitlines())) <= 110


def test_a_daemon_is_what_sets_renewals_off(bench: Bench) -> None:
    bench.write()
    (bench.etc / "cron.d/renewer").unlink()
    lock = bench.world.state / "lock/daemon"
    run = bench.world.start("run")
    eventually(lambda: lock.exists() and str(run.pid) in lock.read_text())
    found = bench.run("check", "--json").answer["findings"]
    (told,) = [one for one in found if one["check"] == "renewal.trigger"]
    assert (told["status"], missing(told["what"], f"process {run.pid}")) == ("ok", [])
    run.kill()
    assert [one["check"] for one in problems(bench.run("check", "--json"))] == ["renewal.trigger"]


@pytest.mark.parametrize("name", ["owned", "blind-owned"])
def test_a_token_of_an_account_is_known_by_its_account_or_by_what_it_opens(bench: Bench, name: str) -> None:
    bench.zone_ids = name == "blind-owned"
    with token(named(name))(bench):
        bench.write()
    done = bench.run("check", "--json")
    assert problems(done) == []
    assert any("an account's token" in one["what"] for one in done.answer["findings"])


def test_a_token_from_the_environment_is_not_what_cron_has(bench: Bench) -> None:
    bench.config.append(("token_file", "# token_file"))
    bench.write()
    without_it = problems(bench.run("check", "--json"))
    assert [one["check"] for one in without_it] == ["token.shape", "zones.look"]
    assert "no token" in without_it[0]["what"]
    with_it = problems(bench.run("check", "--json", CLOUDFLARE_API_TOKEN=named("good")))
    assert [one["check"] for one in with_it] == ["token.source"]


def test_a_proof_that_is_delegated_is_looked_for_where_it_is(bench: Bench) -> None:
    with record(f"_acme-challenge.{NAME}", "CNAME", f"proofs.{OTHER}")(bench):
        bench.write()
        lacking = problems(bench.run("check", "--json"))
        assert [one["check"] for one in lacking] == ["zones.missing"]
        assert f"proofs.{OTHER}" in lacking[0]["what"]
        with token(named("foreign"))(bench):
            bench.write()
            done = bench.run("check", "--json")
    assert problems(done) == []
    told = {one["check"]: one["what"] for one in done.answer["findings"]}
    assert missing(told["zones.edit"], OTHER) == []
    assert missing(told["dns.alias"], NAME, f"proofs.{OTHER}", "CNAME") == []


def test_a_wildcard_that_is_an_alias_delegates_no_proof(bench: Bench) -> None:
    with record(f"*.{NAME}", "CNAME", "home.dyndns.example")(bench):
        bench.write()
        done = bench.run("check", "--json")
    assert problems(done) == []
    assert "dns.alias" not in {one["check"] for one in done.answer["findings"]}


def test_a_faulty_configuration_is_told_whole(bench: Bench) -> None:
    bench.write()
    text = bench.world.config.read_text()
    bench.world.config.write_text(text.replace("[nginx]", '[nginx]\nreloat = "auto"\nprobe = 443'))
    done = bench.run("check", "--json")
    assert (done.code, done.answer["exit"], done.err) == (78, 78, "")
    assert [one["check"] for one in problems(done)] == ["configuration.file"] * 2
    assert "reloat" in done.out
    assert bench.run("check").out.count("ERROR") == 2
    bench.world.config.unlink()
    assert bench.run("check").code == 78


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_record_goes_also_when_it_is_interrupted(bench: Bench, number: signal.Signals) -> None:
    bench.write()
    with server(hide=5)(bench):
        run = bench.world.start("check", "--json")
        eventually(bench.world.box.records)
        (left,) = bench.world.box.records()
        assert left.name == f"_renewer-check.{NAME}"
        run.send(number)
        done = run.wait()
    assert done.out == ""
    if number is signal.SIGKILL:
        assert bench.world.box.records() == [left]
        assert bench.run("check").code == 0
    else:
        assert done.code == 75
        assert "interrupted" in done.err
    assert bench.world.box.records() == []
    assert not list(bench.world.state.glob("store/check/*"))


def test_a_record_that_cannot_be_removed_is_told_and_removed_the_next_time(bench: Bench) -> None:
    bench.write()
    bench.world.box.api.plan(Fault(method="POST", path_suffix="/batch", status=500, skip=1))
    told = problems(bench.run("check", "--json"))
    assert [(one["check"], one["status"]) for one in told] == [("zones.remove", "error")]
    assert len(bench.world.box.records()) == 1
    assert problems(bench.run("check", "--json")) == []
    assert bench.world.box.records() == []


def test_a_first_check_makes_no_state_folder_and_removes_what_one_that_was_killed_left(bench: Bench) -> None:
    fresh = bench.folder / "fresh"
    bench.world.box.zones[NAME].add(f"_renewer-check.{NAME}", "TXT", f'"1764000000.{"x" * 24}"')
    bench.config.append((f'state = "{bench.world.state}"', f'state = "{fresh}"'))
    bench.write()
    done = bench.run("check", "--json")
    assert [one["check"] for one in problems(done)] == ["nginx.include", "nginx.guard", "others.include"]
    assert not fresh.exists()
    assert bench.world.box.records() == []
    assert any(missing(one["what"], fresh, "first run") == [] for one in done.answer["findings"])


def test_cloudflare_that_cannot_be_reached_or_talks_nonsense_hides_nothing_else(bench: Bench) -> None:
    bench.write()
    for fault in (Fault(status=None, times=20), Fault(status=200, body=b"<html>", times=20)):
        bench.world.box.api.plan(fault)
        done = bench.run("check", "--json")
        bench.world.box.api.heal()
        assert [one["check"] for one in problems(done)] == ["token.verify", "zones.look"], done.out
        assert {one["group"] for one in done.answer["findings"]} == set(Group)


def test_every_address_that_shows_something_else_is_told_and_who_writes_a_file_of_ours(bench: Bench) -> None:
    ports = [free_port(), free_port()]
    probe = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    bench.config.append(("[nginx]", f"[nginx]\nprobe = [{probe}]"))
    bench.nginx.append(("http.conf;", "htpt.conf;"))
    bench.write()
    found = problems(bench.run("check", "--json"))
    told = [one["what"] for one in found if one["check"] == "nginx.served"]
    assert [any(f"127.0.0.1:{port} " in one for one in told) for port in ports] == [True, True]
    (refused,) = [one for one in found if one["check"] == "nginx.test"]
    assert missing(refused["hint"], "renewer nginx", "nginx -t") == []

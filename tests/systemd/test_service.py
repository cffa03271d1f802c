"""The service in a machine's life: taken over from root, without rights, killed, hung, booted again, removed.

The tests of this file are one story, told in its order.
"""

import json
from collections.abc import Iterator

import pytest
from support.facts import missing
from support.house import FILE, STATE, TOKEN, House
from support.machine import wait

FIRST, SECOND, THIRD = "example.com", "example.org", "example.net"
DROP_IN = "/etc/systemd/system/renewer.service.d/test.conf"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("service"), (FIRST, SECOND, THIRD), lag=2.0) as house:
        yield house


def test_before_it_is_a_service_root_does_all(house: House) -> None:
    house.configure(FIRST)
    house.renewer("nginx")
    house.machine.run("systemctl reload nginx")
    house.renewer("renew")
    house.until_served(FIRST)
    assert house.machine.run(f"stat -c %U {STATE}").out == "root\n"


def test_a_person_without_rights_is_told_whose_the_state_is(house: House) -> None:
    done = house.renewer("status", code=78, user="www-data")
    assert missing(done.err, STATE, "root", "www-data") == []
    refused = house.renewer("install-service", code=1, user="www-data").err
    assert missing(refused, "root", "service") == []


def test_a_dry_run_tells_what_then_is_done_and_touches_nothing(house: House) -> None:
    everything = "find / -xdev -path /proc -prune -o -path /tmp -prune -o -newer /run/mark -type f -print"
    house.machine.run("sleep 0.1; touch /run/mark; sleep 0.1")
    told = house.renewer("install-service --dry-run").out
    assert (
        house.machine.run(f"{everything} | grep -v -e ^/var/log -e ^/root -e __pycache__", check=False).out
        == ""
    )
    done = house.renewer("install-service")
    assert told.replace("would ", "") == done.out
    for line in (
        "write /etc/systemd/system/renewer.service",
        "create the system user renewer",
        f"hand {STATE} to the user renewer, except for the nginx includes, which become root's",
        f"let the group renewer read {FILE}",
        "enable and start renewer.service",
    ):
        assert line in done.out.splitlines()
    assert done.err == ""


def test_once_more_and_all_is_in_place(house: House) -> None:
    done = house.renewer("install-service").out.splitlines()
    assert (len(done), missing(done[0], "in place")) == (1, [])


def test_what_is_not_the_services_business_is_not_readable_for_it(house: House) -> None:
    modes = house.machine.run(
        f"stat -c '%U:%G %a' {STATE} {STATE}/nginx {FILE} {TOKEN} /etc/renewer /run/renewer"
    ).out.split("\n")
    assert modes[:-1] == [
        "root:renewer 1770",
        "root:renewer 750",
        "root:renewer 640",
        "root:root 600",
        "root:renewer 750",
        "renewer:renewer 755",
    ]
    assert others(house) == {"root"}


def others(house: House) -> set[str]:
    """Return whose what nginx includes is, and see that all else is renewer's."""
    assert (
        house.machine.run(
            f"find {STATE} -mindepth 1 -path {STATE}/nginx -prune -o ! -user renewer -print"
        ).out
        == ""
    )
    return set(house.machine.run(f"find {STATE}/nginx -printf '%u\n'").out.split())


def findings(house: House, code: int) -> dict[str, dict[str, str]]:
    """Return what check, run by root, finds that is not in order, by the names of the checks."""
    answer = json.loads(house.renewer("check --json", code=code).out)
    return {one["check"]: one for one in answer["findings"] if one["status"] == "error"}


def test_check_by_root_says_what_the_service_could_not_do_and_what_helps(house: House) -> None:
    assert findings(house, 0) == {}
    house.machine.run(f"chown root:root {FILE} && chmod 600 {FILE} && chmod 500 {STATE}/store")
    house.machine.run("systemctl disable --now renewer-reload.path")
    found = findings(house, 1)
    assert found.keys() == {"configuration.readable", "state.writable", "nginx.helper"}
    for check in ("configuration.readable", "nginx.helper"):
        house.machine.run(found[check]["hint"].rpartition(": ")[2])
    house.machine.run(f"chmod 700 {STATE}/store")
    assert findings(house, 0) == {}
    house.machine.run(f"chown -R root:root {STATE}")
    assert findings(house, 1).keys() == {"state.owner"}
    house.renewer("install-service")
    assert findings(house, 0) == {}
    advice = house.renewer("run", code=78).err
    assert advice.endswith("systemctl start renewer\n")


def test_the_daemon_has_no_capability(house: House) -> None:
    status = house.machine.run(f"cat /proc/{house.pid()}/status").out
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {facts[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    assert "0" not in facts["Uid"].split()


PROBE = f"""
try() {{ name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name yes"; else echo "$name no"; fi; }}
try shadow cat /etc/shadow
try token cat {TOKEN}
try etc touch /etc/x
try usr touch /usr/x
try helper touch /run/renewer-reload/x
try answer touch /run/x
try nginx cat /proc/$(cat /run/nginx.pid)/cmdline
try kill kill -0 $(cat /run/nginx.pid)
try init cat /proc/1/cmdline
try namespace unshare --user true
try mount mount -t tmpfs tmpfs /mnt
try home ls /root
try devices ls /dev/sda /dev/mem
try setuid su -c true
try own touch {STATE}/x
try included touch {STATE}/nginx/x {STATE}/nginx/certificates/{FIRST}.conf
try moved mv {STATE}/nginx {STATE}/away
try requests touch /run/renewer/x
try configuration cat {FILE}
try credential cat $CREDENTIALS_DIRECTORY/cloudflare_token
try nginxs cat /etc/nginx/nginx.conf
rm -f {STATE}/x /run/renewer/x
"""


def test_the_daemon_can_do_what_it_must_and_nothing_else(house: House) -> None:
    house.machine.write("/usr/local/bin/probe", f"#!/bin/bash\n{PROBE}", 0o755)
    edit = (
        "sed -e 's|^ExecStart=.*|ExecStart=/usr/local/bin/probe|' -e 's/^Type=.*/Type=oneshot/'"
        " -e '/^ExecReload/d' -e '/^Restart/d' -e '/^Watchdog/d' -e '/^NotifyAccess/d'"
    )
    house.machine.run(f"{edit} /etc/systemd/system/renewer.service > /run/systemd/system/probe.service")
    house.machine.run("systemctl daemon-reload && systemctl start probe")
    told = house.machine.run("journalctl -u probe -o cat -t probe").out
    can = dict(line.split() for line in told.splitlines())
    allowed = {"own", "requests", "configuration", "credential", "nginxs"}
    assert {name for name, answer in can.items() if answer == "yes"} == allowed
    assert len(can) == PROBE.count("\ntry ")


def test_a_worker_that_is_killed_is_followed_by_one_that_finishes_its_order(house: House) -> None:
    house.configure(FIRST, SECOND)
    house.renewer("nginx")
    placed = house.machine.run("cat /run/renewer-reload/result").out
    house.machine.run("systemctl reload nginx renewer")
    journal = f"{STATE}/store/journal/{SECOND}.json"
    house.machine.until(f"grep -q '\"handles\": *\\[ *[^] ]' {journal}")
    before = house.pid()
    house.machine.run(f"pkill -KILL -P {before}")
    assert house.machine.run("cat /run/renewer-reload/result").out == placed, "nothing was reloaded yet"
    house.until_served(SECOND)
    assert house.pid() == before
    ordered = (house.box / "pebble" / "pebble.log").read_text().count('Added order "')
    assert ordered == 2, "one for each certificate: what the killed worker had ordered was not ordered again"
    nonce, answer = house.machine.run("head -n 2 /run/renewer-reload/result").out.splitlines()
    assert (nonce != placed.split()[0], answer) == (True, "ok")


def test_a_daemon_that_hangs_is_started_again_by_the_watchdog(house: House) -> None:
    house.machine.write(DROP_IN, "[Service]\nWatchdogSec=3\nRestartSec=1\n")
    house.machine.run("systemctl daemon-reload && systemctl restart renewer")
    before = house.pid()
    house.machine.run("sleep 7")
    assert house.pid() == before, "one that works feeds the watchdog in time"
    house.machine.run(f"kill -STOP {before}")
    house.machine.until(f"test $(systemctl show -P MainPID renewer) != {before}")
    house.machine.until("systemctl is-active renewer")
    assert "watchdog" in house.machine.run("journalctl -u renewer -o cat").out.lower()
    house.machine.run(f"rm {DROP_IN} && systemctl daemon-reload && systemctl restart renewer")


def test_after_a_reboot_it_is_all_there(house: House) -> None:
    before = house.shown(FIRST)
    house.machine.reboot()
    assert (
        house.machine.run("systemctl is-active renewer renewer-reload.path nginx").out.split()
        == ["active"] * 3
    )
    assert house.shown(FIRST) == before
    assert {name: one["action"] for name, one in house.status().items()} == {FIRST: "fresh", SECOND: "fresh"}


def test_root_works_as_the_user_whose_the_state_is(house: House) -> None:
    before = house.served(FIRST)
    answer = json.loads(house.renewer(f"renew {FIRST} --force --json").out)
    assert answer["certificates"][0]["action"] == "issued"
    assert answer["certificates"][0]["served"] is True
    assert house.served(FIRST) == answer["certificates"][0]["fingerprint"] != before
    house.renewer("nginx")
    assert others(house) == {"root"}
    assert house.machine.run("find /run/renewer ! -user renewer").out == ""


def test_a_site_is_guarded_and_its_key_changed_through_root_s_helper(house: House) -> None:
    host = f"gate.{SECOND}"
    house.machine.write("/etc/nginx/conf.d/gate.conf", GUARDED.format(state=STATE, host=host, name=SECOND))
    site = f'[site.gate]\nhost = "https://{host}"\npeople = ["phone"]\n'
    house.configure(FIRST, SECOND, more=site)
    house.renewer("nginx")
    house.machine.run("systemctl reload nginx")
    kept, http = set(), f"{STATE}/nginx/secure_link/http.conf"
    assert house.renewer("renew --json").out.count('"rotated"') == 1
    link = house.renewer("link gate phone").out.strip()
    curl = f"curl -ks -o /dev/null -o /dev/null -w '%{{http_code}} ' --resolve {host}:443:127.0.0.1"
    for command in ("status", "rotate gate", "rotate gate"):
        house.renewer(command)
        assert house.machine.run(f"{curl} https://{host}/").out == "403 "
        assert house.machine.run(f"{curl} -c jar -b jar '{link}' https://{host}/").out == "303 200 "
        kept.add(house.machine.path(http).read_text())
    assert len(kept) == 3
    assert house.machine.run(f"stat -c '%U:%G %a' {http}").out == "root:renewer 640\n"
    assert others(house) == {"root"}
    house.machine.run(f"rm /etc/nginx/conf.d/gate.conf; ls {STATE}/wanted/*/* && exit 1 || true")
    house.configure(FIRST, SECOND)
    house.renewer("renew")


GUARDED = """
include {state}/nginx/secure_link/http.conf;
server {{
    listen 443 ssl;
    server_name {host};
    include {state}/nginx/certificates/{name}.conf;
    set $rn_scope gate;
    include {state}/nginx/secure_link/enter.conf;
    location / {{
        include {state}/nginx/secure_link/gate.conf;
        return 200;
    }}
}}
"""


def test_no_secret_is_in_the_journal(house: House) -> None:
    told = house.machine.run("journalctl -o cat --no-pager").out
    assert f"{SECOND}: " in told
    assert house.token not in told
    assert "PRIVATE KEY" not in told


def test_the_timer_instead_of_the_daemon(house: House) -> None:
    done = house.renewer("install-service --timer").out.splitlines()
    stopped, started = done
    assert missing(stopped, "stop", "disable", "renewer.service") == []
    assert missing(started, "start", "enable", "renewer-renew.timer") == []
    house.configure(FIRST, SECOND, THIRD)
    house.renewer("nginx")
    house.machine.run("systemctl reload nginx")
    house.machine.write(
        "/etc/systemd/system/renewer-renew.timer.d/test.conf",
        "[Timer]\nRandomizedDelaySec=0\nAccuracySec=1\n",
    )
    house.machine.run("touch -d '2 days ago' /var/lib/systemd/timers/stamp-renewer-renew.timer")
    house.machine.reboot()
    house.until_served(THIRD)
    wait(lambda: house.shows("renewer-renew.service", "Result", "ActiveState") == ["success", "inactive"])
    assert house.machine.run("systemctl is-active renewer", check=False).out.strip() == "inactive"


def test_an_edited_unit_is_left_alone(house: House) -> None:
    unit = house.machine.path("/etc/systemd/system/renewer-renew.timer")
    edited = unit.read_text().replace("00/6:17", "00/8:17")
    unit.write_text(edited)
    done = house.renewer("install-service --timer")
    assert "in place" in done.out
    assert missing(done.err.splitlines()[0], "/etc/systemd/system/renewer-renew.timer", "edited") == []
    assert unit.read_text() == edited


def test_it_can_be_undone(house: House) -> None:
    before = house.served(FIRST)
    done = house.renewer("install-service --remove")
    assert [line for line in done.out.splitlines() if not missing(line, STATE, "root")]
    assert [line for line in done.err.splitlines() if not missing(line, "renewer-renew.timer", "edited")]
    assert missing(done.err, "group renewer", f"/etc/renewer, {FILE}", "chgrp root") == []
    left = house.machine.run(
        "find /etc/systemd /usr/local /etc/tmpfiles.d /etc/sysusers.d -name '*re*oa*d*'"
    ).out
    assert left == ""
    units = "renewer renewer-reload.path renewer-renew.timer"
    assert house.machine.run(f"systemctl is-active {units}", check=False).out.split() == ["inactive"] * 3
    assert house.machine.run(f"stat -c %U {STATE}").out == "root\n"
    house.renewer("renew")
    assert house.served(FIRST) == before
    (again,) = house.renewer("install-service --remove").out.splitlines()
    assert missing(again, "nothing", "installed") == []

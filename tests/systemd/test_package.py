"""The Debian package in a machine: from its installation to its purge, with all that is between."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import Machine, image, package, wait
from machine.outside import NAME, TRUST, Outside

pytestmark = pytest.mark.xdist_group("package")

APT = "DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 --no-install-recommends"
CONFIGURATION = """
[acme]
server = "{directory}"
ca_bundle = "{trust}"
[cloudflare]
token_file = "/etc/renewer/cloudflare.token"
base_url = "{api_url}"
[propagation]
resolver = "{resolver}"
[certificate."example.com"]
domains = ["example.com", "*.example.com"]
"""
SERVER = f"""
server {{
    listen 443 ssl;
    server_name {NAME} *.{NAME};
    include /var/lib/renewer/nginx/certificates/{NAME}.conf;
}}
"""
LIFE = 90
"""Seconds that a certificate lives: the daemon renews it at half of it."""

PROBE = """\
#!/usr/bin/python3
import os, pathlib

def tried(what):
    try:
        return str(what())
    except OSError as error:
        return type(error).__name__

own = str(os.getpid())
seen = [path.name for path in pathlib.Path("/proc").glob("[0-9]*")]
others = [pid for pid in seen if os.stat(f"/proc/{pid}").st_uid != os.getuid()]
print("shadow", tried(lambda: open("/etc/shadow").read()))
print("token", tried(lambda: open("/etc/renewer/cloudflare.token").read()))
print("etc", tried(lambda: open("/etc/renewer/planted", "w")))
print("opt", tried(lambda: open("/opt/renewer/planted", "w")))
print("others", others)
print("sees-itself", own in seen)
for line in open("/proc/self/status"):
    if line.startswith(("Cap", "NoNewPrivs", "Seccomp:")):
        print(*line.split())
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with Machine(tmp_path, image.base(), "package") as booted:
        yield booted


@pytest.fixture
def outside(machine: Machine) -> Outside:
    return Outside(machine, "--validity", str(LIFE), "--authz-reuse", "0")


def installed(machine: Machine, deb: Path | None = None) -> str:
    done = machine.run(f"{APT} install --reinstall {package.give(machine, deb or package.built())}", seconds=300)
    return done.out + done.err


def configured(machine: Machine, outside: Outside) -> None:
    machine.write("/etc/renewer/cloudflare.token", outside.token, 0o600)
    machine.write("/etc/renewer/renewer.toml", CONFIGURATION.format(trust=TRUST, **outside.facts))
    machine.run("renewer nginx")
    machine.write("/etc/nginx/conf.d/example.conf", SERVER)
    machine.run("systemctl reload nginx")


def show(machine: Machine, prop: str, unit: str = "renewer.service") -> str:
    return machine.run(f"systemctl show --property={prop} --value {unit}").out.strip()


def reloads(machine: Machine) -> str:
    return machine.run("journalctl --no-pager --output=cat _SYSTEMD_UNIT=renewer-reload.service").out


def test_installed_configured_served_and_again_after_a_reboot(machine: Machine, outside: Outside) -> None:
    said = installed(machine)
    assert "renewer init" in said
    assert show(machine, "UnitFileState") == show(machine, "UnitFileState", "renewer-reload.path") == "enabled"
    assert show(machine, "ActiveState") == "inactive"
    assert show(machine, "ActiveState", "renewer-reload.path") == "active"
    machine.reboot()  # without a configuration it waits, and nothing fails
    assert show(machine, "ActiveState") == "inactive"

    configured(machine, outside)
    assert not outside.shown()
    machine.write("/run/probe", PROBE, 0o755)
    machine.write(
        "/run/systemd/system/renewer.service.d/probe.conf", "[Service]\nExecStartPre=/run/probe\n"
    )
    machine.run("systemctl daemon-reload && systemctl start renewer")
    wait(outside.shown, what="the certificate")
    first = outside.shown()
    assert "ok" in reloads(machine).split()
    told = machine.run("journalctl --no-pager --output=cat -u renewer").out
    for line in (
        "shadow PermissionError", "token PermissionError", "etc OSError", "opt OSError", "others []",
        "sees-itself True", "NoNewPrivs: 1", "Seccomp: 2", *(f"Cap{kind}: 0000000000000000" for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")),
    ):
        assert line in told.splitlines(), told
    status = machine.run(f"cat /proc/{show(machine, 'MainPID')}/status").out
    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
    assert outside.token not in told

    machine.reboot()
    wait(lambda: outside.shown() not in ("", first), what="another certificate after the reboot")
    assert show(machine, "ActiveState") == "active"
    assert show(machine, "NRestarts") == "0"
    assert machine.run("dpkg -V renewer").out == ""
    assert machine.run("find /opt/renewer -newer /var/lib/dpkg/info/renewer.list -name '*.pyc' | wc -l").out != ""


def test_an_upgrade_restarts_it_a_removal_stops_it_a_purge_keeps_what_nginx_includes(
    machine: Machine, outside: Outside
) -> None:
    installed(machine)
    configured(machine, outside)
    machine.run("systemctl start renewer")
    wait(outside.shown, what="the certificate")
    config = machine.path("/etc/renewer/renewer.toml").read_text()

    before = show(machine, "MainPID")
    installed(machine, package.later())
    assert package.NEXT in machine.run("dpkg-query -W renewer").out
    assert show(machine, "ActiveState") == "active"
    assert show(machine, "MainPID") != before
    installed(machine, package.later())  # the same once more
    assert show(machine, "ActiveState") == "active"
    machine.run("systemctl disable --now renewer.service")
    installed(machine, package.later())
    assert (show(machine, "ActiveState"), show(machine, "UnitFileState")) == ("inactive", "disabled")
    machine.run("systemctl enable --now renewer.service")

    machine.run(f"{APT} remove renewer")
    assert machine.run("pgrep -u renewer", check=False).out == ""
    assert not machine.path("/opt/renewer").exists()
    assert machine.path("/etc/renewer/renewer.toml").read_text() == config
    machine.run("nginx -t && systemctl restart nginx")
    installed(machine)
    assert show(machine, "ActiveState") == "active"

    said = machine.run(f"{APT} purge renewer").out
    assert "/var/lib/renewer stays" in said
    assert not machine.path("/etc/renewer").exists()
    machine.run("nginx -t && systemctl restart nginx")
    assert machine.run("systemctl list-unit-files 'renewer*' --no-legend").out == ""
    left = machine.run("find /usr /etc /opt -name '*renewer*'", check=False).out
    assert left == ""
    assert machine.run("systemctl --failed --no-legend").out == ""


def test_all_that_is_left_of_what_it_needs_can_be_loaded(machine: Machine) -> None:
    installed(machine)
    machine.run(
        "cd /opt/renewer/lib/python3/site-packages && find cloudflare renewer -name '*.py' ! -name __main__.py"
        " | sed 's,/__init__.py$,,; s,.py$,,; s,/,.,g; s,^,import ,' >/tmp/all.py && cd / && /opt/renewer/bin/python -I -B /tmp/all.py"
    )
    compiled = "find /opt/renewer -path '*/__pycache__/*.pyc' | wc -l"
    sources = "find /opt/renewer -name '*.py' | wc -l"
    assert machine.run(compiled).out == machine.run(sources).out

"""The Debian package in a machine: installed, configured, booted again, upgraded, removed, purged.

The tests of this file are one story, told in its order.
"""

from collections.abc import Iterator
from zipfile import ZipFile

import pytest
from support.facts import missing
from support.house import ROOT, STATE, House
from support.machine import package, program, wait

pytestmark = pytest.mark.xdist_group("package")

FIRST, SECOND = "example.com", "example.org"
SITE = "/opt/renewer/lib/python3/site-packages"
PROBE = """\
#!/usr/bin/python3
from pathlib import Path

def tried(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__
    return "done"

print("shadow", tried(Path("/etc/shadow").read_text))
print("etc", tried(Path("/etc/renewer/planted").touch))
print("program", tried(Path("/opt/renewer/planted").touch))
print("others", [path.name for path in Path("/proc").glob("[0-9]*") if path.owner() != "renewer"])
print(*(line for line in Path("/proc/self/status").read_text().splitlines() if "Cap" in line), sep="\\n")
"""
REFUSED = {"shadow PermissionError", "etc OSError", "program OSError", "others []"}
NO_CAPABILITY = {f"Cap{kind}:\t0000000000000000" for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("package"), (FIRST, SECOND), means=package) as house:
        yield house


def daemon(house: House) -> list[str]:
    return house.shows("renewer.service", "UnitFileState", "ActiveState", "NRestarts")


def helped(house: House) -> int:
    """Return how often root's helper has put includes in place or reloaded nginx, as it was asked to."""
    said = house.machine.run("journalctl --no-pager -o cat _SYSTEMD_UNIT=renewer-reload.service", check=False)
    return said.out.split().count("ok")


def not_shared(house: House) -> list[str]:
    """Return what in the state folder is not root's though nginx includes it, or not renewer's otherwise."""
    roots = f"-path {STATE} -o -path '{STATE}/nginx*'"
    found = rf"\( {roots} \) ! -user root -print -o ! \( {roots} \) ! -user renewer -print"
    return house.machine.run(f"find {STATE} {found}; find {STATE} -maxdepth 0 ! -perm 1770").out.split()


def test_without_a_configuration_it_waits_also_after_a_boot(house: House) -> None:
    assert daemon(house) == ["enabled", "inactive", "0"]
    house.machine.reboot()  # which fails if a unit does
    assert daemon(house) == ["enabled", "inactive", "0"]
    assert house.shows("renewer-reload.path", "UnitFileState", "ActiveState") == ["enabled", "active"]


def test_all_that_is_in_it_is_compiled_and_can_be_loaded(house: House) -> None:
    count = "find /opt/renewer -name '*.py{}' | wc -l"
    assert house.machine.run(count.format("c")).out == house.machine.run(count.format("")).out
    modules = f"cd {SITE} && find cloudflare renewer -name '*.py' ! -name __main__.py"
    imports = "sed 's,/__init__.py$,,; s,.py$,,; s,/,.,g; s,^,import ,'"
    house.machine.run(f"{modules} | {imports} | /opt/renewer/bin/python -I -")
    assert house.machine.run("dpkg --verify renewer").out == ""
    for page in ("man1/renewer.1.gz", "man5/renewer.toml.5.gz"):
        house.machine.run(f"gzip -t /usr/share/man/{page}")


def test_once_configured_it_obtains_and_nginx_serves_by_the_helper_of_root(house: House) -> None:
    house.configure(FIRST)
    house.renewer("nginx")
    house.machine.write("/usr/local/bin/probe", PROBE, 0o755)
    house.machine.write(
        "/run/systemd/system/renewer.service.d/probe.conf", "[Service]\nExecStartPre=/usr/local/bin/probe\n"
    )
    house.machine.run("systemctl reload nginx && systemctl daemon-reload && systemctl start renewer")
    house.until_served(FIRST)
    assert helped(house) == 1 + 1


def test_the_daemon_has_no_rights(house: House) -> None:
    told = set(house.machine.run("journalctl --no-pager -o cat -u renewer").out.splitlines())
    assert told >= REFUSED | NO_CAPABILITY
    status = house.machine.path(f"/proc/{house.pid()}/status").read_text().splitlines()
    assert set(status) >= NO_CAPABILITY | {"NoNewPrivs:\t1", "Seccomp:\t2"}


def test_after_a_reboot_it_is_there_and_does_it_all_again(house: House) -> None:
    house.machine.reboot()
    assert daemon(house) == ["enabled", "active", "0"]
    house.until_served(FIRST)
    before = helped(house)
    house.configure(FIRST, SECOND)
    house.renewer("nginx")
    house.machine.run("systemctl reload nginx renewer")
    house.until_served(SECOND)
    assert helped(house) == before + 1 + 1


def test_an_upgrade_restarts_it_and_keeps_everything(house: House) -> None:
    before, served = house.pid(), house.served(FIRST)
    assert not_shared(house) == []
    house.machine.run(f"chown -R renewer:renewer {STATE}; chmod 700 {STATE} {STATE}/nginx")  # as it once was
    assert not_shared(house)
    package.install(house.machine, package.later())
    assert package.NEXT in house.machine.run("dpkg-query --show renewer").out
    assert house.pid() != before
    assert daemon(house) == ["enabled", "active", "0"]
    assert not_shared(house) == []
    house.until_served(FIRST)
    assert house.served(FIRST) == served


def test_what_was_disabled_stays_so_when_it_is_installed_again(house: House) -> None:
    house.machine.run("systemctl disable --now renewer.service")
    package.install(house.machine, package.later())
    assert daemon(house)[:2] == ["disabled", "inactive"]


def test_removed_it_leaves_what_is_not_its_own_and_purged_what_nginx_includes(house: House) -> None:
    house.machine.run("systemctl enable --now renewer.service")
    house.machine.run(f"{package.APT} remove renewer")
    wait(lambda: house.machine.run("pgrep -u renewer", check=False).out == "", what="the daemon has ended")
    assert house.machine.run("ls /etc/renewer").out.split() == ["cloudflare.token", "renewer.toml"]
    assert not house.machine.path("/opt/renewer").exists()

    said = house.machine.run(f"{package.APT} purge renewer").out
    assert [line for line in said.splitlines() if not missing(line, STATE, "stays")]
    assert "removed /etc/renewer/cloudflare.token\n" in said
    assert missing(said, "token", "https://dash.cloudflare.com") == []
    assert house.machine.run("find /etc /usr /run -name '*renewer*' ! -path '/run/systemd/*'").out == ""
    house.machine.run("nginx -t && systemctl restart nginx")
    house.served(FIRST)
    assert house.machine.run("systemctl --failed --no-legend").out == ""


def test_the_wheel_has_all_that_the_program_reads_and_nothing_that_builds_the_package() -> None:
    held = set(ZipFile(program.wheel()).namelist())
    read = {f"renewer/{path.relative_to(ROOT / 'renewer')}" for path in (ROOT / "renewer").rglob("*.conf")}
    units = [path for path in (ROOT / "systemd").iterdir() if path.is_file() and path.suffix != ".cron"]
    assert held >= read | {f"renewer/service/systemd/{path.name}" for path in units}
    assert not [name for name in held if "debian" in name]

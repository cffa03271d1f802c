"""Access follows the newest configuration, with the service, root's helper, and a person who runs commands.

The tests of this file are one story, told in its order.
"""

from collections.abc import Iterator

import pytest
from support.house import FILE, STATE, House
from support.machine import wait

NAME, HOST, OTHER = "example.com", "gate.example.com", "other.example.com"
VALIDITY = 40.0
"""Seconds that a certificate is valid, so that the daemon has a cycle every few seconds."""

GUARDED = """
server {{
    listen 443 ssl;
    server_name {host};
    include {state}/nginx/certificates/{name}.conf;
    set $rn_scope {site};
    include {state}/nginx/secure_link/enter.conf;
    location / {{
        include {state}/nginx/secure_link/gate.conf;
        return 200;
    }}
}}
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("followed"), (NAME,), validity=VALIDITY) as house:
        sites = {"gate": HOST, "other": OTHER}
        servers = [
            GUARDED.format(state=STATE, host=host, name=NAME, site=site) for site, host in sites.items()
        ]
        house.machine.write(
            "/etc/nginx/conf.d/gate.conf",
            f"include {STATE}/nginx/secure_link/http.conf;\n{''.join(servers)}",
        )
        configure(house, gate=["phone"])
        by_hand(house, "nginx")
        house.machine.run("systemctl reload nginx")
        house.renewer("install-service")
        cycles(house, 1)
        yield house


def configure(house: House, **sites: list[str]) -> None:
    """Have these sites, each for these devices, with keys that no renewal changes."""
    hosts = {"gate": HOST, "other": OTHER}
    tables = [
        f'[site.{name}]\nhost = "https://{hosts[name]}"\npeople = {people}\nrotate = "30d"\n'
        for name, people in sites.items()
    ]
    house.configure(NAME, more="".join(tables).replace("'", '"'))


def by_hand(house: House, command: str) -> None:
    """Run a command as a person does, again while the daemon is at work."""
    wait(lambda: house.machine.run(f"renewer {command}", check=False).code == 0, what=command)


def cycles(house: House, number: int) -> None:
    """Wait for so many cycles of the daemon with a certificate to deploy."""
    before = issued(house)
    wait(lambda: issued(house) >= before + number, what=f"{number} renewals")
    wait(lambda: house.machine.run(f"pgrep -P {house.pid()}", check=False).code == 1, what="it is idle")


def issued(house: House) -> int:
    log = (house.box / "pebble" / "pebble.log").read_text(errors="replace")
    return log.count("Issued certificate serial")


def enter(house: House, device: str, site: str = "gate", host: str = HOST) -> None:
    """Open the site with a new link, on a device with a cookie jar of that name."""
    link = house.renewer(f"link {site} {device}").out.strip()
    assert asked(house, device, link, host) == "303"


def visit(house: House, device: str, host: str = HOST) -> str:
    return asked(house, device, f"https://{host}/", host)


def asked(house: House, device: str, url: str, host: str) -> str:
    curl = f"curl -ks -o /dev/null -w '%{{http_code}}' --resolve {host}:443:127.0.0.1"
    return house.machine.run(f"{curl} -c /root/{device} -b /root/{device} '{url}'").out


def test_a_device_that_was_taken_out_by_hand_stays_out(house: House) -> None:
    enter(house, "phone")
    assert visit(house, "phone") == "200"
    configure(house, gate=["tablet"])
    by_hand(house, "renew")
    enter(house, "tablet")
    assert (visit(house, "phone"), visit(house, "tablet")) == ("403", "200")
    cycles(house, 2)
    assert (visit(house, "phone"), visit(house, "tablet")) == ("403", "200")


def test_the_keys_of_a_site_that_was_added_by_hand_stay(house: House) -> None:
    configure(house, gate=["tablet"], other=["phone"])
    by_hand(house, "nginx")
    by_hand(house, "renew")
    enter(house, "phone", "other", OTHER)
    cycles(house, 2)
    assert (visit(house, "phone", OTHER), visit(house, "tablet")) == ("200", "200")


def test_what_root_followed_stays_although_the_service_may_not_read_the_file(house: House) -> None:
    """Root reads the file and becomes the user of the service, who sees nothing of it afterwards."""
    house.machine.run(f"chown root:root {FILE} && chmod 600 {FILE}")
    configure(house, gate=["laptop"], other=["phone"])
    by_hand(house, "renew")
    enter(house, "laptop")
    assert (visit(house, "tablet"), visit(house, "laptop")) == ("403", "200")
    cycles(house, 2)
    assert (visit(house, "tablet"), visit(house, "laptop"), visit(house, "phone", OTHER)) == (
        "403",
        "200",
        "200",
    )
    by_hand(house, "renew")
    assert visit(house, "laptop") == "200"
    told = house.machine.run("journalctl -u renewer -o cat").out
    assert told.count("stays in force") == 1
    house.machine.run(f"chgrp renewer {FILE} && chmod 640 {FILE}")


def test_a_second_configuration_is_refused_to_root_and_to_the_service(house: House) -> None:
    second = "/root/second.toml"
    house.machine.run(f"sed s/site.gate/site.foreign/ {FILE} > {second}")
    for command in ("renew", "nginx", "link gate laptop", "status", "install-service"):
        refused = house.renewer(f"-c {second} {command}", code=78)
        assert (FILE in refused.err, second in refused.err, refused.out) == (True, True, ""), refused
    assert visit(house, "laptop") == "200"


def test_root_s_own_file_that_was_renamed_is_taken_over(house: House) -> None:
    house.machine.run("systemctl stop renewer")
    renamed = FILE.replace("renewer.toml", "renamed.toml")
    house.machine.run(f"mv {FILE} {renamed}")
    done = house.machine.run(f"renewer -c {renamed} renew")
    assert (FILE in done.err, renamed in done.err) == (True, True)
    assert visit(house, "laptop") == "200"

"""Users who mean harm in a machine with the package, the service and root's helper.

One is `renewer` itself, as whoever breaks into the daemon is; the other, mallory, is anybody. Root works on,
with its helper, from cron, and with `check`. The tests of this file are one story, told in its order.
"""

import json
from collections.abc import Iterator

import pytest
from support.house import FILE, STATE, House
from support.machine import package

pytestmark = pytest.mark.xdist_group("package")

NAME, OTHER = "example.com", "example.org"
HOME = f"{STATE}/certificates/{NAME}"
LINES = f"{STATE}/nginx/certificates/{NAME}.conf"
RESULT, REQUEST, NONCE = "/run/renewer-reload/result", "/run/renewer/reload.request", "0123456789abcdef"
KEY = "/root/ca.key"
SECRET = f"very-secret.{NAME}"

ROOTS = f"""state = "/var/lib/roots"
[cloudflare]
token_file = "/etc/renewer/cloudflare.token"
[nginx]
reload = "signal"
[site.files]
mode = "url"
host = "https://files.{NAME}"
signer_file = "/srv/theirs/files.json"
signer_owner = "root:www-data"
signer_mode = "0640"
"""
GUARDED = """include /var/lib/roots/nginx/secure_link/http.conf;
server {{
    listen 443 ssl;
    server_name files.{name};
    include {lines};
    set $rn_scope files;
    location / {{
        include /var/lib/roots/nginx/secure_link/gate-url.conf;
        return 200;
    }}
}}
"""
CYCLES = ("renew", *["rotate files"] * 8)
SWAP = f"""
import os
folder = os.open("/srv/theirs", os.O_RDONLY)
os.makedirs("/srv/theirs/away", exist_ok=True)
count = 0
while not os.path.exists("/srv/theirs/enough"):
    for name in os.listdir(folder):
        if name.startswith(".tmp-files.json-"):
            try:
                os.rename(name, f"away/{{count}}", src_dir_fd=folder, dst_dir_fd=folder)
                os.symlink("{KEY}", name, dir_fd=folder)
                count += 1
            except OSError:
                pass
print(count)
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("attacks"), (NAME, OTHER), means=package) as house:
        house.machine.run("useradd --create-home --user-group mallory && chmod 711 /home/mallory")
        house.machine.run(f"umask 077; openssl ecparam -genkey -name prime256v1 -noout -out {KEY}")
        house.configure(NAME)
        house.renewer("nginx")
        house.machine.run("systemctl reload nginx && systemctl start renewer")
        house.until_served(NAME)
        yield house


def asked(house: House, script: str) -> list[str]:
    """Let renewer do something and ask root's helper; return the lines of the answer."""
    house.machine.run(f"rm -f {RESULT}")
    house.machine.run(
        f"set -e; {script}\ncd /run/renewer; printf {NONCE} > new; mv new {REQUEST}", user="renewer"
    )
    house.machine.until(f"test -e {RESULT} && ! test -e {REQUEST}")
    return house.machine.path(RESULT).read_text().splitlines()


def generation(house: House) -> str:
    return house.machine.run(f"readlink {HOME}/current").out.strip()


# -- renewer itself: links in a generation ---------------------------------------------------------------


def test_nginx_is_given_root_s_copy_of_the_generation(house: House) -> None:
    copy = f"{STATE}/nginx/copies/certificates/{NAME}/{generation(house)}"
    assert copy in house.machine.run(f"cat {LINES}").out
    house.machine.run(f"diff -r {copy} {HOME}/current/")
    assert set(house.machine.run(f"stat -c '%U:%G %a' {copy} {copy}/*").out.splitlines()) == {
        "root:renewer 750", "root:renewer 640",
    }  # fmt: skip
    assert (
        house.machine.run(
            "nginx -T 2>/dev/null | grep -c '^ssl_certificate.*/lib/renewer/certificates/'", check=False
        ).out
        == "0\n"
    )


def test_a_key_that_is_exchanged_for_a_link_is_never_read_by_nginx(house: House) -> None:
    before = house.served(NAME)
    key = f"{HOME}/{generation(house)}/privkey.pem"
    house.machine.run(f"mv {key} {HOME}/key && ln -s {KEY} {key}", user="renewer")
    house.machine.run("nginx -t && systemctl reload nginx && systemctl restart nginx")
    assert house.served(NAME) == before
    house.machine.run(f"rm {key} && mv {HOME}/key {key}", user="renewer")


def harmed(target: str) -> str:
    """Return how renewer has a generation included whose key is a link."""
    new = f"{HOME}/g999999"
    wish = f"{STATE}/wanted/certificates"
    return (
        f"rm -rf {new}; cp -rL {HOME}/current {new}; ln -sf {target} {new}/privkey.pem; mkdir -p {wish};"
        f"sed s,/g[0-9]*/,/g999999/, {LINES} > {wish}/{NAME}.conf"
    )


def test_links_are_refused_and_the_answer_tells_nothing_of_root_s_files(house: House) -> None:
    lines, told = house.machine.run(f"cat {LINES}").out, set()
    for target in (KEY, "/root/none", "/root", "/etc/shadow", "/dev/zero"):
        nonce, status, _, *said = asked(house, harmed(target))
        assert (nonce, status) == (NONCE, "bad-request")
        told.add("\n".join(said))
    assert len(told) == 1
    assert house.machine.run(f"cat {LINES}").out == lines
    house.machine.run(f"rm -rf {HOME}/g999999 {STATE}/wanted", user="renewer")


def test_the_answer_is_for_renewer_and_root_alone(house: House) -> None:
    assert asked(house, "true")[:2] == [NONCE, "ok"]
    assert house.machine.run(f"stat -c '%U:%G %a' {RESULT}").out == "root:renewer 640\n"
    house.machine.run(f"cat {RESULT}", user="renewer")
    assert house.machine.run(f"cat {RESULT}", check=False, user="mallory").code == 1


def test_files_of_root_s_do_not_pile_up(house: House) -> None:
    names = "$(seq -f n%g.example 100)"
    wish = f"{STATE}/wanted/certificates"
    script = (
        f"mkdir -p {wish}; for n in {names}; do mkdir {STATE}/certificates/$n;"
        f" cp -rL {HOME}/current {STATE}/certificates/$n/g000001;"
        f" sed s,/{NAME}/g[0-9]*/,/$n/g000001/, {LINES} > {wish}/$n.conf; done"
    )
    assert asked(house, script)[1] == "ok"
    count = f"find {STATE}/nginx -type f | wc -l"
    assert int(house.machine.run(count).out) > 500
    house.machine.run(f"cd {STATE} && rm -r wanted certificates/n*.example", user="renewer")
    assert asked(house, "true")[1] == "ok"
    assert int(house.machine.run(count).out) == 4 + 1 + 4
    house.served(NAME)


def test_after_all_that_the_service_renews_as_before(house: House) -> None:
    before = house.served(NAME)
    answer = json.loads(house.renewer(f"renew {NAME} --force --json").out)
    assert (answer["certificates"][0]["action"], answer["certificates"][0]["served"]) == ("issued", True)
    assert house.served(NAME) != before


# -- mallory: a folder that root writes into -------------------------------------------------------------


def test_root_s_cycle_changes_nothing_where_mallory_s_link_leads(house: House) -> None:
    machine = house.machine
    machine.write("/etc/renewer/roots.toml", ROOTS)
    machine.run("install -d -o mallory -g mallory -m 755 /srv/theirs")
    house.renewer("-c /etc/renewer/roots.toml nginx")
    machine.write("/etc/nginx/conf.d/files.conf", GUARDED.format(name=NAME, lines=LINES))
    machine.run("systemctl reload nginx")
    machine.write("/usr/local/bin/swap", f"#!/usr/bin/python3\n{SWAP}", 0o755)
    before = machine.run(f"stat -c '%U:%G %a %s' {KEY}").out
    machine.run("swap > /srv/theirs/count 2>&1 &", user="mallory")
    machine.run("test -d /srv/theirs/away || sleep 1")
    ends = {
        machine.run(f"renewer -c /etc/renewer/roots.toml {command}", check=False).code for command in CYCLES
    }
    assert ends <= {0, 1, 75}, "who meddles with his own folder gets no key there, and that is told"
    machine.run("touch /srv/theirs/enough", user="mallory")
    machine.until("test -s /srv/theirs/count")
    assert machine.run(f"stat -c '%U:%G %a %s' {KEY}").out == before
    machine.run("rm -rf /etc/nginx/conf.d/files.conf /srv/theirs && systemctl reload nginx")


# -- mallory: a home that root looks into ----------------------------------------------------------------


HOMES = {
    "a link to a file": "ln -s /root/lego/x.json x.json; ln -s /root/lego/x.crt x.crt",
    "a pipe": "mkfifo a.json b.crt; echo {} > b.json",
    "zeros": "ln -s /dev/zero c.json",
    "a terabyte": "truncate -s 1T d.json",
    "an escape sequence": r"""echo '{"domain": "\u001b]52;c;eA==\u0007.example.com"}' > e.json""",
}


@pytest.mark.parametrize("what", HOMES)
def test_check_by_root_reads_nothing_that_is_not_mallory_s(house: House, what: str) -> None:
    machine, folder = house.machine, "/home/mallory/.lego/certificates"
    machine.write("/root/lego/x.json", json.dumps({"domain": SECRET}), 0o600)
    machine.run(f"mkdir -p {folder}; cd {folder}; {HOMES[what]}", user="mallory")
    done = machine.run("ulimit -v 4000000; renewer check --json", check=False)
    machine.run("rm -r /home/mallory/.lego", user="mallory")
    findings = json.loads(done.out)["findings"]
    assert not [one for one in findings if "very-secret" in str(one) or "\x1b" in str(one)]
    assert [one["status"] for one in findings if one["group"] == "others"] == ["ok"]


# -- mallory: a configuration that root reads ------------------------------------------------------------

EVIL = """state = "/var/lib/evil"
[certificate."example.com"]
domains = ["example.com"]
[nginx]
binary = "/home/mallory/evil"
reload = ["/home/mallory/evil"]
"""


@pytest.mark.parametrize("command", ["renew", "nginx", "check", "status", "install-service", "run"])
def test_root_runs_nothing_of_a_configuration_of_mallory_s(house: House, command: str) -> None:
    machine = house.machine
    machine.write("/home/mallory/evil.toml", EVIL)
    machine.write("/home/mallory/evil", "#!/bin/sh\ntouch /run/evil\n", 0o755)
    machine.run("chown mallory: /home/mallory/evil*")
    units = machine.run("systemctl cat renewer.service renewer-reload.service").out
    done = house.renewer(f"-c /home/mallory/evil.toml {command}", code=78)
    assert "/home/mallory" in done.out + done.err
    assert "mallory" in machine.run("stat -c %U /home/mallory/evil.toml").out
    assert machine.run("ls /run/evil /var/lib/evil", check=False).out == ""
    assert machine.run("systemctl cat renewer.service renewer-reload.service").out == units


def test_a_configuration_that_mallory_was_let_to_is_refused_until_it_is_root_s_again(house: House) -> None:
    house.machine.run(f"chown mallory {FILE}")
    done = house.renewer("renew", code=78)
    house.machine.run(done.err.rpartition("run: ")[2].strip())
    house.renewer("renew")

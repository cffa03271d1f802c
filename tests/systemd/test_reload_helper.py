"""Root's helper, asked by a user `renewer` who means harm: nothing outside its own folder is ever touched."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.machine import Machine, image

from renewer.core.site import Guard
from renewer.core.x509 import self_signed
from renewer.nginx.layout import include_text, pair_files
from renewer.nginx.secure_link import gates

ROOT = Path(__file__).parents[2]
REQUEST = "/run/renewer/reload.request"
RESULT = "/run/renewer-reload/result"
NONCE = "0123456789abcdef"
STATE = "/var/lib/renewer"
HOME = f"{STATE}/certificates/example.com"
COPIES = f"{STATE}/nginx/copies/certificates/example.com"
PLACES = {
    "renewer.sysusers.conf": "/etc/sysusers.d/renewer.conf",
    "renewer.tmpfiles.conf": "/etc/tmpfiles.d/renewer.conf",
    "reload": "/usr/libexec/renewer/reload",
    "renewer-reload.path": "/etc/systemd/system/renewer-reload.path",
    "renewer-reload.service": "/etc/systemd/system/renewer-reload.service",
}
WATCHED = (
    "/etc/shadow /etc/passwd /root /etc/renewer-secret /run/renewer-reload /usr/libexec/renewer/reload"
    f" {STATE} /etc/cron.d $(find {STATE}/nginx)"
)
INCLUDING = f"""
include {STATE}/nginx/secure_link/http.conf;
server {{
    listen 443 ssl;
    include {STATE}/nginx/certificates/example.com.conf;
    return 204;
}}
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("helper"), image.base()) as machine:
        for name, place in PLACES.items():
            text = (ROOT / "systemd" / name).read_text()
            machine.write(place, text, 0o755 if name == "reload" else 0o644)
        for path in gates._TEXTS.glob("*.conf"):
            machine.write(f"/usr/libexec/renewer/secure_link/{path.name}", path.read_text())
        machine.write("/etc/renewer-secret", NONCE, 0o600)
        machine.run("systemd-sysusers && systemd-tmpfiles --create renewer.conf && systemctl daemon-reload")
        machine.run("systemctl enable --now renewer-reload.path")
        lay_out(machine)
        yield machine


def lay_out(machine: Machine) -> None:
    """Let renewer have a certificate and want it included, which nginx's configuration does already."""
    files = {f"{HOME}/g000001/{name}": text.decode() for name, text in PAIR.items()}
    for name, text in (files | WISHES).items():
        machine.write(name, text)
    machine.run(
        f"cd {STATE} && chown -R renewer:renewer certificates wanted && chmod -R go= certificates wanted"
    )
    machine.write("/etc/nginx/conf.d/renewer.conf", INCLUDING)
    assert machine.run("nginx -t", check=False).code
    machine.run(f"printf '{NONCE} place' > /run/renewer/new", user="renewer")
    machine.run(f"mv /run/renewer/new {REQUEST}", user="renewer")
    machine.until(f"grep -q ok {RESULT}")
    machine.run("systemctl reload nginx")
    machine.run(f"rm -r {STATE}/wanted")


PAIR = pair_files(*self_signed(("example.com",), datetime.now(UTC)))
WISHES = {
    f"{STATE}/wanted/certificates/example.com.conf": include_text(Path(COPIES, "g000001"), PAIR).decode(),
    **{
        f"{STATE}/wanted/secure_link/{name}": text for name, text in gates.texts(Guard(()), "ab" * 32).items()
    },
}


def ask(machine: Machine, script: str) -> list[str]:
    """Let renewer do something, wait until the helper is done with it, and return the lines of its answer."""
    machine.run(f"rm -f {RESULT}")
    before = state(machine)
    machine.run(f"cd /run/renewer && {script}", user="renewer")
    machine.until(f"test ! -e {REQUEST} && test ! -L {REQUEST} && test -e {RESULT}")
    machine.until("test $(systemctl is-active renewer-reload.service) != activating")
    assert machine.run("systemctl is-active renewer-reload.path").out.strip() == "active"
    assert state(machine) == before
    assert machine.run("ls -A /run/renewer-reload").out.split() == ["result"]
    machine.run("rm -rf /run/renewer/*")
    return machine.path(RESULT).read_text().splitlines()


def state(machine: Machine) -> str:
    """Return owner, mode, size and content of what must not change, and nginx's main process."""
    hashed = f"/etc/shadow /etc/passwd /etc/renewer-secret $(find {STATE}/nginx /etc/cron.d -type f)"
    kept = machine.run(f"stat -c '%n %U:%G %a' {WATCHED}; sha256sum {hashed}")
    return kept.out + machine.run("systemctl show -P MainPID nginx").out


def workers(machine: Machine) -> set[str]:
    return set(machine.run("pgrep -P $(cat /run/nginx.pid)").out.split())


def test_it_reloads_nginx_and_repeats_the_digits(machine: Machine) -> None:
    before = workers(machine)
    nonce, status, *_ = ask(machine, f"printf {NONCE} > new && mv new reload.request")
    assert (nonce, status) == (NONCE, "ok")
    assert not workers(machine) & before


HOSTILE = {
    "a link to a secret": "ln -s /etc/shadow reload.request",
    "a link to a secret of 16 digits": "ln -s /etc/renewer-secret reload.request",
    "a pipe": "mkfifo reload.request",
    "a folder with a link": "mkdir d && ln -s /etc d/etc && ln -s /etc/shadow d/x && mv d reload.request",
    "a very deep folder": 'python3 -c \'import os\nfor _ in range(3000): os.mkdir("d"); os.chdir("d")\';'
    " mv d reload.request",
    "a file of two names": f"printf {NONCE} > other && ln other reload.request",
    "words for a shell": "echo '$(touch /etc/cron.d/x); `touch /etc/cron.d/y`' >new && mv new reload.request",
    "more than the digits": f"printf '{NONCE}\\nnginx -s stop' > new && mv new reload.request",
    "zeros without end": "truncate -s 1G new && mv new reload.request",
    "nothing": "touch reload.request",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_request_is_refused_and_harmless(machine: Machine, what: str) -> None:
    before = workers(machine)
    nonce, status, *rest = ask(machine, HOSTILE[what])
    assert (nonce, status, rest[1:]) == ("-", "bad-request", [])
    assert workers(machine) == before


WISH, HTTP = "$W/certificates/example.com.conf", "$W/secure_link/http.conf"
WANTED = {
    "directives": (f"printf 'access_log /run/renewer/log x;\\n' >> {HTTP}", "secure_link/http.conf: line"),
    "a file to include": (
        f"sed -i 's,^ssl_certificate .*,include /etc/shadow;,' {WISH}",
        "example.com.conf: line 2",
    ),
    "a folder elsewhere": (f"sed -i s,g000001,../../x, {WISH}", "example.com.conf: line 2"),
    "a link to a secret": (f"ln -sf /etc/shadow {WISH}", "example.com.conf: this cannot be opened"),
    "a pipe": (f"rm {WISH}; mkfifo {WISH}", "example.com.conf: this is no plain file"),
    "a link to a folder": ("rm -r $W; ln -s /etc $W", "Not a directory: 'wanted'"),
}


@pytest.mark.parametrize("what", WANTED)
def test_what_nginx_must_not_include_never_gets_there(machine: Machine, what: str) -> None:
    script, told = WANTED[what]
    wish = f"W={STATE}/wanted; mkdir $W; cp -r {STATE}/nginx/* $W; chmod -R u+w $W; {script}"
    before = workers(machine)
    nonce, status, _, said = ask(machine, f"{wish}; printf {NONCE} > new && mv new reload.request")
    machine.run(f"rm -rf {STATE}/wanted", user="renewer")
    assert (nonce, status) == (NONCE, "bad-request")
    assert told in said
    assert workers(machine) == before
    machine.run("curl -sk https://127.0.0.1/")


ATTEMPTS = f"""
cd {STATE}
mv nginx away
mv -T certificates nginx
rm -rf nginx
ln -sfn /tmp nginx
mv nginx/certificates nginx/away
for file in nginx/certificates/example.com.conf nginx/secure_link/http.conf; do
  echo 'load_module /tmp/evil.so;' > $file
  ln -f certificates/example.com/g000001/privkey.pem $file
  ln -f $file certificates/mine
  rm -f $file
  chmod u+w,g+w,o+w $file
done
chmod 777 . nginx nginx/certificates
touch nginx/new nginx/certificates/new
"""


def test_renewer_can_neither_write_nor_rename_what_nginx_includes(machine: Machine) -> None:
    before = state(machine)
    machine.run(ATTEMPTS, check=False, user="renewer")
    assert state(machine) == before
    assert machine.run(f"cat {STATE}/nginx/certificates/*", user="renewer").out.count("ssl_certificate ") == 1
    assert machine.run(f"ls {STATE}").out.split() == ["certificates", "nginx"]


def test_what_nginx_refuses_is_put_back_and_what_it_takes_is_served(machine: Machine) -> None:
    machine.run(f"cd {HOME} && cp -r g000001 g000002 && echo none > g000002/privkey.pem", user="renewer")
    wish = f"cp -r {STATE}/nginx {STATE}/wanted; sed -i s,g000001,g000002, {STATE}/wanted/certificates/*"
    nonce, status, *_ = ask(machine, f"{wish}; printf {NONCE} > new && mv new reload.request")
    assert (nonce, status) == (NONCE, "test-failed")
    machine.run(f"cp {HOME}/g000001/privkey.pem {HOME}/g000002", user="renewer")
    before = workers(machine)
    request = f"rm {RESULT}; cd /run/renewer && printf {NONCE} > new && mv new reload.request"
    machine.run(request)
    machine.until(f"grep -q ok {RESULT}")
    assert f"{COPIES}/g000002/" in machine.run(f"cat {STATE}/nginx/certificates/example.com.conf").out
    assert machine.run(f"ls {COPIES}").out.split() == ["g000001", "g000002"]
    assert not workers(machine) & before
    machine.run(f"rm -r {STATE}/wanted && curl -sk https://127.0.0.1/")
    machine.run(request)
    machine.until(f"grep -q ok {RESULT}")
    assert machine.run(f"ls {COPIES}").out.split() == ["g000002"], (
        "the former one is kept until the next reload"
    )


def test_a_link_to_nowhere_stands_in_nobodys_way(machine: Machine) -> None:
    machine.run("ln -s /nowhere /run/renewer/reload.request", user="renewer")
    nonce, status, *_ = ask(machine, f"printf {NONCE} > new && mv -T new reload.request")
    assert (nonce, status) == (NONCE, "ok")


def test_what_nginx_refuses_comes_back_with_its_place(machine: Machine) -> None:
    machine.write("/etc/nginx/conf.d/broken.conf", "bogus;\n")
    before = workers(machine)
    nonce, status, _, *said = ask(machine, f"printf {NONCE} > new && mv new reload.request")
    machine.run("rm /etc/nginx/conf.d/broken.conf")
    assert (nonce, status) == (NONCE, "test-failed")
    assert 'unknown directive "bogus" in /etc/nginx/conf.d/broken.conf:1' in "\n".join(said)
    assert workers(machine) == before


def test_a_flood_of_requests_does_not_end_it(machine: Machine) -> None:
    once = f"printf {NONCE} > new && mv new reload.request; sleep 0.03"
    machine.run(f"cd /run/renewer && for i in $(seq 150); do {once}; done", user="renewer")
    nonce, status, *_ = ask(machine, f"sleep 3; printf {NONCE[::-1]} > new && mv new reload.request")
    assert (nonce, status) == (NONCE[::-1], "ok")


def test_an_nginx_that_is_down_is_not_started(machine: Machine) -> None:
    machine.run("systemctl stop nginx")
    nonce, status, *_ = ask(machine, f"printf {NONCE} > new && mv new reload.request")
    assert (nonce, status) == (NONCE, "nginx-down")
    assert machine.run("systemctl is-active nginx", check=False).out.strip() == "inactive"
    machine.run("systemctl start nginx")

"""Root's helper, asked by a user `renewer` who means harm: nothing outside its own folder is ever touched."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import Machine, image

ROOT = Path(__file__).parents[2]
REQUEST = "/run/renewer/reload.request"
RESULT = "/run/renewer-reload/result"
NONCE = "0123456789abcdef"
PLACES = {
    "renewer.sysusers.conf": "/etc/sysusers.d/renewer.conf",
    "renewer.tmpfiles.conf": "/etc/tmpfiles.d/renewer.conf",
    "reload": "/usr/libexec/renewer/reload",
    "renewer-reload.path": "/etc/systemd/system/renewer-reload.path",
    "renewer-reload.service": "/etc/systemd/system/renewer-reload.service",
}
WATCHED = "/etc/shadow /etc/passwd /root /etc/renewer-secret /run/renewer-reload /usr/libexec/renewer/reload"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("helper"), image.base()) as machine:
        for name, place in PLACES.items():
            text = (ROOT / "systemd" / name).read_text()
            machine.write(place, text, 0o755 if name == "reload" else 0o644)
        machine.write("/etc/renewer-secret", NONCE, 0o600)
        machine.run("systemd-sysusers && systemd-tmpfiles --create renewer.conf && systemctl daemon-reload")
        machine.run("systemctl enable --now renewer-reload.path")
        yield machine


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
    kept = machine.run(f"stat -c '%n %U %a' {WATCHED}; sha256sum /etc/shadow /etc/passwd /etc/renewer-secret")
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
    "words for a shell": "echo '$(touch /root/x); `touch /root/y`' > new && mv new reload.request",
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

"""The examples beside other programs: nginx in Docker, Nginx Proxy Manager, HAProxy, Mosquitto."""

import hashlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.facts import missing
from support.fitting import EXAMPLES, fitted
from support.nginx_master import BINARY, Nginx, free_port, wait_until
from support.world import NAME, Done, World, careless, connect, table

from renewer.config.load import parse

pytestmark = pytest.mark.xdist_group("neighbours")
"""They change the configuration of one nginx in turn."""

DOCKER, NPM, OTHERS = (EXAMPLES / name for name in ("docker", "nginx-proxy-manager", "other-programs"))

ENGINE = """#!/bin/sh
# What a Docker engine does with one container in which nginx runs; NAME, NGINX, PID are filled in.
echo "$@" >>FOLDER/docker.log
case "$*" in
  "inspect --format {{.State.Running}} NAME")
    kill -0 "$(cat PID 2>/dev/null)" 2>/dev/null && echo true || echo false ;;
  "exec NAME nginx "*) shift 3; exec NGINX "$@" ;;
  "kill --signal=HUP NAME") kill -HUP "$(cat PID)" && echo NAME ;;
  *) echo "Error response from daemon: No such container" >&2; exit 1 ;;
esac
"""


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@dataclass
class Engine:
    """A stand-in for the command `docker`."""

    folder: Path
    path: Path

    @classmethod
    def made(cls, folder: Path, name: str, nginx: str, pid: Path) -> "Engine":
        text = ENGINE
        for old, new in {"NAME": name, "NGINX": nginx, "PID": pid, "FOLDER": folder}.items():
            text = text.replace(old, str(new))
        return cls(folder, script(folder / "docker", text))

    @property
    def calls(self) -> list[str]:
        return (self.folder / "docker.log").read_text().splitlines()


def head(world: World) -> str:
    """Return the part of a configuration that leads to the sandbox."""
    return world.box.toml(world.state)


def configure(world: World, text: str) -> None:
    """Let the rest of an example's configuration be in force, from its certificate on."""
    world.config.write_text(head(world) + text[text.index("[certificate") :])


def shown(port: int) -> str:
    return connect(port, NAME, careless()).fingerprint


def stored(world: World) -> str:
    pem = (world.state / "certificates" / NAME / "current" / "cert.pem").read_text()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def good(done: Done) -> None:
    assert (done.code, done.err) == (0, ""), done


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("neighbours")) as found:
        yield found


@pytest.mark.parametrize("example", [DOCKER, NPM, OTHERS], ids=lambda one: one.name)
def test_its_configuration_is_one(example: Path) -> None:
    assert parse((example / "renewer.toml").read_text(), "renewer.toml").specs


@pytest.mark.parametrize("program", [DOCKER / "nginx-in-docker", NPM / "npm-certificate", OTHERS / "deliver"])
def test_its_script_can_be_run(program: Path) -> None:
    assert os.access(program, os.X_OK)
    subprocess.run(["sh", "-n", program], check=True)


class TestDocker:
    @pytest.fixture
    def engine(self, world: World, tmp_path: Path) -> Iterator[Engine]:
        """The world's nginx as in a container: outside there is no process number of it."""
        inside = tmp_path / "inside.pid"
        nginx = f'{BINARY} -g "pid {inside};"'
        before = world.nginx.config.read_text()
        world.nginx.stop()
        world.nginx.config.write_text(before.replace(f"pid {world.nginx.pid_file};", ""))
        places = {"/usr/bin/docker": tmp_path / "docker", "/etc/nginx/nginx.conf": world.nginx.config}
        places |= {
            "/usr/local/lib/renewer/nginx-in-docker": tmp_path / "nginx-in-docker",
            "127.0.0.1:443": f"127.0.0.1:{world.port}",
        }
        script(tmp_path / "nginx-in-docker", fitted(DOCKER / "nginx-in-docker", places))
        configure(world, fitted(DOCKER / "renewer.toml", places))
        self.start(world, inside)
        yield Engine.made(tmp_path, "nginx", nginx, inside)
        self.stop(inside)
        world.nginx.config.write_text(before)
        world.nginx.start()

    def start(self, world: World, inside: Path) -> None:
        subprocess.run([BINARY, "-c", world.nginx.config, "-g", f"pid {inside};"], check=True)
        wait_until(lambda: inside.exists() and inside.read_text().strip())

    def stop(self, inside: Path) -> None:
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int(inside.read_text()), signal.SIGTERM)
            wait_until(lambda: not inside.exists())

    def test_it_is_tested_inside_reloaded_by_a_signal_and_seen(self, world: World, engine: Engine) -> None:
        done = world.renew("--force")
        assert (done.code, done.err, done.one["served"]) == (0, "", True)
        assert shown(world.port) == done.one["fingerprint"]
        assert f"exec nginx nginx -t -c {world.nginx.config}" in engine.calls
        assert engine.calls.count("kill --signal=HUP nginx") == 1

    def test_while_it_is_down_a_certificate_is_kept_and_served_later(
        self, world: World, engine: Engine
    ) -> None:
        inside = engine.folder / "inside.pid"
        self.stop(inside)
        done = world.renew("--force")
        assert done.code == 1
        assert missing(done.err, "container nginx", "docker compose up -d") == []
        self.start(world, inside)
        done = world.renew()
        assert (done.one["action"], done.one["served"]) == ("deployed", True)

    def test_the_same_paths_are_mounted_as_are_configured(self) -> None:
        mounts = re.findall(r"- (/\S+):(/\S+):(\w+)", (DOCKER / "compose.yaml").read_text())
        assert mounts
        assert all(outside == inside and mode == "ro" for outside, inside, mode in mounts)
        places = [f"{outside}/" for outside, _, _ in mounts]
        text = (DOCKER / "nginx" / "conf.d" / "example.conf").read_text()
        config = parse((DOCKER / "renewer.toml").read_text(), "renewer.toml")
        for path in (str(config.nginx.config), *re.findall(r"include (\S+);", text)):
            assert path.startswith(tuple(places)), path


class TestNginxProxyManager:
    @pytest.fixture
    def npm(self, world: World, tmp_path: Path) -> Iterator[tuple[Nginx, int]]:
        """An nginx that reads key and certificate where NPM puts those of a custom certificate."""
        data, port = tmp_path / "data" / "custom_ssl" / "npm-3", free_port()
        data.mkdir(parents=True)
        for file in ("privkey.pem", "fullchain.pem"):
            shutil.copy(world.state / "certificates" / NAME / "current" / file, data)
        pair = f"ssl_certificate {data}/fullchain.pem; ssl_certificate_key {data}/privkey.pem;"
        with Nginx(tmp_path) as nginx:
            nginx.configure(f"server {{ listen 127.0.0.1:{port} ssl; {pair} return 204; }}")
            nginx.start()
            Engine.made(tmp_path, "npm-app-1", f"{BINARY} -c {nginx.config}", nginx.pid_file)
            places = {
                "/usr/bin/docker": tmp_path / "docker",
                "/usr/local/lib/renewer/npm-certificate": tmp_path / "npm-certificate",
                "/srv/npm/data": tmp_path / "data",
                "/etc/renewer/no-nginx.conf": tmp_path / "none",
            }
            (tmp_path / "none").touch()
            script(tmp_path / "npm-certificate", fitted(NPM / "npm-certificate", places))
            configure(world, fitted(NPM / "renewer.toml", places))
            yield nginx, port

    def test_a_renewal_is_handed_over_and_served(
        self, world: World, npm: tuple[Nginx, int], tmp_path: Path
    ) -> None:
        nginx, port = npm
        good(world.renewer("renew", "--force"))
        wait_until(lambda: shown(port) == stored(world))
        reloads = nginx.reloads()
        good(world.renewer("renew"))
        assert nginx.reloads() == reloads
        folder = tmp_path / "data" / "custom_ssl" / "npm-3"
        assert sorted(path.name for path in folder.iterdir()) == ["fullchain.pem", "privkey.pem"]
        assert (folder / "privkey.pem").stat().st_mode & 0o777 == 0o600

    def test_a_folder_that_is_none_of_npm_is_told_and_tried_again(
        self, world: World, npm: tuple[Nginx, int], tmp_path: Path
    ) -> None:
        _, port = npm
        folder = tmp_path / "data" / "custom_ssl" / "npm-3"
        folder.rename(tmp_path / "away")
        done = world.renewer("renew", "--force")
        assert done.code == 1
        assert missing(done.err, folder) == []
        (tmp_path / "away").rename(folder)
        good(world.renewer("renew"))
        wait_until(lambda: shown(port) == stored(world))


class TestOtherPrograms:
    def delivered(self, world: World, tmp_path: Path, file: Path, *command: str) -> None:
        """Renew with a hook as the example has it, for this file and this command."""
        world.write(table(NAME))
        text = world.config.read_text()
        program = script(tmp_path / "deliver", (OTHERS / "deliver").read_text())
        argv = [str(program), NAME, str(file), "-", "0600", *command]
        world.config.write_text(f"{text}\n[[hook.command]]\nargv = {json.dumps(argv)}\n")
        good(world.renewer("renew", "--force"))

    @contextmanager
    def running(self, port: int, *argv: str) -> Iterator[int]:
        """Run a server in the foreground until it listens; its process number."""
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: answers(port))
                yield process.pid
            finally:
                process.terminate()

    def test_haproxy(self, world: World, tmp_path: Path) -> None:
        certs, port, config = tmp_path / "certs", free_port(), tmp_path / "haproxy.cfg"
        certs.mkdir()
        config.write_text(
            "defaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n"
            f"frontend f\n  bind 127.0.0.1:{port} ssl crt {certs}/\n  http-request return status 204\n"
        )
        check = ("/usr/sbin/haproxy", "-c", "-q", "-f", str(config))
        self.delivered(world, tmp_path, certs / f"{NAME}.pem", *check)
        assert [path.name for path in certs.iterdir()] == [f"{NAME}.pem"]
        assert (certs / f"{NAME}.pem").stat().st_mode & 0o777 == 0o600
        with self.running(port, "/usr/sbin/haproxy", "-W", "-q", "-f", str(config)) as pid:
            assert shown(port) == stored(world)
            self.delivered(world, tmp_path, certs / f"{NAME}.pem", "/bin/sh", "-c", f"kill -USR2 {pid}")
            wait_until(lambda: shown(port) == stored(world))

    def test_mosquitto(self, world: World, tmp_path: Path) -> None:
        pem, port, config = tmp_path / "one.pem", free_port(), tmp_path / "mosquitto.conf"
        config.write_text(
            f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\ncertfile {pem}\nkeyfile {pem}\n"
        )
        self.delivered(world, tmp_path, pem)
        with self.running(port, "/usr/sbin/mosquitto", "-c", str(config)) as pid:
            assert shown(port) == stored(world)
            self.delivered(world, tmp_path, pem, "/bin/sh", "-c", f"kill -HUP {pid}")
            wait_until(lambda: shown(port) == stored(world))

    def test_a_hook_for_another_certificate_does_nothing_and_a_failing_one_leaves_the_file(
        self, tmp_path: Path
    ) -> None:
        current = tmp_path / "state" / "certificates" / NAME / "current"
        current.mkdir(parents=True)
        (current / "privkey.pem").write_text("key\n")
        file = tmp_path / "file.pem"
        call = [str(OTHERS / "deliver"), NAME, str(file), "-", "0640", "touch", str(tmp_path / "reloaded")]
        for certificates, code in (("other.example", 0), (f"a.example {NAME}", 1)):
            environment = os.environ | {
                "RENEWER_CERTIFICATES": certificates,
                "RENEWER_STATE": str(tmp_path / "state"),
            }
            done = subprocess.run(call, env=environment, capture_output=True, check=False)
            assert (done.returncode, file.exists(), (tmp_path / "reloaded").exists()) == (code, False, False)
        (current / "fullchain.pem").write_text("chain\n")
        subprocess.run(call, env=environment, check=True)
        assert (file.read_text(), file.stat().st_mode & 0o777) == ("key\nchain\n", 0o640)
        assert (tmp_path / "reloaded").exists()

    def test_the_rule_lets_renewer_reload_what_it_names_and_nothing_else(self) -> None:
        stand_in = (
            "let rule; const polkit = {addRule: r => rule = r, Result: {YES: 'yes', NOT_HANDLED: 'no'}};\n"
            f"{(OTHERS / '50-renewer.rules').read_text()}\n"
            "const ask = ([id, user, verb, unit]) => rule({id, lookup: n => ({verb, unit})[n]}, {user});\n"
            "console.log(JSON.stringify(JSON.parse(process.argv[1]).map(ask)));"
        )
        manage = "org.freedesktop.systemd1.manage-units"
        asked = [
            (manage, "renewer", "reload", "haproxy.service"),
            (manage, "renewer", "reload", "postfix.service"),
            (manage, "renewer", "restart", "haproxy.service"),
            (manage, "renewer", "reload", "nginx.service"),
            (manage, "www-data", "reload", "haproxy.service"),
            ("org.freedesktop.systemd1.manage-unit-files", "renewer", "reload", "haproxy.service"),
        ]
        done = subprocess.run(
            ["node", "-e", stand_in, json.dumps(asked)], capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout) == ["yes", "yes", "no", "no", "no", "no"]

    def test_the_hooks_of_the_example_are_those_of_the_script(self) -> None:
        config = parse((OTHERS / "renewer.toml").read_text(), "renewer.toml")
        rules = (OTHERS / "50-renewer.rules").read_text()
        for hook in config.hooks.commands:
            program, name, file, _, mode, *command = hook.argv
            assert (program, name) == ("/usr/local/lib/renewer/deliver", *config.certificates)
            assert file.startswith("/etc/")
            assert int(mode, 8) & 0o007 == 0
            assert command[:2] == ["/usr/bin/systemctl", "reload"]
            assert f'"{command[2]}"' in rules


def answers(port: int) -> bool:
    with suppress(OSError):
        return bool(shown(port))
    return False

"""The examples beside other programs: nginx in Docker, Nginx Proxy Manager, Authelia, HAProxy, Mosquitto."""

import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from nginx_master import BINARY, Nginx, free_port, wait_until
from world import NAME, ROOT, Done, World, careless, connect, table

from renewer.config import parse

pytestmark = pytest.mark.xdist_group("neighbours")
"""They change the configuration of one nginx in turn."""

EXAMPLES = ROOT / "examples"
DOCKER, NPM, AUTHELIA, OTHERS = (
    EXAMPLES / name for name in ("docker", "nginx-proxy-manager", "authelia", "other-programs")
)
BOARD = f"board.{NAME}"

BENCH = """set $rn_scope board;
    location /bench/ {
        set $rn_scope none;
        include /etc/nginx/snippets/login-or-link.conf;
        proxy_pass http://127.0.0.1:1880;
    }
"""

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


def fitted(path: Path, places: Mapping[str, object]) -> str:
    """Return a file of an example with this test's addresses and paths."""
    text = path.read_text()
    for old, new in places.items():
        text = text.replace(old, str(new))
    return text


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


@pytest.mark.parametrize("example", [DOCKER, NPM, AUTHELIA, OTHERS], ids=lambda one: one.name)
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
        assert "the container nginx is not running: docker compose up -d" in done.err
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
        assert "is that the folder of a custom certificate?" in done.err
        (tmp_path / "away").rename(folder)
        good(world.renewer("renew"))
        wait_until(lambda: shown(port) == stored(world))


class Login(BaseHTTPRequestHandler):
    """Authelia's endpoint for nginx's auth_request, as its guide has it, and the site behind nginx."""

    def do_GET(self) -> None:
        if self.path != "/api/authz/auth-request":
            self.answer(200, {}, json.dumps(dict(self.headers)))
        elif not (self.headers["X-Original-URL"] or "").startswith(f"https://{BOARD}"):
            self.answer(400, {}, "")
        elif "authelia_session=anna" in (self.headers["Cookie"] or ""):
            self.answer(200, {"Remote-User": "anna", "Remote-Groups": "family"}, "")
        elif "authelia_session=guest" in (self.headers["Cookie"] or ""):
            self.answer(403, {}, "")
        elif "authelia_session=broken" in (self.headers["Cookie"] or ""):
            self.answer(503, {}, "")
        else:
            self.answer(401, {"Location": f"https://auth.{NAME}/?rd={self.headers['X-Original-URL']}"}, "")

    do_POST = do_GET  # noqa: N815 - its name is the method's

    def answer(self, status: int, headers: Mapping[str, str], body: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Board:
    """The site of the example behind nginx."""

    world: World

    def get(
        self, *headers: Mapping[str, str], path: str = "/", method: str = "GET"
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection("127.0.0.1", self.world.port, context=careless(), timeout=30)
        with closing(connection):
            sent = {name: value for some in ({"Host": BOARD}, *headers) for name, value in some.items()}
            connection.request(method, path, headers=sent)
            answer = connection.getresponse()
            answer.text = answer.read().decode()  # type: ignore[attr-defined] # kept for whoever asks
            return answer

    def told(self, *headers: Mapping[str, str]) -> dict[str, str]:
        """Return what the backend was told of who it is."""
        answer = self.get(*headers)
        assert answer.status == 200
        names = ("Remote-User", "Remote-Groups", "Remote-Name", "Remote-Email", "X-Renewer-User")
        found = json.loads(answer.text)  # type: ignore[attr-defined]
        return {name: found[name] for name in names if name in found}

    def entered(self) -> dict[str, str]:
        done = self.world.renewer("link", "board", "kitchen-tablet")
        address = urlsplit(done.out.strip())
        answer = self.get(path=f"{address.path}?{address.query}")
        assert answer.status == 303, done
        return {"Cookie": str(answer.headers["Set-Cookie"]).partition(";")[0]}


@pytest.fixture(scope="module")
def board(world: World) -> Iterator[Board]:
    with served() as behind:
        places = {
            "set $rn_scope board;\n": BENCH,
            "listen 443 ssl http2;": f"listen 127.0.0.1:{world.port} ssl;",
            "listen [::]:443 ssl http2;": "",
            "127.0.0.1:9091": f"127.0.0.1:{behind}",
            "127.0.0.1:1880": f"127.0.0.1:{behind}",
            "/var/lib/renewer/": f"{world.state}/",
            "/etc/nginx/": f"{world.folder}/",
            "/var/log/nginx/": f"{world.folder}/",
        }
        before = world.nginx.config.read_text()
        (world.folder / "snippets").mkdir()
        for path in AUTHELIA.glob("nginx/snippets/*"):
            (world.folder / "snippets" / path.name).write_text(fitted(path, places))
        texts = [fitted(path, places) for path in sorted(AUTHELIA.glob("nginx/conf.d/*"))]
        world.write(table(NAME), f"[site.{fitted(AUTHELIA / 'renewer.toml', places).partition('[site.')[2]}")
        good(world.renewer("nginx"))
        world.nginx.configure("".join(texts))
        good(world.renewer("renew", "--force"))
        yield Board(world)
        world.nginx.config.write_text(before)


class TestAuthelia:
    def test_a_person_logs_in(self, board: Board) -> None:
        answer = board.get(path="/lights?x=1")
        assert answer.status == 302
        assert answer.headers["Location"] == f"https://auth.{NAME}/?rd=https://{BOARD}/lights?x=1"
        assert answer.headers["Cache-Control"] == "no-store"
        anna = {"Cookie": "authelia_session=anna"}
        assert board.told(anna) == {"Remote-User": "anna", "Remote-Groups": "family"}

    def test_a_device_has_a_link_of_which_authelia_hears_nothing(self, board: Board) -> None:
        session = board.entered()
        assert board.told(session) == {"X-Renewer-User": "kitchen-tablet"}
        both = {"Cookie": f"{session['Cookie']}; authelia_session=anna"}
        assert board.told(both) == {"X-Renewer-User": "kitchen-tablet"}

    def test_nobody_says_himself_who_he_is(self, board: Board) -> None:
        claimed = dict.fromkeys(("Remote-User", "Remote-Name", "Remote-Email", "X-Renewer-User"), "root")
        assert board.get(claimed).status == 302
        assert board.told(board.entered(), claimed) == {"X-Renewer-User": "kitchen-tablet"}
        anna = {"Cookie": "authelia_session=anna"}
        assert board.told(anna, claimed) == {"Remote-User": "anna", "Remote-Groups": "family"}
        forged = {"Cookie": f"__Host-rn-board=k1.kitchen-tablet.9999999999.{'a' * 22}"}
        assert board.get(forged).status == 302

    def test_who_may_not_is_refused_and_so_is_a_page_of_another_site(self, board: Board) -> None:
        guest = board.get({"Cookie": "authelia_session=guest"})
        assert (guest.status, guest.headers["Cache-Control"]) == (403, "no-store")
        foreign = {"Origin": "https://elsewhere.example.net"}
        for session in (board.entered(), {"Cookie": "authelia_session=anna"}):
            assert board.get(session, foreign, method="POST").status == 403

    def test_where_authelia_is_broken_links_still_open(self, board: Board) -> None:
        assert board.get({"Cookie": "authelia_session=broken"}).status == 500
        both = {"Cookie": f"authelia_session=broken; {board.entered()['Cookie']}"}
        assert board.told(both) == {"X-Renewer-User": "kitchen-tablet"}

    def test_it_is_checked_for_the_site_of_the_location(self, board: Board) -> None:
        """The location here names another site than its server, whose name the subrequest would go by."""
        assert board.get(board.entered(), path="/bench/").status == 302

    def test_the_subrequest_cannot_be_asked_for(self, board: Board) -> None:
        assert board.get(board.entered(), path="/.renewer/login").status == 404


@contextmanager
def served() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Login) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


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

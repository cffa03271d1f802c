"""`renewer check` against typical mistakes, each really made, and against a set-up that is in order."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.nginx_master import free_port
from support.world import NAME, ROOT, Done, World, eventually, table

from renewer.check.finding import Group
from renewer.nginx.secure_link.gates import KNOWN
from sandbox import Fault
from sandbox.cloudflare import Token

OTHER, SUB = "other.example", "sub.example.com"
"""A zone that most tokens do not see, and one that example.com is delegated away to in part."""


def named(text: str) -> str:
    return f"the-token-{text}".ljust(40, "-")


SOON = datetime.now(UTC) + timedelta(days=5)
TOKENS = {
    named("good"): Token((NAME,)),
    named("wide"): Token((NAME, OTHER)),
    named("foreign"): Token((OTHER,)),
    named("blind"): Token((NAME,), zone_read=False),
    named("reader"): Token((NAME,), dns_edit=False),
    named("expired"): Token((NAME,), status="expired", expires_on="2026-01-01T00:00:00Z"),
    named("disabled"): Token((NAME,), status="disabled"),
    named("later"): Token((NAME,), not_before="2099-01-01T00:00:00Z"),
    named("ending"): Token((NAME,), expires_on=f"{SOON:%Y-%m-%dT%H:%M:%SZ}"),
    named("owned"): Token((NAME,), owned=True),
    named("blind-owned"): Token((NAME,), owned=True, zone_read=False),
}

SITE = '[site.nodered]\nhost = "https://nodered.example.com"\nhome = "/ui/"\npeople = ["phone"]\n'

CRON = "17 */6 * * *  root  /usr/local/bin/renewer renew\n"

SHIFTED = """
from datetime import timedelta
from renewer.cli import main as cli
from renewer.system import clock
real = clock.SystemClock.now
clock.SystemClock.now = lambda clock: real(clock) + timedelta(seconds={})
cli.main()
"""
"""The program on a machine whose clock is off by so many seconds."""


@dataclass
class Bench:
    """The world with what is wrong in it; `etc` is laid over this machine's /etc for the program alone."""

    world: World
    folder: Path
    etc: Path
    tables: list[str] = field(default_factory=lambda: [table(NAME), SITE])
    config: list[tuple[str, str]] = field(default_factory=list)
    nginx: list[tuple[str, str]] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    shift: timedelta = timedelta(0)
    zone_ids: bool = False

    def file(self, path: str, text: str) -> None:
        """Put a file into the machine's /etc."""
        place = self.etc / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def write(self) -> None:
        """Write the configurations of renewer and of nginx."""
        self.world.write(*self.tables, edit=partial(edited, self.config), zone_ids=self.zone_ids)
        link = self.world.state / "nginx/secure_link"
        server = (
            f"server {{\n listen 127.0.0.1:{self.world.port} ssl;\n server_name {NAME} *.{NAME};\n"
            f" include {self.world.state}/nginx/certificates/{NAME}.conf;\n"
            f" set $rn_scope nodered;\n set $rn_home /ui/;\n include {link}/enter.conf;\n"
            f" location / {{\n include {link}/gate.conf;\n return 204;\n }}\n}}\n"
        )
        http, main = f"include {link}/http.conf;\n", "worker_shutdown_timeout 1h;\n"
        self.world.nginx.configure(http + server, main)
        text = edited(self.nginx, self.world.nginx.config.read_text())
        self.world.nginx.config.write_text(text)

    def command(self, *arguments: str) -> list[str]:
        """Return the program's call in a mount namespace of its own."""
        laid = [f"mount -t overlay overlay -o lowerdir={self.etc}:/etc /etc", *self.mounts]
        script = " && ".join([*laid, 'exec "$@"'])
        unshared = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", script, "sh"]
        program = [sys.executable, "-m", "renewer"]
        if self.shift:
            program = [sys.executable, "-c", SHIFTED.format(self.shift.total_seconds())]
        return [*unshared, *program, "-c", str(self.world.config), *arguments]

    def run(self, *arguments: str, **environment: str) -> Done:
        foreign = ("CLOUDFLARE_", "CREDENTIALS_", "NOTIFY_", "RENEWER_", "PYTHON")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        done = subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=inherited | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)


def edited(edits: Sequence[tuple[str, str]], text: str) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


Mistake = Callable[[Bench], AbstractContextManager[None]]


@dataclass(frozen=True)
class Row:
    """A mistake with the check that has to find it, how bad that is, and words of what a person is told."""

    check: str
    status: str
    words: tuple[str, ...]
    made: Mistake


# -- ways to be wrong ---------------------------------------------------------------------------------------


def nothing(_: Bench) -> AbstractContextManager[None]:
    """Return what another row of the same round makes."""
    return ExitStack()


def config(old: str, new: str) -> Mistake:
    @contextmanager
    def made(bench: Bench) -> Iterator[None]:
        bench.config.append((old, new))
        yield

    return made


def added(text: str) -> Mistake:
    """Add a table to the configuration."""

    @contextmanager
    def made(bench: Bench) -> Iterator[None]:
        bench.tables.append(text)
        yield

    return made


def nginx(old: str, new: str) -> Mistake:
    @contextmanager
    def made(bench: Bench) -> Iterator[None]:
        bench.nginx.append((old, new))
        yield

    return made


def token(text: str, mode: int = 0o600) -> Mistake:
    @contextmanager
    def made(bench: Bench) -> Iterator[None]:
        file = bench.folder / "token"
        file.write_text(text)
        file.chmod(mode)
        bench.config.append((str(bench.world.box.token_file), str(file)))
        yield

    return made


def zone(**values: object) -> Mistake:
    return having(lambda bench: bench.world.box.zones[NAME], **values)


def server(**values: object) -> Mistake:
    return having(lambda bench: bench.world.box.nameservers[1], **values)


def having(of: Callable[[Bench], object], **values: object) -> Mistake:
    """Let something have these attributes for a while."""

    @contextmanager
    def made(bench: Bench) -> Iterator[None]:
        thing = of(bench)
        before = {name: getattr(thing, name) for name in values}
        for name, value in values.items():
            setattr(thing, name, value)
        yield
        for name, value in before.items():
            setattr(thing, name, value)

    return made


def record(name: str, kind: str, content: str) -> Mistake:
    @contextmanager
    def made(bench: Bench) -> Iterator[None]:
        home = bench.world.box.zones[NAME]
        there = home.add(name, kind, content)
        yield
        with home.change() as draft:
            del draft[there.id]

    return made


def file(path: str, text: str) -> Mistake:
    """Put a file into /etc."""

    @contextmanager
    def made(bench: Bench) -> Iterator[None]:
        bench.file(path, text)
        yield

    return made


def without(path: str) -> Mistake:
    @contextmanager
    def made(bench: Bench) -> Iterator[None]:
        (bench.etc / path).unlink()
        yield

    return made


def stored(key: str, edit: Callable[[str], str]) -> Mistake:
    """Change a file of the store."""

    @contextmanager
    def made(bench: Bench) -> Iterator[None]:
        (path,) = bench.world.state.glob(f"store/{key}.json")
        before = path.read_text()
        path.write_text(edit(before))
        yield
        path.write_text(before)

    return made


def mounted(command: str) -> Mistake:
    """Mount something for the program alone; `{state}` stands for the state folder."""

    @contextmanager
    def made(bench: Bench) -> Iterator[None]:
        bench.mounts.append(command.format(state=bench.world.state))
        yield

    return made


def in_future(text: str) -> str:
    document = json.loads(text)
    document["obtained"] = "2099-01-01T00:00:00Z"
    return json.dumps(document)


def compromised(text: str) -> str:
    """Return a memory in which every certificate was revoked."""
    known = [one | {"revoked": "keyCompromise"} for one in json.loads(text)["certificates"]]
    return json.dumps({"certificates": known})


def left_alone(text: str) -> str:
    """Return a history in which the CA asked to be left alone for long."""
    return json.dumps(json.loads(text) | {"told": [{"until": "2099-01-01T00:00:00Z", "names": []}]})


@contextmanager
def without_include(bench: Bench) -> Iterator[None]:
    """nginx is given a copy of the certificate in place of the include."""
    current = bench.world.state / "certificates" / NAME / "current"
    for name in ("fullchain.pem", "privkey.pem"):
        shutil.copy(current / name, bench.folder / name)
    own = f"ssl_certificate {bench.folder}/fullchain.pem; ssl_certificate_key {bench.folder}/privkey.pem;"
    bench.nginx.append((f"include {bench.world.state}/nginx/certificates/{NAME}.conf;", own))
    yield


@contextmanager
def left_over_include(bench: Bench) -> Iterator[None]:
    """nginx goes on including the file of a certificate whose table was taken out."""
    left = bench.world.state / "nginx/certificates/left.example.conf"
    left.touch()
    bench.nginx.append(("set $rn_scope", f"include {left}; include {left.parent}/x*.conf; set $rn_scope"))
    yield
    left.unlink()


@contextmanager
def stopped(bench: Bench) -> Iterator[None]:
    bench.world.nginx.stop()
    yield
    bench.nginx.clear()
    bench.write()
    bench.world.nginx.start()


@contextmanager
def open_to_others(bench: Bench) -> Iterator[None]:
    bench.world.state.chmod(0o777)
    yield
    bench.world.state.chmod(0o700)


@contextmanager
def folder_in_place_of_a_file(bench: Bench) -> Iterator[None]:
    path = bench.world.state / "store/failure" / f"{NAME}.json"
    path.mkdir(parents=True)
    yield
    path.rmdir()


@contextmanager
def of_the_wrong_zone(bench: Bench) -> Iterator[None]:
    """The identifiers of two zones swapped, with a token that may edit both but sees none."""
    zones = bench.world.box.zones
    bench.zone_ids = True
    bench.config.append((zones[NAME].id, zones[OTHER].id + "#"))
    bench.config.append((f'"{zones[OTHER].id}"', f'"{zones[NAME].id}"'))
    bench.config.append((zones[OTHER].id + "#", zones[OTHER].id))
    bench.world.box.tokens[named("blind-wide")] = Token((NAME, OTHER), zone_read=False)
    yield


@contextmanager
def certbot(bench: Bench) -> Iterator[None]:
    """A lineage of certbot's as it leaves it, with the certificate of the CA in it, and its cron job."""
    live = bench.etc / "letsencrypt/live" / NAME
    live.mkdir(parents=True)
    current = bench.world.state / "certificates" / NAME / "current"
    shutil.copy(current / "cert.pem", live / "cert.pem")
    shutil.copy(current / "fullchain.pem", live / "fullchain.pem")
    lineage = f"version = 5.8.0\ncert = /etc/letsencrypt/live/{NAME}/cert.pem\n"
    bench.file(f"letsencrypt/renewal/{NAME}.conf", lineage)
    bench.file("cron.d/certbot", "0 */12 * * * root certbot -q renew\n")
    yield


@contextmanager
def homes(bench: Bench) -> Iterator[None]:
    """A user with an acme.sh home and a lego folder."""
    home = bench.folder / "home"
    told = f"Le_Domain='{NAME}'\nLe_Alt='*.{NAME}'\nLe_Webroot='dns_cf'\n"
    (home / f".acme.sh/{NAME}_ecc").mkdir(parents=True)
    (home / f".acme.sh/{NAME}_ecc/{NAME}.conf").write_text(told)
    (home / ".lego/certificates").mkdir(parents=True)
    (home / f".lego/certificates/_.{NAME}.json").write_text(json.dumps({"domain": f"*.{NAME}"}))
    users = Path("/etc/passwd").read_text()
    bench.file("passwd", f"{users.rstrip()}\nrenter:x:4242:4242::{home}:/bin/sh\n")
    yield


@contextmanager
def told_outside(bench: Bench) -> Iterator[None]:
    """Three who are told how cycles end, none of whom could be."""
    urls = bench.folder / "urls"
    urls.touch(0o600)
    urls.write_text(f"json://a.example/\n# and\nnosuch://{named('good')}\n")
    notify = f'[notify]\nurls_file = "{urls}"\nping = "http://127.0.0.1:{CLOSED}/"\n'
    bench.tables.append(f'{notify}[metrics]\ntextfile = "/no/folder/renewer.prom"\n')
    yield


STREAM = (
    "stream { server { listen 127.0.0.1:1;"
    f" ssl_certificate /etc/letsencrypt/live/{NAME}/fullchain.pem; }} }}\n"
)
"""A server that shows a certificate of certbot's."""

CLOSED = free_port()
CAA = "add this CAA record to example.com: 0 issue"


@contextmanager
def without_site(bench: Bench) -> Iterator[None]:
    """The last site is taken out of the configuration, its gate is not of nginx's."""
    bench.tables.remove(SITE)
    yield


@contextmanager
def known_key(bench: Bench) -> Iterator[None]:
    """What an early version left without a site."""
    http = bench.world.state / "nginx/secure_link/http.conf"
    before = http.read_text()
    http.write_text(re.sub(r'(key \{\n    default ")[^"]*', rf"\g<1>{KNOWN}", before))
    yield
    http.write_text(before)


@contextmanager
def empty_key(bench: Bench) -> Iterator[None]:
    """The same for nothing."""
    http = bench.world.state / "nginx/secure_link/http.conf"
    before = http.read_text()
    http.write_text(re.sub(r'(url_key \{\n    default ")[^"]*', r"\1", before))
    yield
    http.write_text(before)


TABLE: dict[str, list[Row]] = {
    "a gate without a site": [
        Row("nginx.site", "error", ("says set $rn_scope nodered", "[site.nodered]"), without_site),
        Row("nginx.closing", "error", ("anybody can know", "renewer renew"), known_key),
    ],
    "a gate of no site": [
        Row(
            "nginx.site",
            "error",
            ("includes enter.conf, gate.conf", "set $rn_scope NAME"),
            nginx(" set $rn_scope nodered;", ""),
        ),
        Row("nginx.guard", "error", ("set $rn_scope nodered",), nothing),
        Row("nginx.closing", "error", ("anybody can know",), empty_key),
    ],
    "a location without a gate": [
        Row(
            "nginx.open",
            "error",
            ("location /files/ of the guarded server", "allow all;"),
            nginx(
                " location / {", " location /files/ { root /srv; } location /up { allow all; }\n location / {"
            ),
        ),
    ],
    "the token is quoted": [
        Row("token.shape", "error", ("in quotes", "remove the quotes"), token(f'"{named("good")}"')),
        Row(
            "nginx.include",
            "warning",
            ("no server in nginx's configuration includes", "add this to"),
            without_include,
        ),
        Row("others.include", "warning", ("which is not renewer's",), nothing),
    ],
    "the token is a header": [
        Row("token.shape", "error", ("begins with the word Bearer",), token(f"Bearer {named('good')}")),
        Row(
            "nginx.stapling",
            "warning",
            ("ssl_stapling on", "ended OCSP"),
            nginx("set $rn_scope", "ssl_stapling on; set $rn_scope"),
        ),
        Row(
            "nginx.shutdown",
            "warning",
            ("worker_shutdown_timeout", "websocket"),
            nginx("worker_shutdown_timeout 1h;", ""),
        ),
    ],
    "the token file is empty": [
        Row("token.shape", "error", ("is empty",), token("\n")),
        Row("nginx.test", "error", ("nginx rejects its configuration",), nothing),
        Row(
            "nginx.guard",
            "error",
            ("nginx does not include", "renewer nginx"),
            nginx("http.conf;", "http.conf*x;"),
        ),
    ],
    "the token is a Global API Key": [
        Row("token.shape", "error", ("Global API Key",), token("0123456789abcdef0123456789abcdef01234")),
        Row(
            "nginx.guard", "error", ("includes", "enter.conf nowhere"), nginx("enter.conf;", "enter.conf*x;")
        ),
    ],
    "the token has a blank in it": [
        Row("token.shape", "error", ("has a space",), token("the token has blanks in it")),
        Row(
            "nginx.variable",
            "warning",
            ("variable in ssl_certificate",),
            nginx(
                "set $rn_scope",
                "ssl_certificate /etc/$host.pem; ssl_certificate_key /etc/$host.key; set $rn_scope",
            ),
        ),
    ],
    "others can read the token": [
        Row(
            "token.shape",
            "error",
            ("(mode 0644)", "chmod 600"),
            token(named("good"), 0o644),
        ),
        Row(
            "nginx.test",
            "error",
            ("nginx rejects its configuration", "nonsense"),
            nginx("location /", "nonsense on; location /"),
        ),
    ],
    "the token is not known": [
        Row(
            "token.verify",
            "error",
            ("Invalid API Token", "make an API token"),
            token(named("never-given-out")),
        ),
        Row(
            "nginx.served",
            "error",
            ("serves no certificate", "refused", "ss -tlnp"),
            nginx("listen 127.0.0.1:", f"listen 127.0.0.1:{CLOSED} ssl; #"),
        ),
    ],
    "the token has expired": [
        Row("token.verify", "error", ("expired on 2026-01-01", "roll it"), token(named("expired"))),
        Row(
            "nginx.there",
            "error",
            ("/usr/sbin/nginks cannot be run", "install nginx"),
            config("[nginx]", '[nginx]\nbinary = "/usr/sbin/nginks"'),
        ),
    ],
    "the token is disabled": [
        Row("token.verify", "error", ("disabled", "enable it"), token(named("disabled"))),
        Row(
            "nginx.reload",
            "warning",
            ("does not reload nginx",),
            config("[nginx]", '[nginx]\nreload = "none"'),
        ),
    ],
    "the token is not valid yet": [
        Row("token.verify", "error", ("not valid before 2099-01-01",), token(named("later"))),
        Row(
            "configuration.twice",
            "warning",
            ("is also in example.com",),
            added(table("www.example.com", "www.example.com")),
        ),
        Row("nginx.include", "warning", ("www.example.com: no server",), nothing),
    ],
    "the token ends soon": [
        Row("token.expiry", "warning", ("expires on", "later end"), token(named("ending"))),
        Row("outside.addresses", "error", ("line 3 of", "apprise"), told_outside),
        Row("outside.ping", "warning", ("cannot be reached: Connection refused",), nothing),
        Row("outside.textfile", "error", ("/no/folder, the folder for metrics, does not exist",), nothing),
        Row("zones.paused", "warning", ("is paused",), zone(paused=True)),
        Row("dns.tcp", "warning", ("does not answer over TCP",), server(udp_only=True)),
    ],
    "the token is for another zone": [
        Row(
            "zones.missing",
            "error",
            ("no zone for example.com; it sees only other.example",),
            token(named("foreign")),
        ),
        Row(
            "nginx.left",
            "warning",
            ("certificate left.example, which", "remove that line"),
            left_over_include,
        ),
    ],
    "Zone:Read is missing": [
        Row(
            "zones.missing", "error", ("sees no zone at all", "Zone:Read", "zone_ids"), token(named("blind"))
        ),
    ],
    "DNS:Edit is missing": [
        Row("zones.edit", "error", ("Authentication error", "may not edit the DNS"), token(named("reader"))),
    ],
    "a zone id is wrong": [
        Row(
            "zones.id",
            "error",
            ("no zone with the identifier", "copy the Zone ID"),
            config("base_url", 'zone_ids = {"example.com" = "0123456789abcdef0123456789abcdef"}\nbase_url'),
        ),
    ],
    "zone ids are mixed up": [
        Row("zones.id", "error", ("turns up elsewhere", "copy the Zone ID"), of_the_wrong_zone),
        Row("zones.id", "error", ("turns up elsewhere",), token(named("blind-wide"))),
    ],
    "the domain still is with the registrar's name servers": [
        Row(
            "zones.status",
            "error",
            ("pending at Cloudflare", "ada.ns.cloudflare.com and bob.ns.cloudflare.com"),
            zone(status="pending", name_servers=("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")),
        ),
        Row(
            "dns.delegation",
            "error",
            ("delegated to ns1.sandbox.test", "not to Cloudflare's", "at your registrar"),
            nothing,
        ),
        Row(
            "dns.server",
            "error",
            ("ns2.sandbox.test (127.0.0.3)", "does not answer over UDP"),
            server(silent=True),
        ),
        Row("renewal.trigger", "warning", ("nothing triggers renewals",), without("cron.d/renewer")),
    ],
    "a part of the zone is delegated away": [
        Row(
            "dns.delegation",
            "error",
            ("sub.example.com is delegated away from example.com",),
            added(table(SUB, SUB)),
        ),
        Row("nginx.include", "warning", ("sub.example.com: no server",), nothing),
        Row("configuration.twice", "warning", ("every domain of sub.example.com",), nothing),
        Row("zones.shown", "warning", ("not every name server shows",), server(hide=5)),
    ],
    "the token is wider than needed": [
        Row("zones.wide", "warning", ("also sees other.example",), token(named("wide"))),
        Row(
            "dns.caa",
            "warning",
            ("CAA records, and the CA at",),
            record(NAME, "CAA", '0 issue "digicert.com"'),
        ),
        Row(
            "ca.profile",
            "warning",
            ("has the profile shortlived", "lists no profiles"),
            config("accept_terms", 'profile = "shortlived"\naccept_terms'),
        ),
        Row(
            "renewal.trigger",
            "warning",
            ("several things", "cron (/etc/crontab); cron (/etc/cron.d/renewer)"),
            file("crontab", "5 5 * * * root renewer -c /etc/renewer/renewer.toml renew\n"),
        ),
    ],
    "the CA cannot be reached, and CAA forbids it": [
        Row(
            "ca.reach",
            "error",
            ("letsencrypt.org/directory cannot be reached",),
            config('server = "https://127.0.0.1', 'server = "letsencrypt" #'),
        ),
        Row(
            "dns.caa",
            "error",
            ("forbid letsencrypt.org", "only digicert.com", CAA),
            record(NAME, "CAA", '0 issue "digicert.com; account=1"'),
        ),
        Row(
            "state.file",
            "warning",
            ("store/certificate/example.com.json", "the next run orders"),
            stored(f"certificate/{NAME}", lambda text: text[:100]),
        ),
        Row("nginx.served", "warning", ("there is no certificate yet",), nothing),
    ],
    "CAA forbids wildcards and binds to another account": [
        Row(
            "ca.reach",
            "error",
            ("cannot be reached",),
            config('server = "https://127.0.0.1', 'server = "letsencrypt" #'),
        ),
        Row(
            "dns.caa",
            "error",
            ("forbid letsencrypt.org to issue for *.example.com", "let nobody issue", "0 issuewild"),
            record(NAME, "CAA", '0 issuewild ";"'),
        ),
        Row(
            "dns.caa",
            "error",
            ("issue for example.com: they let letsencrypt.org issue only for the account https://x/1",),
            record(NAME, "CAA", '0 issue "letsencrypt.org; accounturi=https://x/1"'),
        ),
    ],
    "the CA is not trusted": [
        Row("ca.reach", "error", ("is not trusted", "ca_bundle"), config("ca_bundle", "# ca_bundle")),
        Row(
            "clock.past",
            "error",
            ("clock is wrong", "obtained at 2099-01-01", "timedatectl"),
            stored(f"certificate/{NAME}", in_future),
        ),
        Row(
            "state.file",
            "error",
            ("the account at the CA", "from a backup"),
            stored("account/*", lambda _: "{}"),
        ),
    ],
    "the CA's root is no certificate": [
        Row(
            "configuration.bundle",
            "error",
            ("acme.ca_bundle", "/etc/hostname holds no certificate", "PEM"),
            config("ca_bundle = ", 'ca_bundle = "/etc/hostname" # '),
        ),
        Row("ca.reach", "error", ("/dir",), nothing),
    ],
    "the clock is days off": [
        Row(
            "clock.ca",
            "error",
            ("clock is wrong", "timedatectl"),
            having(lambda bench: bench, shift=timedelta(days=3)),
        ),
        Row("state.folder", "error", ("chmod go-w"), open_to_others),
    ],
    "the clock is minutes off": [
        Row(
            "clock.ca",
            "warning",
            ("it is 20 minutes behind the CA's",),
            having(lambda bench: bench, shift=-timedelta(minutes=20)),
        ),
        Row("state.file", "error", ("cannot read", "failure/example.com.json"), folder_in_place_of_a_file),
        Row("nginx.running", "error", ("nginx is not running", "systemctl start nginx"), stopped),
    ],
    "the terms are not accepted": [
        Row(
            "ca.terms",
            "error",
            ("accept_terms is false", "Do%20what%20thou%20wilt"),
            config("accept_terms = true", "accept_terms = false"),
        ),
        Row(
            "state.room",
            "error",
            ("is full: 1 MB left",),
            mounted("mount -t tmpfs -o size=1500k,mode=700 tmpfs {state}"),
        ),
        Row("nginx.test", "error", ("nginx rejects",), nothing),
        Row("nginx.served", "warning", ("there is no certificate yet",), nothing),
        Row("nginx.guard", "error", ("cannot be read in full",), nothing),
    ],
    "the disk is read-only": [
        Row(
            "state.writable",
            "error",
            ("mounted read-only", "dmesg"),
            mounted("mount --bind {state} {state} && mount -o remount,bind,ro {state}"),
        ),
        Row(
            "renewal.limits",
            "warning",
            ("example.com cannot be ordered before", "Retry-After"),
            stored("limits/*", left_alone),
        ),
        Row(
            "renewal.revoked",
            "error",
            ("example.com is revoked (keyCompromise)", "renewer renew"),
            stored("provenance/example.com", compromised),
        ),
        Row(
            "configuration.hook",
            "error",
            ("hook.command[1]: /bin/tru does not exist", "install it"),
            added('[[hook.command]]\nargv = ["/bin/true"]\n[[hook.command]]\nargv = ["/bin/tru"]'),
        ),
    ],
    "other clients are at work": [
        Row(
            "others.rival",
            "warning",
            (
                "certbot has a certificate for example.com, *.example.com, too",
                "cron: /etc/cron.d/certbot",
                "certbot delete",
            ),
            certbot,
        ),
        Row(
            "others.rival",
            "warning",
            ("acme.sh has a certificate for example.com, *.example.com, too",),
            homes,
        ),
        Row("others.rival", "warning", ("lego has a certificate for *.example.com, too",), nothing),
        Row(
            "others.include",
            "warning",
            ("uses /etc/letsencrypt/live/example.com/fullchain.pem",),
            nginx(
                "worker_shutdown_timeout 1h;\n",
                f"worker_shutdown_timeout 1h;\n{STREAM}",
            ),
        ),
        Row("nginx.test", "error", ("nginx rejects",), nothing),
    ],
}

FOLLOWS = {"token.shape": {"zones.look"}, "token.verify": {"zones.look"}}
"""What else is told where a check finds something."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with World(folder, zones=(NAME, OTHER, SUB), tokens=TOKENS) as world:
        bench = Bench(world, folder, folder / "etc")
        bench.write()
        assert world.renewer("nginx").code == 0
        world.nginx.stop()
        world.nginx.start()
        assert world.renew().code == 0
        yield world


@pytest.fixture
def bench(world: World, tmp_path: Path) -> Iterator[Bench]:
    """A set-up that is in order, with a line for cron."""
    bench = Bench(world, tmp_path, tmp_path / "etc")
    bench.file("cron.d/renewer", CRON)
    yield bench
    world.box.api.heal()
    Bench(world, tmp_path, tmp_path / "etc").write()


def kept(bench: Bench) -> dict[str, tuple[int, bytes]]:
    """Return all that the program remembers, but for the folder for records that check creates."""
    found = bench.world.files("store")
    assert found.pop("store/check", (0o700, b"")) == (0o700, b"")
    return found


def problems(done: Done) -> list[dict[str, Any]]:
    return [one for one in done.answer["findings"] if one["status"] != "ok"]


@pytest.mark.parametrize("mistake", TABLE)
def test_a_mistake_is_found_and_nothing_else(bench: Bench, mistake: str) -> None:
    rows = TABLE[mistake]
    with ExitStack() as stack:
        for row in rows:
            stack.enter_context(row.made(bench))
        bench.write()
        files = kept(bench)
        done = bench.run("check", "--json")
        assert kept(bench) == files
    found = problems(done)
    for row in rows:
        told = [one for one in found if (one["check"], one["status"]) == (row.check, row.status)]
        assert any(all(word in " ".join(one.values()) for word in row.words) for one in told), (row, found)
        assert all(one["what"] and one["why"] and one["hint"] for one in told), told
    expected = {row.check for row in rows} | set().union(*(FOLLOWS.get(row.check, set()) for row in rows))
    assert {one["check"] for one in found} <= expected, found
    assert done.code == done.answer["exit"] == int(any(one["status"] == "error" for one in found))
    assert done.err == ""
    assert bench.world.box.records() == []
    assert all(secret not in done.out for secret in bench.world.box.tokens)


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
    assert (told["status"], told["what"]) == ("ok", f"renewals are triggered by a daemon (process {run.pid})")
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
    assert "there is no token" in without_it[0]["what"]
    with_it = problems(bench.run("check", "--json", CLOUDFLARE_API_TOKEN=named("good")))
    assert [one["check"] for one in with_it] == ["token.source"]


def test_a_proof_that_is_delegated_is_looked_for_where_it_is(bench: Bench) -> None:
    with record(f"_acme-challenge.{NAME}", "CNAME", f"proofs.{OTHER}")(bench):
        bench.write()
        lacking = problems(bench.run("check", "--json"))
        assert [one["check"] for one in lacking] == ["zones.missing"]
        assert f"no zone for proofs.{OTHER}" in lacking[0]["what"]
        with token(named("foreign"))(bench):
            bench.write()
            done = bench.run("check", "--json")
    assert problems(done) == []
    told = [one["what"] for one in done.answer["findings"] if one["check"] in {"dns.alias", "zones.edit"}]
    assert told == [
        f"{OTHER}: the token may create and remove records",
        f"the validation of {NAME} is delegated to proofs.{OTHER} (CNAME)",
    ]


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
    assert any("the first run creates it" in one["what"] for one in done.answer["findings"])


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
    assert refused["hint"].endswith(": renewer nginx, then: nginx -t")

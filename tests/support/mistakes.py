"""Ways to be wrong: each makes a mistake for real, and takes it back."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from support.checked import OTHER, SITE, Bench, named
from support.nginx_master import free_port
from support.world import NAME

from renewer.nginx.secure_link.gates import KNOWN
from sandbox.cloudflare import Token

Mistake = Callable[[Bench], AbstractContextManager[None]]


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
def rewritten(bench: Bench, pattern: str, text: str) -> Iterator[None]:
    """The files for secure links are otherwise than renewer wrote them, for as long as this lasts."""
    http = bench.world.state / "nginx/secure_link/http.conf"
    before = http.read_text()
    http.write_text(re.sub(pattern, text, before))
    yield
    http.write_text(before)


def known_key(bench: Bench) -> AbstractContextManager[None]:
    """What an early version left without a site."""
    return rewritten(bench, r'(key \{\n    default ")[^"]*', rf"\g<1>{KNOWN}")


def empty_key(bench: Bench) -> AbstractContextManager[None]:
    """The same for nothing."""
    return rewritten(bench, r'(url_key \{\n    default ")[^"]*', r"\1")

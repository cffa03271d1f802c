"""A CA, Cloudflare, an nginx and a hook that say what no terminal and no journal may be told.

Whatever is printed, stored or sent is looked at byte by byte.
"""

import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.acme_proxy import AcmeProxy, Reply, Rule
from support.hostile.text import CALLS, HONEST, MARK, TEXT, harm
from support.service import Service
from support.world import NAME, ROOT, Done, World, table

from sandbox import Fault
from sandbox.listener import failure

DISPLAY = r"\x1b\[(?:\??[0-9;]*)[A-HJKmhl]|\r"
"""What the live display needs of a terminal: to move, to erase, to colour."""


def saying(text: str, status: int = 403) -> Reply:
    """Return a problem document in which every part is hostile."""
    document = {
        "type": f"urn:ietf:params:acme:error:{text}",
        "title": text,
        "detail": f"{HONEST} {text} {CALLS}",
        "subproblems": [{"type": text, "detail": text, "identifier": {"type": "dns", "value": text}}],
        "instance": text,
    }
    return Reply(status, {"Content-Type": "application/problem+json"}, json.dumps(document).encode())


def refusing(kind: str, status: int = 403) -> Rule:
    reply = saying(TEXT, status)
    return Rule(kind, reply.status, headers=reply.headers, body=reply.body, times=99)


@pytest.fixture
def behind(world: World) -> Iterator[AcmeProxy]:
    """The proxy between the program and the CA, which the configuration names."""
    with AcmeProxy(world.box.pebble) as proxy:
        yield proxy


def through(world: World, proxy: AcmeProxy, *more: str) -> None:
    world.write(table(NAME), *more, edit=lambda text: text.replace(world.box.directory, proxy.directory))


def clean(*runs: Done, shown: bool = True) -> None:
    """See that nothing that a run printed does harm, and that the text was told all the same."""
    for done in runs:
        assert [*harm(done.out), *harm(done.err)] == []
        assert not shown or MARK in done.out + done.err, done


def texts(document: Any) -> Iterator[str]:
    """Yield every text in a JSON document, by which a program may print it."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, Mapping):
        yield from (text for pair in document.items() for one in pair for text in texts(one))
    elif isinstance(document, list):
        yield from (text for one in document for text in texts(one))


def stored(world: World) -> dict[str, str]:
    return {
        str(path.relative_to(world.state)): path.read_text()
        for path in (world.state / "store").rglob("*.json")
    }


def on_a_terminal(world: World, *arguments: str) -> str:
    """Run the program on a terminal, and return all that it wrote there."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    argv = [sys.executable, "-m", "renewer", "-c", str(world.config), *arguments]
    with subprocess.Popen(
        argv, cwd=ROOT, env=environment, stdin=follower, stdout=follower, stderr=follower
    ) as run:
        os.close(follower)
        said = b""
        while select.select([leader], [], [], 120)[0]:
            try:
                heard = os.read(leader, 65536)
            except OSError:  # the last who had it open is gone
                break
            said += heard
        run.wait()
    os.close(leader)
    return said.decode()


def invalid(reply: Reply) -> Reply:
    """Return an order, or an authorization, that failed for hostile reasons."""
    document = json.loads(reply.body)
    error = json.loads(saying(TEXT).body)
    document |= {"status": "invalid", "error": error}
    for challenge in document.get("challenges", ()):
        challenge |= {"status": "invalid", "error": error}
    return replace(reply, body=json.dumps(document).encode())


REFUSALS = {kind: [refusing(kind)] for kind in ("directory", "newAccount", "newOrder", "finalize")}
REFUSALS["order"] = [
    Rule("order", change=invalid, times=99),
    Rule("authorization", change=invalid, times=99, when=lambda _: bool(REFUSALS["order"][0].met)),
]


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_a_ca_says_is_only_read(world: World, behind: AcmeProxy, kind: str) -> None:
    service = Service()
    urls = world.folder / "urls"
    urls.touch(0o600)
    urls.write_text(service.urls)
    through(world, behind, f'[notify]\nurls_file = "{urls}"\n')
    behind.plan(*REFUSALS[kind])
    runs = [world.renewer("renew"), world.renew("--force"), world.renewer("-v", "renew", "--force")]
    runs += [world.renewer("status"), world.renewer("status", "--json")]
    clean(*runs)
    for done in (runs[1], runs[4]):
        assert not [bad for text in texts(done.answer) for bad in harm(text)]
        assert HONEST in done.one["error"]
    kept = stored(world)
    assert MARK in kept[f"store/failure/{NAME}.json"]
    assert not [bad for text in kept.values() for bad in harm(text)]
    assert not [bad for text in kept.values() for one in texts(json.loads(text)) for bad in harm(one)]
    (notice,) = service.notices
    assert MARK in notice["message"]
    assert not [bad for text in texts(notice) for bad in harm(text)]
    assert not re.search(r"(?<!\w)@\w|<[!@h]|\]\(", notice["message"])
    service.close()


def test_a_terminal_is_not_controlled(world: World, behind: AcmeProxy) -> None:
    through(world, behind)
    behind.plan(refusing("newOrder"))
    for arguments in (("renew",), ("-v", "renew", "--force"), ("status",)):
        said = on_a_terminal(world, *arguments)
        assert MARK in said
        assert [*harm(said, own=DISPLAY)] == []


def test_what_check_finds_is_only_read(world: World, behind: AcmeProxy) -> None:
    through(world, behind)

    def boasting(reply: Reply) -> Reply:
        document = json.loads(reply.body)
        document["meta"] |= {"termsOfService": TEXT, "caaIdentities": [TEXT], "profiles": {TEXT: TEXT}}
        return replace(reply, body=json.dumps(document).encode())

    behind.plan(Rule("directory", change=boasting, times=99))
    clean(*(world.renewer("check", *more) for more in ((), ("--json",))))


@pytest.mark.parametrize("suffix", ["/zones", "/dns_records/batch", "/verify"])
def test_what_cloudflare_says_is_only_read(world: World, suffix: str) -> None:
    refusal = {"code": 10000, "message": TEXT, "error_chain": [{"code": 6111, "message": TEXT}]}
    body = failure(403, refusal).body
    world.box.api.plan(Fault(path_suffix=suffix, status=403, body=body, times=99))
    runs = [world.renewer(*words) for words in (("check",), ("check", "--json"))]
    if suffix != "/verify":
        runs += [world.renewer("renew"), world.renewer("status")]
        assert MARK in stored(world)[f"store/failure/{NAME}.json"]
    clean(*runs, shown=False)
    assert suffix == "/verify" or MARK in runs[-1].out
    assert not [bad for text in stored(world).values() for bad in harm(text)]


def test_zones_and_records_of_hostile_names_are_only_read(world: World) -> None:
    zone = {"id": TEXT, "name": TEXT, "status": TEXT, "name_servers": [TEXT], "account": {"id": TEXT}}
    ours = {"id": "0" * 32, "name": NAME, "status": TEXT, "paused": True, "name_servers": [TEXT, TEXT]}
    body = json.dumps({"success": True, "result": [zone, ours]}).encode()
    world.box.api.plan(Fault(method="GET", path_suffix="/zones", status=200, body=body, times=99))
    clean(*(world.renewer("check", *more) for more in ((), ("--json",))))
    init = ("init", "--domain", NAME, "--token-file", str(world.box.token_file))
    other = world.folder / "other.toml"
    done = world.renewer("-c", str(other), *init, "--base-url", world.box.api_url)
    clean(done)


def test_what_nginx_says_and_is_configured_with_is_only_read(world: World) -> None:
    name = "".join(character for character in TEXT if character not in "\0;\n\r")
    odd = world.folder / f"{MARK}\x1b]52;c;eA==\x07\u202e\n<0>x.conf"
    odd.write_text(
        f'server {{ listen 127.0.0.1:1; server_name "{name}"; ssl_stapling on; }}\nnonsense "{name}";'
    )
    world.listen(
        f'include "{odd}";\nserver {{ server_name "{name}"; include "{world.folder}/{name[:90]}"; }}'
    )
    clean(*(world.renewer(*words) for words in (("check",), ("check", "--json"), ("renew",), ("status",))))
    clean(world.renewer("status", "--json"))
    assert not [bad for text in stored(world).values() for bad in harm(text)]


def test_what_a_hook_prints_is_only_read(world: World) -> None:
    hook = world.folder / "hook"
    hook.write_text(
        f"#!{sys.executable}\nimport sys\nsys.stderr.write({TEXT!r} * 2 + {MARK!r})\nsys.exit(1)\n"
    )
    hook.chmod(0o755)
    world.write(table(NAME), f'[[hook.command]]\nargv = ["{hook}"]\n')
    clean(world.renewer("renew"), world.renewer("status"))
    assert not [bad for text in stored(world).values() for bad in harm(text)]


CONFIGURATIONS = {
    "a key": f"{json.dumps(TEXT, ensure_ascii=True)} = 1\n",
    "a table": f"[certificate.{json.dumps(TEXT)}]\ndomains = [{json.dumps(TEXT)}]\n",
    "a zone": f"[cloudflare]\nzone_ids = {{ {json.dumps(TEXT)} = {json.dumps(TEXT)} }}\n",
    "bytes": TEXT + "\nx = = 1\n",
}


@pytest.mark.parametrize("what", CONFIGURATIONS)
def test_a_foreign_configuration_is_only_read(tmp_path: Path, what: str) -> None:
    file = tmp_path / f"{MARK}\x1b]0;x\x07\n<0>y.toml"
    file.write_bytes(CONFIGURATIONS[what].replace("\\ud", "\\u00").encode("utf-8", "surrogatepass"))
    for words in (
        ("status",),
        ("renew", "--json"),
        ("check",),
        ("check", "--json"),
        ("accept",),
        (TEXT[:40],),
    ):
        argv = [sys.executable, "-m", "renewer", "-c", str(file), *(word.replace("\0", "") for word in words)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        clean(Done(done.returncode, done.stdout, done.stderr))
        assert done.returncode == 78

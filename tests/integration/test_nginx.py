"""Deploying to a real nginx."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.certs import material, spec
from support.facts import missing
from support.nginx_master import BINARY, Client, Nginx, free_port

from renewer.core.errors import DeployFailed, NotServed
from renewer.core.model import KeyKind, Publish
from renewer.nginx.handshake import HandshakeResult, handshake
from renewer.nginx.layout import Layout
from renewer.nginx.placeholder import placeholder_fingerprint
from renewer.nginx.targets import Target
from renewer.system.process import run

EXAMPLE = spec("example.com", "*.example.com")


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    tmp_path.chmod(0o755)
    with Nginx(tmp_path) as server:
        yield server


@pytest.fixture
def port(nginx: Nginx) -> int:
    """The port of a running nginx that serves the placeholder for example.com."""
    port = free_port()
    nginx.configure(nginx.server(f"listen 127.0.0.1:{port} ssl;", "example.com", "example.com"))
    nginx.deployer().prepare([EXAMPLE])
    nginx.start()
    return port


def shown(
    port: int, name: str = "example.com", host: str = "127.0.0.1", *, proxied: bool = False
) -> HandshakeResult:
    return handshake(Target(host, port, name, proxied))


def include(nginx: Nginx, name: str = "example.com") -> Path:
    return nginx.state / "nginx" / "certificates" / f"{name}.conf"


def test_the_placeholder_is_served_until_there_is_a_certificate(nginx: Nginx, port: int) -> None:
    sight = nginx.deployer().look(EXAMPLE, None)
    assert (sight.published, sight.served, sight.placeholder) == (False, False, True)
    assert missing(sight.detail, "placeholder", "example.com") == []
    assert shown(port).fingerprint == placeholder_fingerprint(Layout(nginx.state), "example.com")


@pytest.mark.parametrize("kinds", [(KeyKind.EC256,), (KeyKind.RSA2048, KeyKind.EC256)])
def test_what_is_deployed_is_served(nginx: Nginx, port: int, kinds: tuple[KeyKind, ...]) -> None:
    wanted = spec("example.com", kinds=kinds)
    new = material(wanted)
    before = nginx.deployer().look(wanted, new)
    assert (before.published, before.served) == (False, False)
    nginx.deployer().apply([Publish(wanted, new)])
    assert shown(port).fingerprint in new.fingerprints
    after = nginx.deployer().look(wanted, new)
    assert (after.published, after.served, after.placeholder, after.detail) == (True, True, False, "")
    [(subject, told)] = nginx.notes.of("doing")
    assert (subject, missing(told, f"127.0.0.1:{port}")) == ("example.com", [])


def test_one_reload_brings_two_certificates(nginx: Nginx) -> None:
    ports = {"a.example": free_port(), "b.example": free_port()}
    nginx.configure(
        "".join(nginx.server(f"listen 127.0.0.1:{port} ssl;", name, name) for name, port in ports.items()),
        "error_log " + str(nginx.error_log) + " notice;",
    )
    nginx.deployer().prepare([spec(name) for name in ports])
    nginx.start()
    changes = [Publish(spec(name), material(spec(name))) for name in ports]
    nginx.deployer().apply(changes)
    assert nginx.reloads() == 1
    for change in changes:
        assert shown(ports[change.owner], change.owner).fingerprint in change.material.fingerprints


def test_what_is_published_but_not_served_is_reloaded(nginx: Nginx, port: int) -> None:
    first, second = material(EXAMPLE), material(EXAMPLE)
    nginx.deployer().apply([Publish(EXAMPLE, first)])
    with pytest.raises(NotServed) as refused:
        nginx.deployer(reload="none").apply([Publish(EXAMPLE, second)])
    assert "a certificate other than" in str(refused.value)
    assert "reload nginx" in refused.value.hint
    sight = nginx.deployer().look(EXAMPLE, second)
    assert (sight.published, sight.served) == (True, False)
    nginx.deployer().apply([Publish(EXAMPLE, second)])
    assert shown(port).fingerprint in second.fingerprints
    assert len(list((nginx.state / "certificates/example.com").glob("g*"))) == 2


def test_a_configuration_broken_by_somebody_else_is_not_our_fault(nginx: Nginx, port: int) -> None:
    old, new = material(EXAMPLE), material(EXAMPLE)
    nginx.deployer().apply([Publish(EXAMPLE, old)])
    text, good = include(nginx).read_bytes(), nginx.config.read_text()
    nginx.config.write_text(good.replace("access_log off;", "no_such_directive on;"))
    with pytest.raises(DeployFailed) as refused:
        nginx.deployer().apply([Publish(EXAMPLE, new)])
    assert not refused.value.ours
    assert f'unknown directive "no_such_directive" in {nginx.config}:' in str(refused.value)
    assert include(nginx).read_bytes() == text
    assert (nginx.state / "certificates/example.com/current").resolve().name == "g000001"
    assert shown(port).fingerprint in old.fingerprints
    nginx.config.write_text(good)
    nginx.deployer().apply([Publish(EXAMPLE, new)])
    assert shown(port).fingerprint in new.fingerprints


def test_what_nginx_refuses_is_rolled_back(nginx: Nginx, port: int, tmp_path: Path) -> None:
    old = material(EXAMPLE)
    nginx.deployer().apply([Publish(EXAMPLE, old)])
    picky = tmp_path / "picky"
    picky.write_text(
        f"#!/bin/sh\nif grep -q g000002 {include(nginx)}\n"
        f"then echo 'nginx: [emerg] not this one in {include(nginx)}:2'; exit 1; fi\nexec {BINARY} \"$@\"\n"
    )
    picky.chmod(0o755)
    with pytest.raises(DeployFailed) as refused:
        nginx.deployer(binary=str(picky)).apply([Publish(EXAMPLE, material(EXAMPLE))])
    assert refused.value.ours
    assert "this one" in str(refused.value)
    assert shown(port).fingerprint in old.fingerprints
    sight = nginx.deployer().look(EXAMPLE, old)
    assert (sight.published, sight.served) == (True, True)


def test_nginx_that_does_not_run_finds_the_certificate_when_it_starts(nginx: Nginx, port: int) -> None:
    nginx.stop()
    new = material(EXAMPLE)
    with pytest.raises(NotServed, match="running") as refused:
        nginx.deployer().apply([Publish(EXAMPLE, new)])
    assert "start" in refused.value.hint
    sight = nginx.deployer().look(EXAMPLE, new)
    assert (sight.published, sight.served, missing(sight.detail, "running")) == (True, False, [])
    nginx.start()
    assert nginx.deployer().look(EXAMPLE, new).served
    assert shown(port).fingerprint in new.fingerprints


def test_a_reload_that_nginx_drops_in_silence_is_noticed(nginx: Nginx, port: int) -> None:
    new = material(EXAMPLE)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = taken.getsockname()[1]
        server = nginx.server(f"listen 127.0.0.1:{port} ssl;", "example.com", "example.com")
        nginx.configure(server + nginx.server(f"listen 127.0.0.1:{other};", "other", "example.com"))
        with pytest.raises(NotServed) as refused:
            nginx.deployer().apply([Publish(EXAMPLE, new)])
    assert "placeholder for example.com" in str(refused.value)
    assert f"bind() to 127.0.0.1:{other} failed (98: Address already in use)" in str(refused.value)
    assert nginx.deployer().look(EXAMPLE, new).published
    nginx.deployer().apply([Publish(EXAMPLE, new)])
    assert shown(port).fingerprint in new.fingerprints


@pytest.mark.parametrize("names", ["*.example.com", ".example.com", "~^.*$", "_", '""'])
def test_a_server_for_many_names_is_probed_with_a_made_up_one(nginx: Nginx, names: str) -> None:
    port, wanted = free_port(), spec("*.example.com")
    other = nginx.server(f"listen 127.0.0.1:{port} ssl default_server;", "other.example", "other.example")
    nginx.configure(other + nginx.server(f"listen 127.0.0.1:{port} ssl;", names, "example.com"))
    if names in ("_", '""'):  # a server that only the default leads to
        nginx.configure(nginx.server(f"listen 127.0.0.1:{port} ssl;", names, "example.com"))
    nginx.deployer().prepare([wanted, spec("other.example")])
    nginx.start()
    new = material(wanted)
    nginx.deployer().apply([Publish(wanted, new)])
    assert nginx.deployer().look(wanted, new).served
    assert shown(port, "renewer-probe.example.com").fingerprint in new.fingerprints


def test_ipv6_and_the_proxy_protocol_are_spoken(nginx: Nginx) -> None:
    six, proxied = free_port("::1"), free_port()
    listen = f"listen [::]:{six} ssl; listen {proxied} ssl proxy_protocol;"
    nginx.configure(nginx.server(listen, "example.com", "example.com"))
    nginx.deployer().prepare([EXAMPLE])
    nginx.start()
    new = material(EXAMPLE)
    nginx.deployer().apply([Publish(EXAMPLE, new)])
    [(subject, told)] = nginx.notes.of("doing")
    assert (subject, missing(told, f"[::1]:{six}, 127.0.0.1:{proxied}")) == ("example.com", [])
    assert shown(six, host="::1").fingerprint in new.fingerprints
    assert shown(proxied, proxied=True).fingerprint in new.fingerprints
    assert shown(proxied).fingerprint is None


def test_probe_replaces_the_addresses_or_switches_the_check_off(nginx: Nginx, port: int) -> None:
    new = material(EXAMPLE)
    nginx.deployer(probe=(f"127.0.0.1:{port}",)).apply([Publish(EXAMPLE, new)])
    assert nginx.deployer(probe=(f"127.0.0.1:{port}",)).look(EXAMPLE, new).served
    elsewhere = nginx.deployer(probe=(f"127.0.0.1:{free_port()}",)).look(EXAMPLE, new)
    assert elsewhere.served is False
    assert "connection refused" in elsewhere.detail
    off = nginx.deployer(probe=())
    off.apply([Publish(EXAMPLE, material(EXAMPLE))])
    assert off.look(EXAMPLE, new).served is None


def test_a_certificate_that_nobody_includes_is_published_all_the_same(nginx: Nginx, port: int) -> None:
    lonely = spec("lonely.example")
    new = material(lonely)
    nginx.deployer().apply([Publish(lonely, new)])
    sight = nginx.deployer().look(lonely, new)
    assert (sight.published, sight.served) == (True, None)
    assert missing(sight.detail, "no server", include(nginx, "lonely.example")) == []
    assert shown(port).fingerprint is not None


@pytest.mark.parametrize("reload", ["signal", (BINARY, "-c", "{config}", "-s", "reload")])
def test_the_ways_to_reload(nginx: Nginx, port: int, reload: str | tuple[str, ...]) -> None:
    way = reload if isinstance(reload, str) else tuple(w.format(config=nginx.config) for w in reload)
    new = material(EXAMPLE)
    nginx.deployer(reload=way).apply([Publish(EXAMPLE, new)])
    assert shown(port).fingerprint in new.fingerprints


def test_a_reload_that_fails_leaves_what_is_published(nginx: Nginx, port: int) -> None:
    new = material(EXAMPLE)
    with pytest.raises(NotServed, match="no bus here"):
        nginx.deployer(reload=("sh", "-c", "echo no bus here; exit 1")).apply([Publish(EXAMPLE, new)])
    assert nginx.deployer().look(EXAMPLE, new).published
    assert shown(port).fingerprint not in new.fingerprints


def test_a_pair_that_does_not_fit_reaches_no_pointer(nginx: Nginx, port: int) -> None:
    old = material(EXAMPLE)
    nginx.deployer().apply([Publish(EXAMPLE, old)])
    one, other = material(EXAMPLE).pairs[0], material(EXAMPLE).pairs[0]
    mixed = type(old)((type(one)(**{**vars(one), "key": other.key}),), old.directory_url)
    with pytest.raises(DeployFailed, match="fit") as refused:
        nginx.deployer().apply([Publish(EXAMPLE, mixed)])
    assert refused.value.ours
    assert nginx.deployer().look(EXAMPLE, old).published
    assert shown(port).fingerprint in old.fingerprints


def test_old_generations_go_and_those_in_use_stay(nginx: Nginx, port: int) -> None:
    for _ in range(5):
        nginx.deployer().apply([Publish(EXAMPLE, material(EXAMPLE))])
    home = nginx.state / "certificates/example.com"
    assert sorted(path.name for path in home.iterdir()) == [
        "current",
        "g000003",
        "g000004",
        "g000005",
        "placeholder",
    ]
    assert (home / "current").readlink().name == "g000005"
    chain = shown(port).fingerprint
    assert chain is not None


def test_fifty_swaps_show_whole_pairs_only(nginx: Nginx, port: int) -> None:
    materials = [material(EXAMPLE) for _ in range(50)]
    placeholder = shown(port).fingerprint
    known = {placeholder, *(new.fingerprints[0] for new in materials)}
    client = Client(lambda: shown(port))
    tester = Client(lambda: run((BINARY, "-t", "-c", str(nginx.config)), 10))
    client.start()
    tester.start()
    try:
        for new in materials:
            nginx.deployer().apply([Publish(EXAMPLE, new)])
    finally:
        client.end()
        tester.end()
    assert len(client.results) > 500
    assert [seen for seen in client.results if seen.fingerprint not in known] == []
    assert [done for done in tester.results if done.code] == []

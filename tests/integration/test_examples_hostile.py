"""Every nginx example, alone before a real nginx, and what nobody honest sends to it."""

import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from support.authelia_standin import PUBLIC
from support.fitting import EXAMPLES, Door, Example, set_up
from support.hostile.requests import CLAIMED, REACHED, Forge, Seen

FOLDERS = sorted({path.parents[2] for path in EXAMPLES.glob("*/nginx/conf.d/*.conf")})
"""Every example that has servers of nginx: a new one is among them as soon as it is there."""

OTHERS = (PUBLIC, "elsewhere.example.net")
"""Hosts that no example has: one that Authelia lets everybody see, and one that is nobody's."""

REMOTE = ("remote-user", "remote-groups", "remote-name", "remote-email")
"""By these Authelia says who it is, which has not been asked here."""


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    folder: Path = request.param
    with set_up(folder, tmp_path_factory.mktemp(folder.name)) as found:
        yield found


def others(example: Example, door: Door) -> list[str]:
    return [*OTHERS, *(one.host for one in example.doors if one != door)]


def test_nginx_takes_it_without_a_warning(example: Example) -> None:
    assert "[warn]" not in example.tested()
    assert "[emerg]" not in example.world.nginx.error_log.read_text()


def test_without_a_session_nothing_gets_behind_the_gate(example: Example) -> None:
    caller = example.caller(inside=False)
    for door in example.doors:
        for name, request in Forge(door.host, door.home).requests(others(example, door)).items():
            answer = caller.call(door.host, request)
            reached = [seen.line for seen in example.behind.settled()]
            assert (reached, REACHED in answer) == ([], False), (door.host, name, answer[:300])
        assert example.login.hosts() <= {door.host}


def test_a_session_of_one_site_opens_no_other(example: Example) -> None:
    caller = example.caller(inside=False)
    for door, other in permutations(example.doors, 2):
        forge = Forge(other.host, other.home, door.cookie, door.arguments)
        for name, request in (forge.named() | forge.misdirected(door.host)).items():
            answer = caller.call(other.host, request)
            hosts = {host for seen in example.behind.settled() for host in seen.all("host")}
            assert other.host not in hosts, (door.host, other.host, name, answer[:300])


def test_a_name_that_no_server_has_opens_nothing(example: Example) -> None:
    """As a page could that is under such a name: at home, with a certificate, or with Authelia's cookie."""
    caller = example.caller(inside=True)
    for door in example.doors:
        with example.first(door):
            for other in OTHERS:
                forge = Forge(other, door.home, "authelia_session=anna")
                for name, request in forge.named().items():
                    answer = caller.call(other, request)
                    reached = [seen.line for seen in example.behind.settled()]
                    assert (reached, REACHED in answer) == ([], False), (door.host, other, name, answer[:300])


def test_with_one_the_back_end_is_told_what_nginx_sees(example: Example) -> None:
    caller = example.caller(inside=True)
    for door in (one for one in example.doors if one.person):
        reached = []
        forge = Forge(door.host, door.home, door.cookie)
        for name, request in forge.requests(others(example, door)).items():
            caller.call(door.host, request)
            seen = example.behind.settled()
            assert len(seen) <= 1, (door.host, name, seen)
            reached += [(name, one) for one in seen]
        assert len(reached) > 50, [name for name, _ in reached]
        for name, one in reached:
            hold(door, name, one)


def hold(door: Door, name: str, seen: Seen) -> None:
    """Hold that a request reached the back end as nginx made it, whatever the client claimed."""
    where = (door.host, name, seen)
    (host,) = seen.all("host")
    elsewhere = "Host" in name or name.endswith(")") or not seen.all("cookie")
    assert (host, seen.all("x-renewer-user")) == (door.host, [door.person]) or elsewhere, where
    assert seen.all("x-renewer-user") in ([door.person], []), where  # who is at home needs no session
    assert seen.all("x-forwarded-host") == [host], where
    assert [value for header in REMOTE for value in seen.all(header)] == [], where
    assert CLAIMED not in " ".join(value for _, value in seen.headers), where
    assert seen.all("x-forwarded-for") == ["127.0.0.1"], where
    assert seen.all("x-forwarded-proto") == ["https"], where
    assert seen.all("connection") == [], where  # an upgrade to anything but a websocket would be a tunnel
    assert seen.all("transfer-encoding") == [], where
    assert len(seen.rest) == int((seen.all("content-length") or ["0"])[0]), where


def test_our_own_check_finds_nothing_that_will_fail(example: Example) -> None:
    done = example.world.renewer("check", "--json")
    errors = [one for one in json.loads(done.out)["findings"] if one["status"] == "error"]
    assert (done.code, errors) == (0, [])

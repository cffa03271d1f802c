"""The generations of a certificate: listed, and gone back to, with a real nginx."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.world import NAME, World

SITE = '[site.nodered]\nhost = "https://nodered.example.com"\npeople = ["phone"]\n'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, delays=(0.0,)) as found:
        yield found


def listed(world: World) -> list[dict[str, object]]:
    done = world.renewer("list-generations", NAME, "--json")
    assert done.code == 0, done
    found: list[dict[str, object]] = json.loads(done.out)["generations"]
    return found


def test_an_earlier_certificate_is_served_again_and_nothing_is_lost(world: World) -> None:
    assert "none yet" in world.renewer("list-generations", NAME).out
    for argv in ((), ("--force",), ("--force",)):
        assert world.renew(*argv).code == 0
    newest, middle, oldest = listed(world)
    assert [one["in_use"] for one in (newest, middle, oldest)] == [True, False, False]
    assert [one["stored"] for one in (newest, middle, oldest)] == [True, False, False]
    for wanted, one in (("g000001", oldest), ("3", newest), ("2", middle)):
        done = world.renewer("restore", NAME, wanted, "--json")
        assert (done.code, done.one["action"], done.one["served"]) == (0, "deployed", True), done
        assert world.glimpse() == one["fingerprint"] == done.one["fingerprint"]
    assert world.renew().one["action"] == "fresh"
    assert world.glimpse() == middle["fingerprint"]
    assert [one["name"] for one in listed(world)] == ["g000003", "g000002", "g000001"]
    assert world.ca.orders == 3


def test_each_keeps_its_origin_and_a_revoked_one_does_not_come_back(world: World) -> None:
    for argv in ((), ("--force",)):
        assert world.renew(*argv).code == 0
    server = json.loads((world.state / f"store/certificate/{NAME}.json").read_text())["server"]
    assert [(one["server"], one["revoked"]) for one in listed(world)] == [(server, None)] * 2
    assert world.renewer("revoke", NAME, "--reason", "keyCompromise").code == 0
    shown = world.glimpse()
    assert [one["revoked"] for one in listed(world)] == [None, "keyCompromise", None]
    assert "REVOKED (keyCompromise)" in world.renewer("list-generations", NAME).out
    refused = world.renewer("restore", NAME, "2")
    assert (refused.code, "was revoked (keyCompromise)" in refused.err) == (1, True), refused
    assert (world.glimpse(), world.renew().one["action"]) == (shown, "fresh")
    (world.state / f"store/provenance/{NAME}.json").unlink()  # as an earlier version leaves it
    back = world.renewer("restore", NAME, "1", "--json")
    assert (back.code, back.one["action"]) == (0, "deployed"), back
    assert [one["server"] for one in listed(world)] == [server, None, None]
    assert "which CA" in world.renewer("status").out
    assert (world.renew().one["action"], world.ca.orders) == ("issued", 4)


def test_what_is_stored_but_not_published_yet_is_put_on_disk_before(world: World) -> None:
    world.renew()
    good = world.nginx.config.read_text()
    world.nginx.config.write_text(f"{good}\nnonsense;\n")
    assert world.renew("--force").code == 1
    world.nginx.config.write_text(good)
    store = world.state / "store" / "certificate" / f"{NAME}.json"
    waiting = json.loads(store.read_text())["pairs"][0]["fingerprint"]
    for folder in (world.state / "certificates" / NAME).glob("g000002*"):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    assert world.renewer("restore", NAME, "1").code == 0
    assert waiting in [one["fingerprint"] for one in listed(world)]


@pytest.mark.parametrize(
    ("argv", "code", "fact"),
    [
        (("list-generations", "other.example"), 78, "other.example"),
        (("restore", "other.example", "1"), 78, "other.example"),
        (("restore", NAME, "7"), 1, "generation 7"),
        (("restore", NAME, "../../etc"), 1, "../../etc"),
        (("restore", NAME, ""), 1, "generation"),
        (("restore", NAME, "1"), 1, "key does not match"),
        (("restore", NAME, "2"), 1, "empty"),
    ],
)
def test_what_cannot_be_restored_changes_nothing(
    world: World, argv: tuple[str, ...], code: int, fact: str
) -> None:
    world.renew()
    home = world.state / "certificates" / NAME
    for number, key in ((1, True), (2, False)):
        (folder := home / f"g00000{number}").mkdir(mode=0o700, exist_ok=True)
        current = (home / "placeholder") if number == 1 else (home / "g000001")
        (folder / "privkey.pem").write_bytes((current / "privkey.pem").read_bytes() if key else b"")
        if number == 2:
            (folder / "fullchain.pem").write_bytes((current / "fullchain.pem").read_bytes())
    before = world.files("store/certificate", "nginx")
    done = world.renewer(*argv)
    assert (done.code, fact in done.err) == (code, True), done
    assert world.files("store/certificate", "nginx") == before


def test_status_is_a_table(world: World) -> None:
    world.write(*(f'[certificate."{name}"]\ndomains = ["{name}"]\n' for name in (NAME, f"new.{NAME}")), SITE)
    assert world.renewer("renew", NAME).code == 0
    lines = world.renewer("status").out.splitlines()
    heads = lines[0]
    assert heads.split() == ["CERTIFICATE", "SERVED", "EXPIRES", "NEXT"]
    first, second = (next(line for line in lines if line.startswith(name)) for name in (NAME, f"new.{NAME}"))
    assert first[heads.index("SERVED") :].startswith("yes ")
    assert second[heads.index("SERVED") :].startswith("none yet")
    assert all(line[heads.index("EXPIRES") - 1] == " " for line in (heads, first, second))
    assert "SITE     KEY" in "\n".join(lines)
    assert "ordered now" in second
    assert "not guarded" in "\n".join(lines)

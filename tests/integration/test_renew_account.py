"""`renewer renew` and the account at a real CA: found again, forgotten, bound, and refused."""

import json
from base64 import urlsafe_b64encode
from pathlib import Path

from support.done import rfc3339
from support.facts import missing
from support.world import NAME, Make, World, eventually, table


def account(world: World) -> Path:
    (path,) = (world.state / "store" / "account").iterdir()
    return path


def test_an_account_is_found_again_by_its_key(world: World) -> None:
    assert world.renew().code == 0
    kept = json.loads(account(world).read_text())
    account(world).write_text(json.dumps(kept | {"url": None}))
    done = world.renew("--force")
    assert (done.code, done.one["action"]) == (0, "issued")
    assert json.loads(account(world).read_text()) == kept
    assert world.ca.accounts == 1


def test_a_ca_that_has_forgotten_the_account_gets_it_again(world: World) -> None:
    assert world.renew().code == 0
    world.ca.restart()
    done = world.renew("--force")
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True)
    assert world.shown().fingerprint == done.one["fingerprint"]
    assert (world.ca.accounts, world.ca.orders) == (1, 1)


def test_an_order_that_the_ca_has_forgotten_is_placed_again(world: World) -> None:
    world.box.nameservers[1].silent = True
    run = world.start("renew")
    eventually(world.waits_for_dns)
    run.kill()
    world.box.nameservers[1].silent = False
    world.ca.restart()
    done = world.renew()
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True)
    assert (world.ca.orders, world.box.records()) == (1, [])


BINDING = urlsafe_b64encode(b"k" * 32).rstrip(b"=").decode()


def bound(world: World, key: str, kid: str = "kid-1") -> None:
    file = world.folder / "eab.key"
    file.touch(mode=0o600)
    file.write_text(key + "\n")
    lines = f'accept_terms = true\neab_kid = "{kid}"\neab_hmac_key_file = "{file}"'
    world.write(table(NAME), edit=lambda text: text.replace("accept_terms = true", lines))


def test_an_external_account_is_bound_by_its_key(make: Make) -> None:
    world = make(eab={"kid-1": BINDING})
    without = world.renewer("renew")
    assert without.code == 1
    (sentence,), (hint,) = without.sentences, without.hints
    assert "external account" in sentence
    assert "eab_kid" in hint
    bound(world, BINDING)
    done = world.renew()
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True)
    assert BINDING not in done.err + done.out


def test_an_external_account_with_the_wrong_key_is_refused(make: Make) -> None:
    world = make(eab={"kid-1": BINDING})
    bound(world, urlsafe_b64encode(b"x" * 32).rstrip(b"=").decode())
    done = world.renewer("renew")
    assert done.code == 1
    (sentence,), (hint,) = done.sentences, done.hints
    assert "external account binding" in sentence
    assert "eab_hmac_key_file" in hint
    assert world.ca.asked == 0


def test_a_validation_that_failed_is_not_repeated_at_once(world: World) -> None:
    """The CA sees other name servers than we do; a failed authorization counts against a limit of its own."""
    everything = world.box.recursor.shown
    world.box.recursor.shown = lambda zone, name: [one for one in everything(zone, name) if one.type != "TXT"]
    first = world.renewer("renew")
    assert first.code == 1
    (sentence,), (hint,) = first.sentences, first.hints
    assert "order invalid" in sentence
    assert NAME in sentence
    assert "name servers" in hint
    assert (world.ca.orders, world.ca.refused, world.box.records()) == (1, True, [])
    asked = world.ca.asked
    for more in ([], ["--force"]):
        again = world.renew(*more)
        assert (again.code, again.one["action"]) == (75, "failed")
        until = f"{rfc3339(again.one['next']):%Y-%m-%d %H:%M:%S} UTC"
        assert missing(again.one["error"], "not tried again", until) == []
    assert world.ca.asked == asked

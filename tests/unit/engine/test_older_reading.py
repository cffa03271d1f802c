"""What a run must not do whose configuration is not the newest any more."""

from dataclasses import replace
from pathlib import Path

import pytest
from support import fake_world
from support.fakes import (
    DAY,
    NOW,
    SERVER,
    FakeClock,
    FakeDeployer,
    FakeHook,
    FakeIssuer,
    MemStore,
    Notes,
    material,
    spec,
)

from renewer.core.errors import Outdated, Refused
from renewer.core.failure import Failure, Stage
from renewer.core.followed import View
from renewer.core.hook import Deployed, HookAction, Memory
from renewer.core.journal import PendingOrder, Progress
from renewer.core.model import Action, KeyKind
from renewer.core.site import Asked, Kept, Mode, Signer, SiteAction, SiteContext, SiteSpec
from renewer.engine.deploy_hooks import DeployHooks
from renewer.secure_links.rotation import SecureLink
from renewer.store.following import Following
from renewer.store.state import State


class Old:
    """Says that another reading is the newest; `newest` ends that."""

    newest = False

    def refuse_foreign(self) -> None:
        pass

    def begin(self) -> None:
        pass

    def follow(self, keep: object) -> None:
        del keep
        if outdated := self.outdated():
            raise outdated

    def outdated(self) -> Outdated | None:
        return None if self.newest else Outdated("renewer.toml was changed", hint="run it again")


class Sites:
    """The readings of a configuration with sites, over one store."""

    def __init__(self) -> None:
        self.store, self.old = MemStore(), Old()
        self.vault, self.nginx = State(self.store, Notes()), FakeDeployer()

    def hook(self, *sites: SiteSpec, old: bool = False) -> SecureLink:
        known = (self.old,) if old else ()
        return SecureLink(sites, self.vault, self.nginx, *known)

    def cycle(self, hook: SecureLink, asked: Asked | None = None) -> list[SiteAction]:
        proposal = hook.propose(SiteContext(NOW, {}, asked))
        if proposal.guard:
            self.nginx.guard = proposal.guard
        assert hook.settle(proposal) == {}
        return [one.action for one in proposal.outcomes]


def site(name: str = "nodered", *people: str, signer: Signer | None = None) -> SiteSpec:
    mode = Mode.URL if signer else Mode.SESSION
    return SiteSpec(name, f"https://{name}.example", mode, people=people, rotate=DAY, signer=signer)


def test_an_older_reading_changes_no_access() -> None:
    world = Sites()
    new = world.hook(site("nodered", "tablet"), site("shop", "phone"))
    assert world.cycle(new) == [SiteAction.ROTATED] * 2
    before, guard = dict(world.store.values), world.nginx.guard
    old = world.hook(site("nodered", "phone"), old=True)
    planned = old.plan(SiteContext(NOW, {}))
    assert planned.guard is None
    (told,) = planned.outcomes
    assert (told.action, told.people, told.exit_code) == (SiteAction.KEPT, ("tablet",), 75)
    assert told.error
    assert world.cycle(old) == world.cycle(old, Asked("nodered", at_once=True)) == [SiteAction.KEPT]
    assert (world.store.values, world.nginx.guard) == (before, guard)
    world.old.newest = True
    assert world.cycle(old) == [SiteAction.KEPT]
    assert (world.vault.known_sites(), world.nginx.guard != guard) == (["nodered"], True)


def test_one_that_is_outdated_while_nginx_takes_it_up_drops_no_keys() -> None:
    world = Sites()
    world.cycle(world.hook(site("nodered", "phone"), site("shop", "phone")))
    old = world.hook(site("nodered", "laptop"), old=True)
    world.old.newest = True
    proposal = old.propose(SiteContext(NOW, {}))
    world.old.newest = False
    assert proposal.guard
    old.settle(proposal)
    assert world.vault.known_sites() == ["nodered", "shop"]
    assert world.vault.site("nodered") == Kept(served=proposal.guard.gates[0].ring)


def test_one_that_is_outdated_just_before_it_notes_the_keys_notes_none() -> None:
    world = Sites()
    hook = world.hook(site("nodered", "phone"), old=True)

    class Late(Old):
        asked = 0

        def outdated(self) -> Outdated | None:
            self.asked += 1
            return super().outdated() if self.asked > 1 else None

    hook = replace(hook, follower=Late())
    with pytest.raises(Outdated):
        hook.propose(SiteContext(NOW, {}))
    assert world.store.values == {}


def test_an_older_reading_hands_no_key_to_another_program(tmp_path: Path) -> None:
    world, path = Sites(), tmp_path / "signer" / "files.json"
    old = world.hook(site("files", signer=Signer(path)), old=True)
    world.cycle(world.hook(site("files", signer=Signer(tmp_path / "new.json"))))
    world.cycle(old)
    assert not path.exists()
    world.old.newest = True
    world.cycle(old)
    assert path.exists()


def test_an_older_reading_runs_no_hook_and_forgets_none() -> None:
    vault, old, hook = State(MemStore(), Notes()), Old(), FakeHook("a1")
    with vault.hooks() as shelf:
        shelf.keep("b2", Memory(Deployed({"example.com": "1"})))
    world = DeployHooks(vault, FakeClock(), Notes(), (hook,), old)
    engine = fake_world.engine(state=vault, hooks=(hook,), follower=old)
    for told in (world.run((), ()), engine.run().hooks):
        assert [(one.action, one.exit_code) for one in told] == [(HookAction.FAILED, 75)]
    assert (hook.told, vault.known_hooks()) == ([], ["b2"])
    old.newest = True
    assert [one.action for one in world.run((), ())] == [HookAction.KEPT]
    assert vault.known_hooks() == []


class Certificates:
    """A cycle of an older reading, which has one certificate."""

    def __init__(self) -> None:
        self.old, self.issuer, self.nginx, self.clock = Old(), FakeIssuer(), FakeDeployer(), FakeClock()
        self.vault, self.spec = State(MemStore(), Notes()), spec()

    def run(self, *, force: bool = False) -> tuple[Action, int]:
        engine = fake_world.engine(
            self.spec,
            state=self.vault,
            issuer=self.issuer,
            deployer=self.nginx,
            clock=self.clock,
            follower=self.old,
        )
        (found,) = engine.run(force=force).certificates
        return found.action, found.exit_code

    @property
    def orders(self) -> int:
        return len(self.issuer.orders)


def test_an_older_reading_orders_nothing_in_the_place_of_what_the_newest_has() -> None:
    """A name was added, and the certificate with it obtained by hand."""
    world = Certificates()
    assert world.run() == (Action.FAILED, 75)
    newer = material(spec("example.com", "example.com", "new.example.com"))
    with world.vault.certificate("example.com") as ledger:
        ledger.keep(newer)
    assert world.run() == (Action.FAILED, 75)
    assert (world.orders, world.nginx.shown) == (0, {"example.com": newer.fingerprints})
    assert world.vault.failure("example.com") is None
    world.old.newest = True
    assert world.run() == (Action.ISSUED, 0)


def test_an_older_reading_renews_what_is_due_and_deploys_it() -> None:
    world = Certificates()
    with world.vault.certificate("example.com") as ledger:
        ledger.keep(material(begin=NOW - 80 * DAY))
    assert (world.run(), world.orders) == ((Action.ISSUED, 0), 1)
    assert world.run(force=True) == (Action.ISSUED, 0)


def test_an_older_reading_takes_out_nothing_that_a_newer_one_began() -> None:
    world = Certificates()
    order = PendingOrder(KeyKind.EC256, ("example.com",), SERVER, "KEY", "CSR", "https://ca.example/order/1")
    failure = Failure(Stage.ISSUE, 3, NOW, NOW + DAY, "no", binding=True)
    with world.vault.certificate("other.example") as ledger:
        ledger.save(Progress(order=order))
    with world.vault.certificate("example.com") as ledger:
        ledger.keep(material())
        ledger.save(Progress(order=order))
        ledger.failed(failure)
    world.run()
    assert world.vault.begun() == ["example.com", "other.example"]
    assert (world.vault.failure("example.com"), world.issuer.tidied) == (failure, [])
    world.old.newest = True
    world.run()
    assert (world.vault.progress("example.com").order, world.vault.failure("example.com")) == (None, None)
    assert world.vault.progress("other.example").order is None


def test_what_cannot_be_known_of_it_stops_what_depends_on_it_alone() -> None:
    world = Sites()
    world.cycle(world.hook(site("nodered", "phone")))
    world.store.unreadable["configuration"] = Refused("permission denied")
    view = View("", NOW, Path("/nowhere/renewer.toml"))
    known = Following(world.vault, Path("/nowhere"), view, lambda _: True, FakeClock(), Notes())
    with pytest.raises(Refused):
        replace(world.hook(site("nodered", "phone")), follower=known).plan(SiteContext(NOW, {}))

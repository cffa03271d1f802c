"""Deploying in a cycle: together, alone, and what nginx or somebody else refuses."""

from dataclasses import replace

from support.fake_world import MINUTE, A, B, FakeWorld, actions, due
from support.fakes import DAY, NOW, FakeIssuer

from renewer.core.errors import (
    DeployFailed,
    NotServed,
    Refused,
    RenewerError,
    Stopped,
)
from renewer.core.failure import Deploys, Stage
from renewer.core.interfaces import Journal
from renewer.core.model import Action, CertSpec, Material
from renewer.core.site import SiteSpec
from renewer.engine.cycle import Engine
from renewer.secure_links.rotation import SecureLink


class TestDeploying:
    def refused(self, *errors: tuple[str, RenewerError]) -> FakeWorld:
        world = FakeWorld(A, B)
        world.nginx.refuses = dict(errors)
        return world

    def test_what_is_refused_together_is_tried_alone(self) -> None:
        world = self.refused((A, DeployFailed("nginx refuses", ours=True)))
        outcomes = world.run()
        assert world.nginx.applied == [[A, B], [A], [B]]
        assert [(one.action, one.error) for one in outcomes.values()] == [
            (Action.FAILED, "nginx refuses"),
            (Action.ISSUED, None),
        ]

    def test_who_is_not_served_does_not_hold_up_the_other(self) -> None:
        world = self.refused((A, NotServed("another answers there")))
        assert actions(world.run()) == [Action.FAILED, Action.ISSUED]
        assert world.nginx.applied == [[A, B], [A], [B]]

    def test_what_somebody_else_broke_is_not_tried_alone(self) -> None:
        world = self.refused(("*", DeployFailed("broken by hand", ours=False)))
        outcomes = world.run()
        assert world.nginx.applied == [[A, B]]
        assert [one.error for one in outcomes.values()] == ["broken by hand"] * 2
        assert [one.exit_code for one in outcomes.values()] == [1, 1]

    def test_what_is_kept_is_deployed_by_the_next_run_without_an_order(self) -> None:
        world = self.refused(("*", DeployFailed("broken by hand", ours=False)))
        world.run()
        kept = [world.vault.material(name) for name in (A, B)]
        world.nginx.refuses = {}
        assert actions(world.run()) == [Action.DEPLOYED, Action.DEPLOYED]
        assert world.orders == [A, B]
        assert [world.vault.material(name) for name in (A, B)] == kept
        assert world.vault.failure(A) is None

    def test_failures_to_deploy_are_counted_with_the_next_try(self) -> None:
        world = self.refused(("*", DeployFailed("broken by hand", ours=False)))
        assert world.run()[A].next == NOW + MINUTE
        world.clock.time += MINUTE
        assert world.run()[A].next == NOW + 11 * MINUTE
        failure = world.vault.deploys(A).failure
        assert failure is not None
        assert (failure.stage, failure.count, failure.binding) == (Stage.DEPLOY, 2, False)
        world.nginx.refuses = {}
        world.run()
        assert world.vault.deploys(A) == Deploys()

    def test_a_deploy_that_fails_too_lets_the_row_of_failed_orders_go_on(self) -> None:
        world = FakeWorld()
        world.keep(A, due(A), served=False)
        world.nginx.refuses[A] = NotServed("nginx is not running")
        world.issuer.fails[A] = Refused("the CA saw no record", spent=True)
        world.run()
        assert world.run()[A].next == NOW + MINUTE
        assert world.orders == [A]  # an order more would count against a limit of the CA
        world.clock.time += MINUTE
        world.run()
        failures = world.vault.failure(A), world.vault.deploys(A).failure
        assert [one and one.count for one in failures] == [2, 3]

    def test_where_nobody_sees_what_is_served_a_reload_that_failed_is_done_again(self) -> None:
        world = self.refused((A, DeployFailed("the reload failed", ours=False)))
        world.nginx.unseen = {A, B}
        assert actions(world.run()) == [Action.FAILED, Action.FAILED]
        assert actions(world.run()) == [Action.FAILED, Action.FAILED]
        world.nginx.refuses = {}
        assert actions(world.run()) == [Action.DEPLOYED, Action.DEPLOYED]
        reloads = len(world.nginx.applied)
        assert actions(world.run()) == [Action.FRESH, Action.FRESH]
        assert len(world.nginx.applied) == reloads

    def test_nor_is_one_forgotten_before_which_the_run_died(self) -> None:
        world = FakeWorld()
        world.nginx.unseen = {A}
        kept = world.keep(A)
        world.nginx.files[A] = kept.fingerprints
        assert world.engine.status().certificates[0].due
        assert actions(world.run()) == [Action.DEPLOYED]
        assert actions(world.run()) == [Action.FRESH]

    def test_a_deploy_waits_for_no_back_off(self) -> None:
        world = self.refused(("*", DeployFailed("broken by hand", ours=False)))
        world.run()
        world.nginx.refuses = {}
        assert actions(world.run()) == [Action.DEPLOYED, Action.DEPLOYED]

    def test_what_was_mended_by_hand_no_longer_counts_as_failed(self) -> None:
        world = self.refused(("*", NotServed("another answers there")))
        world.run()
        stored = world.vault.material(A)
        assert stored is not None
        world.nginx.shown[A] = stored.fingerprints
        first = world.engine.status().certificates[0]
        assert (first.action, first.error, first.next) == (Action.FRESH, None, NOW + 59 * DAY)

    def test_to_be_asked_to_end_is_no_failure_of_the_deploy(self) -> None:
        world = self.refused(("*", Stopped("asked to end")))
        outcomes = world.run()
        assert [one.exit_code for one in outcomes.values()] == [75, 75]
        assert world.nginx.applied == [[A, B]]
        assert world.store.keys("failure/") == []

    def test_while_somebody_else_holds_nginx_the_certificate_is_kept_for_later(self) -> None:
        world = FakeWorld()
        with world.vault.nginx():
            outcome = world.run()[A]
        assert (outcome.action, outcome.exit_code) == (Action.FAILED, 75)
        assert world.vault.material(A) is not None
        assert world.nginx.applied == []
        assert world.store.keys("failure/") == []


def test_that_nginx_still_lets_links_in_of_a_site_that_is_no_more_is_told() -> None:
    world = FakeWorld()
    nginx = world.nginx
    site = SiteSpec("nodered", "https://nodered.a.example", people=("phone",), follows=(A,))

    def engine(*sites: SiteSpec) -> Engine:
        world.more = {"sites": SecureLink(sites, world.vault, nginx)}
        return world.engine

    assert engine(site).run().exit_code == 0
    nginx.refuses["secure links"] = NotServed("nginx has not taken up the new files")
    done = engine().run()
    assert (done.exit_code, done.error) == (1, f"secure links: {nginx.refuses['secure links']}")
    assert ("secure links", "nginx has not taken up the new files") in world.notes.of("problem")
    nginx.refuses.clear()
    assert (engine().run().exit_code, engine().run().rest is not None) == (0, True)


class Slow(FakeIssuer):
    """Notes who is let in at the moment when an order begins."""

    def __init__(self, world: FakeWorld) -> None:
        super().__init__()
        self.world, self.let_in = world, list[tuple[str, ...]]()

    def issue(self, spec: CertSpec, replaces: Material | None, journal: Journal) -> Material:
        self.let_in += [gate.ring.people for gate in self.world.nginx.guard.gates]
        return super().issue(spec, replaces, journal)


def test_who_was_taken_out_does_not_wait_for_a_certificate() -> None:
    """An order may take minutes; nothing of it is needed to end somebody's access."""
    world = FakeWorld()
    site = SiteSpec("nodered", "https://nodered.a.example", people=("phone", "laptop"))
    world.more = {"sites": SecureLink((site,), world.vault, world.nginx)}
    assert world.engine.run().exit_code == 0
    world.issuer = slow = Slow(world)
    world.more = {"sites": SecureLink((replace(site, people=("laptop",)),), world.vault, world.nginx)}
    done = world.engine.run(force=True)
    assert slow.let_in == [("laptop",)]
    assert [one.action for one in done.certificates] == [Action.ISSUED]
    assert (world.nginx.applied[-2:], done.exit_code) == ([["secure links"], [A]], 0)


def test_what_cannot_be_read_while_access_ends_leaves_the_other_certificates_alone() -> None:
    world = FakeWorld(A, B)
    site = SiteSpec("nodered", "https://nodered.a.example", people=("phone", "laptop"), follows=(A,))
    world.more = {"sites": SecureLink((site,), world.vault, world.nginx)}
    assert world.engine.run().exit_code == 0
    world.more = {"sites": SecureLink((replace(site, people=("laptop",)),), world.vault, world.nginx)}
    world.store.unreadable[f"certificate/{A}"] = Refused("the disk is at fault")
    done = world.engine.run(force=True)
    assert [one.action for one in done.certificates] == [Action.FAILED, Action.ISSUED]
    assert [gate.ring.people for gate in world.nginx.guard.gates] == [("laptop",)]


def test_a_site_that_is_gone_is_closed_before_an_order_and_one_that_is_new_waits_for_the_one_reload() -> None:
    world = FakeWorld()
    old, new = (SiteSpec(name, f"https://{name}.a.example", people=("phone",)) for name in ("old", "new"))
    for sites in ((old,), (old, new)):
        world.more = {"sites": SecureLink(sites, world.vault, world.nginx)}
        world.engine.run(force=True)
        assert sorted(world.nginx.applied[-1]) == [A, "secure links"]
    world.more = {"sites": SecureLink((new,), world.vault, world.nginx)}
    world.engine.run(force=True)
    assert world.nginx.applied[-2:] == [["secure links"], [A]]

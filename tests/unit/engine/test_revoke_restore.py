"""Revoking a certificate, and going back to an earlier one."""

from dataclasses import replace

import pytest
from support.fake_world import A, B, FakeWorld, actions
from support.fakes import DAY, NOW, SERVER, material, spec

from renewer.core.errors import (
    Refused,
    Transient,
)
from renewer.core.model import (
    Action,
    CertOutcome,
    Material,
    Reason,
)


class TestRevoking:
    def test_what_is_revoked_is_replaced_and_then_forgotten(self) -> None:
        world = FakeWorld(A, B)
        old, other = world.keep(A), world.keep(B)
        (outcome,) = world.engine.revoke(A, Reason.KEY_COMPROMISE).certificates
        assert (outcome.action, outcome.served, outcome.exit_code) == (Action.ISSUED, True, 0)
        assert world.issuer.revoked == [(old.fingerprints[0], Reason.KEY_COMPROMISE)]
        assert world.issuer.orders == [(A, old)]
        assert (world.vault.revocation(A), world.vault.material(B)) == (None, other)
        assert actions(world.run()) == [Action.FRESH, Action.FRESH]

    def test_what_cannot_be_replaced_is_revoked_all_the_same_and_replaced_later(self) -> None:
        world = FakeWorld()
        old = world.keep(A)
        world.issuer.fails[A] = Refused("the CA said no")
        (outcome,) = world.engine.revoke(A, Reason.UNSPECIFIED).certificates
        assert (outcome.action, outcome.error) == (Action.FAILED, "the CA said no")
        assert [fingerprint for fingerprint, _ in world.issuer.revoked] == [old.fingerprints[0]]
        world.issuer.fails.clear()
        assert actions(world.run()) == [Action.ISSUED]
        assert (len(world.issuer.revoked), world.vault.revocation(A)) == (1, None)

    def test_what_cannot_be_revoked_now_is_later_and_nobody_is_told_all_is_well(self) -> None:
        world = FakeWorld()
        old = world.keep(A)
        world.issuer.fails["revoke"] = Transient("the CA does not answer")
        (outcome,) = world.engine.revoke(A, Reason.SUPERSEDED).certificates
        assert (outcome.action, outcome.exit_code) == (Action.FAILED, 75)
        assert world.orders == [A]
        world.issuer.fails.clear()
        assert actions(world.run()) == [Action.FRESH]
        assert world.issuer.revoked == [(old.fingerprints[0], Reason.SUPERSEDED)]
        assert (world.orders, world.vault.revocation(A)) == ([A], None)

    def test_one_that_has_to_be_revoked_still_is_not_forgotten_over_another(self) -> None:
        world = FakeWorld()
        first = world.keep(A)
        world.issuer.fails["revoke"] = Transient("the CA does not answer")
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        second = world.vault.material(A)
        assert second is not None
        world.engine.revoke(A, Reason.SUPERSEDED)
        world.issuer.fails.clear()
        world.run()
        assert world.issuer.revoked == [
            (second.fingerprints[0], Reason.SUPERSEDED),
            (first.fingerprints[0], Reason.KEY_COMPROMISE),
        ]
        assert world.vault.revocation(A) is None

    def test_nor_when_the_configuration_has_it_no_more(self) -> None:
        world = FakeWorld(A, B)
        old = world.keep(A)
        world.issuer.fails["revoke"] = Transient("the CA does not answer")
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        world.specs = world.specs[1:]
        world.run()
        assert world.vault.revocation(A) is not None
        world.issuer.fails.clear()
        world.run()
        assert world.issuer.revoked == [(old.fingerprints[0], Reason.KEY_COMPROMISE)]
        assert world.vault.revocation(A) is None

    def test_one_that_has_ended_is_not_asked_for_any_more_and_does_not_come_back(self) -> None:
        world = FakeWorld()
        old = world.keep(A)
        world.issuer.fails["revoke"] = Transient("the CA does not answer")
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        world.clock.time += 90 * DAY
        outcome = world.run()[A]
        assert (outcome.error, outcome.exit_code, world.vault.revocation(A)) == (None, 0, None)
        assert world.vault.provenance(A).revoked(old.fingerprints) is Reason.KEY_COMPROMISE

    def test_where_there_is_none_nothing_is_revoked(self) -> None:
        world = FakeWorld()
        with pytest.raises(Refused, match=A):
            world.engine.revoke(A, Reason.UNSPECIFIED)
        assert world.orders == []


class TestGoingBack:
    def restored(self, world: FakeWorld, back: Material) -> CertOutcome:
        held: list[tuple[str, Material]] = []
        outcome = world.engine.restore(A, back.pairs, lambda name, kept: held.append((name, kept)))
        assert [name for name, _ in held] == [A]
        return outcome.certificates[0]

    def test_what_comes_back_has_the_ca_that_it_came_from_and_stays(self) -> None:
        world = FakeWorld()
        old = world.keep(A)
        world.keep(A)
        outcome = self.restored(world, old)
        assert (outcome.action, outcome.fingerprint, outcome.served) == (
            Action.DEPLOYED,
            old.fingerprints[0],
            True,
        )
        assert outcome.next == NOW + 59 * DAY
        assert actions(world.run()) == [Action.FRESH]

    @pytest.mark.parametrize("server", ["https://staging.example/directory", ""])
    def test_what_is_from_another_ca_or_nobody_knows_is_renewed_by_the_next_run(self, server: str) -> None:
        world = FakeWorld()
        old = replace(material(spec(A), ari="key.serial"), directory_url=server or SERVER)
        if server:
            world.keep(A, old)
        world.keep(A)
        outcome = self.restored(world, old)
        stored = world.vault.material(A)
        assert stored is not None
        assert (outcome.action, stored.directory_url) == (Action.DEPLOYED, server)
        assert (actions(world.run()), world.issuer.asked) == ([Action.ISSUED], [])

    def test_what_was_revoked_does_not_come_back(self) -> None:
        world = FakeWorld()
        bad = world.keep(A)
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        now = world.vault.material(A)
        with pytest.raises(Refused, match="keyCompromise") as caught:
            self.restored(world, bad)
        assert "list-generations" in caught.value.hint
        assert (world.vault.material(A), world.nginx.shown[A]) == (now, now and now.fingerprints)

    def test_nor_while_the_ca_has_yet_to_hear_of_it(self) -> None:
        world = FakeWorld()
        bad = world.keep(A)
        world.issuer.fails["revoke"] = Transient("the CA does not answer")
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        with pytest.raises(Refused, match="revoked"):
            self.restored(world, bad)

    def test_one_of_those_that_is_stored_by_whatever_way_is_replaced(self) -> None:
        world = FakeWorld()
        bad = world.keep(A)
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        world.keep(A, bad)
        (outcome,) = world.engine.status().certificates
        assert (outcome.action, "revoked (keyCompromise)" in outcome.detail) == (Action.ISSUED, True)
        assert actions(world.run()) == [Action.ISSUED]

    def test_what_nobody_knows_the_ca_of_is_revoked_at_the_one_that_is_configured(self) -> None:
        world = FakeWorld()
        world.keep(A, replace(material(spec(A)), directory_url=""))
        world.issuer.fails["revoke"] = Transient("the CA does not answer")
        world.engine.revoke(A, Reason.KEY_COMPROMISE)
        revocation = world.vault.revocation(A)
        assert revocation is not None
        assert revocation.material.directory_url == SERVER

"""What deploy hooks are told, and when, with hooks that are fakes; and what is shown of their words."""

from dataclasses import replace
from datetime import timedelta

import pytest
from support.fakes import DAY, NOW, FakeClock, FakeHook, MemStore, Notes

from renewer.core import backoff
from renewer.core.errors import LockBusy
from renewer.core.hook import HookAction
from renewer.core.model import Action, CertOutcome, Fingerprint
from renewer.core.site import SiteAction, SiteOutcome
from renewer.engine.deploy_hooks import DeployHooks
from renewer.store.following import ALONE
from renewer.store.state import State


def certificate(name: str = "a.example", number: int = 1) -> CertOutcome:
    return CertOutcome(name, Action.FRESH, NOW, fingerprint=Fingerprint(f"{number:064x}"), served=True)


def site(name: str = "nodered", days: int = 0) -> SiteOutcome:
    return SiteOutcome(name, SiteAction.KEPT, NOW, since=NOW + days * DAY)


class Hooked:
    """These hooks, and what is kept of what they were told."""

    def __init__(self, *hooks: FakeHook) -> None:
        self.hooks, self.store, self.clock = hooks or (FakeHook(),), MemStore(), FakeClock()
        self.vault = State(self.store, Notes())

    @property
    def deploy_hooks(self) -> DeployHooks:
        return DeployHooks(self.vault, self.clock, Notes(), self.hooks, ALONE)

    def actions(self, *certificates: CertOutcome, sites: tuple[SiteOutcome, ...] = ()) -> list[HookAction]:
        return [one.action for one in self.deploy_hooks.run(certificates, sites)]


def test_a_hook_is_told_once_of_what_is_new() -> None:
    world = Hooked()
    assert world.actions(certificate(), sites=(site(),)) == [HookAction.RAN]
    assert world.actions(certificate(), sites=(site(),)) == [HookAction.KEPT]
    assert world.actions(certificate(number=2), sites=(site(),)) == [HookAction.RAN]
    assert world.actions(certificate(number=2), sites=(site(days=1),)) == [HookAction.RAN]
    first, renewed, rotated = world.hooks[0].told
    assert (list(first.certificates), list(first.sites)) == (["a.example"], ["nodered"])
    assert (list(renewed.certificates), list(renewed.sites)) == (["a.example"], [])
    assert (list(rotated.certificates), list(rotated.sites)) == ([], ["nodered"])


def test_a_certificate_and_a_site_named_server_are_news_once() -> None:
    """Documents call the CA's directory `server`; that must not take the name from anything else."""
    world = Hooked()
    for action in (HookAction.RAN, HookAction.KEPT):
        assert world.actions(certificate("server"), sites=(site("server"),)) == [action]


def test_a_cycle_for_one_certificate_forgets_nothing_of_the_others() -> None:
    world = Hooked()
    world.actions(certificate("a.example"), certificate("b.example"))
    assert world.actions(certificate("a.example")) == [HookAction.KEPT]
    assert world.actions(certificate("b.example")) == [HookAction.KEPT]


@pytest.mark.parametrize(
    "outcome",
    [
        replace(certificate(), served=False),
        replace(certificate(), served=None, action=Action.FAILED),
        replace(certificate(), fingerprint=None),
    ],
)
def test_nothing_is_told_of_what_nginx_does_not_serve(outcome: CertOutcome) -> None:
    world = Hooked()
    assert world.actions(outcome) == [HookAction.KEPT]
    assert world.hooks[0].told == []


def test_the_old_one_that_is_served_while_a_renewal_fails_is_no_news() -> None:
    world = Hooked()
    world.actions(certificate())
    assert world.actions(replace(certificate(), action=Action.FAILED)) == [HookAction.KEPT]


def test_a_hook_that_failed_is_told_again_and_holds_up_no_other() -> None:
    bad, good = FakeHook("b1", failing=True), FakeHook("a1")
    world = Hooked(bad, good)
    assert world.actions(certificate()) == [HookAction.FAILED, HookAction.RAN]
    assert world.actions(certificate()) == [HookAction.FAILED, HookAction.KEPT]
    (outcome, _) = world.deploy_hooks.planned([certificate()], ())
    assert (outcome.action, outcome.error, outcome.exit_code) == (HookAction.FAILED, "it failed", 1)
    assert outcome.next == NOW + backoff.HOOK[1]
    bad.failing = False
    assert world.actions(certificate()) == [HookAction.RAN, HookAction.KEPT]
    assert world.vault.hook("b1").failures == 0
    assert (len(bad.told), len(good.told)) == (3, 1)


def test_what_a_hook_would_be_told_is_told_ahead_without_running_it() -> None:
    world = Hooked()
    (ahead,) = world.deploy_hooks.planned([certificate()], [site()])
    assert (ahead.action, world.hooks[0].told) == (HookAction.RAN, [])
    assert "a.example, the site nodered" in ahead.detail


def test_a_site_whose_key_nginx_has_yet_to_take_up_is_not_told_ahead() -> None:
    world = Hooked()
    (ahead,) = world.deploy_hooks.planned([], [replace(site(), due=True)])
    assert ahead.action is HookAction.KEPT


def test_a_hook_that_is_no_more_is_forgotten() -> None:
    world = Hooked(FakeHook("a1"), FakeHook("b1"))
    world.actions(certificate())
    assert world.vault.known_hooks() == ["a1", "b1"]
    world.hooks = (FakeHook("b1"),)
    assert world.actions(certificate()) == [HookAction.KEPT]
    assert world.vault.known_hooks() == ["b1"]


def test_without_hooks_nothing_is_held_or_written() -> None:
    world = Hooked()
    world.hooks = ()
    assert world.actions(certificate()) == []
    assert world.store.writes == []


def test_hooks_that_another_run_is_at_are_left_to_it() -> None:
    world = Hooked()
    with world.vault.hooks():
        (outcome,) = world.deploy_hooks.run([certificate()], ())
    assert (outcome.exit_code, world.hooks[0].told) == (LockBusy.exit_code, [])


def test_who_is_asked_to_end_begins_no_hook() -> None:
    world = Hooked()
    world.clock = FakeClock(sleeps=0)
    (outcome,) = world.deploy_hooks.run([certificate()], ())
    assert (outcome.action, outcome.next, world.hooks[0].told) == (HookAction.RAN, NOW, [])


def test_the_waits_grow() -> None:
    waits = [backoff.hook(count) for count in range(1, 9)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (timedelta(minutes=1), DAY)

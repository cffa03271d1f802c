"""Deploy hooks: commands to run once nginx serves something new.

Each run starts from the stored record of a hook: if it failed or was interrupted, the next cycle runs it
again; if it has already run for everything that nginx serves, it is not run.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from renewer.core import backoff
from renewer.core.errors import HookFailed, RenewerError, Stopped
from renewer.core.hook import Deployed, HookAction, HookOutcome, Memory
from renewer.core.interfaces import Clock, DeployHook, Follower, Report
from renewer.core.model import Action, CertOutcome
from renewer.core.site import SiteAction, SiteOutcome
from renewer.store.state import Section, State


@dataclass(frozen=True)
class DeployHooks:
    """The configured deploy hooks, in the order of the configuration."""

    state: State
    clock: Clock
    report: Report
    hooks: tuple[DeployHook, ...]
    follower: Follower

    def run(
        self, certificates: Iterable[CertOutcome], sites: Iterable[SiteOutcome]
    ) -> tuple[HookOutcome, ...]:
        """Run every hook that has not run yet for what nginx serves; a failing hook does not stop the others.

        If a newer configuration may have other hooks, none is run, and no record is dropped.
        """
        now = deployed(certificates, sites)
        try:
            if not any(self._news(hook, now) for hook in self.hooks) and not self._forgotten():
                return self._told(now)
            self.clock.sleep(0)
            with self.state.hooks() as section:
                if outdated := self.follower.outdated():
                    raise outdated
                for name in self._forgotten():
                    section.drop(name)
                return tuple(self._tried(hook, now, section) for hook in self.hooks)
        except Stopped:
            return self._told(now)
        except RenewerError as error:
            return tuple(_failed(hook, error, self.clock.now()) for hook in self.hooks)

    def planned(
        self, certificates: Iterable[CertOutcome], sites: Iterable[SiteOutcome]
    ) -> tuple[HookOutcome, ...]:
        """Return the state of the hooks and which of them are due, without running any."""
        return self._told(deployed(certificates, (one for one in sites if not one.due)))

    def _tried(self, hook: DeployHook, now: Deployed, section: Section[Memory]) -> HookOutcome:
        """Run one hook; if its record cannot be read or written, only this hook fails."""
        try:
            return self._run_one(hook, now, section)
        except RenewerError as error:
            return _failed(hook, error, self.clock.now() + backoff.hook(1))

    def _run_one(self, hook: DeployHook, now: Deployed, section: Section[Memory]) -> HookOutcome:
        memory = self.state.hook(hook.key)
        news = now.since(memory.told)
        if not news:
            return HookOutcome(hook.name, HookAction.KEPT, detail=hook.what)
        self.report.doing(hook.name, f"running {hook.what}")
        try:
            hook.run(news)
        except HookFailed as error:
            memory = _noted(memory, error, self.clock.now())
            with suppress(RenewerError):  # it is reported anyway, and retried
                section.keep(hook.key, memory)
            return _failed(hook, error, memory.retry or self.clock.now())
        finally:
            self.report.idle(hook.name)
        section.keep(hook.key, Memory(now.over(memory.told)))
        self.report.done(hook.name, f"ran {hook.what}")
        return HookOutcome(hook.name, HookAction.RAN, detail=f"{hook.what} for {_spoken(news)}")

    def _told(self, now: Deployed) -> tuple[HookOutcome, ...]:
        return tuple(self._standing(hook, now) for hook in self.hooks)

    def _standing(self, hook: DeployHook, now: Deployed) -> HookOutcome:
        try:
            memory, news = self.state.hook(hook.key), self._news(hook, now)
        except RenewerError as unreadable:
            return _failed(hook, unreadable, self.clock.now() + backoff.hook(1))
        if not news:
            return HookOutcome(hook.name, HookAction.KEPT, detail=hook.what)
        if memory.failures:
            error = HookFailed(memory.message, hint=memory.hint)
            return _failed(hook, error, memory.retry or self.clock.now())
        return HookOutcome(hook.name, HookAction.RAN, self.clock.now(), f"{hook.what} for {_spoken(news)}")

    def _news(self, hook: DeployHook, now: Deployed) -> Deployed:
        return now.since(self.state.hook(hook.key).told)

    def _forgotten(self) -> Sequence[str]:
        """Return the keys of hooks that were removed from the configuration."""
        known = {hook.key for hook in self.hooks}
        return [key for key in self.state.known_hooks() if key not in known]


def deployed(certificates: Iterable[CertOutcome], sites: Iterable[SiteOutcome]) -> Deployed:
    """Return what nginx is certain to use."""
    return Deployed(
        {one.name: str(one.fingerprint) for one in certificates if one.fingerprint and _works_with(one)},
        {
            one.name: one.since.isoformat()
            for one in sites
            if one.since and one.action is not SiteAction.FAILED
        },
    )


def _works_with(one: CertOutcome) -> bool:
    """Return whether nginx serves it or, if that cannot be checked, loaded it without an error."""
    return one.served or (one.served is None and one.action is not Action.FAILED)


def _noted(memory: Memory, error: RenewerError, now: datetime) -> Memory:
    count = memory.failures + 1
    return replace(
        memory, failures=count, retry=now + backoff.hook(count), message=str(error), hint=error.hint
    )


def _failed(hook: DeployHook, error: RenewerError, again: datetime) -> HookOutcome:
    return HookOutcome(
        hook.name, HookAction.FAILED, again, hook.what, str(error), error.hint, exit_code=error.exit_code
    )


def _spoken(news: Deployed) -> str:
    return ", ".join((*news.certificates, *(f"the site {name}" for name in news.sites)))

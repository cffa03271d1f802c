"""Makes nginx serve the stored certificates: publish, test, reload once, check; or roll back."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from renewer.core.errors import DeployFailed, NotServed, RenewerError
from renewer.core.interfaces import Clock, Report
from renewer.core.model import CertSpec, Change, Grounds, Material, Observation, Publish
from renewer.core.site import Guard
from renewer.nginx.configuration import SCOPE, Configuration, Reader
from renewer.nginx.control import START, Control, Reloaded
from renewer.nginx.error_log import ErrorLog
from renewer.nginx.generations import Generations, InUse
from renewer.nginx.handshake import HandshakeResult, handshake
from renewer.nginx.helper import Helper
from renewer.nginx.includes import Includes
from renewer.nginx.layout import Layout
from renewer.nginx.placeholder import placeholder_fingerprint, prepare, stands_in
from renewer.nginx.processes import Master, accepting, all_since, master
from renewer.nginx.secure_link.gates import HTTP, Gates
from renewer.nginx.targets import ProbeTargets, addresses, discover
from renewer.nginx.witness import Sought, replaced, unserved

LIMIT = 10.0
"""Seconds for a reload to take effect."""

WHO_ANSWERS = "find out which server of nginx, or which other program, answers there: nginx -T; ss -tlnp"
"""The hint if another certificate is served."""

AT_ONCE = 8
"""Addresses that are checked in parallel."""

_RELOAD_BY_HAND = 'reload nginx yourself: renewer does not, with reload = "none" in [nginx]'

_DOWN = "nginx is not running"

_DIGITS = 16
"""Digits of a fingerprint in a message."""


@dataclass(frozen=True)
class NginxDeployer:
    """The `Deployer` for the nginx of this machine.

    `reload` and `probe` are the settings of `[nginx]`, with `None` for `probe = "auto"`.
    """

    state: Path
    binary: str
    config: str
    reload: str | tuple[str, ...]
    probe: tuple[str, ...] | None
    clock: Clock
    report: Report
    helper: Helper = field(default_factory=Helper)
    reader: Reader = field(default_factory=Reader)

    def prepare(self, specs: Sequence[CertSpec]) -> Sequence[str]:
        """Ensure that every file nginx may include exists and names a whole pair; return what was written."""
        self._includes.forget()
        written = [path for spec in specs for path in prepare(self._generations, spec, self.clock)]
        written += self._gates.prepare()
        self._place()
        return [str(path) for path in written]

    def look(self, spec: CertSpec, material: Material | None) -> Observation:
        """Return what is on disk and what nginx serves; nginx being down is a result, not an error."""
        published = material is not None and self._generations.published(spec.name, material)
        placeholder = stands_in(self._generations, spec.name)
        configuration = self._configuration()
        found = self._discover(configuration, spec)
        if not found.targets:
            return Observation(published, None, found.detail, placeholder)
        detail = self._difference(_sought(spec, material, found), configuration)
        return Observation(published, not detail, detail, placeholder, START if detail == _DOWN else "")

    def differences(self, spec: CertSpec, material: Material | None) -> "tuple[Difference, ...]":
        """Return every address that does not serve the certificate; `look` reports only the first."""
        sought = _sought(spec, material, self._discover(self._configuration(), spec))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            seen = zip(sought, pool.map(lambda one: handshake(one.target), sought), strict=True)
            return tuple(
                Difference(self._words(one, had), answered=had.fingerprint is not None)
                for one, had in seen
                if had.fingerprint not in one.fingerprints
            )

    def grounds(self) -> Grounds | None:
        """See `interfaces.Deployer`; at a configured address, another program may answer."""
        if self.probe is not None:
            return None if self.probe else Grounds()
        configuration = self._configuration()
        path = None if configuration.problem else self._control.resolved(configuration.pid, "--pid-path")
        ours = f"{self._generations.layout.state}/"
        files = tuple(source for source in configuration.sources if not source.startswith(ours))
        return Grounds(str(path), files) if path else None

    def stands(self, guard: Guard) -> bool:
        """Return whether the secure-link includes are exactly right.

        Whether nginx uses them is stored with the keys of a site. If there is no site, nginx's workers are
        checked.
        """
        if not self._gates.hold(guard):
            return False
        configuration = self._configuration()
        if guard.gates or not self._includes_gates(configuration):
            return True
        return all_since(self._master(configuration), self._gates.written()) is not False

    def unguarded(self, sites: Sequence[str]) -> Mapping[str, str]:
        """Return what nginx's configuration lacks to guard each of these sites, by site."""
        configuration = self._configuration()
        if configuration.problem:
            return dict.fromkeys(sites, configuration.problem)
        if not self._includes_gates(configuration):
            http = self._gates.path(HTTP)
            return dict.fromkeys(sites, f"not guarded: nginx does not include {http}")
        return {
            site: f"not guarded: no server of nginx has: set {SCOPE} {site};"
            for site in sites
            if site not in configuration.scopes
        }

    def apply(self, changes: Sequence[Change]) -> None:
        """Publish, test, reload once, and check that nginx works with the changes."""
        publishes = [change for change in changes if isinstance(change, Publish)]
        guards = [change for change in changes if isinstance(change, Guard)]
        self.prepare([publish.spec for publish in publishes])
        former = self._former(publishes)
        for publish in publishes:
            self._generations.publish(publish.spec.name, publish.material)
        for guard in guards:
            self._gates.write(guard)
        configuration = self._configuration(anew=True)
        read = [guard for guard in guards if guard.gates or self._includes_gates(configuration)]
        for_nobody = bool(guards) and not (publishes or read)
        if for_nobody or not self._control.asks:
            self._place()
        if for_nobody:  # nginx does not read the files
            return
        before = self._before(configuration)
        reloaded = self._control.reload(before.master)
        if reloaded.refused:
            self._roll_back(former, changes, reloaded.refused)
        self._includes.settle()
        self._see(publishes, configuration, before)
        if read:
            self._see_loaded(before, reloaded)
        for publish in publishes:
            self._sweep(publish)

    def _place(self) -> None:
        """Have root install the new includes if this user may not; a reload by the helper does it, too."""
        if self._includes.wanted:
            self._control.place()
            self._includes.settle()

    def _former(self, publishes: Sequence[Publish]) -> "_Former":
        names = [publish.spec.name for publish in publishes]
        in_use = {name: self._generations.in_use(name) for name in names}
        return _Former(in_use, self._gates.contents())

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self.state)

    @cached_property
    def _generations(self) -> Generations:
        return Generations(self._layout)

    @cached_property
    def _gates(self) -> Gates:
        return Gates(self._layout)

    @cached_property
    def _includes(self) -> Includes:
        return Includes(self._layout)

    @cached_property
    def _control(self) -> Control:
        return Control(self.binary, self.config, self.reload, self.clock, self.helper)

    def _configuration(self, *, anew: bool = False) -> Configuration:
        return self.reader.read(self.config, self.clock.monotonic(), anew=anew)

    def _includes_gates(self, configuration: Configuration) -> bool:
        """Return whether nginx reads the secure-link includes; true if that cannot be determined."""
        http = os.path.realpath(self._gates.path(HTTP))
        return http in configuration.includes or bool(configuration.problem)

    def _discover(self, configuration: Configuration, spec: CertSpec) -> ProbeTargets:
        return discover(configuration, self._layout, spec, self.probe)

    def _master(self, configuration: Configuration) -> Master:
        if configuration.problem and not configuration.pid:
            return Master()  # the directive `pid` may be in the unreadable part
        return master(self._control.resolved(configuration.pid, "--pid-path"))

    def _before(self, configuration: Configuration) -> "_Before":
        """Return the state of nginx before a reload, to find out later whether the reload took effect."""
        now = self._master(configuration)
        log = ErrorLog(self._control.resolved(configuration.error_log, "--error-log-path"))
        return _Before(now, accepting(now), log, log.mark())

    def _difference(self, sought: Sequence[Sought], configuration: Configuration) -> str:
        """Return the first address that does not serve what is sought, in words; empty if all do."""
        for one in sought:
            seen = handshake(one.target)
            if seen.fingerprint in one.fingerprints:
                continue
            with suppress(RenewerError):
                if seen.fingerprint is None and self._master(configuration).down:
                    return _DOWN
            return self._words(one, seen)
        return ""

    def _roll_back(self, former: "_Former", changes: Sequence[Change], refused: str) -> NoReturn:
        for name, in_use in former.in_use.items():
            self._generations.restore(name, in_use)
        self._gates.restore(former.gates)
        self._place()
        still = self._control.test()
        if not still:
            raise DeployFailed(
                f"nginx rejects {', '.join(change.what for change in changes)}: {refused}",
                hint="nginx keeps its previous files; fix what it names, then run: renewer renew",
                ours=True,
            )
        raise _broken(still)

    def _see_loaded(self, before: "_Before", reloaded: Reloaded) -> None:
        """Return if nginx's workers are newer than the secure-link includes; raises `NotServed`.

        If workers cannot be seen, a confirmed reload is enough.
        """
        newer = all_since(before.master, self._gates.written())
        believed = reloaded.confirmed and self.reload != "none"
        if newer or (newer is None and believed):
            return
        why = "cannot be seen" if newer is None and reloaded.confirmed else "are older than the files"
        raise NotServed(
            f"nginx does not use the new secure-link files yet: its workers {why}",
            hint=_RELOAD_BY_HAND
            if self.reload == "none"
            else "see nginx's error log, then run: renewer renew",
        )

    def _see(self, changes: Sequence[Publish], configuration: Configuration, before: "_Before") -> None:
        """Return once nginx works with the certificates; raises `NotServed` if it does not."""
        sought: list[Sought] = []
        for change in changes:
            found = self._discover(configuration, change.spec)
            sought += _sought(change.spec, change.material, found)
            if found.targets:
                self.report.doing(
                    change.owner, f"waiting for nginx to serve it on {addresses(found.targets)}"
                )
        off = self.reload == "none"
        deadline = self.clock.monotonic() + (0 if off else LIMIT)
        applied = off or replaced(before.workers, before.master, deadline, self.clock)
        missing = unserved(sought, deadline, self.clock)
        if missing or not applied:
            raise self._not_served(missing, before.log.since(before.mark))

    def _not_served(self, missing: Mapping[Sought, HandshakeResult], log: str) -> NotServed:
        told = [self._words(one, seen) for one, seen in missing.items()]
        message = (
            told[0] if told else "nginx accepted the reload, but its old workers keep accepting connections"
        )
        if len(told) > 1:
            message += f" (and {len(told) - 1} more)"
        if log:
            return NotServed(
                f"{message}; nginx's error log says: {log}",
                hint="remove that cause; the next run tries again",
            )
        if self.reload == "none":
            return NotServed(message, hint=_RELOAD_BY_HAND)
        return NotServed(
            message,
            hint=WHO_ANSWERS,
        )

    def _words(self, one: Sought, seen: HandshakeResult) -> str:
        place = f"{one.target.address} (server name {one.target.name})"
        if seen.fingerprint is None:
            return f"{place} serves no certificate for {one.name}: {seen.reason}"
        if seen.fingerprint == placeholder_fingerprint(self._layout, one.name):
            return f"{place} serves the self-signed placeholder for {one.name}"
        return f"{place} serves a certificate other than that of {one.name} ({seen.fingerprint[:_DIGITS]}…)"

    def _sweep(self, publish: Publish) -> None:
        try:
            self._generations.sweep(publish.spec.name)
        except RenewerError as error:
            self.report.problem(publish.owner, str(error), error.hint)


@dataclass(frozen=True)
class Difference:
    """What an address shows instead of a certificate, in words; `answered` if it is another certificate."""

    detail: str
    answered: bool


@dataclass(frozen=True)
class _Former:
    """nginx's previous files: the includes and links of certificates, and the secure-link includes."""

    in_use: Mapping[str, InUse]
    gates: Mapping[str, bytes | None]


@dataclass(frozen=True)
class _Before:
    """nginx before a reload: its processes, and where its error log ended."""

    master: Master
    workers: frozenset[int] | None
    log: ErrorLog
    mark: int


def _sought(spec: CertSpec, material: Material | None, found: ProbeTargets) -> list[Sought]:
    fingerprints = material.fingerprints if material else ()
    return [Sought(spec.name, target, fingerprints) for target in found.targets]


def _broken(why: str) -> DeployFailed:
    """Return the error for a configuration that nginx rejects even without the changes."""
    if "Permission denied" in why and os.geteuid() != 0:
        return DeployFailed(
            f"renewer may not read every file of nginx, so it cannot test nginx's configuration: {why}",
            hint='set reload = "request" in [nginx], or run renewer as the user that starts nginx',
            ours=False,
        )
    return DeployFailed(
        f"nginx's configuration is broken, and not because of renewer: {why}",
        hint="fix it; the new files are kept, and the next run deploys them",
        ours=False,
    )

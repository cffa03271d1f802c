"""The sites behind secure links: rotates the keys of nginx's `secure_link` on the engine's cycle.

The wanted keys are stored before nginx gets them, and count as served only once nginx is known to use them.
So the next run finishes a rotation that was interrupted anywhere, and nothing is signed with a key that nginx
does not know.
"""

import grp
import json
import os
import pwd
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from renewer.core import tokens
from renewer.core.errors import ConfigError, RenewerError
from renewer.core.interfaces import Deployer, Follower
from renewer.core.site import Gate, Guard, Kept, Proposal, Ring, Signer, SiteContext, SiteSpec
from renewer.secure_links import keyring
from renewer.store.following import ALONE
from renewer.store.state import State
from renewer.system import files

_MASTER = 32
"""Bytes of a key, as many as the hash that derives keys returns (RFC 2104, section 3)."""


@dataclass(frozen=True)
class SecureLink:
    """All sites of the configuration."""

    specs: tuple[SiteSpec, ...]
    vault: State
    deployer: Deployer
    follower: Follower = ALONE

    def outsiders(self) -> bool:
        """Return whether nginx may still let in somebody who is no longer in the configuration."""
        if self.follower.outdated():
            return False  # only the newest configuration decides who has access
        for spec in self.specs:
            kept = self.vault.site(spec.name)
            for ring in (kept.served, kept.wanted):
                if ring and set(ring.people) - set(spec.people):
                    return True
        return bool(self._left_over())

    def plan(self, context: SiteContext) -> Proposal:
        """Return the proposal that is due now, with the state of the sites; change nothing."""
        if outdated := self.follower.outdated():
            return self._held(outdated, context)
        proposal = self._proposal(self._wanted(context))
        outcomes = tuple(
            keyring.ahead(one, spec, self.vault.site(spec.name), context.now)
            for one, spec in zip(proposal.outcomes, self.specs, strict=True)
        )
        return replace(proposal, outcomes=outcomes)

    def propose(self, context: SiteContext) -> Proposal:
        """Return what nginx should have, after storing its keys as wanted.

        It is empty if the configuration has changed since it was read: only the newest one decides who has
        access. nginx is held, so no run with a newer one can write anything before this check.
        """
        if outdated := self.follower.outdated():
            return self._held(outdated, context)
        wanted = self._wanted(context)
        proposal = self._proposal(wanted)
        if proposal.guard:
            with self.vault.sites() as ledger:
                self.follower.follow(ledger.follow)
                for name, ring in wanted.items():
                    ledger.keep(name, Kept(self.vault.site(name).served, ring))
        return proposal

    def settle(self, proposal: Proposal) -> Mapping[str, RenewerError]:
        """Store the keys as served, delete those of removed sites, and pass on keys to signing programs."""
        if proposal.guard:
            with self.vault.sites() as ledger:
                for gate in proposal.guard.gates:
                    ledger.keep(gate.spec.name, Kept(served=gate.ring))
                for name in () if self.follower.outdated() else self._left_over():
                    ledger.drop(name)
        failed: dict[str, RenewerError] = {}
        for spec in self.specs:
            if spec.signer:
                try:
                    self._sign(spec, spec.signer)
                except RenewerError as error:
                    failed[spec.name] = error
        return failed

    def _wanted(self, context: SiteContext) -> dict[str, Ring]:
        return {
            spec.name: keyring.wanted(
                spec, self.vault.site(spec.name), context, lambda: secrets.token_hex(_MASTER)
            )
            for spec in self.specs
        }

    def _proposal(self, wanted: Mapping[str, Ring]) -> Proposal:
        kept = {spec.name: self.vault.site(spec.name) for spec in self.specs}
        gates = tuple(Gate(spec, wanted[spec.name]) for spec in self.specs)
        guard = Guard(gates)
        settled = all(kept[name] == Kept(served=ring) for name, ring in wanted.items())
        nothing = settled and not self._left_over() and self.deployer.stands(guard)
        lacking = self.deployer.unguarded(list(wanted)) if wanted else {}
        outcomes = tuple(
            keyring.outcome(
                spec,
                kept[spec.name],
                wanted[spec.name],
                due=not nothing,
                detail=lacking.get(spec.name, ""),
            )
            for spec in self.specs
        )
        return Proposal(None if nothing else guard, outcomes)

    def _sign(self, spec: SiteSpec, signer: Signer) -> None:
        """Write the current key to the signing program's file, if this reading is the newest."""
        ring = self.vault.site(spec.name).served
        if ring is None or _holds(signer, _signing(spec, ring)):
            return
        with self.vault.sites():
            ring = self.vault.site(spec.name).served
            if ring and not self.follower.outdated():
                _hand_over(signer, _signing(spec, ring))

    def _held(self, error: RenewerError, context: SiteContext) -> Proposal:
        """Return an empty proposal, with the reason."""
        kept = ((spec, self.vault.site(spec.name)) for spec in self.specs)
        return Proposal(None, tuple(keyring.held(spec, one, error, context.now) for spec, one in kept))

    def _left_over(self) -> list[str]:
        names = {spec.name for spec in self.specs}
        return [name for name in self.vault.known_sites() if name not in names]


def _signing(spec: SiteSpec, ring: Ring) -> bytes:
    """Return what another program needs to sign; a URL valid for `grace` seconds outlives no key."""
    secret = tokens.derived(ring.current.master, spec.name)
    told = {
        "site": spec.name,
        "k": ring.current.kid,
        "secret": secret,
        "grace": int(spec.grace.total_seconds()),
    }
    return json.dumps(told).encode() + b"\n"


def _holds(signer: Signer, content: bytes) -> bool:
    """Return whether the signing program's file has this content, owner and mode."""
    return files.holds(signer.path, content, _ids(signer.owner), signer.mode)


def _hand_over(signer: Signer, content: bytes) -> None:
    """Write the signing program's file with its owner and mode, whole or not at all."""
    files.folder(signer.path.parent, 0o755)
    files.write(signer.path, content, signer.mode, _ids(signer.owner))
    files.sweep(signer.path.parent, signer.path.name)


def _ids(owner: str | None) -> tuple[int, int]:
    """Return user and group by number; raises `ConfigError` if one does not exist on this machine."""
    if owner is None:
        return os.geteuid(), os.getegid()
    user, _, group = owner.partition(":")
    try:
        known = pwd.getpwnam(user)
        return known.pw_uid, grp.getgrnam(group).gr_gid if group else known.pw_gid
    except KeyError:
        raise ConfigError(
            f"signer_owner: {owner} does not exist on this machine",
            hint='name an existing user, or "user:group"',
        ) from None

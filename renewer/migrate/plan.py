"""Decides what to import from another client: which certificates and accounts, under which name, and why not.

`plan` only decides; `keep` stores the certificates and accounts it chose.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from renewer.config import fields
from renewer.config.acme import DIRECTORIES
from renewer.config.acme import server as named
from renewer.config.schema import Config
from renewer.config.template import Planned, called
from renewer.core.domains import clashes, domain
from renewer.core.errors import ConfigError, Refused, RenewerError
from renewer.core.model import Account, CertSpec, KeyKind, Material, Pair
from renewer.migrate import keys
from renewer.migrate.model import Estate, Lineage, Unreadable
from renewer.store.state import State

STAGING = DIRECTORIES["letsencrypt-staging"]
ANEW = "the next renew orders a new one, once it is in the configuration"


class Fate(StrEnum):
    """What is done with a certificate or an account."""

    IMPORTED = "imported"
    KEPT = "kept"
    FAILED = "failed"


@dataclass(frozen=True)
class Imported:
    """A certificate to import; `lineage` is the other client's name for it, `name` is ours.

    `listed`: it is in the configuration already. `why` says why it is skipped or cannot be imported.
    """

    lineage: str
    name: str
    fate: Fate
    directory_url: str = ""
    domains: tuple[str, ...] = ()
    material: Material | None = None
    listed: bool = False
    why: str = ""
    hint: str = ""

    @property
    def planned(self) -> Planned:
        """Its table in a configuration; commented out if it is not imported."""
        kinds = tuple(pair.kind for pair in self.material.pairs) if self.material else (KeyKind.EC256,)
        remark = f"{self.lineage} was not imported: {self.why}" if self.fate is Fate.FAILED else ""
        return Planned(self.name, self.domains, kinds, remark)


@dataclass(frozen=True)
class Access:
    """An account to import."""

    directory_url: str
    fate: Fate
    account: Account | None = None
    why: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Plan:
    """The whole import; `directory_urls` are the CAs for a new configuration, the main one first."""

    heirs: Sequence[Imported]
    accesses: Sequence[Access]
    directory_urls: tuple[str, ...]
    email: str | None = None

    @property
    def failed(self) -> bool:
        """Whether anything could not be imported."""
        fates = [heir.fate for heir in self.heirs] + [access.fate for access in self.accesses]
        return Fate.FAILED in fates


@dataclass(frozen=True)
class Planner:
    """Plans an import; `settings` is the existing configuration, if any."""

    estate: Estate
    settings: Config | None
    now: datetime
    _names: set[str] = field(default_factory=set)

    def plan(self) -> Plan:
        """Return the plan, without regard to what is already stored."""
        sound, heirs = self._sound()
        directory_urls = self._servers([lineage for lineage, _ in sound])
        together: dict[frozenset[str], list[tuple[Lineage, Pair]]] = {}
        for lineage, pair in sound:
            together.setdefault(frozenset(pair.domains), []).append((lineage, pair))
        self._names.update(self.settings.certificates if self.settings else ())
        for group in together.values():
            heirs += self._decide(
                sorted(group, key=lambda one: one[1].not_after, reverse=True), directory_urls
            )
        first = next(
            (login for login in self.estate.logins if login.directory_url == directory_urls[0]), None
        )
        return Plan(heirs, list(self._accesses()), directory_urls, first.email if first else None)

    def _sound(self) -> tuple[list[tuple[Lineage, Pair]], list[Imported]]:
        """Return the certificates that are valid, and those that cannot be imported."""
        sound: list[tuple[Lineage, Pair]] = []
        lost = [_told(trouble) for trouble in self.estate.troubles]
        for lineage in self.estate.lineages:
            pair = None
            try:
                pair = keys.pair(lineage.key, lineage.chain)
                self._check(lineage, pair)
                sound.append((lineage, pair))
            except Refused as error:
                lost.append(self._lost(lineage, pair, error))
        return sound, lost

    def _check(self, lineage: Lineage, pair: Pair) -> None:
        if pair.not_after <= self.now:
            raise Refused(f"it expired on {pair.not_after:%Y-%m-%d}", hint=ANEW)
        if not lineage.directory_url:
            raise Refused("it is unknown which CA it is from", hint="name the CA's directory: --server URL")
        try:
            named(lineage.directory_url)
        except ConfigError as error:
            raise Refused(f"its CA: {error}", hint=ANEW) from None
        try:
            for name in pair.domains:
                domain(name)
            faults = [message for _, message in clashes(dict(enumerate(pair.domains)))]
        except ConfigError as error:
            faults = [f"one of its domains: {error}"]
        if faults or not pair.domains:
            raise Refused(
                faults[0] if faults else "it has no domains", hint="it cannot be renewed through the DNS"
            )

    def _lost(self, lineage: Lineage, pair: Pair | None, error: RenewerError) -> Imported:
        domains = pair.domains if pair else ()
        name = _called(lineage.name, domains)
        hint = error.hint or ANEW
        return Imported(
            lineage.name, name, Fate.FAILED, lineage.directory_url, domains, why=str(error), hint=hint
        )

    def _servers(self, sound: Sequence[Lineage]) -> tuple[str, ...]:
        """Return the CAs to order from: those configured, or those that issued, most certificates first.

        The staging CA is never a fallback, nor is a CA without an account, which might require registration.
        """
        if self.settings:
            own = self.settings.acme
            return (own.directory, *(other.directory for other in own.fallbacks))
        known = {login.directory_url for login in self.estate.logins}
        counted = Counter(lineage.directory_url for lineage in sound)
        ranked = sorted(counted, key=lambda url: (url == STAGING, url not in known, -counted[url]))
        head = ranked[:1] or [DIRECTORIES["letsencrypt"]]
        return (*head, *(url for url in ranked[1:] if url != STAGING and url in known))

    def _decide(
        self, group: Sequence[tuple[Lineage, Pair]], directory_urls: Sequence[str]
    ) -> Iterator[Imported]:
        """Yield what to do with the certificates for one set of domains, the latest expiry first."""
        head, newest = group[0]
        spec = self._spec(newest)
        name = spec.name if spec else _free(_called(head.name, newest.domains), self._names)
        self._names.add(name)
        pairs: dict[KeyKind, Pair] = {}
        for lineage, pair in group:
            if lineage.directory_url == head.directory_url:
                pairs.setdefault(pair.kind, pair)
        wanted = spec.keys if spec else tuple(sorted(pairs))
        chosen = tuple(pairs[kind] for kind in wanted if kind in pairs)
        heir = Imported(
            head.name, name, Fate.IMPORTED, head.directory_url, newest.domains, listed=spec is not None
        )
        try:
            self._admit(head, wanted, pairs, directory_urls)
        except Refused as error:
            yield replace(heir, fate=Fate.FAILED, why=str(error), hint=error.hint)
            return
        yield replace(heir, material=Material(chosen, head.directory_url, self.now))
        for lineage, pair in group[1:]:
            if pair not in chosen:
                why = f"{head.name} has the same domains and expires later"
                yield replace(heir, lineage=lineage.name, fate=Fate.KEPT, why=why)

    def _spec(self, pair: Pair) -> CertSpec | None:
        specs = self.settings.specs if self.settings else ()
        return next((spec for spec in specs if set(spec.domains) == set(pair.domains)), None)

    def _admit(
        self,
        head: Lineage,
        wanted: Sequence[KeyKind],
        pairs: Mapping[KeyKind, Pair],
        directory_urls: Sequence[str],
    ) -> None:
        """Raise `Refused` for a certificate that the next renew would replace at once."""
        if head.directory_url == STAGING and directory_urls[0] != STAGING:
            raise Refused("it is from Let's Encrypt's staging CA, which browsers do not trust", hint=ANEW)
        if head.directory_url not in directory_urls:
            known = any(login.directory_url == head.directory_url for login in self.estate.logins)
            server = called(head.directory_url)
            more = f'add [[acme.fallback]] with server = "{server}" to keep it until it is due'
            account = "" if known else ", for which there is no account"
            hint = more if self.settings else ANEW
            raise Refused(f"it is from another CA ({head.directory_url}){account}", hint=hint)
        if missing := set(wanted) - set(pairs):
            raise Refused(
                f"the configuration asks for keys of the kind {', '.join(sorted(missing))}",
                hint=f"set keys = {json.dumps(sorted(pairs))} for it, and import it again",
            )

    def _accesses(self) -> Iterator[Access]:
        for login in self.estate.logins:
            try:
                named(login.directory_url)
            except ConfigError as error:
                yield Access("unknown CA", Fate.FAILED, why=f"its directory: {error}")
            else:
                yield Access(login.directory_url, Fate.IMPORTED, Account(login.key, login.url))


def settle(plan: Plan, vault: State) -> Plan:
    """Return the plan adjusted to what is already stored, which is kept.

    The exception: a certificate that expires later replaces a stored one.
    """
    return replace(
        plan,
        heirs=[_beside(heir, vault) for heir in plan.heirs],
        accesses=[_access(access, vault) for access in plan.accesses],
    )


def keep(plan: Plan, vault: State) -> Plan:
    """Store what is to be imported; return the plan with the results."""
    return replace(
        plan,
        heirs=[_kept(heir, vault) for heir in plan.heirs],
        accesses=[_account(access, vault) for access in plan.accesses],
    )


def _beside(heir: Imported, vault: State) -> Imported:
    if heir.material is None:
        return heir
    if why := vault.known(heir.name).revoked(heir.material.fingerprints):
        return replace(heir, fate=Fate.FAILED, why=f"renewer has revoked it ({why})", hint=ANEW)
    there = vault.material(heir.name)
    if there is None:
        return heir
    if there.fingerprints == heir.material.fingerprints:
        return replace(heir, fate=Fate.KEPT, why="it was imported before")
    if there.not_after >= heir.material.not_after:
        return replace(heir, fate=Fate.KEPT, why=f"renewer has one that expires {there.not_after:%Y-%m-%d}")
    return heir


def _access(access: Access, vault: State) -> Access:
    try:
        there = vault.account(access.directory_url)
    except Refused as error:
        return replace(access, fate=Fate.FAILED, why=str(error), hint=error.hint)
    if there is None:
        return access
    same = access.account is not None and there.key == access.account.key
    return replace(access, fate=Fate.KEPT, why="it was imported before" if same else "renewer has its own")


def _kept(heir: Imported, vault: State) -> Imported:
    if heir.fate is not Fate.IMPORTED or heir.material is None:
        return heir
    try:
        with vault.certificate(heir.name) as ledger:
            ledger.keep(heir.material)
            ledger.succeeded()
    except RenewerError as error:
        return replace(heir, fate=Fate.FAILED, why=str(error), hint=error.hint)
    return heir


def _account(access: Access, vault: State) -> Access:
    if access.fate is not Fate.IMPORTED or access.account is None:
        return access
    try:
        vault.keep_account(access.directory_url, access.account)
    except RenewerError as error:
        return replace(access, fate=Fate.FAILED, why=str(error), hint=error.hint)
    return access


def _told(trouble: Unreadable) -> Imported:
    """Return an unreadable file as an import that failed."""
    anew = "the next order creates a new account" if trouble.subject.startswith("account ") else ANEW
    why, hint = str(trouble.error), trouble.error.hint or anew
    return Imported(trouble.subject, trouble.subject, Fate.FAILED, why=why, hint=hint)


def _called(lineage: str, domains: Sequence[str]) -> str:
    """Return our name for a certificate: the other client's, if that is a valid name here."""
    plain = lineage.lower().removesuffix("_ecc").removeprefix("_.").removeprefix("*.")
    return plain if not domains or _is_name(plain) else domains[0].removeprefix("*.")


def _is_name(text: str) -> bool:
    try:
        fields.certificate_name(text)
    except ConfigError:
        return False
    return True


def _free(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    return next(other for number in range(2, len(taken) + 3) if (other := f"{name}-{number}") not in taken)

"""Certificates from an ACME server: the account, and an order for each kind of key."""

import re
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from renewer.acme.client import Connection, translated
from renewer.acme.dns01 import Dns01
from renewer.acme.order import PairOrder
from renewer.acme.pool import Connections
from renewer.acme.problems import HINTS, Problem
from renewer.acme.rate_limiter import Allowance
from renewer.config import secrets
from renewer.config.acme import Acme
from renewer.core import x509
from renewer.core.errors import ConfigError, Refused, Transient
from renewer.core.interfaces import Clock, Journal, Report
from renewer.core.model import Account, CertSpec, KeyKind, Material, Pair, Reason, Window
from renewer.core.policy import ASK_DEFAULT
from renewer.core.rate_limits import Exemption
from renewer.store.state import State

_PAGE = re.compile(r"https?://[!-~]{1,500}")
"""The URLs of explanations that are shown to a person."""


@dataclass
class AcmeIssuer:
    """The `Issuer` for ACME servers; safe to use from threads, with one connection per active thread."""

    settings: Acme
    dns01: Dns01
    vault: State
    clock: Clock
    report: Report
    _account: threading.Lock = field(default_factory=threading.Lock)
    _allowances: dict[str, Allowance] = field(default_factory=dict)
    _connections: Connections = field(init=False)

    def __post_init__(self) -> None:
        """Prepare to open connections when they are needed."""
        self._connections = Connections(self._open, self.clock)

    def issue(self, spec: CertSpec, replaces: Material | None, journal: Journal) -> Material:
        """Obtain a certificate: one pair per kind of key; see `interfaces.Issuer`."""
        self.dns01.provider.begin()
        with translated(spec.directory_url):
            try:
                self._obtain(spec, replaces, journal)
            except Problem as problem:
                if problem.kind != "accountDoesNotExist":
                    raise
                self._forget_url(spec.directory_url)
                self._obtain(spec, replaces, journal)
        done = {pair.kind: pair for pair in self._finished(spec, replaces, journal)}
        return Material(tuple(done[kind] for kind in spec.keys), spec.directory_url, self.clock.now())

    def window(self, material: Material) -> Window | None:
        """Return the CA's suggestion of when to renew (RFC 9773, section 4); see `interfaces.Issuer`.

        Each pair has its own window, because each may be revoked separately; all pairs are renewed in the
        window that ends first.
        """
        with translated(material.directory_url):
            ca = self._connections.take(material.directory_url)
            told = [ca.renewal_info(pair.ari) for pair in material.pairs if pair.ari]
            self._connections.give_back(material.directory_url, ca)
        windows = [suggested(*one) for one in told if one]
        if not windows:
            return None
        first = min(windows, key=lambda window: window.end)
        return replace(first, retry_after=max(window.retry_after for window in windows))

    def revoke(self, material: Material, reason: Reason) -> None:
        """Revoke every pair at the CA that issued it (RFC 8555, section 7.6).

        See `interfaces.Issuer`.
        """
        with translated(material.directory_url):
            ca = self._session(material.directory_url)
            for pair in material.pairs:
                ca.revoke(pair.chain, reason.code)

    def cost(self, spec: CertSpec) -> str:
        """Return how much of the CA's rate limits an order would use; see `interfaces.Issuer`."""
        return self._allowance(spec.directory_url).cost(spec.domains)

    def require(self, spec: CertSpec, replaces: Material | None) -> None:
        """Raise `Transient` if a rate limit forbids an order now; see `interfaces.Issuer`."""
        self._allowance(spec.directory_url).require(spec.domains, self._exemption(replaces, spec))

    def tidy(self, name: str, journal: Journal) -> None:
        """Remove the TXT records of an earlier attempt; see `interfaces.Issuer`."""
        self.dns01.sweep(name, journal)

    def _obtain(self, spec: CertSpec, replaces: Material | None, journal: Journal) -> None:
        ca = self._session(spec.directory_url)
        for kind in spec.keys:
            if any(pair.kind == kind for pair in self._finished(spec, replaces, journal)):
                continue
            order = PairOrder(
                connections=self._connections,
                ca=ca,
                spec=spec,
                kind=kind,
                journal=journal,
                dns01=self.dns01,
                allowance=self._allowance(spec.directory_url),
                clock=self.clock,
                report=self.report,
            )
            pair = order.run(_identifier(replaces, spec, kind), self._exemption(replaces, spec))
            journal.save(journal.load().with_pair(pair, spec.directory_url))
        self._connections.give_back(spec.directory_url, ca)

    def _allowance(self, directory_url: str) -> Allowance:
        known = self.settings.limits_at(directory_url)
        allowance = Allowance(directory_url, known, self.vault, self.clock)
        return self._allowances.setdefault(directory_url, allowance)

    def _exemption(self, replaces: Material | None, spec: CertSpec) -> Exemption:
        """Return why an order is exempt from rate limits: it is in the CA's window, or a plain renewal."""
        if replaces is None or replaces.directory_url != spec.directory_url:
            return Exemption.NONE
        told, now = self.vault.suggestion(spec.name), self.clock.now()
        own = told is not None and told.ari == replaces.pairs[0].ari
        if told and own and told.start and told.end and told.start <= now <= told.end:
            return Exemption.ARI
        same = set(replaces.pairs[0].domains) == set(spec.domains)
        return Exemption.SAME_SET if same else Exemption.NONE

    def _finished(self, spec: CertSpec, replaces: Material | None, journal: Journal) -> tuple[Pair, ...]:
        """Return the pairs that this or an earlier run finished for the same request at this CA."""
        old = replaces.fingerprints if replaces else ()
        return tuple(
            pair
            for pair in journal.load().finished(spec.directory_url)
            if set(pair.domains) == set(spec.domains)
            and pair.fingerprint not in old
            and pair.not_after > self.clock.now()
        )

    def _session(self, directory_url: str) -> Connection:
        """Return a connection for our account; create the account if there is none."""
        ca = self._connections.take(directory_url)
        with self._account:
            account = self.vault.account(directory_url)
            if account is None:
                account = Account(x509.account_key())
                self.vault.keep_account(directory_url, account)
            ca.sign_with(account.key)
            url = account.url
            if url is None:
                url = self._register(ca, directory_url)
                self.vault.keep_account(directory_url, replace(account, url=url))
        ca.use(url)
        return ca

    def _open(self, directory_url: str) -> Connection:
        return Connection(directory_url, self.clock, self.settings.bundle_at(directory_url))

    def _forget_url(self, directory_url: str) -> None:
        with self._account:
            account = self.vault.account(directory_url)
            if account is not None:
                self.vault.keep_account(directory_url, replace(account, url=None))

    def _register(self, ca: Connection, directory_url: str) -> str:
        """Create the account; raises `ConfigError` without consent, `Refused` if the CA requires more."""
        if not self.settings.accept_terms:
            raise ConfigError(
                "[acme] accept_terms is false, and without it the CA gives no account",
                hint=f"read {ca.terms}, then set accept_terms = true",
            )
        told = self.settings.at(directory_url)
        kid, file = told.eab_kid, told.eab_hmac_key_file
        if kid and file:
            return self._register_bound(ca, kid, secrets.eab_hmac_key(file))
        if ca.customers_only:
            raise Refused(
                "the CA gives accounts only to its customers (external account binding)",
                hint=HINTS["externalAccountRequired"],
            )
        return ca.register(self.settings.email, None)

    def _register_bound(self, ca: Connection, kid: str, secret: str) -> str:
        try:
            return ca.register(self.settings.email, (kid, secret))
        except Problem as problem:
            if problem.passing:
                raise
            raise Refused(
                f"the CA gives no account for eab_kid {kid}: {problem}",
                hint="set [acme] eab_kid and the key in eab_hmac_key_file as the CA gave them to you",
            ) from problem


def suggested(document: object, retry_after: timedelta | None) -> Window:
    """Return the window in a CA's renewal information; raises `Transient` if it is malformed."""
    try:
        window = document["suggestedWindow"]  # type: ignore[index] # sent by the CA: may be anything
        start, end = (datetime.fromisoformat(window[edge]).astimezone(UTC) for edge in ("start", "end"))
        explanation = str(document.get("explanationURL"))  # type: ignore[attr-defined] # as above
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise Transient(f"the CA's renewal information makes no sense: {error!r}") from error
    if end <= start:
        raise Transient("the CA's renewal window ends before it starts")
    page = explanation if _PAGE.fullmatch(explanation) else None
    return Window(start, end, retry_after or ASK_DEFAULT, page)


def _identifier(material: Material | None, spec: CertSpec, kind: KeyKind) -> str | None:
    """Return the ARI identifier of the certificate that an order replaces, if from the same CA."""
    if material is None or material.directory_url != spec.directory_url:
        return None
    return next((pair.ari for pair in material.pairs if pair.kind == kind and pair.ari), None)

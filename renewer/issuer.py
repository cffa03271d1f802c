"""Certificates from an ACME server (RFC 8555), on `acme` and `josepy`: the only file that knows them.

`_Issuance.run` reads in the order of RFC 8555, section 7.4. Every step goes on from what the journal holds,
so what a run that died began is finished by the next one with the same order.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from acme import challenges, client, errors, messages
from josepy import errors as josepy_errors
from josepy.interfaces import JSONDeSerializable
from josepy.json_util import field as josepy_field
from josepy.jwa import ES256
from josepy.jwk import JWK

from renewer import __version__, credentials, keys
from renewer.config import Acme
from renewer.dns01 import Dns01
from renewer.errors import ConfigError, Refused, Transient
from renewer.model import Account, CertSpec, KeyKind, Material, Pair, PendingOrder, TxtRecord, Window
from renewer.policy import ASK_DEFAULT
from renewer.ports import Clock, Journal, Report
from renewer.problems import HINTS, URN, Problem, retry_after
from renewer.vault import Vault

NONCE_TRIES = 10
"""How often a request is sent for rejected nonces (RFC 8555, section 6.5) before that is an error."""

FIRST_POLL, LAST_POLL = 0.1, 5.0
"""Seconds between looks at an order when the CA sends no Retry-After; each wait is half as long again."""

PATIENCE = 300.0
"""Seconds that a CA may take to validate or to issue; some take more than Let's Encrypt."""

TIMEOUT = (10, 45)
"""Seconds to connect, and to wait for the next bytes of an answer."""


class _NewOrder(messages.NewOrder):
    """A new order that may say which certificate it replaces (RFC 9773, section 5)."""

    replaces: str | None = josepy_field("replaces", omitempty=True)


class _Network(client.ClientNetwork):
    """One run's connection to one CA: rejected nonces are tried again, and no word of an answer is lost."""

    def __init__(self, clock: Clock, ca_bundle: str | None, key: JWK | None = None) -> None:
        super().__init__(key, alg=ES256, user_agent=f"renewer/{__version__}")
        if ca_bundle:
            self.verify_ssl = ca_bundle  # type: ignore[assignment] # requests takes the path of a bundle too
        self._clock = clock

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", TIMEOUT)
        response = super()._send_request(method, url, *args, **kwargs)
        if not response.ok:
            raise Problem(response.status_code, _json(response), _asked(response, self._clock))
        return response

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a signed request, again with a fresh nonce for as long as nonces are what is refused."""
        for _ in range(NONCE_TRIES - 1):
            try:
                return self._post_once(*args, **dict(kwargs))
            except Problem as problem:
                if problem.kind != "badNonce":
                    raise
                self._nonces.clear()  # the others are as old as the one that was refused
        return self._post_once(*args, **kwargs)


@dataclass(frozen=True)
class AcmeIssuer:
    """Orders, proves, finalizes and checks; one connection for each call, safe to use from threads."""

    settings: Acme
    dns01: Dns01
    vault: Vault
    clock: Clock
    report: Report
    _account: threading.Lock = field(default_factory=threading.Lock)

    def issue(self, spec: CertSpec, replaces: Material | None, journal: Journal) -> Material:
        """Obtain a certificate, one pair for each kind of key; see `ports.Issuer`."""
        with _translated(spec.server):
            try:
                self._obtain(spec, replaces, journal)
            except Problem as problem:
                if problem.kind != "accountDoesNotExist":
                    raise
                self._forget_url(spec.server)
                self._obtain(spec, replaces, journal)
        done = {pair.kind: pair for pair in self._finished(spec, replaces, journal)}
        return Material(tuple(done[kind] for kind in spec.keys), spec.server)

    def window(self, material: Material) -> Window | None:
        """Return the CA's suggestion of when to renew (RFC 9773, section 4); see `ports.Issuer`."""
        with _translated(material.server):
            session = self._connect(material.server)
            url = _renewal_info(session)
            if url is None:
                return None
            response = session.net.get(f"{url.rstrip('/')}/{material.pairs[0].ari}")
            start, end, explanation = _suggested(response)
            return Window(start, end, _asked(response, self.clock) or ASK_DEFAULT, explanation)

    def tidy(self, name: str, journal: Journal) -> None:
        """Remove the TXT records of an earlier attempt; see `ports.Issuer`."""
        self.dns01.sweep(name, journal)

    def _obtain(self, spec: CertSpec, replaces: Material | None, journal: Journal) -> None:
        session = self._session(spec.server)
        for kind in spec.keys:
            if any(pair.kind == kind for pair in self._finished(spec, replaces, journal)):
                continue
            issuance = _Issuance(self, session, spec, kind, journal)
            pair = issuance.run(_identifier(replaces, spec, kind))
            journal.save(journal.load().with_pair(pair))

    def _finished(self, spec: CertSpec, replaces: Material | None, journal: Journal) -> tuple[Pair, ...]:
        """Return the pairs that this run, or one before it, finished for this very need."""
        old = replaces.fingerprints if replaces else ()
        return tuple(
            pair
            for pair in journal.load().done
            if set(pair.domains) == set(spec.domains)
            and pair.fingerprint not in old
            and pair.not_after > self.clock.now()
        )

    def _connect(self, server: str, key: JWK | None = None) -> client.ClientV2:
        bundle = self.settings.ca_bundle
        net = _Network(self.clock, str(bundle) if bundle else None, key)
        return client.ClientV2(client.ClientV2.get_directory(server, net), net)

    def _session(self, server: str) -> client.ClientV2:
        """Return a connection as our account, which is made where there is none."""
        with self._account:
            account = self.vault.account(server)
            if account is None:
                account = Account(keys.account_key())
                self.vault.keep_account(server, account)
            session = self._connect(server, JWK.load(account.key.encode()))
            if account.url is None:
                account = replace(account, url=self._register(session))
                self.vault.keep_account(server, account)
        session.net.account = messages.RegistrationResource(uri=account.url, body=messages.Registration())
        return session

    def _forget_url(self, server: str) -> None:
        account = self.vault.account(server)
        if account is not None:
            self.vault.keep_account(server, replace(account, url=None))

    def _register(self, session: client.ClientV2) -> str:
        """Make the account, or find it by its key (RFC 8555, section 7.3.1); return its URL."""
        if not self.settings.accept_terms:
            terms = session.directory.meta.terms_of_service or "the CA's terms"
            raise ConfigError(
                "[acme] accept_terms is false, and without it the CA gives no account",
                hint=f"read {terms}, then set accept_terms = true",
            )
        wanted = messages.NewRegistration.from_data(
            email=self.settings.email,
            terms_of_service_agreed=True,
            external_account_binding=self._binding(session),
        )
        try:
            return str(session.new_account(wanted).uri)
        except errors.ConflictError as known:
            return str(known.location)

    def _binding(self, session: client.ClientV2) -> dict[str, Any] | None:
        """Return the proof of an account that the CA gave out elsewhere (RFC 8555, section 7.3.4)."""
        kid, file = self.settings.eab_kid, self.settings.eab_hmac_key_file
        if kid and file and session.net.key:
            secret = credentials.read_secret(file, "acme.eab_hmac_key_file")
            account = session.net.key.public_key()
            return messages.ExternalAccountBinding.from_data(account, kid, secret, session.directory)
        if session.external_account_required():
            raise Refused(
                "the CA gives accounts only to its customers (external account binding)",
                hint=HINTS["externalAccountRequired"],
            )
        return None


@dataclass
class _Issuance:
    """One order, from newOrder to a chain that was checked."""

    issuer: AcmeIssuer
    session: client.ClientV2
    spec: CertSpec
    kind: KeyKind
    journal: Journal

    def run(self, replaces: str | None) -> Pair:
        order, url = self._resume() or self._order(replaces)
        if order.status == messages.STATUS_PENDING:
            order = self._prove(order, url)
        if order.status == messages.STATUS_READY:
            self._doing("finalizing the order")
            order = self._finalize(order)
        if order.status != messages.STATUS_VALID:
            order = self._poll(url, "to issue", messages.STATUS_VALID)
        return self._download(order)

    def _resume(self) -> tuple[messages.Order, str] | None:
        """Return the order that the journal holds, if it is for this need and the CA still has it."""
        pending = self.journal.load().order
        if pending is None or pending.url is None or not self._fits(pending):
            return None
        try:
            order = _order(self._post(pending.url))
        except Problem as problem:
            if problem.passing:
                raise
            return None
        return None if order.status == messages.STATUS_INVALID else (order, pending.url)

    def _fits(self, pending: PendingOrder) -> bool:
        wanted = (self.kind, set(self.spec.domains), self.spec.server)
        return (pending.kind, set(pending.domains), pending.server) == wanted

    def _order(self, replaces: str | None) -> tuple[messages.Order, str]:
        """Place a new order; key and CSR are in the journal before, its URL right after."""
        domains, server = self.spec.domains, self.spec.server
        self._doing("finding the DNS zone")
        self.issuer.dns01.check(domains)
        self._doing("placing an order")
        key = keys.generate(self.kind)
        pending = PendingOrder(self.kind, domains, server, key, keys.csr(key, domains))
        self.journal.save(self.journal.load().with_order(pending))
        response = self._new_order(replaces)
        url = response.headers["Location"]
        self.journal.save(self.journal.load().with_order(replace(pending, url=url)))
        return _order(response), url

    def _new_order(self, replaces: str | None) -> requests.Response:
        """Send newOrder; a CA that refuses `replaces` gets it once more without (RFC 9773, section 5)."""
        identifiers = [
            messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=domain) for domain in self.spec.domains
        ]
        named = replaces if _renewal_info(self.session) else None
        order = _NewOrder(identifiers=identifiers, profile=self.spec.profile, replaces=named)
        url = self.session.directory["newOrder"]
        try:
            return self._post(url, order)
        except Problem as problem:
            if named is None or problem.passing:
                raise
        return self._post(url, order.update(replaces=None))

    def _prove(self, order: messages.Order, url: str) -> messages.Order:
        """Show the TXT records, answer every challenge, and wait until the CA is satisfied."""
        wanted = [
            found for authorization in order.authorizations if (found := self._challenge(authorization))
        ]
        with self.issuer.dns01.shown(self.spec.name, [record for record, _ in wanted], self.journal):
            self._doing("answering the CA's challenges")
            for _, challenge in wanted:
                if challenge.status == messages.STATUS_PENDING:
                    self._post(challenge.uri, challenge.response(self.session.net.key))
            return self._poll(url, "to validate", messages.STATUS_READY, messages.STATUS_VALID)

    def _challenge(self, url: str) -> tuple[TxtRecord, messages.ChallengeBody] | None:
        """Return the record that an authorization asks for and where to answer; `None` if it is valid."""
        authorization = messages.Authorization.from_json(self._post(url).json())
        if authorization.status == messages.STATUS_VALID:
            return None
        for challenge in authorization.challenges:
            if isinstance(challenge.chall, challenges.DNS01):
                name = challenge.chall.validation_domain_name(authorization.identifier.value)
                return TxtRecord(name, challenge.chall.validation(self.session.net.key)), challenge
        raise Refused(
            f"the CA offers no dns-01 challenge for {authorization.identifier.value}",
            hint="take a CA that offers it; wildcard names need it",
        )

    def _finalize(self, order: messages.Order) -> messages.Order:
        request = messages.CertificateRequest(csr=keys.read_csr(self._pending.csr))
        return _order(self._post(order.finalize, request))

    def _poll(self, url: str, purpose: str, *until: messages.Status) -> messages.Order:
        """Look at the order until it has one of the statuses; obeys Retry-After (RFC 8555, section 7.4)."""
        self._doing(f"waiting for the CA {purpose}")
        clock, pause = self.issuer.clock, FIRST_POLL
        end = clock.monotonic() + PATIENCE
        while True:
            response = self._post(url)
            order = _order(response)
            if order.status in until:
                return order
            if order.status == messages.STATUS_INVALID:
                raise self._why_invalid(order)
            asked = _asked(response, clock)
            wait = pause if asked is None else asked.total_seconds()
            if clock.monotonic() + wait > end:
                raise Transient(
                    f"the CA takes more than {PATIENCE:.0f} seconds {purpose}",
                    hint="the next run goes on with the same order",
                )
            clock.sleep(wait)
            pause = min(pause * 1.5, LAST_POLL)

    def _why_invalid(self, order: messages.Order) -> Refused:
        """Return the CA's reasons, which stand in the challenges; the order is given up."""
        self.journal.save(self.journal.load().with_order(None))
        reasons, hint = ([order.error.detail], "") if order.error else ([], "")
        for url in order.authorizations:
            seen = messages.Authorization.from_json(self._post(url).json())
            for challenge in seen.challenges:
                if challenge.error:
                    reasons.append(f"{seen.identifier.value}: {challenge.error.detail}")
                    hint = HINTS.get(challenge.error.typ.removeprefix(URN), hint)
        said = "; ".join(filter(None, reasons)) or "without a reason"
        return Refused(f"the CA declared the order invalid: {said}", hint=hint, spent=True)

    def _download(self, order: messages.Order) -> Pair:
        """Fetch the chain; it is kept only if it is what was ordered."""
        pending = self._pending
        chain = self._post(str(order.certificate)).text
        try:
            pair = keys.read_pair(pending.kind, pending.key, chain)
            keys.check_pair(pair, self.spec.domains, self.issuer.clock.now())
        except Refused as refusal:
            self.journal.save(self.journal.load().with_order(None))  # it would be wrong the next time too
            raise Refused(str(refusal), hint=refusal.hint, spent=True) from refusal
        return pair

    @property
    def _pending(self) -> PendingOrder:
        pending = self.journal.load().order
        if pending is None:
            raise Transient("the journal of the order is gone", hint="run this again for a new order")
        return pending

    def _post(self, url: str, body: JSONDeSerializable | None = None) -> requests.Response:
        """Send a request, or fetch with none (POST-as-GET; RFC 8555, section 6.3)."""
        return self.session.net.post(url, body, new_nonce_url=self.session.directory["newNonce"])

    def _doing(self, what: str) -> None:
        self.issuer.report.doing(self.spec.name, what)


def _identifier(material: Material | None, spec: CertSpec, kind: KeyKind) -> str | None:
    """Return the ARI identifier of what an order takes the place of; only the same CA knows it."""
    if material is None or material.server != spec.server:
        return None
    return next((pair.ari for pair in material.pairs if pair.kind == kind and pair.ari), None)


def _renewal_info(session: client.ClientV2) -> str | None:
    try:
        return str(session.directory["renewalInfo"])
    except KeyError:
        return None


def _order(response: requests.Response) -> messages.Order:
    order: messages.Order = messages.Order.from_json(response.json())
    return order


def _asked(response: requests.Response, clock: Clock) -> timedelta | None:
    """Return how long the CA asks to be left alone."""
    return retry_after(response.headers.get("Retry-After", ""), clock.now())


def _json(response: requests.Response) -> object:
    try:
        return response.json()
    except ValueError:
        return None


def _suggested(response: requests.Response) -> tuple[datetime, datetime, str | None]:
    """Return start, end and explanation of a renewal window; raises `Transient` for nonsense."""
    try:
        document = response.json()
        start, end = (
            datetime.fromisoformat(document["suggestedWindow"][edge]).astimezone(UTC)
            for edge in ("start", "end")
        )
        explanation = document.get("explanationURL")
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise Transient(f"the CA's renewal information makes no sense: {error!r}") from error
    if end <= start:
        raise Transient("the CA's renewal window ends before it starts")
    return start, end, str(explanation) if explanation else None


@contextmanager
def _translated(server: str) -> Iterator[None]:
    """Turn what `acme` and `requests` raise into errors that say what to do."""
    try:
        yield
    except Problem as problem:
        raise problem.explained(server) from problem
    except requests.exceptions.SSLError as error:
        raise Refused(
            f"the certificate of the CA at {server} is not trusted: {_cause(error)}",
            hint="for a private CA set [acme] ca_bundle to its root; otherwise check this machine's clock",
        ) from error
    except requests.exceptions.RequestException as error:
        raise Transient(
            f"the CA at {server} cannot be reached: {_cause(error)}",
            hint="check [acme] server and this machine's network; nothing is lost, the next run tries again",
        ) from error
    except (errors.Error, josepy_errors.Error, KeyError, ValueError) as error:
        raise Transient(
            f"the CA at {server} gave an answer that makes no sense: {error!r}",
            hint="check that [acme] server is the URL of an ACME directory",
        ) from error


def _cause(error: BaseException) -> str:
    """Return the innermost reason: the outer ones only repeat the URL."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error)

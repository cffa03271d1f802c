"""One connection to an ACME server (RFC 8555), on `acme` and `josepy`: the only file that knows them.

Each method is one request of the protocol. Answers are returned as plain values; errors are raised as
`Problem` (with the CA's own message), or as the errors of the program.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import requests
from acme import challenges, client, errors, messages
from josepy import errors as josepy_errors
from josepy.interfaces import JSONDeSerializable
from josepy.json_util import field
from josepy.jwa import ES256, ES384, ES512, RS256
from josepy.jwk import JWK, JWKRSA

from renewer import __version__
from renewer.acme import transport
from renewer.acme.problems import URN, Problem
from renewer.acme.resources import Challenge, Order
from renewer.core import x509
from renewer.core.clock_skew import refuse_wrong_clock
from renewer.core.errors import Refused, Transient
from renewer.core.http_headers import behind, retry_after
from renewer.core.interfaces import Clock
from renewer.core.journal import TxtRecord

NONCE_TRIES = 10
"""How often a request is sent if its nonce is rejected (RFC 8555, section 6.5) before it fails."""

LISTED_PAGES, LISTED_ORDERS, AUTHORIZATIONS = 50, 10, 200
"""The most pages of an account's list of orders, the most orders that are read, and the most authorizations
of an order: there need not be one for each name, but no CA takes more than 100 names."""


class _NewOrder(messages.NewOrder):
    """A new order that may say which certificate it replaces (RFC 9773, section 5)."""

    replaces: str | None = field("replaces", omitempty=True)


class _Network(client.ClientNetwork):
    """The underlying connection: retries rejected nonces, and keeps the whole text of an answer."""

    def __init__(self, clock: Clock, ca_bundle: Path | None) -> None:
        super().__init__(alg=ES256, user_agent=f"renewer/{__version__}")
        transport.prepare(self.session)
        if ca_bundle:
            self.verify_ssl = str(ca_bundle)  # type: ignore[assignment] # requests takes a bundle's path too
        self._clock = clock
        self.behind: timedelta | None = None
        """By how much the system clock was behind the CA's at its last answer."""
        self.round_trip = 0.0
        """Duration of the last request, in seconds."""

    def twin(self) -> "_Network":
        """Return a separate connection for the same account."""
        other = _Network(self._clock, None)
        other.verify_ssl, other.alg = self.verify_ssl, self.alg
        other.key, other.account = self.key, self.account
        return other

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs |= {"timeout": transport.TIMEOUT, "allow_redirects": False}
        ask = partial(super()._send_request, method, url, *args, **kwargs)
        response = transport.peer(url).within(transport.ANSWER, ask)
        date, now = response.headers.get("Date", ""), self._clock.now()
        refuse_wrong_clock(date, now)
        self.behind = behind(date, now)
        self.round_trip = response.elapsed.total_seconds()
        if not response.ok:
            raise Problem(response.status_code, _json(response), asked_to_wait(response, self._clock))
        return response

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a signed request; as long as only its nonce is rejected, retry with a fresh one."""
        end = self._clock.monotonic() + transport.ANSWER
        for _ in range(NONCE_TRIES - 1):
            try:
                return self._post_once(*args, **dict(kwargs))
            except Problem as problem:
                if problem.kind != "badNonce" or self._clock.monotonic() > end:
                    raise
                self._nonces.clear()  # the others are as old as the rejected one
        return self._post_once(*args, **kwargs)


class Connection:
    """A connection to the CA at `directory_url`, for one thread; signs requests once it has a key.

    Creating it fetches the directory (RFC 8555, section 7.1.1).
    """

    def __init__(self, directory_url: str, clock: Clock, ca_bundle: Path | None) -> None:
        self._clock = clock
        self._net = _Network(clock, ca_bundle)
        with _understood():
            self._directory = client.ClientV2.get_directory(directory_url, self._net)
        self._client = client.ClientV2(self._directory, self._net)

    def twin(self) -> "Connection":
        """Return another connection to the same CA for the same account, without a request."""
        other = copy(self)
        other._net = self._net.twin()  # noqa: SLF001 - one of our own kind
        other._client = client.ClientV2(self._directory, other._net)  # noqa: SLF001 - the same
        return other

    @property
    def round_trip(self) -> float:
        """Duration of the last request to the CA, in seconds."""
        return self._net.round_trip

    @property
    def terms(self) -> str:
        """The URL of the CA's terms of service."""
        return self._directory.meta.terms_of_service or "the CA's terms of service"

    @property
    def customers_only(self) -> bool:
        """Whether an account requires an external account binding."""
        return self._client.external_account_required()

    @property
    def profiles(self) -> tuple[str, ...]:
        """The profiles that the CA offers, if any."""
        return tuple(self._directory.meta.profiles or ())

    @property
    def caa_identities(self) -> tuple[str, ...]:
        """The CA's names in CAA records (RFC 8659), if it publishes them."""
        return tuple(self._directory.meta.caa_identities or ())

    @property
    def behind(self) -> timedelta | None:
        """By how much the system clock is behind the CA's; `None` if the CA sends no date."""
        return self._net.behind

    def sign_with(self, key: str) -> None:
        """Sign from now on with this private key (PEM), without an account yet.

        Our own keys are P-256; an imported one may be of another kind.
        """
        self._net.key, self._net.account = JWK.load(key.encode()), None
        signed = {256: ES256, 384: ES384, 521: ES512}
        rsa = isinstance(self._net.key, JWKRSA)
        self._net.alg = RS256 if rsa else signed[self._net.key.key.key_size]

    def register(self, email: str | None, binding: tuple[str, str] | None) -> str:
        """Create an account, or find it by its key (sections 7.3, 7.3.1); return its URL.

        `binding` is the id and the HMAC key of an external account (section 7.3.4).
        """
        proof = None
        if binding and self._net.key:
            public = self._net.key.public_key()
            proof = messages.ExternalAccountBinding.from_data(public, *binding, self._directory)
        wanted = messages.NewRegistration.from_data(
            email=email, terms_of_service_agreed=True, external_account_binding=proof
        )
        with _understood():
            try:
                return transport.secure(str(self._client.new_account(wanted).uri))
            except errors.ConflictError as known:
                return transport.secure(str(known.location))

    def use(self, account: str) -> None:
        """Sign from now on as the account with this URL."""
        self._net.account = messages.RegistrationResource(uri=account, body=messages.Registration())

    def new_order(self, domains: Sequence[str], profile: str | None, replaces: str | None) -> Order:
        """Place an order (section 7.4); `replaces` is omitted if the CA does not support ARI."""
        identifiers = [messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=domain) for domain in domains]
        named = replaces if self._renewal_info else None
        order = _NewOrder(identifiers=identifiers, profile=profile, replaces=named)
        try:
            return self._placed(order)
        except Problem as problem:
            if named is None or problem.passing:
                raise
        return self._placed(order.update(replaces=None))  # RFC 9773, section 5: `replaces` is optional

    def orders(self) -> Iterator[Order]:
        """Yield the account's latest orders, if the CA lists them, newest first (section 7.1.2.1)."""
        account = _json(self._post(str(self._net.account.uri))) if self._net.account else None
        page = account.get("orders") if isinstance(account, dict) else None
        urls: list[str] = []
        for _ in range(LISTED_PAGES):
            if not isinstance(page, str):
                break
            response = self._post(page)
            listed = _json(response)
            found = listed.get("orders") if isinstance(listed, dict) else None
            urls = [*urls, *map(str, found if isinstance(found, list) else ())][-LISTED_ORDERS:]
            page = response.links.get("next", {}).get("url")
        for url in reversed(urls):
            yield self.order(url)

    def order(self, url: str) -> Order:
        """Fetch an order."""
        return self._order(url, self._post(url))

    def challenge(self, authorization: str) -> Challenge | None:
        """Return the dns-01 challenge of an authorization (section 7.5), or `None` if it is valid."""
        with _understood():
            seen = messages.Authorization.from_json(self._post(authorization).json())
            if seen.status == messages.STATUS_VALID:
                return None
            for body in seen.challenges:
                if isinstance(body.chall, challenges.DNS01):
                    name = body.chall.validation_domain_name(seen.identifier.value)
                    record = TxtRecord(name, body.chall.validation(self._net.key))
                    return Challenge(record, body.uri if body.status == messages.STATUS_PENDING else None)
        raise Refused(
            f"the CA offers no dns-01 challenge for {seen.identifier.value}",
            hint="take a CA that offers it; wildcard names need it",
        )

    def answer(self, challenge: Challenge) -> None:
        """Ask the CA to validate the challenge (section 7.5.1)."""
        if challenge.url:
            self._post(challenge.url, challenges.DNS01Response(key_authorization=""))

    def finalize(self, order: Order, csr: str) -> Order:
        """Send the signing request (PEM; section 7.4)."""
        request = messages.CertificateRequest(csr=x509.read_csr(csr))
        return self._order(order.url, self._post(order.finalize, request))

    def download(self, url: str) -> str:
        """Fetch a chain (PEM, leaf first; section 7.4.2)."""
        return self._post(url).text

    def revoke(self, chain: str, reason: int) -> None:
        """Revoke the first certificate of a chain (PEM; section 7.6); it may already be revoked."""
        try:
            with _understood():
                self._client.revoke(x509.leaf(chain), reason)
        except Problem as problem:
            if problem.kind != "alreadyRevoked":
                raise

    def complaints(self, order: Order) -> Iterator[tuple[str, str]]:
        """Yield the reasons why an order is invalid: error type (section 6.7) and message."""
        if order.error:
            yield "", order.error
        for url in order.authorizations:
            with _understood():
                seen = messages.Authorization.from_json(self._post(url).json())
                told = [body.error for body in seen.challenges if body.error]
                name = seen.identifier.value
            for error in told:
                yield error.typ.removeprefix(URN), f"{name}: {error.detail}"

    def renewal_info(self, ari: str) -> tuple[object, timedelta | None] | None:
        """Return the renewal information of a certificate (RFC 9773, section 4.2), or `None`."""
        if self._renewal_info is None:
            return None
        with _understood():
            response = self._net.get(f"{self._renewal_info.rstrip('/')}/{ari}")
        return _json(response), asked_to_wait(response, self._clock)

    @property
    def _renewal_info(self) -> str | None:
        try:
            return str(self._directory["renewalInfo"])
        except KeyError:
            return None

    def _placed(self, order: _NewOrder) -> Order:
        with _understood():
            response = self._post(self._directory["newOrder"], order)
            return self._order(response.headers["Location"], response)

    def _order(self, url: str, response: requests.Response) -> Order:
        with _understood():
            body = messages.Order.from_json(response.json())
            if len(body.authorizations) > AUTHORIZATIONS:
                raise ValueError(f"{len(body.authorizations)} authorizations for one order")
            return Order(
                url=transport.secure(url),
                status=body.status.name,
                domains=frozenset(identifier.value for identifier in body.identifiers),
                authorizations=tuple(map(transport.secure, body.authorizations)),
                finalize=transport.secure(body.finalize),
                certificate=body.certificate and transport.secure(body.certificate),
                error=(body.error.detail or "") if body.error else "",
                retry_after=asked_to_wait(response, self._clock),
            )

    def _post(self, url: str, body: JSONDeSerializable | None = None) -> requests.Response:
        """Send a request; without a body, fetch the URL (POST-as-GET, section 6.3)."""
        with _understood():
            return self._net.post(url, body, new_nonce_url=self._directory["newNonce"])


def asked_to_wait(response: requests.Response, clock: Clock) -> timedelta | None:
    """Return how long the CA asks clients to wait."""
    return retry_after(response.headers.get("Retry-After", ""), clock.now())


@contextmanager
def translated(directory_url: str) -> Iterator[None]:
    """Translate errors of the CA into errors that say what to do."""
    try:
        yield
    except Problem as problem:
        raise problem.explained(directory_url) from problem
    except requests.exceptions.SSLError as error:
        raise Refused(
            f"the certificate of the CA at {directory_url} is not trusted: {_cause(error)}",
            hint="for a private CA set its own ca_bundle to its root; otherwise check this machine's clock",
        ) from error
    except requests.exceptions.RequestException as error:
        raise Transient(
            f"the CA at {directory_url} cannot be reached: {_cause(error)}",
            hint="check [acme] server and this machine's network; nothing is lost, the next run tries again",
        ) from error
    except errors.Error as error:
        raise Transient(
            f"the CA at {directory_url} gave an answer that makes no sense: {_cause(error) or repr(error)}",
            hint="check that [acme] server is the URL of an ACME directory",
        ) from error


@contextmanager
def _understood() -> Iterator[None]:
    """Raise a proper error for an answer that violates the protocol; it is not a bug of ours."""
    try:
        yield
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError, josepy_errors.Error) as error:
        raise errors.ClientError(f"not what RFC 8555 says: {error!r}") from error


def _json(response: requests.Response) -> object:
    try:
        return response.json()
    except (RecursionError, ValueError):
        return None


def _cause(error: BaseException) -> str:
    """Return the message of the innermost error; the outer ones only repeat the URL."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error)

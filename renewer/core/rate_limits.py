"""A CA's rate limits, and the history of this account that counts against them. Pure.

Limits are counted over a sliding window, which never allows more than the refilling buckets that CAs use.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


class EventKind(StrEnum):
    """What is counted."""

    ORDER = "order"
    CERTIFICATE = "certificate"
    FAILED_AUTHORIZATION = "failed authorization"


class LimitScope(StrEnum):
    """What it is counted for."""

    ACCOUNT = "account"
    SET = "set"
    DOMAIN = "domain"
    NAME = "name"


class Exemption(StrEnum):
    """Why an order may not count: a renewal of the same names, or one that ARI asked for (RFC 9773)."""

    NONE = "none"
    SAME_SET = "same set"
    ARI = "ari"


@dataclass(frozen=True)
class Rule:
    """What is counted, and for what; orders with an exemption in `exempt` neither count nor are held back."""

    kind: EventKind
    scope: LimitScope
    exempt: frozenset[Exemption] = frozenset()


@dataclass(frozen=True)
class Limit:
    """At most `count` in each `period`."""

    rule: Rule
    count: int
    period: timedelta


@dataclass(frozen=True)
class Event:
    """An event that counts, for these names; of several about one `order` (its URL), only the last counts."""

    at: datetime
    kind: EventKind
    names: tuple[str, ...]
    exemption: Exemption = Exemption.NONE
    order: str = ""


@dataclass(frozen=True)
class Told:
    """A Retry-After of the CA: no orders until then with these names; without names, no orders at all."""

    until: datetime
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """The events of an account at one CA, and what the CA asked for."""

    events: tuple[Event, ...] = ()
    told: tuple[Told, ...] = ()


@dataclass(frozen=True)
class Hold:
    """Why an order has to wait, and until when."""

    until: datetime
    reason: str


WEEK = timedelta(days=7)

_reading = threading.Lock()

_RENEWALS = frozenset({Exemption.SAME_SET, Exemption.ARI})

ORDERS = Rule(EventKind.ORDER, LimitScope.ACCOUNT, _RENEWALS)
PER_DOMAIN = Rule(EventKind.CERTIFICATE, LimitScope.DOMAIN, _RENEWALS)
PER_SET = Rule(EventKind.CERTIFICATE, LimitScope.SET, frozenset({Exemption.ARI}))
FAILURES = Rule(EventKind.FAILED_AUTHORIZATION, LimitScope.NAME)


def _lets_encrypt(orders: int, per_domain: int, per_set: int, failures: int) -> tuple[Limit, ...]:
    return (
        Limit(ORDERS, orders, timedelta(hours=3)),
        Limit(PER_DOMAIN, per_domain, WEEK),
        Limit(PER_SET, per_set, WEEK),
        Limit(FAILURES, failures, timedelta(hours=1)),
    )


BUILT_IN: Mapping[str, tuple[Limit, ...]] = {
    "https://acme-v02.api.letsencrypt.org/directory": _lets_encrypt(300, 50, 5, 5),
    "https://acme-staging-v02.api.letsencrypt.org/directory": _lets_encrypt(1500, 30000, 30000, 200),
}
"""Let's Encrypt's limits by directory URL (letsencrypt.org/docs/rate-limits, 2026-08-05)."""


def held(
    history: History, limits: Iterable[Limit], names: Sequence[str], now: datetime, exemption: Exemption
) -> Hold | None:
    """Return why an order for these names has to wait, and until when; `None` if it may be sent."""
    holds = [
        Hold(told.until, "the CA asked for no requests until then (Retry-After)")
        for told in history.told
        if told.until > now and (not told.names or _same(told.names, names))
    ]
    holds += [hold for limit in limits for hold in _full(history, limit, names, now, exemption)]
    return max(holds, key=lambda hold: hold.until, default=None)


def cost(history: History, limits: Iterable[Limit], names: Sequence[str], now: datetime) -> list[str]:
    """Return what an order for these names would use up, a phrase for each limit."""
    return [
        f"{_ordinal(len(used) + 1, limit.count)} {_counted(limit, scope)}"
        for limit in limits
        if limit.rule.kind is not EventKind.FAILED_AUTHORIZATION
        for scope, used in _used(history, limit, names, now)
    ]


def noted(history: History, event: Event, now: datetime) -> History:
    """Return the history with an event, in place of any of the same order, and without expired ones."""
    others = (one for one in history.events if not event.order or one.order != event.order)
    events = [one for one in (*others, event) if now - one.at < WEEK]
    return replace(history, events=tuple(events))


def told(history: History, word: Told, now: datetime) -> History:
    """Return the history with a Retry-After, and without those that are over."""
    return replace(history, told=(*(one for one in history.told if one.until > now), word))


def registered(name: str) -> str:
    """Return the registered domain of a name: one label below a public suffix (publicsuffix.org)."""
    plain = _plain(name)
    with _reading:  # otherwise each of many threads would read the list
        suffixes = _suffixes()
    return suffixes.privatesuffix(plain) or plain


def _full(
    history: History, limit: Limit, names: Sequence[str], now: datetime, exemption: Exemption
) -> Iterator[Hold]:
    if exemption in limit.rule.exempt:
        return
    for scope, used in _used(history, limit, names, now):
        if len(used) >= limit.count:
            until = used[len(used) - limit.count] + limit.period
            yield Hold(until, f"{len(used)} of {limit.count} {_counted(limit, scope)} are used up")


def _used(
    history: History, limit: Limit, names: Sequence[str], now: datetime
) -> Iterator[tuple[str, list[datetime]]]:
    """Yield each scope of a limit, with the times it was used in the period, oldest first."""
    for scope, concerns in _scopes(limit.rule.scope, names):
        yield (
            scope,
            sorted(
                event.at
                for event in history.events
                if event.kind is limit.rule.kind
                and event.exemption not in limit.rule.exempt
                and now - event.at < limit.period
                and concerns(event.names)
            ),
        )


def _scopes(scope: LimitScope, names: Sequence[str]) -> Iterator[tuple[str, Callable[[Sequence[str]], bool]]]:
    match scope:
        case LimitScope.ACCOUNT:
            yield "", lambda _: True
        case LimitScope.SET:
            yield "exactly these names", lambda others: _same(others, names)
        case LimitScope.DOMAIN:
            for domain in sorted({registered(name) for name in names}):
                yield domain, partial(_concerns, registered, domain)
        case LimitScope.NAME:
            for name in sorted({_plain(name) for name in names}):
                yield name, partial(_concerns, _plain, name)


def _concerns(key: Callable[[str], str], wanted: str, names: Sequence[str]) -> bool:
    return wanted in map(key, names)


@cache
def _suffixes() -> "PublicSuffixList":
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415  (reads the whole list: 60 ms)

    return PublicSuffixList()


def _same(some: Iterable[str], others: Iterable[str]) -> bool:
    return set(some) == set(others)


def _plain(name: str) -> str:
    return name.removeprefix("*.")


def _ordinal(number: int, count: int) -> str:
    return f"number {number} of {count}"


def _counted(limit: Limit, scope: str) -> str:
    days, hours = divmod(limit.period, timedelta(days=1))
    period = f"{days} days" if days else f"{hours / timedelta(hours=1):g} hours"
    return f"{limit.rule.kind}s{f' for {scope}' if scope else ''} in {period}"

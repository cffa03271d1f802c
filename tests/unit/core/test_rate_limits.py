"""How many orders a CA takes."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList
from support.fakes import DAY, NOW

from renewer.core import rate_limits
from renewer.core.rate_limits import BUILT_IN, Event, EventKind, Exemption, History, Limit, Told

HOUR = timedelta(hours=1)
PRODUCTION = BUILT_IN["https://acme-v02.api.letsencrypt.org/directory"]
A, B = ("a.example.com", "*.a.example.com"), ("b.example.com",)


def made(*ages: timedelta, kind: EventKind = EventKind.CERTIFICATE, names: Sequence[str] = A) -> History:
    return History(tuple(Event(NOW - age, kind, tuple(names)) for age in ages))


def held(
    history: History, names: Sequence[str] = A, exemption: Exemption = Exemption.NONE
) -> rate_limits.Hold | None:
    return rate_limits.held(history, PRODUCTION, names, NOW, exemption)


class TestHolding:
    def test_the_sixth_certificate_for_the_same_names_has_to_wait(self) -> None:
        assert held(made(*[DAY] * 4)) is None
        hold = held(made(6 * DAY, 5 * DAY, 4 * DAY, 3 * DAY, 2 * DAY))
        assert hold is not None
        assert hold.until == NOW + DAY
        assert hold.reason == "5 of 5 certificates for exactly these names in 7 days are used up"

    def test_the_order_of_names_makes_no_other_set_and_another_name_does(self) -> None:
        history = made(*[DAY] * 5)
        assert held(history, A[::-1]) is not None
        assert held(history, (*A, "c.example.com")) is None

    @pytest.mark.parametrize(
        ("exemption", "waits"), [(Exemption.NONE, True), (Exemption.SAME_SET, True), (Exemption.ARI, False)]
    )
    def test_only_what_the_ca_suggested_may_be_the_sixth(self, exemption: Exemption, *, waits: bool) -> None:
        assert (held(made(*[DAY] * 5), A, exemption) is not None) == waits

    def test_what_was_exempt_does_not_count(self) -> None:
        events = [Event(NOW - DAY, EventKind.CERTIFICATE, A, Exemption.ARI)] * 9
        assert held(History(tuple(events))) is None

    def test_fifty_certificates_for_a_registered_domain_are_all(self) -> None:
        others = [Event(NOW - DAY, EventKind.CERTIFICATE, (f"n{n}.example.com",)) for n in range(50)]
        hold = held(History(tuple(others)), B)
        assert hold is not None
        assert "50 of 50 certificates for example.com in 7 days" in hold.reason
        assert held(History(tuple(others)), B, Exemption.SAME_SET) is None
        assert held(History(tuple(others)), ("b.example.org",)) is None

    def test_five_failed_authorizations_of_one_name_hold_every_order_with_it_for_an_hour(self) -> None:
        history = made(*[HOUR / 2] * 5, kind=EventKind.FAILED_AUTHORIZATION)
        hold = held(history, ("a.example.com",))
        assert hold is not None
        assert hold.until == NOW + HOUR / 2
        assert held(history, A, Exemption.ARI) is not None
        assert held(history, B) is None

    def test_three_hundred_orders_in_three_hours_are_all(self) -> None:
        history = made(*[HOUR] * 300, kind=EventKind.ORDER, names=B)
        hold = held(history)
        assert hold is not None
        assert hold.until == NOW + 2 * HOUR
        assert "300 of 300 orders in 3 hours" in hold.reason

    def test_what_the_ca_said_holds_those_names_or_all(self) -> None:
        some = rate_limits.told(History(), Told(NOW + HOUR, A), NOW)
        assert rate_limits.held(some, (), A, NOW, Exemption.ARI) == rate_limits.Hold(
            NOW + HOUR, "the CA asked for no requests until then (Retry-After)"
        )
        assert rate_limits.held(some, (), B, NOW, Exemption.NONE) is None
        every = rate_limits.told(some, Told(NOW + 2 * HOUR), NOW)
        assert rate_limits.held(every, (), B, NOW, Exemption.NONE) is not None
        assert rate_limits.held(every, (), A, NOW + 2 * HOUR, Exemption.NONE) is None

    def test_an_unknown_ca_has_no_limits(self) -> None:
        assert rate_limits.held(made(*[HOUR] * 999), (), A, NOW, Exemption.NONE) is None


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("example.com", "example.com"),
        ("*.a.b.example.com", "example.com"),
        ("shop.example.co.uk", "example.co.uk"),
        ("me.github.io", "me.github.io"),
        ("co.uk", "co.uk"),
    ],
)
def test_the_registered_domain_is_that_of_the_public_suffix_list(name: str, domain: str) -> None:
    assert rate_limits.registered(name) == domain


def test_the_public_suffix_list_is_read_once_however_many_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    everybody, read = threading.Barrier(8), list[object]()
    begin = PublicSuffixList.__init__

    def reading(self: PublicSuffixList) -> None:
        read.append(self)
        begin(self)

    def ask(_: int) -> str:
        everybody.wait(10)
        return rate_limits.registered("shop.example.co.uk")

    monkeypatch.setattr(PublicSuffixList, "__init__", reading)
    rate_limits._suffixes.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"example.co.uk"}
    assert len(read) == 1


def test_the_cost_of_an_order_is_told_for_each_limit() -> None:
    assert rate_limits.cost(made(DAY, DAY), PRODUCTION, A, NOW) == [
        "number 1 of 300 orders in 3 hours",
        "number 3 of 50 certificates for example.com in 7 days",
        "number 3 of 5 certificates for exactly these names in 7 days",
    ]


def test_what_is_too_old_to_count_is_forgotten() -> None:
    history = rate_limits.noted(made(8 * DAY, 6 * DAY), Event(NOW, EventKind.ORDER, B), NOW)
    assert [event.at for event in history.events] == [NOW - 6 * DAY, NOW]
    assert rate_limits.told(History(told=(Told(NOW - HOUR),)), Told(NOW + HOUR), NOW).told == (
        Told(NOW + HOUR),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.sampled_from([A, B]), st.sampled_from(Exemption)), max_size=60
    ),
    st.integers(1, 5),
    st.integers(10, 200),
)
def test_no_limit_is_ever_crossed_by_who_obeys(
    asked: list[tuple[int, tuple[str, ...], Exemption]], count: int, minutes: int
) -> None:
    period, now, history = timedelta(minutes=minutes), NOW, History()
    rules = [Limit(rule, count, period) for rule in (rate_limits.ORDERS, rate_limits.PER_SET)]
    for wait, names, exemption in asked:
        now += timedelta(minutes=wait)
        hold = rate_limits.held(history, rules, names, now, exemption)
        if hold:
            assert rate_limits.held(history, rules, names, hold.until, exemption) is None
            just = hold.until - timedelta(seconds=1)
            assert just < now or rate_limits.held(history, rules, names, just, exemption) is not None
            continue
        for kind in (EventKind.ORDER, EventKind.CERTIFICATE):
            history = rate_limits.noted(history, Event(now, kind, names, exemption), now)
    for end in [event.at for event in history.events]:
        window = [event for event in history.events if end - period < event.at <= end]
        orders = [e for e in window if e.kind is EventKind.ORDER and e.exemption is Exemption.NONE]
        assert len(orders) <= count
        for names in (A, B):
            same = [e for e in window if e.kind is EventKind.CERTIFICATE and e.names == names]
            assert len([e for e in same if e.exemption is not Exemption.ARI]) <= count

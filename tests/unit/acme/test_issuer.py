"""What can be said of the issuer without a CA; the rest has live tests."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import requests
from acme import messages
from acme.errors import ClientError
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import (
    DAY,
    NOW,
    FakeClock,
    FakePropagation,
    FakeProvider,
    MemJournal,
    MemStore,
    Notes,
    material,
    spec,
)

from renewer.acme import client
from renewer.acme import issuer as acme
from renewer.acme.dns01 import Dns01
from renewer.acme.order import FIRST_POLL, PairOrder
from renewer.acme.problems import URN, Problem
from renewer.acme.rate_limiter import Allowance
from renewer.acme.resources import Order
from renewer.config.acme import Acme
from renewer.core.errors import Refused, RenewerError, Transient
from renewer.core.journal import Progress
from renewer.core.model import CertSpec, KeyKind, Material, Window
from renewer.core.rate_limits import PER_SET, Limit
from renewer.store.state import State

SERVER = "https://ca.example/directory"
IDENTIFIER = messages.Identifier(typ=messages.IDENTIFIER_FQDN, value="example.com")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
dates = json_values | st.datetimes().map(datetime.isoformat) | st.datetimes(timezones=st.just(UTC)).map(str)
answers = json_values | st.fixed_dictionaries(
    {}, optional={"suggestedWindow": json_values | st.fixed_dictionaries({"start": dates, "end": dates})}
)


class TestNewOrder:
    def test_without_more_it_is_what_rfc_8555_has(self) -> None:
        assert client._NewOrder(identifiers=[IDENTIFIER]).to_partial_json() == {"identifiers": [IDENTIFIER]}

    def test_profile_and_replaces_go_by_their_names(self) -> None:
        order = client._NewOrder(identifiers=[IDENTIFIER], profile="shortlived", replaces="key.serial")
        assert order.to_partial_json() == {
            "identifiers": [IDENTIFIER],
            "profile": "shortlived",
            "replaces": "key.serial",
        }
        assert "replaces" not in order.update(replaces=None).to_partial_json()


class TestIdentifier:
    WANTED = spec(kinds=(KeyKind.EC256, KeyKind.RSA2048))

    def test_it_is_that_of_the_pair_with_the_same_kind_of_key(self) -> None:
        old = material(spec(kinds=(KeyKind.RSA2048,)), ari="key.serial")
        assert acme._identifier(old, self.WANTED, KeyKind.RSA2048) == "key.serial"
        assert acme._identifier(old, self.WANTED, KeyKind.EC256) is None

    def test_nothing_of_another_ca_is_replaced(self) -> None:
        other = acme._identifier(material(self.WANTED, ari="key.serial"), spec("a.example"), KeyKind.EC256)
        assert other == "key.serial"
        foreign = material(spec(), ari="key.serial")
        wanted = type(self.WANTED)("example.com", ("example.com",), "https://other.example/")
        assert acme._identifier(foreign, wanted, KeyKind.EC256) is None

    @pytest.mark.parametrize("old", [None, material(spec())])
    def test_what_has_none_is_not_named(self, old: None) -> None:
        assert acme._identifier(old, spec(), KeyKind.EC256) is None


def issuer() -> acme.AcmeIssuer:
    dns01 = Dns01(FakeProvider(), FakePropagation(), timedelta(minutes=5), Notes())
    return acme.AcmeIssuer(Acme(server=SERVER), dns01, State(MemStore(), Notes()), FakeClock(), Notes())


class TestFinished:
    WANTED = spec(kinds=(KeyKind.EC256, KeyKind.RSA2048))
    ELSEWHERE = "https://staging.example/directory"

    def finished(self, wanted: CertSpec, progress: Progress) -> list[KeyKind]:
        return [pair.kind for pair in issuer()._finished(wanted, None, MemJournal(progress))]

    def test_a_pair_of_this_ca_is_not_ordered_again(self) -> None:
        ec, rsa = material(self.WANTED).pairs
        progress = Progress().with_pair(ec, self.ELSEWHERE).with_pair(rsa, self.WANTED.directory_url)
        assert self.finished(self.WANTED, progress) == [KeyKind.RSA2048]

    def test_one_that_nothing_is_known_of_counts_as_from_another(self) -> None:
        assert self.finished(self.WANTED, Progress(material(self.WANTED).pairs)) == []

    def test_once_the_certificate_is_kept_nothing_is_left_not_even_of_another_ca(self) -> None:
        kept, other = material(self.WANTED), material(self.WANTED).pairs[0]
        progress = Progress().with_pair(other, self.ELSEWHERE)
        assert progress.without(kept) == progress
        for pair in kept.pairs:
            progress = progress.with_pair(pair, kept.directory_url)
        assert progress.without(kept) == Progress()


class CannotFinalize:
    """A CA that takes orders, and fails when it is to issue; `retry_after` is what it says of each order."""

    round_trip = 0.0

    def __init__(self, retry_after: timedelta | None = None) -> None:
        self.orders: dict[str, str] = {}
        self.retry_after = retry_after

    def new_order(self, _domains: Sequence[str], _profile: str | None, _replaces: str | None) -> Order:
        self.orders[f"{SERVER}/{len(self.orders)}"] = "ready"
        return self.order(list(self.orders)[-1])

    def order(self, url: str) -> Order:
        status, names = self.orders[url], frozenset({"example.com"})
        return Order(url, status, names, (), f"{url}/finalize", retry_after=self.retry_after)

    def finalize(self, _order: Order, _csr: str) -> Order:
        raise Problem(500, {"type": URN + "serverInternal", "detail": "error finalizing"}, None)

    def complaints(self, _order: Order) -> Iterator[tuple[str, str]]:
        yield "caa", "not any more"


class TestIssuance:
    def issuance(self, ca: CannotFinalize, clock: FakeClock) -> PairOrder:
        around = issuer()
        return PairOrder(
            connections=around._connections,
            ca=ca,  # type: ignore[arg-type]
            spec=spec(),
            kind=KeyKind.EC256,
            journal=MemJournal(),
            dns01=around.dns01,
            allowance=Allowance(SERVER, (Limit(PER_SET, 2, timedelta(days=7)),), around.vault, clock),
            clock=clock,
            report=Notes(),
        )

    def test_an_order_counts_as_one_certificate_however_often_it_is_finalized_and_as_none_once_it_failed(
        self,
    ) -> None:
        ca = CannotFinalize()
        issuance = self.issuance(ca, FakeClock())
        cost = "number {} of 2 certificates for exactly these names in 7 days"
        for _ in range(3):
            with pytest.raises(Problem, match="error finalizing"):
                issuance.run(None)
        assert len(ca.orders) == 1
        assert issuance.allowance.cost(spec().domains) == cost.format(2)
        ca.orders = dict.fromkeys(ca.orders, "invalid")
        with pytest.raises(Refused, match="not any more"):
            issuance.run(None)
        assert issuance.allowance.cost(spec().domains) == cost.format(1)

    @pytest.mark.parametrize(("told", "looks"), [(None, 75), (0, 75), (7, 43)])
    def test_a_ca_that_takes_its_time_is_asked_no_oftener_than_it_says_nor_without_a_pause(
        self, told: float | None, looks: int
    ) -> None:
        ca, clock = CannotFinalize(told if told is None else timedelta(seconds=told)), FakeClock()
        ca.orders["1"] = "processing"
        with pytest.raises(Transient, match="300 seconds"):
            self.issuance(ca, clock)._poll(ca.order("1"), "to issue", "valid")
        assert min(clock.slept) == (told or FIRST_POLL)
        assert len(clock.slept) <= looks


class TestSuggested:
    def test_a_window_is_read_with_its_reason(self) -> None:
        window = acme.suggested(
            {
                "suggestedWindow": {"start": "2026-11-23T12:00:00Z", "end": "2026-11-23T15:00:00.5+01:00"},
                "explanationURL": "https://ca.example/why",
            },
            timedelta(hours=1),
        )
        assert (window.start, window.end) == (NOW, NOW + timedelta(hours=2, seconds=0.5))
        assert (window.start.tzinfo, window.end.tzinfo) == (UTC, UTC)
        assert (window.retry_after, window.explanation_url) == (timedelta(hours=1), "https://ca.example/why")

    def test_without_a_retry_after_it_is_six_hours(self) -> None:
        window = acme.suggested(
            {"suggestedWindow": {"start": "2026-11-23T12:00:00Z", "end": "2026-11-23T13:00:00Z"}}, None
        )
        assert (window.retry_after, window.explanation_url) == (timedelta(hours=6), None)

    @pytest.mark.parametrize("end", ["2026-11-23T12:00:00Z", "2026-11-23T11:59:59Z"])
    def test_a_window_that_ends_before_it_starts_makes_no_sense(self, end: str) -> None:
        with pytest.raises(Transient, match=r"ends.*start"):
            acme.suggested({"suggestedWindow": {"start": "2026-11-23T12:00:00Z", "end": end}}, None)

    @given(answers)
    def test_no_answer_raises_anything_but_what_may_pass(self, document: object) -> None:
        try:
            window = acme.suggested(document, None)
        except Transient:
            return
        assert window.start < window.end


class Advice:
    """A CA that tells for each certificate how many days from now its window begins; it is a day long."""

    def __init__(self, **begins: int | None) -> None:
        self.begins, self.asked = begins, list[str]()

    def renewal_info(self, ari: str) -> tuple[object, timedelta] | None:
        self.asked.append(ari)
        begin = self.begins[ari]
        if begin is None:
            return None
        edges = {"start": f"{NOW + begin * DAY}", "end": f"{NOW + (begin + 1) * DAY}"}
        return {"suggestedWindow": edges}, timedelta(hours=5 + len(self.asked))


class TestWindow:
    def asked(self, ca: Advice) -> Window | None:
        """Return what is made of the advice for a certificate with these pairs."""
        pairs = (replace(material().pairs[0], ari=ari) for ari in (*ca.begins, ""))
        asking = issuer()
        asking._connections.give_back(SERVER, ca)  # type: ignore[arg-type]
        return asking.window(Material(tuple(pairs), SERVER))

    @pytest.mark.parametrize("begins", [{"ec": 40, "rsa": -2}, {"rsa": -2, "ec": 40}])
    def test_each_pair_is_asked_for_once_and_the_first_window_to_end_counts(self, begins: Any) -> None:
        ca = Advice(**begins)
        window = self.asked(ca)
        assert window
        assert (window.start, window.end) == (NOW - 2 * DAY, NOW - DAY)
        assert (ca.asked, window.retry_after) == (list(begins), timedelta(hours=7))

    def test_a_ca_without_advice_gives_none(self) -> None:
        assert self.asked(Advice(ec=None, rsa=None)) is None


class TestTranslated:
    @pytest.mark.parametrize(
        ("raised", "kind", "said"),
        [
            (requests.exceptions.SSLError("self-signed"), Refused, "not trusted: self-signed"),
            (requests.exceptions.ConnectionError("refused"), Transient, "cannot be reached: refused"),
            (requests.exceptions.ReadTimeout("too slow"), Transient, "cannot be reached: too slow"),
            (ClientError("odd"), Transient, "makes no sense"),
            (Problem(403, {"type": URN + "caa", "detail": "CAA"}, None), Refused, "said: CAA"),
        ],
    )
    def test_what_goes_wrong_at_the_ca_says_what_to_do(
        self, raised: Exception, kind: type[RenewerError], said: str
    ) -> None:
        with pytest.raises(kind, match=said) as caught, client.translated(SERVER):
            raise raised
        assert SERVER in str(caught.value)
        assert caught.value.hint
        assert caught.value.__cause__ is raised

    def test_a_bug_of_ours_is_not_blamed_on_the_ca(self) -> None:
        with pytest.raises(KeyError), client.translated(SERVER):
            raise KeyError("a slip")

    @pytest.mark.parametrize("raised", [KeyError("x"), ValueError("x"), TypeError("x"), AttributeError("x")])
    def test_an_answer_of_another_form_is(self, raised: Exception) -> None:
        with (
            pytest.raises(Transient, match="makes no sense"),
            client.translated(SERVER),
            client._understood(),
        ):
            raise raised

    def test_the_innermost_cause_is_told(self) -> None:
        outer, middle = RuntimeError("outer"), ValueError("middle")
        outer.__context__, middle.__cause__ = middle, OSError("inner")
        assert client._cause(outer) == "inner"
        assert client._cause(ValueError("alone")) == "alone"


class TestClock:
    @pytest.mark.parametrize("days", [-366, -2, 2, 366])
    def test_a_clock_that_is_days_off_is_refused(self, days: int) -> None:
        with pytest.raises(Refused, match="clock is wrong") as caught:
            client.refuse_wrong_clock(format_datetime(NOW + timedelta(days=days), usegmt=True), NOW)
        assert "timedatectl" in caught.value.hint

    @pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2026", format_datetime(NOW, usegmt=True)])
    def test_a_date_that_is_right_or_none_at_all_is_not(self, date: str) -> None:
        client.refuse_wrong_clock(date, NOW)

"""What a CA says when it says no."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.facts import missing
from support.fakes import NOW

from renewer.acme.problems import HINTS, URN, Problem
from renewer.core.errors import Refused, RenewerError, Transient
from renewer.core.http_headers import LONGEST, retry_after

SERVER = "https://ca.example/directory"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
documents = json_values | st.fixed_dictionaries(
    {},
    optional={
        "type": json_values
        | st.sampled_from([f"{URN}{kind}" for kind in (*HINTS, "rateLimited", "badNonce")]),
        "detail": json_values,
        "subproblems": json_values
        | st.lists(st.fixed_dictionaries({}, optional={"identifier": json_values})),
    },
)


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("header", "told"),
        [
            ("0", timedelta(0)),
            ("120", timedelta(minutes=2)),
            ("007", timedelta(seconds=7)),
            ("99999999", LONGEST),
            ("9" * 5000, LONGEST),
            ("Mon, 23 Nov 2026 12:05:00 GMT", timedelta(minutes=5)),
            ("Mon, 23 Nov 2026 13:05:00 +0100", timedelta(minutes=5)),
            ("Mon, 23 Nov 2026 12:05:00 -0000", timedelta(minutes=5)),
            ("Mon, 23 Nov 2026 11:00:00 GMT", timedelta(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("²", None),
            ("١٢", None),
            ("12 seconds", None),
            ("Mon, 99 Nov 2026 12:05:00 GMT", None),
            ("Mon, 23 Nov 99999999999 12:05:00 GMT", None),
        ],
    )
    def test_seconds_and_dates_are_read_and_nothing_else(self, header: str, told: timedelta | None) -> None:
        assert retry_after(header, NOW) == told

    @given(
        st.text()
        | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{1,9} [-+0-9A-Z]{0,6}")
    )
    def test_no_header_ever_raises(self, header: str) -> None:
        told = retry_after(header, NOW)
        assert told is None or timedelta(0) <= told <= LONGEST


class TestExplained:
    @pytest.mark.parametrize("kind", HINTS)
    def test_each_kind_says_what_to_do(self, kind: str) -> None:
        problem = Problem(403, {"type": URN + kind, "detail": "No."}, None)
        error = problem.explained(SERVER)
        assert isinstance(error, Refused)
        assert (str(error), error.hint) == (f"the CA at {SERVER} said: No.", HINTS[kind])
        assert (problem.kind, error.spent) == (kind, False)

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (429, "rateLimited"),
            (403, "rateLimited"),
            (400, "badNonce"),
            (403, "orderNotReady"),
            (500, "serverInternal"),
            (500, "unauthorized"),
            (502, ""),
            (503, ""),
            (429, ""),
        ],
    )
    def test_what_passes_is_tried_again_not_before_it_may(self, status: int, kind: str) -> None:
        problem = Problem(status, {"type": f"{URN}{kind}"} if kind else None, timedelta(hours=1))
        error = problem.explained(SERVER)
        assert problem.passing
        assert isinstance(error, Transient)
        assert error.retry_after == timedelta(hours=1)
        assert error.hint

    def test_an_address_that_is_no_ca_s_says_so(self) -> None:
        error = Problem(404, None, None).explained(SERVER)
        assert isinstance(error, Refused)
        assert missing(str(error), SERVER, "HTTP 404") == []
        assert "[acme] server" in error.hint

    def test_what_it_says_of_each_name_is_told(self) -> None:
        document = {
            "type": URN + "malformed",
            "detail": "Some names are wrong",
            "subproblems": [
                {"detail": "forbidden", "identifier": {"type": "dns", "value": "a.example"}},
                {"detail": "unknown"},
            ],
        }
        said = str(Problem(400, document, None).explained(SERVER))
        assert missing(said, "Some names are wrong", "a.example: forbidden", "unknown") == []

    @given(st.integers(400, 599), documents)
    def test_no_document_ever_raises(self, status: int, document: object) -> None:
        error = Problem(status, document, None).explained(SERVER)
        assert isinstance(error, RenewerError)
        assert isinstance(error, Transient) == Problem(status, document, None).passing
        assert str(error).startswith(f"the CA at {SERVER} said: ")
        assert len(str(error)) > len(f"the CA at {SERVER} said: ")

"""What `check` finds in the table of certificates and in what is stored of them."""

from dataclasses import replace
from datetime import timedelta

from support.facts import missing
from support.fakes import DAY, NOW, material, spec
from support.scene import LETS_ENCRYPT, NAME, told

from renewer.check import (
    certificates,
)
from renewer.core.failure import Failure, Stage
from renewer.core.finding import Status
from renewer.core.model import Reason
from renewer.core.provenance import Provenance
from renewer.core.rate_limits import ORDERS, Event, EventKind, History, Limit


def test_more_names_than_the_profile_takes() -> None:
    many = [f"n{number}.example.com" for number in range(26)]
    short = replace(spec(NAME, *many), directory_url=LETS_ENCRYPT, profile="shortlived")
    (found,) = certificates.too_many([short])
    assert missing(found.what, "26", "shortlived", "25") == []
    assert (
        list(
            certificates.too_many([replace(short, profile=None), replace(short, directory_url="https://x/")])
        )
        == []
    )
    assert list(certificates.too_many([replace(short, domains=tuple(many[:25]))])) == []


def test_a_certificate_that_another_one_makes_needless() -> None:
    wild, www = spec("w", "example.com", "*.example.com"), spec("www", "www.example.com")
    deep = spec("deep", "a.b.example.com")
    assert ["www" in one.what for one in certificates.needless([wild, www, deep])] == [True]
    assert list(certificates.needless([wild, deep])) == []
    assert list(certificates.needless([www, spec("some", "www.example.com", "x.example")])) != []


def test_a_limit_of_the_ca_that_is_reached() -> None:
    one = spec(NAME)
    history = History((Event(NOW, EventKind.ORDER, (NAME,)),))
    limits = [Limit(ORDERS, 1, timedelta(hours=3))]
    (found,) = certificates.held(one, history, limits, None, NOW)
    assert found.status is Status.ERROR
    assert missing(found.what, NAME, "2026-11-23 15:00 UTC", "1 of 1 orders") == []
    assert list(certificates.held(one, history, limits, material(one), NOW)) == []  # a renewal does not count
    assert list(certificates.held(one, history, limits, None, NOW + DAY)) == []


def test_a_certificate_that_has_ended_or_is_revoked_and_a_try_that_failed() -> None:
    failure = Failure(Stage.ISSUE, 3, NOW, NOW + DAY, "the CA is on fire", "put it out")
    kept = material(spec(NAME), life=2 * DAY)
    known = Provenance().noted(kept)
    assert list(certificates.ending(spec(NAME), kept, known, None, NOW)) == []
    revoked = known.noted(kept, Reason.KEY_COMPROMISE)
    assert told(certificates.ending(spec(NAME), kept, revoked, failure, NOW + 2 * DAY)) == [
        ("renewal.ended", "error"),
        ("renewal.revoked", "error"),
        ("renewal.failure", "warning"),
    ]

"""The phases of a site's keys, by cases and by chance."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import DAY, NOW

from renewer.core.site import Asked, Kept, Ring, SiteAction, SiteContext, SiteSpec
from renewer.secure_links import keyring

SPEC = SiteSpec("nr", "https://nr.example.com", people=("phone",), follows=("example.com",))
TIMED = replace(SPEC, rotate=30 * DAY)
MINUTE = timedelta(minutes=1)

_SERIAL = count(1)


def draw() -> str:
    return f"{next(_SERIAL):064x}"


def cycle(after: timedelta = MINUTE, certificate: str = "one", asked: Asked | None = None) -> SiteContext:
    return SiteContext(NOW + after, {"example.com": certificate}, asked)


def first(spec: SiteSpec = SPEC) -> Ring:
    return keyring.wanted(spec, Kept(), SiteContext(NOW, {"example.com": "one"}), draw)


def test_the_first_keys_are_one_that_signs_and_one_that_is_known_before_it_does() -> None:
    ring = first()
    assert (ring.current.kid, ring.published.kid, ring.retiring, ring.people) == ("k1", "k2", (), ("phone",))
    assert ring.current.master != ring.published.master
    assert ring.session_end == NOW + SPEC.session


@pytest.mark.parametrize("spec", [SPEC, TIMED])
def test_while_nothing_is_due_the_keys_stay(spec: SiteSpec) -> None:
    ring = first(spec)
    assert keyring.wanted(spec, Kept(served=ring), cycle(), draw) == ring


def test_a_renewed_certificate_rotates() -> None:
    before = first()
    after = keyring.wanted(SPEC, Kept(served=before), cycle(certificate="two"), draw)
    assert after.current == before.published
    assert [one.key for one in after.retiring] == [before.current]
    assert after.published.kid == "k3"
    assert keyring.wanted(SPEC, Kept(served=after), cycle(2 * MINUTE, "two"), draw) == after


def test_a_certificate_that_is_seen_for_the_first_time_rotates_nothing() -> None:
    before = keyring.wanted(SPEC, Kept(), SiteContext(NOW, {}), draw)
    after = keyring.wanted(SPEC, Kept(served=before), cycle(), draw)
    assert after.current == before.current
    assert after.certificates == {"example.com": "one"}


def test_a_renewed_certificate_does_not_rotate_what_has_its_own_clock() -> None:
    before = first(TIMED)
    assert (
        keyring.wanted(TIMED, Kept(served=before), cycle(certificate="two"), draw).current == before.current
    )
    assert keyring.wanted(TIMED, Kept(served=before), cycle(30 * DAY), draw).current == before.published


def test_without_a_renewal_it_rotates_in_time_for_the_last_session_to_outlive_the_grace() -> None:
    before = first()
    limit = SPEC.session - SPEC.grace
    assert keyring.wanted(SPEC, Kept(served=before), cycle(limit - MINUTE), draw) == before
    assert keyring.wanted(SPEC, Kept(served=before), cycle(limit), draw).current == before.published


@pytest.mark.parametrize("spec", [SPEC, TIMED])
def test_a_key_of_a_clock_that_was_ahead_is_rotated_and_honoured_for_its_grace(spec: SiteSpec) -> None:
    ahead = keyring.wanted(spec, Kept(), SiteContext(NOW + 400 * DAY, {"example.com": "one"}), draw)
    after = keyring.wanted(spec, Kept(served=ahead), cycle(), draw)
    assert (after.since, after.current) == (NOW + MINUTE, ahead.published)
    assert [one.key for one in after.retiring] == [ahead.current]
    assert keyring.wanted(spec, Kept(served=after), cycle(2 * MINUTE), draw) == after


def test_a_key_is_gone_after_its_grace_and_not_before() -> None:
    rotated = keyring.wanted(SPEC, Kept(served=first()), cycle(asked=Asked("nr")), draw)
    until = keyring.honoured_until(SPEC, rotated)
    assert until == NOW + MINUTE + SPEC.grace
    assert keyring.wanted(SPEC, Kept(served=rotated), cycle(SPEC.grace), draw).retiring == rotated.retiring
    assert keyring.wanted(SPEC, Kept(served=rotated), cycle(SPEC.grace + MINUTE), draw).retiring == ()


def test_a_rotation_that_nginx_was_not_seen_to_take_up_goes_before_the_next() -> None:
    served = first()
    wanted = keyring.wanted(SPEC, Kept(served=served), cycle(asked=Asked("nr")), draw)
    unsettled = Kept(served, wanted)
    assert keyring.wanted(SPEC, unsettled, cycle(asked=Asked("nr")), draw) == wanted
    again = keyring.wanted(SPEC, unsettled, cycle(certificate="two"), draw)
    assert again == wanted
    assert (
        keyring.wanted(SPEC, Kept(served=again), cycle(certificate="two"), draw).current == wanted.published
    )


def test_a_person_may_come_while_a_rotation_is_unsettled() -> None:
    served = first()
    wanted = keyring.wanted(SPEC, Kept(served=served), cycle(asked=Asked("nr")), draw)
    more = replace(SPEC, people=("phone", "tablet"))
    assert keyring.wanted(more, Kept(served, wanted), cycle(), draw) == replace(wanted, people=more.people)


def test_at_once_ends_every_old_key_and_is_not_forgotten() -> None:
    served = keyring.wanted(SPEC, Kept(served=first()), cycle(asked=Asked("nr")), draw)
    wanted = keyring.wanted(SPEC, Kept(served=served), cycle(asked=Asked("nr", at_once=True)), draw)
    assert not set(wanted.honoured) & set(served.honoured)
    assert {key.kid for key in wanted.honoured} == {"k4", "k5"}
    assert keyring.wanted(SPEC, Kept(served, wanted), cycle(), draw) == wanted


def test_who_asks_for_another_site_asks_for_nothing_here() -> None:
    ring = first()
    assert keyring.wanted(SPEC, Kept(served=ring), cycle(asked=Asked("shop", at_once=True)), draw) == ring


def test_the_next_look_is_for_the_end_of_a_grace_or_for_a_rotation() -> None:
    ring = first(TIMED)
    plain = keyring.outcome(TIMED, Kept(served=ring), ring, due=False)
    assert (plain.action, plain.next) == (SiteAction.KEPT, NOW + 30 * DAY)
    rotated = keyring.wanted(TIMED, Kept(served=ring), cycle(asked=Asked("nr")), draw)
    told = keyring.outcome(TIMED, Kept(served=ring), rotated, due=True)
    assert (told.action, told.next) == (SiteAction.ROTATED, NOW + MINUTE + TIMED.grace)


def test_a_site_without_a_key_is_not_shown_with_the_one_that_it_will_have() -> None:
    soon = keyring.outcome(SPEC, Kept(), first(), due=True)
    told = keyring.ahead(soon, SPEC, Kept(), NOW)
    assert (soon.since, told.since, told.honoured_until) == (NOW, None, None)
    assert (told.action, told.next, told.rotation) == (SiteAction.ROTATED, NOW, NOW)


def test_a_rotation_that_is_still_to_come_is_due_now_and_the_key_is_the_old_one() -> None:
    kept, later = Kept(served=first()), NOW + MINUTE
    rotated = keyring.wanted(SPEC, kept, cycle(certificate="two"), draw)
    told = keyring.ahead(keyring.outcome(SPEC, kept, rotated, due=True), SPEC, kept, later)
    assert (told.since, told.next, told.rotation, told.honoured_until) == (NOW, later, later, None)
    settled = keyring.outcome(SPEC, kept, first(), due=False)
    assert keyring.ahead(settled, SPEC, kept, later) == settled


steps = st.tuples(
    st.integers(0, 20 * 24).map(lambda hours: timedelta(hours=hours)),
    st.sampled_from(["one", "two", "three"]),
    st.sampled_from([None, None, Asked("nr"), Asked("nr", at_once=True)]),
    st.booleans(),
)


@given(st.sampled_from([SPEC, TIMED]), st.lists(steps, max_size=15))
def test_whatever_dies_nothing_signs_with_a_key_that_nginx_may_not_know(
    spec: SiteSpec, course: list[tuple[timedelta, str, Asked | None, bool]]
) -> None:
    """nginx has loaded what was served or what was wanted: both know the key that signs in either."""
    kept, now = Kept(), NOW
    for wait, certificate, asked, settles in course:
        now += wait
        wanted = keyring.wanted(spec, kept, SiteContext(now, {"example.com": certificate}, asked), draw)
        assert len({key.kid for key in wanted.honoured}) == len(wanted.honoured)
        in_nginx = [ring for ring in (kept.served, kept.wanted) if ring]
        at_once = bool(asked and asked.at_once) or not in_nginx or wanted == kept.wanted
        assert at_once or all(wanted.current in ring.honoured for ring in in_nginx[-1:])
        if kept.served and wanted.current != kept.served.current and not at_once:
            assert wanted.current == kept.served.published or kept.wanted is not None
        kept = Kept(served=wanted) if settles else Kept(kept.served, wanted)

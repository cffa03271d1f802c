"""What became of a certificate, in the words of the contract."""

from dataclasses import replace
from datetime import timedelta

import pytest
from support.facts import missing
from support.fakes import DAY, NOW, SERVER, material, spec

from renewer.core.errors import Refused, Unexpected
from renewer.core.failure import Failure, Stage
from renewer.core.model import Action, Observation, Snapshot
from renewer.core.policy import Ask, Deploy, Issue, Rest, Step, decide
from renewer.engine import outcome
from renewer.engine.outcome import CertificateRun

SPEC = spec()
STORED = material(SPEC)
FRESH = Snapshot(SPEC, Observation(published=True, served=True), STORED)
NONE = Snapshot(SPEC, Observation(published=False, served=None))
HELD = Failure(
    Stage.ISSUE, 1, NOW, NOW + timedelta(hours=1), "slow down", hint="wait", exit_code=1, binding=True
)


@pytest.mark.parametrize(
    ("issued", "deploy", "action"),
    [
        (False, False, Action.FRESH),
        (False, True, Action.DEPLOYED),
        (True, True, Action.ISSUED),
        (True, False, Action.ISSUED),
    ],
)
def test_what_was_done_has_its_word(*, issued: bool, deploy: bool, action: Action) -> None:
    said = outcome.of(CertificateRun(decide(FRESH, NOW), issued=issued, deploy=deploy))
    assert (said.action, said.exit_code, said.error) == (action, 0, None)
    assert (said.name, said.not_after, said.fingerprint, said.served) == (
        SPEC.name,
        STORED.not_after,
        STORED.fingerprints[0],
        True,
    )
    assert said.next == NOW - DAY + 60 * DAY


@pytest.mark.parametrize(
    ("error", "code"), [(Refused("no", hint="ask"), 1), (Unexpected("a slip", hint="ask"), 70)]
)
def test_an_error_goes_before_all_that_went_well(error: Refused, code: int) -> None:
    said = outcome.of(CertificateRun(decide(FRESH, NOW), issued=True, deploy=True, error=error))
    assert (said.action, said.error, said.hint, said.exit_code) == (Action.FAILED, str(error), "ask", code)
    assert said.fingerprint == STORED.fingerprints[0]


def test_what_has_to_wait_is_a_failure_to_be_tried_later() -> None:
    said = outcome.of(CertificateRun(decide(replace(NONE, failure=HELD), NOW), held=HELD))
    assert (said.action, said.exit_code, said.hint) == (Action.FAILED, 75, "wait")
    assert missing(str(said.error), "slow down", "2026-11-23 13:00:00 UTC") == []
    assert (said.next, said.not_after, said.fingerprint) == (HELD.retry, None, None)


@pytest.mark.parametrize(
    ("step", "action", "detail"),
    [
        (Issue("it is due", SERVER), Action.ISSUED, "it is due"),
        (Deploy("nginx shows another"), Action.DEPLOYED, "nginx shows another"),
        (Rest(NOW + DAY), Action.FRESH, ""),
        (Ask(), Action.FRESH, ""),
    ],
)
def test_what_would_be_done_says_why(step: Step, action: Action, detail: str) -> None:
    said = outcome.planned(replace(decide(FRESH, NOW), step=step))
    assert (said.action, said.detail, said.exit_code) == (action, detail, 0)


def test_what_would_have_to_wait_says_so() -> None:
    said = outcome.planned(replace(decide(NONE, NOW), step=Rest(HELD.retry, HELD)))
    assert (said.action, said.exit_code) == (Action.FAILED, 75)


def test_at_rest_the_last_failure_is_told_as_it_was() -> None:
    said = outcome.at_rest(decide(replace(NONE, failure=replace(HELD, binding=False, exit_code=1)), NOW))
    assert (said.action, said.error, said.exit_code, said.next) == (Action.FAILED, "slow down", 1, HELD.retry)


def test_at_rest_a_failure_that_is_over_is_not_told() -> None:
    said = outcome.at_rest(decide(replace(FRESH, failure=HELD), NOW))
    assert (said.action, said.error, said.exit_code) == (Action.FRESH, None, 0)


def test_at_rest_what_is_due_is_told_as_due_now() -> None:
    unpublished = replace(FRESH, sight=Observation(published=False, served=None))
    forced = replace(FRESH, forced=True)
    for snapshot, action in ((NONE, Action.ISSUED), (unpublished, Action.DEPLOYED), (forced, Action.ISSUED)):
        said = outcome.at_rest(decide(snapshot, NOW))
        assert (said.action, said.next, said.due, said.exit_code) == (action, NOW, True, 0)
    assert not outcome.at_rest(decide(FRESH, NOW)).due


def test_what_should_have_been_tried_again_by_now_is_due_now() -> None:
    late = replace(HELD, at=NOW - DAY, retry=NOW - timedelta(hours=1), binding=False)
    said = outcome.at_rest(decide(replace(NONE, failure=late), NOW))
    assert (said.next, said.due) == (NOW, True)


@pytest.mark.parametrize(("published", "hint"), [(True, ""), (False, "start nginx")])
def test_at_rest_what_nginx_is_seen_not_to_serve_is_a_failure(*, published: bool, hint: str) -> None:
    sight = Observation(published=published, served=False, detail="nginx shows another", hint=hint)
    said = outcome.at_rest(decide(replace(FRESH, sight=sight), NOW))
    assert (said.action, said.error, said.exit_code) == (Action.FAILED, "nginx shows another", 1)
    assert (said.next, said.due, bool(said.hint)) == (NOW, True, True)
    assert said.hint == hint or not hint


def test_at_rest_it_is_none_where_there_is_nothing_to_serve_yet() -> None:
    said = outcome.at_rest(decide(replace(NONE, sight=Observation(published=False, served=False)), NOW))
    assert (said.action, said.error, said.exit_code) == (Action.ISSUED, None, 0)


def test_what_comes_back_from_another_ca_is_told_to_be_replaced() -> None:
    stranger = replace(FRESH, material=replace(STORED, directory_url="https://staging.example/directory"))
    said = outcome.of(CertificateRun(decide(stranger, NOW), deploy=True))
    assert (said.action, said.exit_code, said.next) == (Action.DEPLOYED, 0, NOW)
    assert missing(said.detail, "next run", "https://staging.example/directory") == []


def test_the_placeholder_is_called_by_that_name() -> None:
    sight = Observation(published=False, served=None, detail="no server includes it", placeholder=True)
    said = outcome.at_rest(decide(replace(NONE, sight=sight), NOW))
    assert "placeholder" in said.detail
    assert said.served is None

"""What `check` finds at the CA."""

from datetime import timedelta
from pathlib import Path

import pytest
from support.facts import missing
from support.scene import known, scene, told

from renewer.acme.directory import Directory
from renewer.check import (
    ca,
)
from renewer.config.acme import Acme, FallbackCa
from renewer.core.errors import Transient


def test_a_profile_that_the_ca_does_not_offer(tmp_path: Path) -> None:
    offered = {"profiles": ("classic", "shortlived")}
    assert told(ca.look(known(scene(tmp_path, profile="shortlived"), **offered))) == [("ca.reach", "ok")]
    (found,) = ca.look(known(scene(tmp_path, profile="shortlivd"), **offered))
    assert (found.check, found.status) == ("ca.profile", "error")
    assert missing(found.hint, "profile", "classic, shortlived") == []


def test_an_account_that_only_customers_get(tmp_path: Path) -> None:
    (found,) = ca.look(known(scene(tmp_path), customers_only=True))
    assert (found.check, found.status) == ("ca.binding", "error")
    assert "eab_kid" in found.hint
    acme = Acme(eab_kid="kid", eab_hmac_key_file=tmp_path / "missing")
    (found,) = ca.look(known(scene(tmp_path, acme), customers_only=True))
    assert str(tmp_path / "missing") in found.what


def test_a_ca_that_only_steps_in_may_bite_at_most(tmp_path: Path) -> None:
    second = "https://ca.example/directory"
    looked = known(scene(tmp_path, Acme(fallbacks=(FallbackCa(second),))))
    first = looked.directory

    def answer(server: str) -> Directory:
        if server == second:
            raise Transient("no answer")
        return first(server)

    object.__setattr__(looked, "directory", answer)
    assert told(ca.look(looked)) == [("ca.reach", "ok"), ("ca.reach", "warning")]


def test_a_ca_for_trials(tmp_path: Path) -> None:
    found = ca.look(known(scene(tmp_path, Acme(server="letsencrypt-staging"))))
    assert told(found) == [("ca.reach", "ok"), ("ca.staging", "warning")]


@pytest.mark.parametrize(
    ("behind", "status", "words"),
    [
        (timedelta(minutes=4), "ok", "agrees"),
        (timedelta(minutes=6), "warning", "6 minutes behind"),
        (timedelta(minutes=-90), "warning", "90 minutes ahead"),
        (None, "ok", "not available"),
    ],
)
def test_a_clock_that_is_a_little_off(
    tmp_path: Path, behind: timedelta | None, status: str, words: str
) -> None:
    (found,) = ca.clock(known(scene(tmp_path), behind=behind))
    assert (found.status, words in found.what) == (status, True)

"""Who is told after a cycle, by listeners in record; nothing that goes wrong with them reaches the cycle."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from support.fakes import DAY, NOW, FakeClock, MemStore, Notes, material, spec

from renewer.core import notice
from renewer.core.errors import ConfigError, Outdated, Refused, RenewerError, Transient, Unexpected
from renewer.core.failure import Failure, Stage
from renewer.core.metrics import Readings
from renewer.core.model import Action, CertOutcome, Outcome
from renewer.core.notice import Message
from renewer.core.site import Kept, Key, Ring
from renewer.notify import rules
from renewer.notify.observer import Audience, Observer
from renewer.store.following import Alone
from renewer.store.state import State

A, B = spec("a.example"), spec("b.example")
LATER = Transient("the disk is full")


@dataclass
class Listeners:
    """All three, each of which can be made to fail; `deaf` are recipients that take nothing."""

    shown: list[Readings] = field(default_factory=list)
    sent: list[tuple[str, Message]] = field(default_factory=list)
    beats: list[bool] = field(default_factory=list)
    people: tuple[str, ...] = ("me",)
    deaf: tuple[str, ...] = ()
    fails: dict[str, Exception] = field(default_factory=dict)

    def show(self, readings: Readings) -> None:
        self._perhaps("show")
        self.shown.append(readings)

    def known(self) -> Sequence[str]:
        self._perhaps("known")
        return self.people

    def deliver(self, messages: Mapping[str, Message]) -> Collection[str]:
        self._perhaps("deliver")
        taken = [who for who in messages if who not in self.deaf]
        self.sent += [(who, messages[who]) for who in taken]
        return taken

    def beat(self, *, good: bool) -> None:
        self._perhaps("beat")
        self.beats.append(good)

    def _perhaps(self, method: str) -> None:
        if error := self.fails.get(method):
            raise error


class House:
    """An observer, who listens to it, and where it keeps what it said."""

    def __init__(self) -> None:
        self.listeners, self.store, self.notes, self.clock = Listeners(), MemStore(), Notes(), FakeClock()
        self.vault = State(self.store, self.notes)
        everyone = Audience(self.listeners, self.listeners, self.listeners)
        self.observer = Observer(
            (A, B), ("s",), ("hook.command[0]",), self.vault, everyone, self.clock, self.notes, "host1"
        )

    def ends(self, *outcomes: CertOutcome, broke: RenewerError | None = None) -> list[str]:
        """Let a cycle end like this, an hour later; return the titles that were sent then."""
        before = len(self.listeners.sent)
        self.clock.time += timedelta(hours=1)
        self.observer.saw(Outcome(outcomes), broke)
        return [message.title for _, message in self.listeners.sent[before:]]


@pytest.fixture
def house() -> House:
    return House()


def well(name: str = "a.example", **more: Any) -> CertOutcome:
    return CertOutcome(name, Action.FRESH, NOW, served=True, **more)


def bad(name: str = "a.example", code: int = 1) -> CertOutcome:
    return CertOutcome(name, Action.FAILED, NOW, served=False, error="no", hint="do", exit_code=code)


def problems(house: House) -> list[tuple[str, str]]:
    return [*house.notes.of("problem"), *house.notes.of("bug")]


FAILED = "renewer on host1: a.example failed"
RECOVERED = "renewer on host1: a.example has recovered"


def test_a_failure_and_its_end_are_told_once_across_processes(house: House) -> None:
    assert house.ends(bad(), well("b.example")) == [FAILED]
    house.observer = replace(house.observer, vault=State(house.store, house.notes))
    assert house.ends(bad(code=75), well("b.example")) == []
    assert house.ends(well(), well("b.example")) == [RECOVERED]
    assert house.ends(well(), well("b.example")) == []
    assert house.listeners.beats == [False, False, True, True]
    assert [what for _, what in house.notes.of("done")] == [f"sent: {FAILED}", f"sent: {RECOVERED}"]
    assert problems(house) == []


def test_where_all_is_well_and_no_figures_are_wanted_nothing_is_written(house: House) -> None:
    house.listeners.people = ()
    house.observer = replace(house.observer, audience=Audience(pulse=house.listeners))
    house.ends(well(), well("b.example"))
    assert house.store.writes == []
    assert house.listeners.beats == [True]


def test_what_was_not_taken_is_sent_again_to_those_who_did_not_take_it(house: House) -> None:
    house.listeners.people, house.listeners.deaf = ("me", "you"), ("you",)
    assert house.ends(bad()) == [FAILED]
    assert house.ends(bad()) == []
    house.listeners.deaf = ()
    assert house.ends(bad()) == [FAILED]
    assert [who for who, _ in house.listeners.sent] == ["me", "you"]


def test_several_troubles_are_one_message(house: House) -> None:
    assert house.ends(bad(), bad("b.example")) == [f"{FAILED}, and 1 more"]


def test_a_cycle_that_broke_is_told_and_that_the_next_did_not(house: House) -> None:
    assert house.ends(broke=Unexpected("it died")) == ["renewer on host1: renewer failed"]
    assert house.listeners.shown[-1].exit_code == 70
    assert house.ends(broke=Unexpected("it died")) == []
    assert house.ends(well(), well("b.example")) == ["renewer on host1: renewer has recovered"]
    assert house.listeners.beats == [False, False, True]


def test_a_cycle_for_one_certificate_leaves_the_others_as_they_were(house: House) -> None:
    house.ends(well(), bad("b.example"))
    house.ends(well())
    assert house.listeners.beats == [False]  # neither good nor bad is to be said of the second
    seen = house.listeners.shown[-1].certificates
    assert (seen["b.example"].served, seen["b.example"].success) == (False, None)
    assert (seen["a.example"].served, seen["a.example"].success) == (True, house.clock.now())


def test_the_figures_are_those_that_are_kept(house: House) -> None:
    held = material(A)
    key = Key("k", "00" * 32)
    with house.vault.certificate("a.example") as ledger:
        ledger.keep(held)
        ledger.failed(Failure(Stage.ISSUE, 3, NOW, NOW, "no"))
    with house.vault.sites() as sites:
        sites.keep("s", Kept(served=Ring(key, key, NOW - DAY, NOW + DAY, 1)))
    house.ends(bad(code=75))
    (shown,) = house.listeners.shown
    one = shown.certificates["a.example"]
    assert (one.begin, one.end, one.failures) == (held.not_before, held.not_after, 3)
    assert one.renewal == held.not_before + 60 * DAY
    assert (shown.exit_code, shown.keys) == (75, {"s": NOW - DAY})


def test_what_left_the_configuration_is_forgotten(house: House) -> None:
    house.ends(bad(), bad("b.example"))
    house.observer = replace(house.observer, specs=(B,))
    house.ends(bad("b.example"))
    record = house.vault.record()
    assert set(record.troubles) == set(record.seen) == set(record.heard["me"]) == {"certificate/b.example"}


def test_while_the_addresses_cannot_be_read_what_was_told_is_not_forgotten(house: House) -> None:
    house.ends(bad())
    house.listeners.fails["known"] = ConfigError("it cannot be read")
    house.listeners.fails["deliver"] = ConfigError("it cannot be read")
    assert house.ends(bad()) == []
    house.listeners.fails.clear()
    assert house.ends(bad()) == []
    assert ("notices", "it cannot be read") in house.notes.of("problem")


def test_while_another_process_tells_this_one_only_pings(house: House) -> None:
    with house.vault.telling():
        assert house.ends(bad()) == []
    assert house.listeners.beats == [False]
    assert problems(house) == []
    assert house.ends(bad()) == [FAILED]


def test_what_cannot_be_written_down_is_not_told_but_pinged_and_shown(house: House) -> None:
    house.store.unwritable["told"] = LATER
    assert house.ends(bad()) == []
    assert house.listeners.beats == [False]
    assert house.listeners.shown
    assert house.notes.of("problem") == [("notices", "the disk is full")]
    house.store.unwritable.clear()
    assert house.ends(bad()) == [FAILED]


def test_what_cannot_be_read_counts_as_nothing(house: House) -> None:
    house.store.values["told"] = b"{"
    assert house.ends(bad()) == [FAILED]
    house.observer = replace(house.observer, vault=State(house.store, house.notes))
    assert house.ends(bad()) == []
    house.store.unreadable["told"] = Refused("permission denied")
    assert house.ends(bad()) == []
    assert house.listeners.beats == [False, False, False]


@pytest.mark.parametrize("method", ["show", "known", "deliver", "beat"])
@pytest.mark.parametrize("error", [LATER, RuntimeError("a bug")])
def test_nothing_that_goes_wrong_with_one_reaches_the_others(
    house: House, method: str, error: Exception
) -> None:
    house.listeners.fails[method] = error
    house.ends(bad())
    done = {
        "show": len(house.listeners.shown),
        "deliver": len(house.listeners.sent),
        "beat": len(house.listeners.beats),
    }
    missing = {"show": ["show"], "known": ["deliver"], "deliver": ["deliver"], "beat": ["beat"]}[method]
    assert [name for name, times in done.items() if times != 1] == missing
    assert len(problems(house)) == 1


def test_a_certificate_that_cannot_be_read_does_not_keep_the_rest_from_being_told(house: House) -> None:
    house.store.unreadable["certificate/b.example"] = Refused("permission denied")
    assert house.ends(bad()) == [FAILED]


def test_the_end_of_a_certificate_is_told_also_when_no_cycle_gets_to_it(house: House) -> None:
    with house.vault.certificate("b.example") as ledger:
        ledger.keep(material(B, begin=NOW - 80 * DAY))
    assert house.ends(well()) == ["renewer on host1: b.example will expire"]
    assert house.vault.record().heard["me"] == {
        rules.certificate("b.example"): notice.Heard(
            None,
            str(house.vault.material("b.example").fingerprints[0]),  # type: ignore[union-attr] # it is kept
            notice.Warned.SOON,
        )
    }


class Old(Alone):
    """Says that a newer configuration is in force."""

    def outdated(self) -> Outdated | None:
        return Outdated("renewer.toml was changed")


def test_what_a_newer_configuration_has_told_is_not_told_anew(house: House) -> None:
    """The daemon's cycle with its older reading comes between two of a person's."""
    assert house.ends(bad(), bad("b.example")) == [f"{FAILED}, and 1 more"]
    newer, house.listeners.people = house.listeners.people, ("older",)
    house.observer = replace(house.observer, specs=(A,), sites=(), hooks=(), follower=Old())
    house.ends(bad())
    kept = house.vault.record()
    assert {"certificate/a.example", "certificate/b.example"} <= kept.troubles.keys()
    assert {*newer, "older"} == kept.heard.keys()
    house.listeners.people = newer
    house.observer = replace(house.observer, specs=(A, B), follower=Alone())
    assert house.ends(bad(), bad("b.example")) == []
    assert house.vault.record().heard.keys() == set(newer)

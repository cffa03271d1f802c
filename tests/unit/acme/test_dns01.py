"""The proof by DNS: present, wait until seen, answer, always clean up."""

from datetime import timedelta

import pytest
from support.facts import missing
from support.fakes import FakePropagation, FakeProvider, MemJournal, Notes

from renewer.acme.dns01 import Dns01
from renewer.core.errors import Refused, RenewerError, Stopped, Transient
from renewer.core.journal import Handle, Progress, TxtRecord

NAME = "_acme-challenge.example.com"
ONE, TWO = TxtRecord(NAME, "one"), TxtRecord(NAME, "two")
TIMEOUT = timedelta(minutes=5)
OLD = Handle("zone", "old", TxtRecord(NAME, "old"))


class Proof:
    """A proof with all that is around it."""

    def __init__(self, aliases: dict[str, str] | None = None, left: tuple[Handle, ...] = ()) -> None:
        self.provider, self.propagation = FakeProvider(), FakePropagation(aliases)
        self.provider.standing |= {handle.id: handle.record for handle in left}
        self.journal, self.notes = MemJournal(Progress(handles=left)), Notes()
        self.dns01 = Dns01(self.provider, self.propagation, TIMEOUT, self.notes)

    def show(self, *records: TxtRecord) -> list[TxtRecord]:
        """Return what stands while the records are shown."""
        with self.dns01.shown("example.com", records, self.journal):
            return list(self.provider.standing.values())

    @property
    def known(self) -> tuple[Handle, ...]:
        return self.journal.load().handles


def test_records_stand_inside_and_are_gone_after() -> None:
    proof = Proof()
    assert proof.show(ONE, TWO) == [ONE, TWO]
    assert proof.propagation.waits == [((ONE, TWO), TIMEOUT)]
    assert (proof.provider.standing, proof.known) == ({}, ())


def test_the_journal_knows_the_records_before_anything_waits_for_them() -> None:
    proof = Proof()
    proof.propagation.fails = Transient("too slow")
    with pytest.raises(Transient):
        proof.show(ONE, TWO)
    empty, announced, standing, swept = proof.journal.saved
    assert (empty, announced) == (Progress(), Progress(announced=(ONE, TWO)))
    assert [handle.record for handle in standing.handles] == [ONE, TWO]
    assert (standing.announced, swept) == ((), Progress())


def test_records_whose_creation_was_not_answered_are_found_and_removed() -> None:
    proof = Proof()
    proof.provider.fails["present"] = Transient("no answer")
    with pytest.raises(Transient):
        proof.show(ONE, TWO)
    assert proof.journal.load() == Progress(announced=(ONE, TWO))
    proof.provider.standing["its-id"] = ONE  # it was created all the same
    proof.dns01.sweep("example.com", proof.journal)
    assert (proof.provider.standing, proof.journal.load()) == ({}, Progress())


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (Refused("no"), ()),
        (Transient("not now", retry_after=TIMEOUT, undone=True), ()),
        (Transient("out of order", retry_after=TIMEOUT), (ONE,)),
    ],
)
def test_what_was_surely_not_done_needs_no_removal(error: RenewerError, left: tuple[TxtRecord, ...]) -> None:
    proof = Proof()
    proof.provider.fails["present"] = error
    with pytest.raises(type(error)):
        proof.show(ONE)
    assert proof.journal.load() == Progress(announced=left)


def test_what_was_announced_before_is_not_forgotten_while_it_cannot_be_looked_for() -> None:
    proof = Proof()
    proof.journal.save(Progress(announced=(TWO,)))
    proof.provider.fails["find"] = Transient("Cloudflare is down")
    proof.show(ONE)
    assert proof.journal.load().announced == (TWO,)


@pytest.mark.parametrize(
    "error",
    [
        Transient("too slow"),
        Refused("no"),
        KeyboardInterrupt(),
        ValueError("a slip"),
    ],
)
def test_records_are_removed_after_every_failure_inside(error: BaseException) -> None:
    proof = Proof()
    with pytest.raises(type(error)) as caught, proof.dns01.shown("example.com", [ONE], proof.journal):
        raise error
    assert caught.value is error
    assert ONE in [handle.record for progress in proof.journal.saved for handle in progress.handles]
    assert (proof.provider.standing, proof.known) == ({}, ())


@pytest.mark.parametrize("error", [Transient("too slow"), Refused("no name server")])
def test_records_are_removed_when_they_are_not_seen_and_nobody_is_asked(error: RenewerError) -> None:
    proof = Proof()
    proof.propagation.fails = error
    with pytest.raises(type(error)):
        proof.show(ONE)
    assert (proof.provider.standing, proof.known) == ({}, ())


def test_who_is_asked_to_end_leaves_them_standing_and_the_next_run_adopts_them() -> None:
    """Removed and created again, a slow name server would show the old ones and then, to the CA, none."""
    proof = Proof()
    proof.propagation.fails = Stopped("asked to end")
    with pytest.raises(Stopped):
        proof.show(ONE, TWO)
    standing = dict(proof.provider.standing)
    assert ([handle.record for handle in proof.known], len(standing)) == ([ONE, TWO], 2)
    proof.propagation.fails = None
    with proof.dns01.shown("example.com", [ONE, TWO], proof.journal):
        assert proof.provider.standing == standing
    assert (proof.provider.standing, proof.known) == ({}, ())


def test_of_what_an_earlier_run_left_only_what_is_wanted_is_adopted_and_what_is_gone_created() -> None:
    proof = Proof(left=(OLD, Handle("zone", "one", ONE), Handle("zone", "two", TWO)))
    del proof.provider.standing["two"]
    with proof.dns01.shown("example.com", [ONE, TWO], proof.journal):
        assert proof.provider.standing == {"one": ONE, "id1": TWO}
        assert {handle.id for handle in proof.known} == {"one", "id1"}
    assert (proof.provider.standing, proof.known) == ({}, ())


def test_a_record_whose_creation_was_not_answered_is_adopted() -> None:
    proof = Proof()
    proof.journal.save(Progress(announced=(ONE, TWO)))
    proof.provider.standing["its-id"] = ONE
    with proof.dns01.shown("example.com", [ONE], proof.journal):
        assert (proof.provider.standing, [handle.id for handle in proof.known]) == (
            {"its-id": ONE},
            ["its-id"],
        )
    assert (proof.provider.standing, proof.journal.load()) == ({}, Progress())


def test_what_cannot_be_removed_costs_no_certificate_and_stays_in_the_journal() -> None:
    proof = Proof()
    proof.provider.fails["remove"] = Transient("Cloudflare is down", hint="wait")
    assert proof.show(ONE) == [ONE]
    assert [handle.record for handle in proof.known] == [ONE]
    [(subject, told)] = proof.notes.of("problem")
    assert (subject, missing(told, "TXT record", "next run", "Cloudflare is down wait")) == (
        "example.com",
        [],
    )
    proof.provider.fails.clear()
    proof.dns01.sweep("example.com", proof.journal)
    assert (proof.provider.standing, proof.known) == ({}, ())


def test_what_an_earlier_run_left_is_removed_first() -> None:
    proof = Proof(left=(OLD,))
    assert proof.show(ONE) == [ONE]
    assert (proof.provider.standing, proof.known) == ({}, ())


def test_what_an_earlier_run_left_is_not_forgotten_while_it_cannot_be_removed() -> None:
    proof = Proof(left=(OLD,))
    proof.provider.fails["remove"] = Transient("Cloudflare is down")
    assert proof.show(ONE) == [OLD.record, ONE]
    assert {handle.record for handle in proof.known} == {OLD.record, ONE}


ELSEWHERE = Handle("zone", "id9", TxtRecord("_acme-challenge.moved.example", "x"))


@pytest.mark.parametrize("now_in", [None, "another zone"])
def test_what_lies_in_a_zone_that_is_seen_no_more_is_given_up_and_told_once(now_in: str | None) -> None:
    proof = Proof(left=(ELSEWHERE, OLD))
    proof.provider.zones[ELSEWHERE.record.name] = now_in
    for _ in range(2):
        proof.dns01.sweep("example.com", proof.journal)
    assert (list(proof.provider.standing), proof.known) == ([ELSEWHERE.id], ())
    [(_, told)] = proof.notes.of("problem")
    assert missing(told, "TXT record", "zone", "_acme-challenge.moved.example") == []


def test_what_is_about_to_be_created_is_given_up_where_no_zone_is_seen_any_more() -> None:
    proof = Proof()
    proof.journal.save(Progress(announced=(ELSEWHERE.record,)))
    proof.provider.fails["find"] = Refused("the token sees no zone")
    proof.dns01.sweep("example.com", proof.journal)
    assert proof.journal.load().announced == (ELSEWHERE.record,)
    proof.provider.zones[ELSEWHERE.record.name] = None
    proof.dns01.sweep("example.com", proof.journal)
    assert not proof.journal.load().in_dns


@pytest.mark.parametrize("error", [Transient("Cloudflare is down"), Refused("the token is not valid")])
def test_nothing_is_given_up_where_nobody_can_be_asked_for_its_zone(error: RenewerError) -> None:
    proof = Proof(left=(ELSEWHERE,))
    proof.provider.fails = {"remove": Refused("no"), "zone": error}
    proof.dns01.sweep("example.com", proof.journal)
    assert proof.known == (ELSEWHERE,)


def test_a_sweep_without_leftovers_asks_nobody_and_writes_nothing() -> None:
    proof = Proof()
    proof.provider.fails["remove"] = Transient("nobody may ask")
    proof.dns01.sweep("example.com", proof.journal)
    assert (len(proof.journal.saved), proof.notes.told) == (1, [])


def test_a_sweep_leaves_the_rest_of_the_journal_alone() -> None:
    proof = Proof(left=(OLD,))
    proof.journal.saved[-1] = Progress(done=("pair",), handles=(OLD,))  # type: ignore[arg-type] # only looked at
    proof.dns01.sweep("example.com", proof.journal)
    assert proof.journal.load() == Progress(done=("pair",))  # type: ignore[arg-type] # as above


def test_records_that_cannot_be_created_leave_nothing_behind() -> None:
    proof = Proof()
    proof.provider.fails["present"] = Refused("no such zone")
    with pytest.raises(Refused):
        proof.show(ONE)
    assert (proof.known, proof.propagation.waits) == ((), [])


def test_the_target_of_an_alias_is_written_and_waited_for() -> None:
    proof = Proof({NAME: "target.example.net"})
    wanted = TxtRecord("target.example.net", "one")
    assert proof.show(ONE) == [wanted]
    assert proof.propagation.waits == [((wanted,), TIMEOUT)]


def test_duplicates_collapse_also_those_that_an_alias_makes() -> None:
    proof = Proof({"_acme-challenge.www.example.com": NAME})
    assert proof.show(ONE, TWO, ONE, TxtRecord("_acme-challenge.www.example.com", "two")) == [ONE, TWO]


def test_the_zone_is_looked_for_before_an_order_once_for_a_name_and_its_wildcard() -> None:
    proof = Proof({"_acme-challenge.b.example": "target.example.net"})
    proof.dns01.check(["a.example", "*.a.example", "b.example"])
    assert proof.provider.checked == ["_acme-challenge.a.example", "target.example.net"]


@pytest.mark.parametrize(("records", "words"), [((ONE,), "1 TXT record"), ((ONE, TWO), "2 TXT records")])
def test_it_says_how_many(records: tuple[TxtRecord, ...], words: str) -> None:
    proof = Proof()
    proof.show(*records)
    told = proof.notes.of("doing")
    assert [(subject, missing(what, words)) for subject, what in told] == [("example.com", [])] * 2

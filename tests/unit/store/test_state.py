"""The program's memory: values as documents, by key."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import DAY, NOW, SERVER, MemStore, Notes, material

from renewer.core.errors import LockBusy, LostLease, Refused
from renewer.core.failure import Failure, Stage
from renewer.core.journal import Handle, PendingOrder, Progress, TxtRecord
from renewer.core.model import Account, Fingerprint, KeyKind, Material, Pair, Suggestion
from renewer.store.state import CertificateState, State

NAME = "example.com"
HANDLE = Handle("zone", "id", TxtRecord(f"_acme-challenge.{NAME}", "value"))
ORDER = PendingOrder(KeyKind.EC256, (NAME,), SERVER, "KEY", "CSR")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
instants = st.datetimes(timezones=st.just(UTC))
pairs = st.builds(
    Pair,
    kind=st.sampled_from(KeyKind),
    key=texts,
    chain=texts,
    domains=st.lists(texts, max_size=3).map(tuple),
    not_before=instants,
    not_after=instants,
    fingerprint=texts.map(Fingerprint),
    ari=texts,
)
orders = st.builds(
    PendingOrder,
    kind=st.sampled_from(KeyKind),
    domains=st.lists(texts, max_size=3).map(tuple),
    directory_url=texts,
    key=texts,
    csr=texts,
    url=st.none() | texts,
)
handles = st.builds(Handle, texts, texts, st.builds(TxtRecord, texts, texts))
several = st.lists(pairs, min_size=1, max_size=2).map(tuple)
Read = Callable[[State], object]


def vault() -> State:
    return State(MemStore(), Notes())


def kept(write: Callable[[CertificateState], None], read: Read) -> object:
    memory = vault()
    with memory.certificate(NAME) as ledger:
        write(ledger)
    return read(memory)


def kept_again(value: Progress) -> Progress:
    """Return a journal as its own ledger reads it."""
    with vault().certificate(NAME) as ledger:
        ledger.save(value)
        return ledger.load()


class TestRoundTrip:
    @given(st.builds(Material, several, texts))
    def test_certificates(self, value: Material) -> None:
        assert kept(lambda ledger: ledger.keep(value), lambda memory: memory.material(NAME)) == value

    @given(
        st.builds(Suggestion, texts, instants, *[st.none() | instants] * 3, explanation_url=st.none() | texts)
    )
    def test_suggestions(self, value: Suggestion) -> None:
        assert kept(lambda ledger: ledger.suggest(value), lambda memory: memory.suggestion(NAME)) == value

    @given(
        st.builds(
            Failure,
            st.sampled_from(Stage),
            st.integers(1, 10**6),
            instants,
            instants,
            texts,
            hint=texts,
            exit_code=st.integers(0, 99),
            binding=st.booleans(),
        )
    )
    def test_failures(self, value: Failure) -> None:
        assert kept(lambda ledger: ledger.failed(value), lambda memory: memory.failure(NAME)) == value

    @given(
        st.builds(
            Progress,
            several,
            st.none() | orders,
            st.lists(handles, max_size=2).map(tuple),
            origins=st.dictionaries(texts.map(Fingerprint), texts, max_size=2),
        )
    )
    def test_journals(self, value: Progress) -> None:
        assert kept(lambda ledger: ledger.save(value), lambda memory: memory.progress(NAME)) == value
        assert kept_again(value) == value

    def test_journals_of_when_no_origin_was_kept(self) -> None:
        memory, value = vault(), Progress(material().pairs, ORDER, (HANDLE,))
        with memory.certificate(NAME) as ledger:
            ledger.save(value)
        document = json.loads(memory.store.get(f"journal/{NAME}") or b"")
        assert document.pop("origins") == {}
        memory.store.values[f"journal/{NAME}"] = json.dumps(document).encode()  # type: ignore[attr-defined]
        assert memory.progress(NAME) == value

    @given(st.builds(Account, texts, st.none() | texts), texts)
    def test_accounts_each_of_its_own_server(self, value: Account, server: str) -> None:
        memory = vault()
        memory.keep_account(server, value)
        assert memory.account(server) == value
        assert memory.account(server + "x") is None

    @given(st.dictionaries(texts, texts))
    def test_zones_each_of_its_own_provider(self, value: dict[str, str]) -> None:
        memory = vault()
        memory.keep_zones("cloudflare", value)
        assert memory.zones("cloudflare") == value
        assert memory.zones("other") == {}


class TestLedger:
    def test_an_empty_memory_holds_nothing(self) -> None:
        memory = vault()
        assert [memory.material(NAME), memory.suggestion(NAME), memory.failure(NAME)] == [None] * 3
        assert (memory.progress(NAME), memory.account(SERVER), memory.zones("a")) == (Progress(), None, {})

    def test_with_a_new_certificate_goes_what_was_said_of_the_old_one(self) -> None:
        memory = vault()
        with memory.certificate(NAME) as ledger:
            ledger.suggest(Suggestion("old", NOW))
            ledger.keep(material())
        assert memory.suggestion(NAME) is None

    def test_a_success_forgets_the_failure(self) -> None:
        memory = vault()
        with memory.certificate(NAME) as ledger:
            ledger.failed(Failure(Stage.ISSUE, 1, NOW, NOW + DAY, "x"))
            ledger.succeeded()
            ledger.succeeded()
        assert memory.failure(NAME) is None

    def test_an_empty_journal_is_taken_out(self) -> None:
        memory = vault()
        with memory.certificate(NAME) as ledger:
            ledger.save(Progress(order=ORDER))
            assert list(memory.store.keys("journal/")) == [f"journal/{NAME}"]
            ledger.save(Progress())
        assert list(memory.store.keys("journal/")) == []

    def test_certificates_are_apart(self) -> None:
        memory = vault()
        with memory.certificate(NAME) as ledger, memory.certificate("example.net") as other:
            ledger.keep(material())
            assert memory.material("example.net") is None
            other.keep(material())
        assert memory.material(NAME) != memory.material("example.net")

    def test_who_lost_the_lease_writes_nothing(self) -> None:
        memory = vault()
        with memory.certificate(NAME) as late:
            pass
        with memory.certificate(NAME) as ledger:
            ledger.keep(kept_material := material())
            with pytest.raises(LostLease):
                late.keep(material())
            with pytest.raises(LostLease):
                late.save(Progress(order=ORDER))
            with pytest.raises(LostLease):
                late.suggest(Suggestion("x", NOW))
            with pytest.raises(LostLease):
                late.failed(Failure(Stage.ISSUE, 1, NOW, NOW, "x"))
            with pytest.raises(LostLease):
                late.succeeded()
        assert memory.material(NAME) == kept_material
        assert list(memory.store.keys("")) == [f"certificate/{NAME}", f"provenance/{NAME}"]
        assert [one.fingerprint for one in memory.provenance(NAME).certificates] == [
            *kept_material.fingerprints
        ]

    @pytest.mark.parametrize(
        "hold",
        [lambda memory: memory.certificate(NAME), State.nginx],
        ids=["certificate", "nginx"],
    )
    def test_each_is_held_by_one_alone(self, hold: Callable[[State], object]) -> None:
        memory = vault()
        with hold(memory), pytest.raises(LockBusy), hold(memory):  # type: ignore[attr-defined] # context managers
            pass
        with hold(memory):  # type: ignore[attr-defined] # as above
            pass


BROKEN = [b"", b"{", b"null", b"[]", b"7", b'{"done": 7}', b"\xff\xfe", b"\x00" * 99]


class TestBrokenDocuments:
    @pytest.mark.parametrize("document", BROKEN)
    @pytest.mark.parametrize(
        ("key", "read", "absent"),
        [
            (f"certificate/{NAME}", lambda memory: memory.material(NAME), None),
            (f"suggestion/{NAME}", lambda memory: memory.suggestion(NAME), None),
            (f"failure/{NAME}", lambda memory: memory.failure(NAME), None),
            (f"journal/{NAME}", lambda memory: memory.progress(NAME), Progress()),
            ("zones/cloudflare", lambda memory: memory.zones("cloudflare"), {}),
        ],
        ids=["certificate", "suggestion", "failure", "journal", "zones"],
    )
    def test_they_count_as_absent_and_are_told(
        self, key: str, read: Read, absent: object, document: bytes
    ) -> None:
        store, notes = MemStore(), Notes()
        store.values[key] = document
        assert read(State(store, notes)) == absent
        assert [subject for subject, _ in notes.of("problem")] == [key]

    @pytest.mark.parametrize("document", BROKEN)
    def test_an_account_s_key_is_not_made_anew_over_a_broken_one(self, document: bytes) -> None:
        store = MemStore()
        memory = State(store, Notes())
        memory.keep_account(SERVER, Account("KEY"))
        (key,) = store.values
        store.values[key] = document
        with pytest.raises(Refused, match="cannot be read") as caught:
            memory.account(SERVER)
        assert key in caught.value.hint
        assert "backup" in caught.value.hint

    def test_a_key_that_a_later_version_added_does_no_harm(self) -> None:
        store = MemStore()
        memory = State(store, Notes())
        with memory.certificate(NAME) as ledger:
            ledger.suggest(value := Suggestion("a", NOW + timedelta(microseconds=1)))
        document = json.loads(store.values[f"suggestion/{NAME}"])
        store.values[f"suggestion/{NAME}"] = json.dumps(document | {"later": 1}).encode()
        assert memory.suggestion(NAME) == value


def test_no_secret_is_in_what_is_shown_of_a_value() -> None:
    pair = replace(material().pairs[0], key="SECRET", chain="LONG")
    journal = Progress((pair,), replace(ORDER, key="SECRET"), (HANDLE,))
    assert "SECRET" not in f"{Material((pair,), SERVER)} {journal} {Account('SECRET')}"

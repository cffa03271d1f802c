"""Where certificates came from, and which were revoked."""

from contextlib import suppress
from dataclasses import replace

import pytest
from support.fakes import DAY, NOW, SERVER, MemStore, Notes, material, spec

from renewer.core.errors import Transient
from renewer.core.model import Fingerprint, KeyKind, Material, Reason, Revocation
from renewer.core.provenance import KNOWN, Provenance
from renewer.store.state import State

NAME = "example.com"
STAGING = "https://staging.example/directory"
TWO = spec(kinds=(KeyKind.EC256, KeyKind.RSA2048))


def of(server: str, made: Material | None = None) -> Material:
    return replace(made or material(), directory_url=server)


def kept(vault: State, *every: Material) -> None:
    with vault.certificate(NAME) as ledger:
        for one in every:
            ledger.keep(one)


class TestFacts:
    def test_each_certificate_keeps_its_own_ca(self) -> None:
        one, other = of(STAGING, material(TWO)), of(SERVER, material(TWO))
        known = Provenance().noted(one).noted(other)
        assert [known.directory_url(each.fingerprints) for each in (one, other)] == [STAGING, SERVER]

    def test_what_is_not_known_whole_is_not_known(self) -> None:
        one, other = of(STAGING), of(SERVER)
        known = Provenance().noted(one).noted(other)
        strange = Fingerprint("f" * 64)
        for fingerprints in ((strange,), (strange, *one.fingerprints), one.fingerprints + other.fingerprints):
            assert known.directory_url(fingerprints) == ""

    def test_what_is_told_without_a_ca_forgets_none(self) -> None:
        one = of(STAGING)
        known = Provenance().noted(one, Reason.SUPERSEDED).noted(of("", one))
        assert (known.directory_url(one.fingerprints), known.revoked(one.fingerprints)) == (
            STAGING,
            "superseded",
        )

    def test_one_revoked_pair_revokes_all_of_it(self) -> None:
        both = material(TWO)
        known = Provenance().noted(replace(both, pairs=both.pairs[:1]), Reason.KEY_COMPROMISE)
        assert known.revoked(both.fingerprints) is Reason.KEY_COMPROMISE
        assert known.revoked(both.fingerprints[1:]) is None

    def test_it_does_not_grow_for_ever_but_forgets_none_that_must_not_be_served(self) -> None:
        bad, ended = material(), material(begin=NOW - 99 * DAY)
        known = Provenance().noted(ended, Reason.KEY_COMPROMISE).noted(bad, Reason.KEY_COMPROMISE)
        many = [material() for _ in range(3 * KNOWN)]
        for one in many:
            known = known.noted(one)
        assert len(known.certificates) == KNOWN + 2
        assert known.revoked(bad.fingerprints) is Reason.KEY_COMPROMISE
        assert known.directory_url(ended.fingerprints) == ""
        assert known.directory_url(many[-KNOWN].fingerprints) == SERVER

    def test_what_comes_again_is_the_last_to_be_forgotten(self) -> None:
        first = material()
        known = Provenance()
        for one in (first, *(material() for _ in range(KNOWN)), first, *(material() for _ in range(KNOWN))):
            known = known.noted(one)
        assert known.directory_url(first.fingerprints) == SERVER


class TestKept:
    def test_it_outlives_what_it_is_about(self) -> None:
        vault = State(MemStore(), Notes())
        one, other = of(STAGING), of(SERVER)
        kept(vault, one, other)
        with vault.certificate(NAME) as ledger:
            ledger.revoke(Revocation(other, Reason.KEY_COMPROMISE))
            ledger.revoked(Revocation(other, Reason.KEY_COMPROMISE))
        known = vault.known(NAME)
        assert [known.directory_url(each.fingerprints) for each in (one, other)] == [STAGING, SERVER]
        assert known.revoked(other.fingerprints) is Reason.KEY_COMPROMISE
        assert vault.revocation(NAME) is None

    def test_what_an_earlier_version_stored_tells_its_own(self) -> None:
        store = MemStore()
        vault = State(store, Notes())
        old = of(STAGING)
        kept(vault, old)
        del store.values[f"provenance/{NAME}"]
        assert vault.known(NAME).directory_url(old.fingerprints) == STAGING
        kept(vault, of(SERVER))
        assert vault.known(NAME).directory_url(old.fingerprints) == STAGING

    @pytest.mark.parametrize("lost", ["provenance", "certificate", "suggestion"])
    def test_wherever_it_dies_each_keeps_its_own_ca(self, lost: str) -> None:
        store = MemStore()
        vault = State(store, Notes())
        former, new = of(STAGING), of(SERVER)
        kept(vault, former)
        store.unwritable[f"{lost}/{NAME}"] = Transient("the disk is full")
        with suppress(Transient):
            kept(vault, new)
        stored = vault.material(NAME)
        assert stored in (former, new)
        assert vault.known(NAME).directory_url(stored.fingerprints) == stored.directory_url
        assert vault.known(NAME).directory_url(former.fingerprints) == STAGING

    def test_a_second_revocation_does_not_forget_that_of_before(self) -> None:
        vault = State(MemStore(), Notes())
        first, second = material(), material()
        kept(vault, first, second)
        with vault.certificate(NAME) as ledger:
            ledger.revoke(Revocation(first, Reason.KEY_COMPROMISE))
            ledger.revoke(Revocation(second, Reason.SUPERSEDED))
        found = [vault.known(NAME).revoked(one.fingerprints) for one in (first, second)]
        assert found == [Reason.KEY_COMPROMISE, Reason.SUPERSEDED]

"""Whatever lies in the state folder, each parser gives a value, a told problem or an error of the program."""

from collections.abc import Callable, Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import fake_world
from support.fakes import (
    DAY,
    NOW,
    SERVER,
    MemStore,
    Notes,
    material,
    spec,
)
from support.fuzz import NAME, RECORD, ZONE, anything_like, noise, often

from renewer.core.errors import LockBusy, Refused
from renewer.core.failure import Deploys, Failure, Stage
from renewer.core.journal import Handle, PendingOrder, Progress
from renewer.core.model import Account, KeyKind, Material, Reason, Revocation, Suggestion
from renewer.core.provenance import Origin, Provenance
from renewer.core.rate_limits import Event, EventKind, Exemption, History, Told
from renewer.core.site import Kept, Key, Ring
from renewer.store.codec import encode
from renewer.store.files import FileStore
from renewer.store.state import State

PAIR = material(spec(), ari="key.serial").pairs[0]
STORED: Mapping[str, object] = {
    f"certificate/{NAME}": Material((PAIR,), SERVER, NOW - DAY),
    f"suggestion/{NAME}": Suggestion("key.serial", NOW, NOW, NOW + DAY, NOW, "https://ca.example/why"),
    f"failure/{NAME}": Failure(Stage.ISSUE, 2, NOW - DAY, NOW + DAY, "no", "why", 1, binding=True, since=NOW),
    f"deploys/{NAME}": Deploys("00", Failure(Stage.DEPLOY, 1, NOW - DAY, NOW, "no", bound={SERVER: NOW})),
    f"journal/{NAME}": Progress(
        (PAIR,),
        PendingOrder(KeyKind.EC256, (NAME,), SERVER, "KEY", "CSR"),
        (Handle("z", "id", RECORD),),
        (RECORD,),
    ),
    f"provenance/{NAME}": Provenance((Origin(PAIR.fingerprint, SERVER, NOW + DAY, Reason.SUPERSEDED),)),
    f"revocation/{NAME}": Revocation(material(), Reason.SUPERSEDED),
    "account/ca.example%2Fdirectory": Account("KEY", "https://ca.example/account"),
    "limits/ca.example%2Fdirectory": History(
        (Event(NOW, EventKind.ORDER, (NAME,), Exemption.ARI),), (Told(NOW + DAY, (NAME,)),)
    ),
    "zones/cloudflare": {NAME: ZONE},
    "site/nodered": Kept(Ring(Key("k1", "00" * 32), Key("k2", "11" * 32), NOW, NOW + DAY, 2), None),
}
READS: Mapping[str, Callable[[State], object]] = {
    "certificate": lambda vault: vault.material(NAME),
    "suggestion": lambda vault: vault.suggestion(NAME),
    "failure": lambda vault: vault.failure(NAME),
    "deploys": lambda vault: vault.deploys(NAME),
    "journal": lambda vault: vault.progress(NAME),
    "provenance": lambda vault: vault.known(NAME),
    "revocation": lambda vault: vault.revocation(NAME),
    "account": lambda vault: vault.account(SERVER),
    "limits": lambda vault: vault.history(SERVER),
    "zones": lambda vault: vault.zones("cloudflare"),
    "site": lambda vault: vault.site("nodered"),
}
stored = st.sampled_from(list(STORED)).flatmap(
    lambda key: st.tuples(st.just(key), anything_like(encode(STORED[key])))
)


class TestWhatIsStored:
    @often(20)
    @given(stored)
    def test_it_is_a_value_or_absent_and_told_or_refused(self, found: tuple[str, bytes]) -> None:
        key, data = found
        store, notes = MemStore(), Notes()
        store.values[key] = data
        kind = key.partition("/")[0]
        absent = READS[kind](State(MemStore(), Notes()))
        try:
            value = READS[kind](State(store, notes))
        except Refused as refused:
            assert kind in {"account", "site"}
            assert refused.hint  # noqa: PT017 - it need not be raised
        else:
            assert value == absent if notes.of("problem") else value is not None

    @often(20)
    @given(st.lists(stored, min_size=1, max_size=2))
    def test_a_cycle_over_it_ends_with_an_outcome(self, found: list[tuple[str, bytes]]) -> None:
        store, notes = MemStore(), Notes()
        store.values = {key: encode(value) for key, value in STORED.items()} | dict(found)
        engine = fake_world.engine(spec(), state=State(store, notes), report=notes)
        engine.status()
        engine.run(dry_run=True)
        assert [one.name for one in engine.run().certificates] == [NAME]
        assert notes.of("bug") == []

    @often(2)
    @given(noise, noise)
    def test_files_of_any_bytes_are_read_and_locked(
        self, tmp_path_factory: pytest.TempPathFactory, value: bytes, lock: bytes
    ) -> None:
        folder = tmp_path_factory.getbasetemp() / "state"
        for path, data in ((folder / "store/zones/a.json", value), (folder / "lock/zones.a", lock)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        vault = State(FileStore(folder), Notes())
        vault.zones("a")
        with suppress(LockBusy):
            vault.keep_zones("a", {NAME: ZONE})
            assert vault.zones("a") == {NAME: ZONE}

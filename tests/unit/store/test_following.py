"""Which configuration a state folder follows, and what an older reading of it must not do."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import (
    DAY,
    NOW,
    SERVER,
    FakeClock,
    FakeDeployer,
    FakeIssuer,
    MemStore,
    Notes,
    material,
    spec,
)

from renewer.core.errors import ConfigError, Outdated, Refused, Transient
from renewer.core.failure import Failure, Stage
from renewer.core.followed import Followed, View, from_daemon
from renewer.core.hook import Deployed, HookAction, Memory
from renewer.core.journal import PendingOrder, Progress
from renewer.core.model import Action, KeyKind
from renewer.core.site import Asked, Guard, SiteContext, Kept, Mode, Signer, SiteAction, SiteSpec
from renewer.engine.cycle import Engine
from renewer.engine.deploy_hooks import FollowUp
from renewer.secure_links.rotation import SecureLink
from renewer.store.codec import encode
from renewer.store.files import FileStore
from renewer.store.following import Following
from renewer.store.state import State

LATER = timedelta(minutes=1)


class House:
    """A state folder, the file of a configuration, and the readings of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.file = folder, folder / "state", folder / "renewer.toml"
        self.store, self.notes, self.clock = MemStore(), Notes(), FakeClock(NOW + DAY)
        self.vault = State(self.store, self.notes)
        self.unfit = False

    def text(self, remark: str = "", state: Path | None = None) -> str:
        return (
            f'# {remark}\nstate = "{state or self.state}"\n'
            '[certificate."example.com"]\ndomains = ["example.com"]\n'
        )

    def write(self, remark: str = "", file: Path | None = None) -> None:
        (file or self.file).write_text(self.text(remark))

    def reading(self, remark: str = "", read: datetime = NOW, file: Path | str | None = "usual") -> Following:
        """Return a reading of a text with this remark; no file is a person's standard input."""
        where = self.file if file == "usual" else file
        view = View(self.text(remark), read, Path(where) if where else None)
        return Following(self.vault, self.state, view, lambda _: not self.unfit, self.clock, self.notes)

    @property
    def followed(self) -> Followed:
        found = self.vault.followed()
        assert found
        return found


@pytest.fixture
def house(tmp_path: Path) -> House:
    found = House(tmp_path)
    found.write()
    return found


UNUSABLE: dict[str, Callable[[House], object]] = {
    "gone": lambda house: house.file.unlink(),
    "no TOML": lambda house: house.file.write_text("state ="),
    "no UTF-8": lambda house: house.file.write_bytes(b"\xff"),
    "an unknown key": lambda house: house.file.write_text(house.text() + "[nginx]\nbinray = 1\n"),
    "empty": lambda house: house.file.write_text(""),
    "a folder": lambda house: (house.file.unlink(), house.file.mkdir()),
    "for another machine": lambda house: (house.write("other"), setattr(house, "unfit", True)),
    "with another state": lambda house: house.file.write_text(house.text(state=house.folder / "other")),
}


class TestNewest:
    def test_the_first_reading_is_noted_and_stays_the_newest_while_the_file_holds_it(
        self, house: House
    ) -> None:
        mine = house.reading()
        mine.begin()
        assert house.followed == Followed(str(house.file), mine.view.digest, NOW)
        assert mine.outdated() is None
        mine.begin()
        assert house.store.writes == ["configuration"]

    def test_what_the_file_holds_decides_whoever_read_it_when(self, house: House) -> None:
        old, new = house.reading("old", NOW + LATER), house.reading("new", NOW)
        house.write("new")
        new.begin()
        assert (type(old.outdated()), new.outdated()) == (Outdated, None)
        old.begin()
        assert house.followed.digest == new.view.digest
        house.write("old")  # an administrator brings it back
        assert (old.outdated(), type(new.outdated())) == (None, Outdated)
        old.begin()
        assert house.followed.digest == old.view.digest

    @pytest.mark.parametrize("how", UNUSABLE)
    def test_what_the_file_cannot_say_the_last_text_in_force_does(self, house: House, how: str) -> None:
        old, new = house.reading("old"), house.reading("new", NOW + LATER)
        old.begin()
        UNUSABLE[how](house)
        assert old.outdated() is None  # everything goes on as before
        if house.file.is_dir():
            house.file.rmdir()
        house.unfit = False
        house.write("new")
        new.begin()
        UNUSABLE[how](house)
        assert (type(old.outdated()), new.outdated()) == (Outdated, None)

    def test_a_text_that_was_read_but_never_in_force_is_newer_than_one_that_was(self, house: House) -> None:
        """The daemon takes a file, and before its worker looks somebody breaks that."""
        house.reading("old").begin()
        house.file.write_text("broken")
        taken = house.reading("new", NOW + LATER)
        assert taken.outdated() is None
        taken.begin()
        assert house.followed.digest == taken.view.digest
        assert isinstance(house.reading("old").outdated(), Outdated)

    def test_a_clock_that_was_set_back_keeps_nobody_out_for_ever(self, house: House) -> None:
        house.reading("old", house.clock.now() + 9 * DAY).begin()
        house.file.unlink()
        assert house.reading("new").outdated() is None

    def test_what_stands_in_the_way_of_noting_it_stops_nothing_and_is_met_again(self, house: House) -> None:
        mine = house.reading()
        with house.vault.sites():
            mine.begin()
        assert house.vault.followed() is None
        house.store.unwritable["configuration"] = Transient("the disk is full")
        mine.begin()
        with house.vault.sites() as shelf, pytest.raises(Transient):
            mine.follow(shelf.follow)
        house.store.unwritable.clear()
        house.store.values["configuration"] = b"{"  # a crash of the disk: it is noted anew
        mine.begin()
        assert house.followed.digest == mine.view.digest


class TestForeign:
    def test_another_file_is_refused_with_both_names(self, house: House) -> None:
        house.reading().begin()
        other = house.folder / "other.toml"
        house.write("other", other)
        second = house.reading("other", NOW + LATER, other)
        for refusing in (second.refuse_foreign, second.begin):
            with pytest.raises(ConfigError) as refused:
                refusing()
            assert (str(house.file) in str(refused.value), str(other) in str(refused.value)) == (True, True)
            assert str(house.file) in refused.value.hint
        assert house.followed.file == str(house.file)
        house.reading().refuse_foreign()

    @pytest.mark.parametrize("spelling", ["/../state", "/../linked"])
    def test_another_spelling_of_the_state_folder_makes_no_other_owner(
        self, house: House, spelling: str
    ) -> None:
        house.write()
        house.state.mkdir(exist_ok=True)
        (house.folder / "linked").symlink_to(house.state)
        house.reading().begin()
        house.state = house.folder / f"state{spelling}"
        second = house.folder / "second.toml"
        house.write("second", second)
        with pytest.raises(ConfigError, match=str(house.file)):
            house.reading("second", file=second).begin()
        assert house.followed.file == str(house.file)

    def test_a_pipe_in_the_place_of_the_owner_is_not_waited_for(self, house: House) -> None:
        house.write()
        house.reading().begin()
        house.file.unlink()
        os.mkfifo(house.file)
        second = house.folder / "second.toml"
        house.write("second", second)
        with pytest.raises(ConfigError, match=str(house.file)):
            house.reading("second", file=second).begin()

    def test_the_same_file_by_another_name_is_the_same(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        house.reading().begin()
        (house.folder / "linked.toml").symlink_to(house.file)
        os.link(house.file, house.folder / "hard.toml")
        (house.folder / "sub").mkdir()
        monkeypatch.chdir(house.folder / "sub")
        names = ["linked.toml", "hard.toml", "sub/../renewer.toml"]
        for name in [*(house.folder / name for name in names), Path("../renewer.toml").absolute()]:
            house.reading(file=name).begin()
        assert house.followed.file == str(house.file)

    def test_a_link_that_leads_to_another_file_by_now_is_the_same_configuration(self, house: House) -> None:
        """As where a deploy flips a link: the former target is still there, and names the same folder."""
        name = house.folder / "linked.toml"
        name.symlink_to(house.file)
        house.reading(file=name).begin()
        house.write("new", house.folder / "next.toml")
        name.unlink()
        name.symlink_to("next.toml")
        house.reading("new", NOW + LATER, name).begin()
        assert house.followed == Followed(str(name), house.reading("new").view.digest, NOW + LATER)

    @pytest.mark.parametrize("gone", ["deleted", "renamed", "with another state folder", "below a file"])
    def test_one_that_takes_the_place_of_another_is_taken_and_told_once(
        self, house: House, gone: str
    ) -> None:
        other = house.folder / "other.toml"
        house.reading().begin()
        house.write("", other)
        if gone == "with another state folder":
            house.file.write_text(house.text(state=house.folder / "another"))
        elif gone == "below a file":
            mine = house.reading(file=house.file / "renewer.toml")
            house.store.values["configuration"] = encode(
                Followed(str(house.file / "x.toml"), mine.view.digest, NOW)
            )
        else:
            house.file.rename(house.folder / "old.toml") if gone == "renamed" else house.file.unlink()
        house.reading(file=other).begin()
        house.reading(file=other).begin()
        ((_, told),) = house.notes.of("problem")
        assert str(other) in told
        assert house.followed.file == str(other)

    def test_a_file_that_cannot_be_seen_counts_as_there(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Root's own folder, looked at by the user of the service."""
        house.reading().begin()
        other = house.folder / "other.toml"
        house.write("", other)
        real = os.stat

        def stat(path: os.PathLike[str], **more: bool) -> os.stat_result:
            if os.fspath(path) == str(house.file):
                raise PermissionError
            return real(path, **more)

        monkeypatch.setattr(os, "stat", stat)
        with pytest.raises(ConfigError) as refused:
            house.reading(file=other).refuse_foreign()
        assert "store/configuration.json" in refused.value.hint
        house.reading().refuse_foreign()

    @pytest.mark.parametrize("broken", ["state =", ""])
    def test_a_faulty_one_is_still_the_owner(self, house: House, broken: str) -> None:
        house.reading().begin()
        other = house.folder / "other.toml"
        house.write("", other)
        house.file.write_text(broken)
        with pytest.raises(ConfigError):
            house.reading(file=other).refuse_foreign()

    def test_two_that_come_at_once_do_not_both_get_it(self, house: House) -> None:
        other = house.folder / "other.toml"
        house.write("", other)
        first, second = house.reading(), house.reading(file=other)
        first.refuse_foreign()
        second.refuse_foreign()
        first.begin()
        with pytest.raises(ConfigError):
            second.begin()


class TestStandardInput:
    def test_a_folder_of_nobody_s_is_not_claimed(self, house: House) -> None:
        mine = house.reading("any", file=None)
        mine.refuse_foreign()
        mine.begin()
        assert (mine.outdated(), house.vault.followed()) == (None, None)

    def test_in_the_folder_of_a_file_only_its_text_is_taken(self, house: House) -> None:
        house.reading().begin()
        house.reading(file=None).refuse_foreign()
        with pytest.raises(ConfigError) as refused:
            house.reading("other", NOW + LATER, None).refuse_foreign()
        assert str(house.file) in str(refused.value)
        house.file.unlink()
        house.reading(file=None).refuse_foreign()
        with pytest.raises(ConfigError):
            house.reading("other", NOW + LATER, None).refuse_foreign()

    def test_it_is_outdated_like_any_other(self, house: House) -> None:
        house.reading().begin()
        mine = house.reading(file=None)
        assert mine.outdated() is None
        house.write("new")
        assert isinstance(mine.outdated(), Outdated)


@given(st.text())
def test_only_the_daemon_s_own_words_are_those_of_a_file(handed: str) -> None:
    view = from_daemon("text", handed)
    assert view is None or (view.read.tzinfo and view.file and view.file.is_absolute())


def test_what_the_daemon_hands_over_is_what_was_read() -> None:
    view = View("text", NOW, Path("/etc/renewer/my file.toml"))
    assert from_daemon("text", view.handed) == view
    for handed in (
        "",
        "/etc/renewer/renewer.toml",
        f"{NOW.isoformat()} renewer.toml",
        "2026-11-23 /x",
        "x /y",
    ):
        assert from_daemon("text", handed) is None


# -- what an older reading leaves alone ---------------------------------------------------------------------


class Old:
    """Says that another reading is the newest; `newest` ends that."""

    newest = False

    def refuse_foreign(self) -> None:
        pass

    def begin(self) -> None:
        pass

    def follow(self, keep: object) -> None:
        del keep
        if outdated := self.outdated():
            raise outdated

    def outdated(self) -> Outdated | None:
        return None if self.newest else Outdated("renewer.toml was changed", hint="run it again")


class Guarding(FakeDeployer):
    """An nginx that takes up whatever it is given for secure links."""

    guard: Guard | None = None

    def stands(self, guard: Guard) -> bool:
        return self.guard is not None and self.guard.gates == guard.gates

    def unguarded(self, sites: object) -> dict[str, str]:
        del sites
        return {}


class Sites:
    """The readings of a configuration with sites, over one store."""

    def __init__(self) -> None:
        self.store, self.old = MemStore(), Old()
        self.vault, self.nginx = State(self.store, Notes()), Guarding()

    def hook(self, *sites: SiteSpec, old: bool = False) -> SecureLink:
        known = (self.old,) if old else ()
        return SecureLink(sites, self.vault, self.nginx, *known)

    def cycle(self, hook: SecureLink, asked: Asked | None = None) -> list[SiteAction]:
        proposal = hook.propose(SiteContext(NOW, {}, asked))
        if proposal.guard:
            self.nginx.guard = proposal.guard
        assert hook.settle(proposal) == {}
        return [one.action for one in proposal.outcomes]


def site(name: str = "nodered", *people: str, signer: Signer | None = None) -> SiteSpec:
    mode = Mode.URL if signer else Mode.SESSION
    return SiteSpec(name, f"https://{name}.example", mode, people=people, rotate=DAY, signer=signer)


def test_an_older_reading_changes_no_access() -> None:
    world = Sites()
    new = world.hook(site("nodered", "tablet"), site("shop", "phone"))
    assert world.cycle(new) == [SiteAction.ROTATED] * 2
    before, guard = dict(world.store.values), world.nginx.guard
    old = world.hook(site("nodered", "phone"), old=True)
    planned = old.plan(SiteContext(NOW, {}))
    assert planned.guard is None
    (told,) = planned.outcomes
    assert (told.action, told.people, told.exit_code) == (SiteAction.KEPT, ("tablet",), 75)
    assert told.error
    assert world.cycle(old) == world.cycle(old, Asked("nodered", at_once=True)) == [SiteAction.KEPT]
    assert (world.store.values, world.nginx.guard) == (before, guard)
    world.old.newest = True
    assert world.cycle(old) == [SiteAction.KEPT]
    assert (world.vault.known_sites(), world.nginx.guard != guard) == (["nodered"], True)


def test_one_that_is_outdated_while_nginx_takes_it_up_drops_no_keys() -> None:
    world = Sites()
    world.cycle(world.hook(site("nodered", "phone"), site("shop", "phone")))
    old = world.hook(site("nodered", "laptop"), old=True)
    world.old.newest = True
    proposal = old.propose(SiteContext(NOW, {}))
    world.old.newest = False
    assert proposal.guard
    old.settle(proposal)
    assert world.vault.known_sites() == ["nodered", "shop"]
    assert world.vault.site("nodered") == Kept(served=proposal.guard.gates[0].ring)


def test_one_that_is_outdated_just_before_it_notes_the_keys_notes_none() -> None:
    world = Sites()
    hook = world.hook(site("nodered", "phone"), old=True)

    class Late(Old):
        asked = 0

        def outdated(self) -> Outdated | None:
            self.asked += 1
            return super().outdated() if self.asked > 1 else None

    hook = replace(hook, follower=Late())
    with pytest.raises(Outdated):
        hook.propose(SiteContext(NOW, {}))
    assert world.store.values == {}


def test_what_could_not_be_noted_at_first_is_noted_with_the_keys(house: House) -> None:
    """Another process held the sites; the two have stores of their own over one folder."""
    vault, again = (State(FileStore(house.state), house.notes) for _ in range(2))
    follower = replace(house.reading(), vault=again)
    with vault.sites():
        follower.begin()
    assert vault.followed() is None
    SecureLink((site("nodered", "phone"),), vault, Guarding(), follower).propose(SiteContext(NOW, {}))
    assert vault.followed() == Followed(str(house.file), follower.view.digest, NOW)
    assert vault.known_sites() == ["nodered"]


def test_an_older_reading_hands_no_key_to_another_program(tmp_path: Path) -> None:
    world, path = Sites(), tmp_path / "signer" / "files.json"
    old = world.hook(site("files", signer=Signer(path)), old=True)
    world.cycle(world.hook(site("files", signer=Signer(tmp_path / "new.json"))))
    world.cycle(old)
    assert not path.exists()
    world.old.newest = True
    world.cycle(old)
    assert path.exists()


class FakeHook:
    name, what = "hook.command[0]", "/bin/old"

    def __init__(self, key: str) -> None:
        self.key = key
        self.told: list[Deployed] = []

    def run(self, news: Deployed) -> None:
        self.told.append(news)


def test_an_older_reading_runs_no_hook_and_forgets_none() -> None:
    vault, old, hook = State(MemStore(), Notes()), Old(), FakeHook("a1")
    with vault.hooks() as shelf:
        shelf.keep("b2", Memory(Deployed({"example.com": "1"})))
    world = FollowUp(vault, FakeClock(), Notes(), (hook,), old)
    engine = Engine((), vault, FakeIssuer(), FakeDeployer(), FakeClock(), Notes(), (), (hook,), old)
    for told in (world.tell((), ()), engine.run().hooks):
        assert [(one.action, one.exit_code) for one in told] == [(HookAction.FAILED, 75)]
    assert (hook.told, vault.known_hooks()) == ([], ["b2"])
    old.newest = True
    assert [one.action for one in world.tell((), ())] == [HookAction.KEPT]
    assert vault.known_hooks() == []


class Certificates:
    """A cycle of an older reading, which has one certificate."""

    def __init__(self) -> None:
        self.old, self.issuer, self.nginx, self.clock = Old(), FakeIssuer(), FakeDeployer(), FakeClock()
        self.vault, self.spec = State(MemStore(), Notes()), spec()

    def run(self, *, force: bool = False) -> tuple[Action, int]:
        engine = Engine(
            (self.spec,), self.vault, self.issuer, self.nginx, self.clock, Notes(), follower=self.old
        )
        (found,) = engine.run(force=force).certificates
        return found.action, found.exit_code

    @property
    def orders(self) -> int:
        return len(self.issuer.orders)


def test_an_older_reading_orders_nothing_in_the_place_of_what_the_newest_has() -> None:
    """A name was added, and the certificate with it obtained by hand."""
    world = Certificates()
    assert world.run() == (Action.FAILED, 75)
    newer = material(spec("example.com", "example.com", "new.example.com"))
    with world.vault.certificate("example.com") as ledger:
        ledger.keep(newer)
    assert world.run() == (Action.FAILED, 75)
    assert (world.orders, world.nginx.shown) == (0, {"example.com": newer.fingerprints})
    assert world.vault.failure("example.com") is None
    world.old.newest = True
    assert world.run() == (Action.ISSUED, 0)


def test_an_older_reading_renews_what_is_due_and_deploys_it() -> None:
    world = Certificates()
    with world.vault.certificate("example.com") as ledger:
        ledger.keep(material(begin=NOW - 80 * DAY))
    assert (world.run(), world.orders) == ((Action.ISSUED, 0), 1)
    assert world.run(force=True) == (Action.ISSUED, 0)


def test_an_older_reading_takes_out_nothing_that_a_newer_one_began() -> None:
    world = Certificates()
    order = PendingOrder(KeyKind.EC256, ("example.com",), SERVER, "KEY", "CSR", "https://ca.example/order/1")
    failure = Failure(Stage.ISSUE, 3, NOW, NOW + DAY, "no", binding=True)
    with world.vault.certificate("other.example") as ledger:
        ledger.save(Progress(order=order))
    with world.vault.certificate("example.com") as ledger:
        ledger.keep(material())
        ledger.save(Progress(order=order))
        ledger.failed(failure)
    world.run()
    assert world.vault.begun() == ["example.com", "other.example"]
    assert (world.vault.failure("example.com"), world.issuer.tidied) == (failure, [])
    world.old.newest = True
    world.run()
    assert (world.vault.progress("example.com").order, world.vault.failure("example.com")) == (None, None)
    assert world.vault.progress("other.example").order is None


def test_what_cannot_be_known_of_it_stops_what_depends_on_it_alone() -> None:
    world = Sites()
    world.cycle(world.hook(site("nodered", "phone")))
    world.store.unreadable["configuration"] = Refused("permission denied")
    view = View("", NOW, Path("/nowhere/renewer.toml"))
    known = Following(world.vault, Path("/nowhere"), view, lambda _: True, FakeClock(), Notes())
    with pytest.raises(Refused):
        replace(world.hook(site("nodered", "phone")), follower=known).plan(SiteContext(NOW, {}))

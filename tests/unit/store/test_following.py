"""Which configuration a state folder follows."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import DAY, NOW, FakeClock, FakeDeployer, MemStore, Notes

from renewer.core.errors import ConfigError, Outdated, Transient
from renewer.core.followed import Followed, View, from_daemon
from renewer.core.site import SiteContext, SiteSpec
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


def test_what_could_not_be_noted_at_first_is_noted_with_the_keys(house: House) -> None:
    """Another process held the sites; the two have stores of their own over one folder."""
    vault, again = (State(FileStore(house.state), house.notes) for _ in range(2))
    follower = replace(house.reading(), vault=again)
    with vault.sites():
        follower.begin()
    assert vault.followed() is None
    site = SiteSpec("nodered", "https://nodered.example", people=("phone",), rotate=DAY)
    SecureLink((site,), vault, FakeDeployer(), follower).propose(SiteContext(NOW, {}))
    assert vault.followed() == Followed(str(house.file), follower.view.digest, NOW)
    assert vault.known_sites() == ["nodered"]

"""Publishing, healing and the placeholder, without nginx."""

import shutil
from pathlib import Path

import pytest
from support.certs import NOW, material, spec

from renewer.core.errors import DeployFailed
from renewer.core.model import KeyKind, Material
from renewer.nginx.generations import Generations
from renewer.nginx.layout import Layout, folder_named
from renewer.nginx.placeholder import prepare, stands_in

EXAMPLE = spec("example.com", "*.example.com")
NAME = EXAMPLE.name
MATERIALS = {days: material(EXAMPLE, days) for days in (90, 60, 30)}


class Noon:
    """A clock that stands still."""

    def now(self) -> object:
        return NOW


@pytest.fixture
def disk(tmp_path: Path) -> Generations:
    generations = Generations(Layout(tmp_path / "state"))
    heal(generations)
    return generations


def heal(generations: Generations) -> list[str]:
    return [path.name for path in prepare(generations, EXAMPLE, Noon())]  # type: ignore[arg-type]


def pointed(generations: Generations) -> tuple[str, str]:
    """Return what the include and `current` name."""
    in_use = generations.in_use(NAME)
    return (folder_named(in_use.include or b"") or Path("-")).name, in_use.current or "-"


def test_at_first_everything_names_the_placeholder(tmp_path: Path) -> None:
    generations = Generations(Layout(tmp_path / "state"))
    assert not stands_in(generations, NAME)
    assert heal(generations) == ["current", "example.com.conf"]
    assert pointed(generations) == ("placeholder", "placeholder")
    assert stands_in(generations, NAME)
    assert heal(generations) == []


def test_what_is_published_is_named_by_both(disk: Generations) -> None:
    first, second = MATERIALS[60], MATERIALS[90]
    assert not disk.published(NAME, first)
    disk.publish(NAME, first)
    assert pointed(disk) == ("g000001", "g000001")
    assert disk.published(NAME, first)
    disk.publish(NAME, second)
    assert pointed(disk) == ("g000002", "g000002")
    assert disk.published(NAME, second)
    assert not disk.published(NAME, first)
    assert not stands_in(disk, NAME)


def test_a_generation_with_the_same_bytes_is_used_again(disk: Generations) -> None:
    for days in (60, 90, 60, 60):
        disk.publish(NAME, MATERIALS[days])
    assert pointed(disk) == ("g000001", "g000001")
    assert len(list(disk.layout.home(NAME).glob("g*"))) == 2


def test_both_kinds_of_key_lie_in_one_generation(disk: Generations) -> None:
    both = material(spec(NAME, kinds=(KeyKind.EC256, KeyKind.RSA2048)))
    disk.publish(NAME, both)
    assert disk.published(NAME, both)
    assert disk.shown(NAME) == disk.layout.home(NAME) / "g000001"
    assert not disk.published(NAME, Material(both.pairs[:1], both.directory_url))


def test_a_touched_generation_is_not_the_published_one(disk: Generations) -> None:
    disk.publish(NAME, MATERIALS[90])
    (disk.layout.home(NAME) / "g000001" / "chain.pem").write_text("other")
    assert not disk.published(NAME, MATERIALS[90])
    disk.publish(NAME, MATERIALS[90])
    assert pointed(disk) == ("g000002", "g000002")


@pytest.mark.parametrize("file", ["haproxy.pem", "privkey.der", "privkey-pkcs1.pem"])
def test_what_somebody_else_put_into_a_generation_stays_with_it(disk: Generations, file: str) -> None:
    disk.publish(NAME, MATERIALS[90])
    (disk.layout.current(NAME) / file).write_text("a hook's")
    assert disk.published(NAME, MATERIALS[90])
    disk.publish(NAME, MATERIALS[90])
    assert pointed(disk) == ("g000001", "g000001")
    assert disk.current(NAME) == disk.shown(NAME) == disk.layout.home(NAME) / "g000001"


def test_a_key_that_does_not_fit_is_never_named(disk: Generations) -> None:
    disk.publish(NAME, MATERIALS[60])
    one, other = MATERIALS[90].pairs[0], MATERIALS[30].pairs[0]
    mixed = Material((type(one)(**{**vars(one), "key": other.key}),), "server")
    with pytest.raises(DeployFailed) as refused:
        disk.publish(NAME, mixed)
    assert refused.value.ours
    assert pointed(disk) == ("g000001", "g000001")


def test_the_pointers_go_back_to_what_they_were(disk: Generations) -> None:
    former = disk.in_use(NAME)
    disk.publish(NAME, MATERIALS[90])
    disk.restore(NAME, former)
    assert disk.in_use(NAME) == former
    assert stands_in(disk, NAME)
    assert heal(disk) == []


@pytest.mark.parametrize("harm", ["absent", "empty", "dangling", "elsewhere"])
def test_a_lost_include_names_the_generation_that_ends_last(disk: Generations, harm: str) -> None:
    for days in (90, 60):
        disk.publish(NAME, MATERIALS[days])
    include = disk.layout.include(NAME)
    texts = {
        "empty": "",
        "dangling": include.read_text().replace("g000002", "g000009"),
        "elsewhere": include.read_text().replace(str(disk.layout.state), "/old/state"),
    }
    include.unlink() if harm == "absent" else include.write_text(texts[harm])
    assert heal(disk) == ["example.com.conf"]
    assert pointed(disk) == ("g000001", "g000002")


@pytest.mark.parametrize("harm", ["absent", "dangling", "a file", "flattened", "outside"])
def test_a_lost_current_names_the_generation_that_ends_last(disk: Generations, harm: str) -> None:
    for days in (60, 90):
        disk.publish(NAME, MATERIALS[days])
    current = disk.layout.current(NAME)
    current.unlink()
    if harm == "dangling":
        current.symlink_to("g000009")
    elif harm == "a file":
        current.write_text("")
    elif harm == "flattened":
        shutil.copytree(current.parent / "g000002", current)
    elif harm == "outside":
        current.symlink_to("/etc")
    assert heal(disk) == ["current"]
    assert pointed(disk) == ("g000002", "g000002")


def test_damaged_generations_are_passed_over(disk: Generations) -> None:
    for days in (30, 60, 90):
        disk.publish(NAME, MATERIALS[days])
    home = disk.layout.home(NAME)
    (home / "g000003" / "privkey.pem").write_bytes(b"")
    (home / "g000002" / "cert.pem").unlink()
    (home / "g000004").touch()
    assert heal(disk) == ["current", "example.com.conf"]
    assert pointed(disk) == ("g000001", "g000001")
    shutil.rmtree(home / "g000001")
    shutil.rmtree(home / "placeholder")
    assert heal(disk) == ["current", "example.com.conf"]
    assert pointed(disk) == ("placeholder", "placeholder")


def test_of_two_that_end_together_the_later_one_counts(disk: Generations) -> None:
    disk.publish(NAME, MATERIALS[60])
    disk.publish(NAME, material(EXAMPLE, 60))
    assert disk.newest(NAME) == disk.layout.home(NAME) / "g000002"


def test_what_is_in_use_outlives_the_sweep(disk: Generations) -> None:
    first = material(EXAMPLE)
    disk.publish(NAME, first)
    kept = disk.in_use(NAME)
    for _ in range(4):
        disk.publish(NAME, material(EXAMPLE))
    disk.restore(NAME, kept)
    home = disk.layout.home(NAME)
    (home / ".new-dead").mkdir()
    (disk.layout.include(NAME).parent / ".tmp-dead").touch()
    disk.sweep(NAME)
    assert sorted(path.name for path in home.iterdir()) == [
        "current",
        "g000001",
        "g000003",
        "g000004",
        "g000005",
        "placeholder",
    ]
    assert [path.name for path in disk.layout.include(NAME).parent.iterdir()] == ["example.com.conf"]
    disk.publish(NAME, material(EXAMPLE))
    assert pointed(disk) == ("g000006", "g000006")

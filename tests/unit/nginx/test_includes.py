"""What nginx includes in a state folder that root shares: asked for, and written by root's helper."""

import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.certs import NOW, material, spec
from support.fakes import FakeClock, Notes
from support.roots_helper import loaded

from renewer.core.errors import DeployFailed, NotServed
from renewer.core.model import Change, Publish
from renewer.core.site import Gate, Guard, Key, Ring, SiteSpec
from renewer.nginx.deployer import NginxDeployer
from renewer.nginx.generations import Generations
from renewer.nginx.helper import Helper
from renewer.nginx.layout import Layout
from renewer.nginx.secure_link.gates import Gates

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="shares a folder as root")

EXAMPLE = spec("example.com")
PUBLISH = Publish(EXAMPLE, material(EXAMPLE))
RING = Ring(Key("k2", "02" * 32), Key("k1", "01" * 32), NOW, NOW + timedelta(days=60), 2)
GUARD = Guard((Gate(SiteSpec("a", "https://a.example", people=("b",)), RING),))
BOTH: tuple[Change, ...] = (PUBLISH, GUARD)


class Shared(FakeClock):
    """A state folder that root shares; root's helper does its work whenever somebody waits."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.state = folder / "state"
        self.state.mkdir()
        os.chown(self.state, 0, 65534)
        self.state.chmod(0o1770)
        self.nginx = folder / "nginx"
        self.nginx.write_text("#!/bin/sh\ntest ! -e $0.refuses\n")
        self.nginx.chmod(0o755)
        (folder / "nginx.conf").write_text("events {}\n")
        self.helper = loaded()
        self.helper.REQUEST, self.helper.ANSWERS = folder / "reload.request", folder / "answers"
        self.helper.UNIT = "renewer-none.service"
        self.told, self.asked = "ok", 0
        self.places = True
        layout = Layout(self.state)
        self.generations, self.gates = Generations(layout), Gates(layout)
        self.deployer = NginxDeployer(
            self.state,
            str(self.nginx),
            str(folder / "nginx.conf"),
            "request",
            (),
            self,
            Notes(),
            Helper(folder / "reload.request", folder / "answers" / "result"),
        )

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        request = self.helper.take()
        if request:
            self.asked += 1
            state = str(self.state if self.places else self.state / "none")
            status, text = self.helper.carry_out(
                str(self.nginx), self.deployer.config, state, place_only=bool(request[1])
            )
            self.helper.answer(request[0], self.told if status == "nginx-down" else status, text)

    def refuse(self) -> None:
        Path(f"{self.nginx}.refuses").touch()

    @property
    def included(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.state / "nginx").rglob("*.conf")}

    @property
    def wanted(self) -> list[Path]:
        return [path for path in (self.state / "wanted").rglob("*") if path.is_file()]


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(tmp_path)


def test_what_is_missing_is_put_in_place_before_nginx_can_be_tested(shared: Shared) -> None:
    shared.refuse()
    written = shared.deployer.prepare([EXAMPLE])
    assert [Path(path).name for path in written] == [
        "current", "example.com.conf", "http.conf", "enter.conf", "gate.conf", "gate-url.conf",
    ]  # fmt: skip
    assert set(shared.included) == {Path(path).name for path in written[1:]}
    assert (shared.asked, shared.wanted) == (1, [])
    assert shared.deployer.prepare([EXAMPLE]) == []
    assert shared.asked == 1


def test_certificate_and_secure_links_come_with_one_reload(shared: Shared) -> None:
    shared.deployer.prepare([EXAMPLE])
    shared.deployer.apply(BOTH)
    assert shared.asked == 2
    assert shared.generations.published("example.com", PUBLISH.material)
    assert shared.deployer.stands(GUARD)
    assert shared.wanted == []


def test_what_nginx_refuses_is_rolled_back_and_not_wanted_any_more(shared: Shared) -> None:
    shared.deployer.prepare([EXAMPLE])
    before = shared.included
    shared.refuse()
    with pytest.raises(DeployFailed):
        shared.deployer.apply(BOTH)
    assert (shared.included, shared.wanted) == (before, [])
    assert shared.generations.in_use("example.com").current == "placeholder"


def test_what_was_put_in_place_while_nginx_was_down_stays(shared: Shared) -> None:
    shared.told = "nginx-down"
    with pytest.raises(NotServed, match="running"):
        shared.deployer.apply(BOTH)
    assert shared.generations.published("example.com", PUBLISH.material)
    shared.told = "ok"
    shared.deployer.apply(BOTH)
    assert shared.wanted == []


def test_secure_links_need_more_than_a_reload_that_nobody_saw(shared: Shared) -> None:
    shared.told = "not-confirmed"
    shared.deployer.apply([PUBLISH])
    with pytest.raises(NotServed, match="workers"):
        shared.deployer.apply([GUARD])
    shared.told = "ok"
    shared.deployer.apply([GUARD])


@pytest.mark.parametrize("changes", [[PUBLISH], [GUARD], BOTH])
def test_a_helper_that_says_ok_and_did_nothing_is_told(shared: Shared, changes: list[Change]) -> None:
    shared.deployer.prepare([EXAMPLE])
    shared.places = False
    with pytest.raises(NotServed, match=r"reload helper.*\.conf"):
        shared.deployer.apply(changes)
    shared.places = True
    shared.deployer.apply(changes)


def test_without_an_answer_nothing_is_included_and_the_next_run_does_it(shared: Shared) -> None:
    shared.deployer.prepare([EXAMPLE])
    before = shared.included
    absent = replace(shared.deployer, clock=FakeClock())
    with pytest.raises(NotServed, match="did not answer"):
        absent.apply(BOTH)
    assert shared.included == before
    assert not shared.generations.published("example.com", PUBLISH.material)
    shared.deployer.apply(BOTH)
    assert shared.generations.published("example.com", PUBLISH.material)
    assert shared.deployer.stands(GUARD)


def test_what_a_dead_run_wanted_is_forgotten(shared: Shared) -> None:
    shared.deployer.prepare([EXAMPLE])
    before = shared.included
    shared.generations.publish("example.com", PUBLISH.material)
    shared.gates.write(GUARD)
    assert (len(shared.wanted), shared.included) == (2, before)
    shared.deployer.prepare([EXAMPLE])
    assert (shared.wanted, shared.included) == ([], before)


def test_what_a_clock_that_was_ahead_has_written_is_written_anew(shared: Shared, tmp_path: Path) -> None:
    shared.deployer.apply(BOTH)
    alone = Gates(Layout(tmp_path / "alone"))
    alone.write(GUARD)
    for gates in (shared.gates, alone):
        os.utime(gates.path("gate.conf"), (ahead := time.time() + 7200, ahead))
    shared.deployer.apply(BOTH)
    alone.write(GUARD)
    assert max(shared.gates.written(), alone.written()) < ahead - 3600
    assert shared.wanted == []


def test_a_reload_by_other_means_has_it_put_in_place_first(shared: Shared) -> None:
    by_hand = replace(shared.deployer, reload=("/bin/true",))
    by_hand.apply([PUBLISH])
    assert shared.generations.published("example.com", PUBLISH.material)
    shared.refuse()
    other = Publish(EXAMPLE, material(EXAMPLE, 60))
    with pytest.raises(DeployFailed):
        by_hand.apply([other])
    assert shared.generations.published("example.com", PUBLISH.material)
    assert shared.wanted == []

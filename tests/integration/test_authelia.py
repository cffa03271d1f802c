"""The example beside Authelia, whose endpoint is a stand-in: who gets in, what is asked, and what is told."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from support.authelia_standin import BOARD, PORTAL, PUBLIC
from support.fitting import EXAMPLES, Example, set_up
from support.hostile.requests import REACHED, Forge
from support.visitor import Answer, ask

from renewer.config.load import parse

FOLDER = EXAMPLES / "authelia"

BENCH = """set $rn_scope board;
    location /bench/ {
        set $rn_scope none;
        include /etc/nginx/snippets/login-or-link.conf;
        proxy_pass http://127.0.0.1:1880;
    }
"""
"""A location of another site in the server of the board."""

WHO = ("Remote-User", "Remote-Groups", "Remote-Name", "Remote-Email", "X-Renewer-User")

ANNA = {"Cookie": "authelia_session=anna"}


@dataclass
class Board:
    """The site of the example behind nginx."""

    example: Example

    def get(self, *headers: Mapping[str, str], path: str = "/", method: str = "GET") -> Answer:
        return ask(self.example.world.port, BOARD, path, *headers, method=method)

    def told(self, *headers: Mapping[str, str]) -> dict[str, str]:
        """Return what the back end was told of who it is."""
        self.example.behind.settled()
        assert self.get(*headers).status == 200
        (seen,) = self.example.behind.settled()
        return {name: value for name in WHO for value in seen.all(name.lower())}

    def entered(self) -> dict[str, str]:
        address = urlsplit(self.example.renewer("link", "board", "kitchen-tablet").strip())
        answer = self.get(path=f"{address.path}?{address.query}")
        assert answer.status == 303
        return answer.session

    def asked(self) -> list[str]:
        """Return what Authelia was asked since this was last called."""
        found, self.example.login.asked = self.example.login.asked, []
        return found


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    changed = {"set $rn_scope board;\n": BENCH}
    with set_up(FOLDER, tmp_path_factory.mktemp("authelia"), changed) as example:
        yield Board(example)


def test_its_configuration_is_one() -> None:
    assert parse((FOLDER / "renewer.toml").read_text(), "renewer.toml").sites


def test_a_person_logs_in(board: Board) -> None:
    answer = board.get(path="/lights?x=1")
    assert answer.status == 302
    assert answer.headers["Location"] == f"{PORTAL}/?rd=https://{BOARD}/lights?x=1"
    assert answer.headers["Cache-Control"] == "no-store"
    assert board.told(ANNA) == {"Remote-User": "anna", "Remote-Groups": "family"}


def test_a_device_has_a_link_of_which_authelia_hears_nothing(board: Board) -> None:
    session = board.entered()
    board.asked()
    assert board.told(session) == {"X-Renewer-User": "kitchen-tablet"}
    both = {"Cookie": f"{session['Cookie']}; authelia_session=anna"}
    assert board.told(both) == {"X-Renewer-User": "kitchen-tablet"}
    assert board.asked() == []


def test_nobody_says_himself_who_he_is(board: Board) -> None:
    claimed = dict.fromkeys(WHO, "root")
    assert board.get(claimed).status == 302
    assert board.told(board.entered(), claimed) == {"X-Renewer-User": "kitchen-tablet"}
    assert board.told(ANNA, claimed) == {"Remote-User": "anna", "Remote-Groups": "family"}
    forged = {"Cookie": f"__Host-rn-board=k1.kitchen-tablet.9999999999.{'a' * 22}"}
    assert board.get(forged).status == 302


def test_who_may_not_is_refused_and_so_is_a_page_of_another_site(board: Board) -> None:
    guest = board.get({"Cookie": "authelia_session=guest"})
    assert (guest.status, guest.headers["Cache-Control"]) == (403, "no-store")
    foreign = {"Origin": "https://elsewhere.example.net"}
    for session in (board.entered(), ANNA):
        assert board.get(session, foreign, method="POST").status == 403


def test_where_authelia_is_broken_links_still_open(board: Board) -> None:
    assert board.get({"Cookie": "authelia_session=broken"}).status == 500
    both = {"Cookie": f"authelia_session=broken; {board.entered()['Cookie']}"}
    assert board.told(both) == {"X-Renewer-User": "kitchen-tablet"}


def test_it_is_checked_for_the_site_of_the_location(board: Board) -> None:
    """The location here names another site than its server, whose name the subrequest would go by."""
    assert board.get(board.entered(), path="/bench/").status == 302


def test_the_subrequest_cannot_be_asked_for(board: Board) -> None:
    assert board.get(board.entered(), path="/.renewer/login").status == 404


def test_a_password_for_the_back_end_is_none_of_authelias_business(board: Board) -> None:
    for name in ("Authorization", "Proxy-Authorization"):
        basic = {name: "Basic Ym9hcmQ6c2VjcmV0"}
        answer = board.get(basic)
        assert (answer.status, answer.headers["Location"]) == (302, f"{PORTAL}/?rd=https://{BOARD}/")
        assert board.told(ANNA, basic) == {"Remote-User": "anna", "Remote-Groups": "family"}


def test_it_is_asked_about_the_host_that_is_served(board: Board) -> None:
    """Whatever host the client names beside it: another one may be open to everybody."""
    caller = board.example.caller(inside=False)
    for name, request in Forge(BOARD).misdirected(PUBLIC).items():
        assert REACHED not in caller.call(BOARD, request), name
    asked = board.asked()
    assert "GET https://board.example.com/" in asked
    assert {urlsplit(one.partition(" ")[2]).hostname for one in asked} == {BOARD}

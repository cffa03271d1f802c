"""The examples before a real nginx, as they stand in their folders but for addresses and paths."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from support.fitting import HOME, OUTSIDE
from support.place import (
    CLIENT,
    EXAMPLES,
    FILES,
    HOUSE,
    NAMES,
    TOOLS,
    VAULT,
    WORKSHOP,
    Place,
    backend,
    run,
)
from support.visitor import WHO, Answer
from support.world import World, eventually

from renewer.config.load import parse
from renewer.core import tokens

FOREIGN = ("https://elsewhere.example.net", f"https://{WORKSHOP}", "null")
EMBEDDED = [{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"} for site in ("cross-site", "same-site")]
FOLLOWED = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
SOCKET = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}


def argument(address: str, name: str) -> str:
    return parse_qs(urlsplit(address).query)[name][0]


def recorded(folder: Path, *programs: str) -> dict[str, str]:
    """Return an environment in which these write their command lines into `seen`, and then do their work."""
    for name in programs:
        wrapper = folder / name
        real = shutil.which(name)
        wrapper.write_text(f'#!/bin/sh\necho {name} "$@" >>{folder}/seen\nexec {real} "$@"\n')
        wrapper.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The three examples, after a renewal: keys are there, and replaced ones that are still honoured."""
    with backend() as behind, World(tmp_path_factory.mktemp("examples")) as world:
        found = Place(world, behind)
        found.prepare()
        assert world.renewer("nginx").code == 0
        found.world.reload()
        for arguments in ((), ("--force",)):
            done = world.renew(*arguments)
            assert (done.code, done.err) == (0, ""), done
        yield found


@pytest.fixture(scope="module")
def phone(place: Place) -> Path:
    """A client certificate that is known to nginx."""
    found = place.identity("handset")
    place.world.reload()
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_its_configuration_is_one(example: Path) -> None:
    assert parse((example / "renewer.toml").read_text(), "renewer.toml").sites


class TestStaticFiles:
    def signers(self, place: Place, path: str, seconds: int) -> dict[str, str]:
        """Return what each signer prints for a path."""
        assert shutil.which("php"), "there is no php: install the Debian package php-cli"
        return {
            name: run(program, str(place.folder / f"sign.{name}"), path, str(seconds)).stdout.strip()
            for name, program in (("py", "python3"), ("php", "php"), ("sh", "sh"))
        }

    def right(self, place: Place, path: str, address: str) -> str:
        """Return the address that the program itself makes for this path and this end."""
        end = datetime.fromtimestamp(int(argument(address, "expires")), UTC)
        return f"https://{FILES}" + tokens.url(place.keys("files")[0], "files", quote(path), end)

    def open(self, place: Place, address: str) -> Answer:
        return place.get(FILES, address.removeprefix(f"https://{FILES}"))

    @pytest.mark.parametrize("name", NAMES)
    def test_each_signer_prints_the_address_that_opens_the_file(self, place: Place, name: str) -> None:
        path = f"/{name}"
        for address in self.signers(place, path, 3600).values():
            assert address == self.right(place, path, address)
            answer = self.open(place, address)
            assert (answer.status, answer.body) == (200, name)
            assert answer.headers["Referrer-Policy"] == "no-referrer"

    def test_the_command_prints_the_same_for_the_path_of_a_url(self, place: Place) -> None:
        path = f"/{NAMES[2]}"
        address = place.printed("link", "files", "--uri", quote(path))
        assert address == self.right(place, path, address)
        assert self.open(place, address).body == NAMES[2]

    def test_a_part_of_a_file_can_be_asked_for(self, place: Place) -> None:
        address = self.signers(place, "/plain.txt", 60)["py"].removeprefix(f"https://{FILES}")
        answer = place.get(FILES, address, {"Range": "bytes=1-4"})
        assert (answer.status, answer.body) == (206, "lain")

    def test_nothing_else_opens_it(self, place: Place) -> None:
        good = self.signers(place, "/plain.txt", 3600)["sh"]
        path, _, signature = good.partition("?")
        end = argument(good, "expires")
        for other in (
            path,
            f"https://{FILES}/a%20film.txt?{signature}",
            good.replace(end, str(int(end) + 1)),
            good.replace("k=k", "k=k9"),
            self.signers(place, "//plain.txt", 3600)["sh"],
            good[:-1],
        ):
            answer = self.open(place, other)
            assert (answer.status, answer.headers["Cache-Control"]) == (403, "no-store"), other

    def test_it_is_over_when_its_seconds_are(self, place: Place) -> None:
        address = self.signers(place, "/plain.txt", 1)["sh"]
        eventually(lambda: self.open(place, address).status == 403)

    def test_the_address_of_a_folder_opens_its_index_and_nothing_else_in_it(self, place: Place) -> None:
        address = self.signers(place, "/album/", 60)["py"]
        assert self.open(place, address).body == "album/index.html"
        assert self.open(place, address.replace("/album/", "/album/1.jpg")).status == 403

    def test_no_signature_is_in_a_log(self, place: Place) -> None:
        addresses = [*self.signers(place, "/plain.txt", 60).values()]
        addresses += self.signers(place, "/missing.txt", 60).values()
        assert {self.open(place, address).status for address in addresses} == {200, 404}
        log = (place.folder / "files.access.log").read_text()
        assert '"GET /plain.txt HTTP/1.1" 200' in log
        assert '"GET /missing.txt HTTP/1.1" 404' in log
        for path in place.folder.glob("*.log"):
            text = path.read_text()
            assert not [one for one in addresses if one.rpartition("=")[2] in text], path

    def test_what_is_longer_than_the_grace_or_no_path_is_refused(self, place: Place) -> None:
        grace = 7 * 24 * 3600
        assert all(self.signers(place, "/plain.txt", grace).values())
        for name, program in (("py", "python3"), ("php", "php"), ("sh", "sh")):
            for wrong in (("/plain.txt", str(grace + 1)), ("/plain.txt", "0"), ("/x", "1d"), ("x", "9"), ()):
                argv = [program, str(place.folder / f"sign.{name}"), *wrong]
                done = subprocess.run(argv, capture_output=True, text=True, check=False)
                assert (done.returncode, done.stdout) == (1, ""), argv
                assert done.stderr.startswith(f"sign.{name} PATH SECONDS: "), argv

    def test_the_shell_never_hands_the_secret_to_a_program(self, place: Place, tmp_path: Path) -> None:
        seen = recorded(tmp_path, "cat", "date", "od", "openssl", "sed", "tr")
        run("sh", str(place.folder / "sign.sh"), "/plain.txt", "60", **seen)
        lines = (tmp_path / "seen").read_text()
        assert "openssl dgst -md5" in lines
        assert json.loads((place.folder / "handed/files.json").read_text())["secret"] not in lines

    def test_a_replaced_key_is_signed_with_no_more_but_honoured(self, place: Place) -> None:
        before = self.signers(place, "/plain.txt", 3600)
        handed = place.folder / "handed" / "files.json"
        assert handed.stat().st_mode & 0o777 == 0o640
        place.printed("rotate", "files")
        after = self.signers(place, "/plain.txt", 3600)
        for name in before:
            assert argument(before[name], "k") != argument(after[name], "k")
            assert self.open(place, before[name]).status == self.open(place, after[name]).status == 200
        handed.unlink()
        place.printed("renew")
        assert self.signers(place, "/plain.txt", 3600)
        place.printed("rotate", "files", "--now")
        assert self.open(place, after["sh"]).status == 403
        assert self.open(place, self.signers(place, "/plain.txt", 3600)["sh"]).status == 200


class TestLanOrLink:
    def test_at_home_no_link_is_needed(self, place: Place) -> None:
        answer = place.get(HOUSE)
        assert (answer.who, answer.headers["Cache-Control"]) == ("", "private")

    def test_outside_one_is(self, place: Place) -> None:
        refused = place.get(HOUSE, source=OUTSIDE)
        assert (refused.status, refused.headers["Cache-Control"]) == (403, "no-store")
        session = place.entered("house", "phone")
        assert place.get(HOUSE, "/", session, source=OUTSIDE).who == "phone"
        assert place.get(HOUSE, "/", session).who == "phone"

    def test_nobody_says_himself_who_he_is(self, place: Place) -> None:
        claimed = {WHO: "phone"}
        assert place.get(HOUSE, "/", claimed).who == ""
        forged = {"Cookie": f"__Host-rn-house=k1.phone.9999999999.{'a' * 22}"}
        assert place.get(HOUSE, "/", claimed, forged).who == ""
        assert place.get(HOUSE, "/", claimed, forged, source=OUTSIDE).status == 403
        assert place.get(HOUSE, "/", claimed, place.session("house", "laptop")).who == "laptop"

    @pytest.mark.parametrize("source", [HOME, OUTSIDE])
    def test_a_session_signed_with_a_replaced_key_is_renewed(self, place: Place, source: str) -> None:
        answer = place.get(HOUSE, "/", place.session("house", "phone", old=True), source=source)
        assert answer.who == "phone"
        assert "Max-Age" in answer.headers["Set-Cookie"]
        again = place.get(HOUSE, "/", answer.session, source=source)
        assert (again.who, again.renewed) == ("phone", False)

    def test_one_that_has_ended_is_as_none(self, place: Place) -> None:
        for old in (False, True):
            ended = place.session("house", "phone", old=old, ago=True)
            assert place.get(HOUSE, "/", ended, source=OUTSIDE).status == 403
            at_home = place.get(HOUSE, "/", ended)
            assert (at_home.who, at_home.renewed) == ("", False)

    @pytest.mark.parametrize("source", [HOME, OUTSIDE])
    def test_a_page_of_another_site_can_do_nothing(self, place: Place, source: str) -> None:
        session = place.session("house", "phone")
        own = {"Origin": f"https://{HOUSE}"}
        assert place.get(HOUSE, "/", session, own, method="POST", body="on", source=source).who == "phone"
        for origin in FOREIGN:
            foreign = {"Origin": origin}
            posted = place.get(HOUSE, "/", session, foreign, method="POST", body="on", source=source)
            assert posted.status == 403, origin
            assert place.get(HOUSE, "/", session, foreign, SOCKET, source=source).status == 403, origin
        for embedded in EMBEDDED:
            assert place.get(HOUSE, "/", session, embedded, source=source).status == 403
        assert place.get(HOUSE, "/", session, FOLLOWED, source=source).who == "phone"

    def test_what_is_posted_reaches_the_backend(self, place: Place) -> None:
        session = place.session("house", "phone")
        answer = place.get(HOUSE, "/", session, method="POST", body="x" * 100_000, source=OUTSIDE)
        assert json.loads(answer.body)["body"] == "x" * 100_000

    def test_a_websocket_opens_for_those_who_may(self, place: Place) -> None:
        session = place.session("house", "phone")
        assert place.get(HOUSE, "/", SOCKET).status == 101
        assert place.get(HOUSE, "/", SOCKET, source=OUTSIDE).status == 403
        opened = place.get(HOUSE, "/", SOCKET, session, source=OUTSIDE)
        assert (opened.status, opened.headers[WHO]) == (101, "phone")

    def test_it_is_checked_for_the_site_of_the_location(self, place: Place) -> None:
        """The location here names another site than its server, whose name the subrequest would go by."""
        house, workshop = place.session("house", "phone"), place.session("workshop", "tablet", old=True)
        assert place.get(HOUSE, "/bench/", house, source=OUTSIDE).status == 403
        assert place.get(HOUSE, "/", workshop, source=OUTSIDE).status == 403
        answer = place.get(HOUSE, "/bench/", workshop, source=OUTSIDE)
        assert answer.who == "tablet"
        assert answer.headers["Set-Cookie"].startswith("__Host-rn-workshop=")

    def test_the_subrequest_cannot_be_asked_for(self, place: Place) -> None:
        assert place.get(HOUSE, "/.renewer/check", place.session("house", "phone")).status == 404

    def test_the_workshop_wants_both(self, place: Place) -> None:
        session = place.entered("workshop", "tablet")
        assert place.get(WORKSHOP).status == 403
        assert place.get(WORKSHOP, source=OUTSIDE).status == 403
        assert place.get(WORKSHOP, "/", session, source=OUTSIDE).status == 403
        assert place.get(WORKSHOP, "/", session, {WHO: "me"}).who == "tablet"
        assert place.get(WORKSHOP, "/", session, {"Origin": f"https://{HOUSE}"}).status == 403
        assert place.get(WORKSHOP, "/", session, SOCKET).status == 101
        old = place.get(WORKSHOP, "/", place.session("workshop", "tablet", old=True))
        assert (old.who, old.renewed) == ("tablet", True)


class TestClientCertificate:
    def test_a_certificate_opens_it(self, place: Place, phone: Path) -> None:
        answer = place.get(TOOLS, "/", {WHO: "me"}, identity=phone)
        assert (answer.who, answer.headers["Cache-Control"]) == ("handset", "private")

    def test_a_link_opens_it(self, place: Place) -> None:
        assert place.get(TOOLS, "/", place.entered("tools", "guest"), {WHO: "me"}).who == "guest"

    def test_without_either_it_is_shut(self, place: Place) -> None:
        for headers in ({}, {WHO: "me"}, place.session("tools", "guest", ago=True)):
            answer = place.get(TOOLS, "/", headers)
            assert (answer.status, answer.headers["Cache-Control"]) == (403, "no-store")

    def test_with_both_it_is_the_person_of_the_link(self, place: Place, phone: Path) -> None:
        assert place.get(TOOLS, "/", place.session("tools", "guest"), identity=phone).who == "guest"

    def test_a_session_is_renewed_with_a_certificate_and_without(self, place: Place, phone: Path) -> None:
        old = place.session("tools", "guest", old=True)
        for identity in (phone, None):
            answer = place.get(TOOLS, "/", old, identity=identity)
            assert (answer.who, answer.renewed) == ("guest", True)
        assert not place.get(TOOLS, identity=phone).renewed

    def test_a_page_of_another_site_can_do_nothing(self, place: Place, phone: Path) -> None:
        for origin in FOREIGN:
            foreign = {"Origin": origin}
            assert place.get(TOOLS, "/", foreign, method="POST", body="on", identity=phone).status == 403
            assert place.get(TOOLS, "/", foreign, SOCKET, identity=phone).status == 403
        for embedded in EMBEDDED:
            assert place.get(TOOLS, "/", embedded, identity=phone).status == 403
        assert place.get(TOOLS, "/", FOLLOWED, identity=phone).who == "handset"
        own = {"Origin": f"https://{TOOLS}"}
        assert place.get(TOOLS, "/", own, method="POST", body="on", identity=phone).who == "handset"
        assert place.get(TOOLS, "/", own, SOCKET, identity=phone).status == 101

    def test_one_of_another_ca_or_that_has_ended_is_refused_even_with_a_link(
        self, place: Place, tmp_path: Path
    ) -> None:
        run("sh", str(CLIENT / "make-ca"), str(tmp_path))
        for bad in (place.identity("handset", ca=tmp_path), place.identity("ended", DAYS="-1")):
            assert place.get(TOOLS, identity=bad).status == 400
            assert place.get(TOOLS, "/", place.session("tools", "guest"), identity=bad).status == 400

    def test_the_file_for_an_old_device_holds_a_certificate_too(self, place: Place) -> None:
        old = place.identity("old", "--old")
        place.world.reload()
        assert place.get(TOOLS, identity=old).who == "old"

    def test_the_password_is_in_no_command_line(self, place: Place, tmp_path: Path) -> None:
        seen = recorded(tmp_path, "openssl", "sed", "tr", "mv")
        done = run("sh", str(CLIENT / "make-client"), "quiet", str(place.ca), **seen)
        password = done.stdout.splitlines()[0].rpartition(" ")[2]
        assert len(password) == 16
        assert "openssl pkcs12" in (tmp_path / "seen").read_text()
        assert password not in (tmp_path / "seen").read_text()

    def test_a_ca_is_not_made_twice_and_a_client_not_without_one(self, place: Place, tmp_path: Path) -> None:
        key = (place.ca / "ca.key").read_bytes()
        for script, *arguments in (
            ("make-ca", str(place.ca)),
            ("make-client", "phone", str(tmp_path)),
            ("make-client", 'x" y', str(place.ca)),
        ):
            done = subprocess.run(["sh", CLIENT / script, *arguments], capture_output=True, check=False)
            assert (done.returncode, done.stdout) == (1, b"")
            assert done.stderr.startswith(script.encode())
        assert (place.ca / "ca.key").read_bytes() == key

    def test_one_whose_line_is_taken_out_opens_nothing_more(self, place: Place) -> None:
        lost = place.identity("lost")
        assert place.get(TOOLS, identity=lost).status == 403
        place.world.reload()
        assert place.get(TOOLS, identity=lost).who == "lost"
        known = place.ca / "clients.map"
        lines = known.read_text().splitlines(keepends=True)
        known.write_text("".join(line for line in lines if " lost;" not in line))
        place.world.reload()
        assert place.get(TOOLS, identity=lost).status == 403
        assert place.get(TOOLS, "/", place.session("tools", "guest"), identity=lost).who == "guest"

    def test_the_vault_wants_both(self, place: Place, phone: Path) -> None:
        session = place.entered("vault", "laptop")
        assert place.get(VAULT).status == 403
        assert place.get(VAULT, "/", session).status == 403
        assert place.get(VAULT, identity=phone).status == 403
        assert place.get(VAULT, "/", session, identity=phone).who == "laptop"
        assert place.get(VAULT, "/", session, {"Origin": f"https://{TOOLS}"}, identity=phone).status == 403
        old = place.get(VAULT, "/", place.session("vault", "laptop", old=True), identity=phone)
        assert (old.who, old.renewed) == ("laptop", True)

"""Secure links before a real nginx: what opens a site, what does not, and what a rotation ends."""

import hmac
import json
import re
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.gated import FILES, HOST, OTHER, Site, forged
from support.visitor import Answer
from support.world import NAME, World, table

from renewer.core import tokens
from renewer.core.site import Key

SOON = timedelta(minutes=5)


@pytest.fixture
def site(world: World) -> Site:
    found = Site(world, world.renewer)
    assert world.renew().code == 0
    return found


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site for tests that change nothing."""
    with World(tmp_path_factory.mktemp("standing")) as world:
        found = Site(world, world.renewer)
        assert world.renew().code == 0
        yield found


class TestOpening:
    def test_a_link_opens_the_site_and_its_cookie_keeps_it_open(self, standing: Site) -> None:
        assert standing.get("/").status == 403
        entered = standing.enter(standing.link("nodered", "phone"))
        assert (entered.status, entered.headers["Location"]) == (303, "/ui/")
        flags = {part.strip() for part in entered.headers["Set-Cookie"].split(";")[1:]}
        assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= flags
        assert standing.visit(entered.cookie).status == 200

    def test_a_link_whose_token_is_behind_the_hash_opens_it_too(self, standing: Site) -> None:
        token = standing.link("nodered", "laptop", "--fragment").partition("#")[2]
        headers = {"X-Renewer-Link": token, "Origin": f"https://{HOST}"}
        assert standing.get("/.renewer/").status == 200
        assert standing.get("/.renewer/enter-js", method="GET", **headers).status == 405
        entered = standing.get("/.renewer/enter-js", method="POST", **headers)
        assert entered.status == 204
        assert standing.visit(entered.cookie).status == 200
        foreign = headers | {"Origin": f"https://{OTHER}"}
        assert standing.get("/.renewer/enter-js", method="POST", **foreign).status == 403

    def test_a_signed_url_opens_its_path_and_no_other(self, standing: Site) -> None:
        url = standing.link("files", "--uri", "/a b/ü%25.zip").partition("example.com")[2]
        assert standing.get(url, FILES).status == 200
        path, _, signed = url.partition("?")
        for other in (
            f"/other?{signed}",
            path,
            f"{path}?{signed.replace('k=k1', 'k=k9')}",
            f"{path}?{signed[:-1]}",
        ):
            assert standing.get(other, FILES).status == 403, other

    def test_another_program_signs_with_what_it_is_handed(self, standing: Site) -> None:
        told = json.loads(standing.signer.read_text())
        assert (told["site"], told["k"]) == ("files", "k1")
        assert standing.signer.stat().st_mode & 0o777 == 0o600
        command = 'printf "%s" "$0" | openssl md5 -binary | openssl base64 | tr +/ -_ | tr -d ='
        end = int((datetime.now(UTC) + SOON).timestamp())
        text = f"{end}/file.zip {told['secret']}"
        md5 = subprocess.run(
            ["sh", "-c", command, text], check=True, capture_output=True, text=True
        ).stdout.strip()
        assert standing.get(f"/file.zip?k=k1&expires={end}&md5={md5}", FILES).status == 200

    def test_what_nobody_may_read_nobody_can(self, standing: Site) -> None:
        for folder in ("store/site", "nginx/secure_link"):
            for path in (standing.world.state / folder).iterdir():
                assert path.stat().st_mode & 0o077 == 0, path

    def test_no_key_and_no_token_is_in_a_log(self, standing: Site) -> None:
        session, link = standing.session(), standing.link("nodered", "phone")
        standing.enter(link)
        assert standing.visit(session).status == 200
        said = standing.world.renewer("-v", "status")
        logs = [path.read_text() for path in standing.world.folder.rglob("*.log")]
        assert any("GET / HTTP" in text for text in logs)
        for secret in (session, link.partition("=")[2], standing.key().master):
            assert all(secret not in text for text in (*logs, said.out, said.err))


def attempts(site: Site) -> dict[str, Callable[[], Answer]]:
    """Return what must not open the site, by what is wrong with it."""
    key, end = site.key(), datetime.now(UTC) + SOON
    good = tokens.session(key, "nodered", "phone", end)
    kid, sub, exp, sig = good.split(".")
    link = tokens.link(key, "nodered", "phone", end)
    unknown = Key("k77", key.master)
    nothing = urlsafe_b64encode(hmac.digest(b"", b"nodered\0phone", "sha256")).decode().rstrip("=")
    old = datetime.now(UTC) - SOON
    sessions = {
        "signature changed": f"{kid}.{sub}.{exp}.{'A' if sig[0] != 'A' else 'B'}{sig[1:]}",
        "end extended": f"{kid}.{sub}.{int(exp) + 9}.{sig}",
        "person swapped": f"{kid}.laptop.{exp}.{sig}",
        "person unknown": tokens.session(key, "nodered", "mallory", end),
        "key id unknown": f"k77.{sub}.{exp}.{sig}",
        "unknown key id, rightly signed": tokens.session(unknown, "nodered", "phone", end),
        "signed with a key from nothing": forged(nothing, "S"),
        "signed with the empty key": forged("", "S"),
        "unknown key id signed with the empty key": forged("", "S", kid="k77"),
        "fields empty": "...",
        "nothing": "",
        "no signature": f"{kid}.{sub}.{exp}.",
        "no end": f"{kid}.{sub}..{sig}",
        "no person": f"{kid}..{exp}.{sig}",
        "end of nothing": f"{kid}.{sub}.0000000000.{sig}",
        "a comma and a far date": f"{kid}.{sub}.{exp}.{sig},9999999999",
        "signature padded": f"{good}==",
        "key id in upper case": f"{kid.upper()}.{sub}.{exp}.{sig}",
        "person in upper case": f"{kid}.{sub.upper()}.{exp}.{sig}",
        "quoted": f'"{good}"',
        "dots encoded": good.replace(".", "%2E"),
        "separators": good.replace(".", "|"),
        "truncated": good[:-1],
        "doubled": good + good,
        "expired": tokens.session(key, "nodered", "phone", old),
        "a link": link,
        "of another site": tokens.session(key, "shop", "phone", end),
        "another site's": tokens.session(site.key(site="shop"), "shop", "phone", end),
        "8 KiB": "x" * 8000,
        "blanks around": f" {good} x",
    }
    cases: dict[str, Callable[[], Answer]] = {
        name: (lambda value=value: site.visit(value))
        for name, value in sessions.items()  # type: ignore[misc]
    }
    expired = tokens.link(key, "nodered", "phone", old)
    enter = "/.renewer/enter"
    cases |= {
        "no cookie": lambda: site.get("/"),
        "cookie in lower case": lambda: site.visit(good, name="__host-rn-nodered"),
        "cookie with a prefix": lambda: site.visit(good, name="x__Host-rn-nodered"),
        "cookie of another site": lambda: site.visit(good, name="__Host-rn-shop"),
        "on another site": lambda: site.visit(good, OTHER),
        "on another site by its name": lambda: site.visit(good, OTHER, name="__Host-rn-shop"),
        "another scope in front": lambda: site.get("/", OTHER, Cookie=f"shop; __Host-rn-nodered={good}"),
        "a location without a scope": lambda: site.visit(good, "bare.example.com"),
        "a sibling's origin": lambda: site.visit(good, Origin=f"https://{OTHER}"),
        "a longer origin": lambda: site.visit(good, Origin=f"https://{HOST}.evil.example"),
        "no origin at all": lambda: site.visit(good, Origin="null"),
        "an origin with a bar": lambda: site.visit(good, Origin=f"https://{HOST}|{HOST}"),
        "link expired": lambda: site.get(f"{enter}?t={expired}"),
        "link on another site": lambda: site.get(f"{enter}?t={link}", OTHER),
        "link malformed": lambda: site.get(f"{enter}?t={link}x"),
        "link absent": lambda: site.get(enter),
        "the second link counts": lambda: site.get(f"{enter}?t=x&t={link}"),
        "a session as link": lambda: site.get(f"{enter}?t={good}"),
        "link for somebody unknown": lambda: site.get(
            f"{enter}?t={tokens.link(key, 'nodered', 'mallory', end)}"
        ),
    }
    return cases


def test_what_is_forged_opens_nothing_and_brings_no_cookie(standing: Site) -> None:
    good = tokens.session(standing.key(), "nodered", "phone", datetime.now(UTC) + SOON)
    assert standing.visit(good).status == 200  # or the cases would prove nothing
    assert standing.visit(good, Origin=f"https://{HOST}").status == 200
    cases = attempts(standing)
    assert len(cases) >= 45
    answers = {name: case() for name, case in cases.items()}
    assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(answers, 403)
    assert [name for name, answer in answers.items() if answer.cookie] == []


fields = st.tuples(
    st.sampled_from(["k1", "k2", "k3", "K1", ""]) | st.from_regex(r"[a-z0-9]{0,9}", fullmatch=True),
    st.sampled_from(["phone", "laptop", "mallory"]) | st.from_regex(r"[a-z0-9-]{0,17}", fullmatch=True),
    st.sampled_from(["9999999999", "0000000000"]) | st.from_regex(r"[0-9]{9,11}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_-]{21,23}", fullmatch=True),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields)
def test_nothing_but_what_is_signed_opens_it(standing: Site, drawn: tuple[str, str, str, str]) -> None:
    assert standing.visit(".".join(drawn)).status == 403


class TestRotating:
    def test_keys_come_and_go_with_the_certificate_under_one_reload(self, site: Site) -> None:
        assert site.world.nginx.reloads() == 1
        before = site.session()
        done = site.world.renew("--force")
        assert [one["action"] for one in done.answer["sites"]] == ["rotated"] * 3
        assert site.world.nginx.reloads() == 2
        after = site.visit(before)
        assert after.status == 200
        assert after.cookie.startswith("k2.phone.")
        assert site.visit(after.cookie).status == 200
        assert not site.visit(after.cookie).cookie
        assert json.loads(site.signer.read_text())["k"] == "k2"

    def test_a_run_with_nothing_to_do_reloads_nothing(self, site: Site) -> None:
        done = site.world.renew()
        assert [one["action"] for one in done.answer["sites"]] == ["kept"] * 3
        assert site.world.nginx.reloads() == 1

    def test_without_sliding_nobody_is_given_a_fresh_cookie(self, site: Site) -> None:
        site.configure(more="sliding = false")
        assert site.world.renew().code == 0
        session = site.session()
        assert site.world.renewer("rotate", "nodered").code == 0
        assert (site.visit(session).status, site.visit(session).cookie) == (200, "")

    def test_after_a_leak_nothing_old_is_left(self, site: Site) -> None:
        session, link, others = site.session(), site.link("nodered", "phone"), site.link("shop", "phone")
        assert site.world.renewer("rotate", "nodered", "--now").code == 0
        assert site.visit(session).status == 403
        assert site.enter(link).status == 403
        assert site.get(others.partition("example.com")[2], OTHER).status == 303
        assert site.visit(site.session()).status == 200

    def test_who_is_removed_is_refused_and_nobody_else(self, site: Site) -> None:
        phone, laptop = site.session("phone"), site.session("laptop")
        site.configure('["laptop", "tablet"]')
        refused = site.world.renewer("link", "nodered", "tablet")
        assert (refused.code, refused.out) == (1, "")
        assert "renewer renew" in refused.err
        assert site.world.renew().code == 0
        assert (site.visit(phone).status, site.visit(laptop).status) == (403, 200)
        assert site.visit(site.session("tablet")).status == 200

    def test_status_says_what_is_not_guarded(self, site: Site) -> None:
        assert "not guarded" not in site.world.renewer("status").out
        served = site.world.nginx.config.read_text()
        site.world.nginx.config.write_text(served.replace("set $rn_scope shop;", "set $rn_scope nodered;"))
        lines = site.world.renewer("status").out.splitlines()
        (place,) = [place for place, line in enumerate(lines) if "not guarded" in line]
        assert next(line for line in reversed(lines[:place]) if line[0] != " ").startswith("shop ")
        assert lines[place].endswith("set $rn_scope shop;")
        site.world.nginx.config.write_text(re.sub("include [^;]*/http.conf;", "", served))
        assert site.world.renewer("status").out.count("nginx does not include") == 3

    def test_a_key_ends_with_its_grace(self, site: Site) -> None:
        site.configure(more='grace = "1s"')
        first = site.session()
        assert site.world.renewer("rotate", "nodered").code == 0

        def gone() -> bool:
            assert site.world.renew().code == 0
            return site.visit(first).status == 403

        assert any(gone() for _ in range(20))

    def test_a_site_that_is_no_more_has_no_keys(self, site: Site) -> None:
        session = site.session()
        site.world.write(table(NAME))
        assert site.world.renew().code == 0
        assert site.visit(session).status == 403
        assert list((site.world.state / "store" / "site").iterdir()) == []

    def test_what_nginx_refuses_is_taken_back_and_tried_again(self, site: Site) -> None:
        session = site.session()
        with site.world.nginx.config.open("a") as config:
            config.write("nonsense;\n")
        failed = site.world.renewer("rotate", "nodered", "--json")
        assert failed.code == 1
        assert [one["action"] for one in failed.answer["sites"]] == ["failed"] * 3
        assert "not because of renewer" in failed.answer["sites"][0]["error"]
        assert site.visit(site.session()).status == 200
        text = site.world.nginx.config.read_text().removesuffix("nonsense;\n")
        site.world.nginx.config.write_text(text)
        done = site.world.renew()
        assert next(one["action"] for one in done.answer["sites"]) == "rotated"
        assert site.visit(session).cookie.startswith("k2.")

    def test_unreadable_keys_end_no_session(self, site: Site) -> None:
        session = site.session()
        (site.world.state / "store" / "site" / "shop.json").write_text("{")
        done = site.world.renewer("renew", "--json")
        assert done.code == 1
        assert done.one["action"] == "fresh"
        assert "shop" in done.answer["sites"][0]["error"]
        assert site.visit(session).status == 200

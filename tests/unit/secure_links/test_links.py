"""What is signed, against the formula of the contract and nginx's own example."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.facts import missing
from support.fakes import NOW, MemStore

from renewer.cli.render import qr_code
from renewer.core import tokens
from renewer.core.errors import ConfigError, Refused, RenewerError
from renewer.core.site import Guard, Kept, Key, Mode, Ring, SiteSpec
from renewer.nginx.secure_link import gates
from renewer.secure_links import links
from renewer.store.state import State
from renewer.system.console import Silent

KEY = Key("k7", "0b" * 32)
HTTP = gates.texts(Guard(()), "ab" * 32)["http.conf"]
END = datetime(2026, 12, 1, tzinfo=UTC)
SPEC = SiteSpec("nr", "https://nr.example.com", people=("phone", "tablet"))
FILES = SiteSpec("files", "https://files.example.com", mode=Mode.URL)
RING = Ring(Key("k8", "0c" * 32), KEY, NOW, END, 8, people=("phone",))


def base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def test_a_token_is_what_the_contract_says() -> None:
    secret = base64(hmac.new(bytes.fromhex(KEY.master), b"nr\0phone", hashlib.sha256).digest())
    for kind, made in (("L", tokens.link), ("S", tokens.session)):
        signed = f"{secret}|{kind}|nr|k7|phone|1796083200|{secret}".encode()
        signature = base64(hashlib.md5(signed, usedforsecurity=False).digest())
        assert made(KEY, "nr", "phone", END) == f"k7.phone.1796083200.{signature}"


def test_an_end_between_two_seconds_is_the_later_one() -> None:
    assert tokens.link(KEY, "nr", "phone", END - timedelta(milliseconds=1)).split(".")[2] == "1796083200"


def test_a_signed_url_is_that_of_nginx_s_manual() -> None:
    path, _, arguments = tokens.url(KEY, "files", "/a%20b/c.zip", END).partition("?")
    digest = hashlib.md5(
        f"1796083200/a b/c.zip {tokens.derived(KEY.master, 'files')}".encode(), usedforsecurity=False
    )
    assert path == "/a%20b/c.zip"
    assert arguments == f"k=k7&expires=1796083200&md5={base64(digest.digest())}"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "//a",
        "/a//b",
        "/./a",
        "/a/..",
        "/a/../b",
        "/a/.",
        "/a?b=1",
        "/a#b",
        "/%FF",
        "/a%0Ab",
        "/..",
        "/%2e%2e/a",
    ],
)
def test_what_nginx_would_see_differently_is_refused(path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        tokens.url(KEY, "files", path, END)
    assert repr(path) in str(refused.value)


@given(st.text(min_size=1, max_size=30))
def test_whatever_is_signed_comes_back_as_it_was(name: str) -> None:
    try:
        found = tokens.url(KEY, "files", f"/{name}", END)
    except (ConfigError, UnicodeEncodeError):
        assume(False)  # noqa: FBT003
    path = found.partition("?")[0]
    assert unquote(path) == unquote(f"/{name}")
    assert path.isascii()
    assert not set(path) & set(' "<>\\^`{|}')


WRITTEN = re.search(r'map \$request_uri \$rn_written \{\n    default 0;\n    "~(.*)" 1;\n', HTTP)


@given(st.text(min_size=1, max_size=30))
def test_the_gate_takes_every_path_as_it_is_written_here(name: str) -> None:
    assert WRITTEN
    try:
        found = tokens.url(KEY, "files", f"/{quote(name)}", END)
    except (ConfigError, UnicodeEncodeError):
        assume(False)  # noqa: FBT003
    assert re.search(WRITTEN[1], found)
    assert not re.search(WRITTEN[1], found.replace("/", "%2F", 1))


@pytest.mark.parametrize("master", ["", "00", "0b" * 31, "0b" * 33, "0B" * 32, "g" * 64])
def test_a_key_that_anybody_can_know_is_none(master: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        Key("k1", master)
    store = MemStore()
    vault = State(store, Silent())
    with vault.sites() as shelf:
        shelf.keep("files", Kept(RING))
    store.values["site/files"] = store.values["site/files"].replace(KEY.master.encode(), master.encode())
    with pytest.raises(Refused, match="files") as refused:
        vault.site("files")
    assert "backup" in refused.value.hint


@given(
    st.sets(
        st.tuples(st.sampled_from("LS"), st.sampled_from(["nr", "shop"]), st.sampled_from(["a", "b"])),
        min_size=2,
    )
)
def test_no_two_tokens_have_one_signature(drawn: set[tuple[str, str, str]]) -> None:
    made = {tokens._token(kind, KEY, site, person, END).split(".")[3] for kind, site, person in drawn}
    assert len(made) == len(drawn)


class TestLinks:
    def made(self, person: str | None = "phone", *, uri: str | None = None, fragment: bool = False) -> str:
        return links.made(SPEC, Kept(RING), links.Wanted(person, uri, END, fragment=fragment))

    def test_both_forms_lead_to_the_site(self) -> None:
        token = tokens.link(KEY, "nr", "phone", END)
        assert self.made() == f"https://nr.example.com/.renewer/enter?t={token}"
        assert self.made(fragment=True) == f"https://nr.example.com/.renewer/#{token}"

    @pytest.mark.parametrize(
        ("person", "uri", "error"),
        [
            ("mallory", None, ConfigError),
            (None, None, ConfigError),
            ("phone", "/a", ConfigError),
            ("tablet", None, Refused),
        ],
    )
    def test_what_cannot_be_is_refused_with_what_to_do(
        self, person: str | None, uri: str | None, error: type[RenewerError]
    ) -> None:
        with pytest.raises(error) as refused:
            self.made(person, uri=uri)
        assert refused.value.hint

    @pytest.mark.parametrize("wanted", [("phone", None, False), (None, None, False), (None, "/a", True)])
    def test_a_site_in_url_mode_signs_paths_only(self, wanted: tuple[str | None, str | None, bool]) -> None:
        person, uri, fragment = wanted
        with pytest.raises(ConfigError, match="signed URLs"):
            links.made(FILES, Kept(RING), links.Wanted(person, uri, END, fragment=fragment))

    def test_before_nginx_knows_a_key_there_is_no_link(self) -> None:
        with pytest.raises(Refused, match="no key"):
            links.made(SPEC, Kept(), links.Wanted("phone", None, END))

    def test_while_a_leak_is_being_ended_nothing_is_signed_with_the_old_key(self) -> None:
        fresh = Ring(Key("k10", "0d" * 32), Key("k9", "0e" * 32), NOW, END, 10, people=("phone",))
        with pytest.raises(Refused, match="keys of"):
            links.made(SPEC, Kept(RING, fresh), links.Wanted("phone", None, END))

    def test_how_long_a_link_is_good_for(self) -> None:
        assert links.life(None, None) == timedelta(minutes=15)
        assert links.life(None, "/a") == timedelta(days=1)
        assert links.life("90s", None) == timedelta(seconds=90)

    @pytest.mark.parametrize("expires", ["soon", "0s", "9999d"])
    def test_how_long_it_cannot_be_good_for(self, expires: str) -> None:
        with pytest.raises(ConfigError, match=r"^--expires ") as refused:
            links.life(expires, None)
        assert missing(refused.value.hint, "15 minutes", "--expires 1h") == []

    @pytest.mark.parametrize(
        "uri", ["", "file", "%ff", "/%ff", "/a?b", "//a", "/a/.", "/a\0b", "https://a.example/b"]
    )
    def test_a_path_that_nginx_does_not_see_so_has_a_hint(self, uri: str) -> None:
        with pytest.raises(ConfigError) as refused:
            links.made(FILES, Kept(RING), links.Wanted(None, uri, END))
        assert refused.value.hint

    def test_more_than_a_qr_code_holds(self) -> None:
        with pytest.raises(Refused, match="QR code") as refused:
            qr_code.qr("a" * 3000)
        assert "--qr" in refused.value.hint

"""Root's helper: what it takes for nginx's includes, which is what the program writes and nothing else."""

import os
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.certs import NOW
from support.hostile.text import MARK, TEXT, harm
from support.roots_helper import loaded

from renewer.core.site import Gate, Guard, Key, Mode, Retiring, Ring, SiteSpec
from renewer.nginx import layout
from renewer.nginx.layout import Layout, include_text, pair_names
from renewer.nginx.secure_link import gates
from renewer.service import unit_files

STATE = "/var/lib/renewer"
OWN = f"{STATE}/certificates/example.com"
HOME = f"{STATE}/nginx/copies/certificates/example.com"


HELPER = loaded()
HELPER.MOST = 64


def ring(count: int) -> Ring:
    keys = [Key(f"k{number}", f"{number:064x}") for number in range(1, count + 1)]
    retiring = tuple(Retiring(key, NOW) for key in keys[2:])
    return Ring(keys[0], keys[1], NOW, NOW + timedelta(days=60), count, retiring)


SITES = (
    Gate(SiteSpec("nodered", "https://a.example", home="/ui/", people=("phone", "x-1")), ring(4)),
    Gate(SiteSpec("include", "https://b.example", people=("include",), sliding=False), ring(3)),
    Gate(SiteSpec("default", "https://c.example", mode=Mode.URL), ring(3)),
)
GUARD, CLOSED = Guard(SITES), "ab" * 32
HTTP = gates.texts(GUARD, CLOSED)["http.conf"]
NAMES = [name for suffix in ("", "-rsa2048") for name in pair_names(suffix)]
CERTIFICATE = include_text(Path(HOME, "g000007"), NAMES).decode()


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.just(TEXT))
def test_what_it_answers_and_logs_is_only_read(text: str) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(HELPER, "REQUEST", Path(folder, "reload.request"))
        patch.setattr(HELPER, "ANSWERS", Path(folder, "answers"))
        logged = StringIO()
        with redirect_stdout(logged):
            HELPER.answer("0" * 16, "test-failed", text)
        answer = Path(folder, "answers", "result").read_text()
    assert [*harm(logged.getvalue())] == []
    assert [*harm(answer.replace("\n", "\n "))] == []
    assert MARK not in text or (MARK in answer and MARK in logged.getvalue())


@pytest.mark.parametrize("guard", [GUARD, Guard(()), Guard(SITES[2:])])
def test_it_writes_for_secure_links_what_the_program_writes(guard: Guard) -> None:
    for name, text in gates.texts(guard, CLOSED).items():
        assert HELPER.understood(STATE, "secure_link", name, text).decode() == text


@pytest.mark.parametrize("folder", ["g000007", "g123456789", "placeholder"])
@pytest.mark.parametrize("name", ["example.com", "a", "xn--80ak6aa92e.com", "_", "home-2"])
def test_it_writes_for_a_certificate_what_the_program_writes(name: str, folder: str) -> None:
    for names in (NAMES, pair_names("")):
        layout = Layout(Path(STATE))
        text = include_text(layout.copy(layout.home(name) / folder), names).decode()
        assert HELPER.understood(STATE, "certificates", f"{name}.conf", text).decode() == text


def test_the_words_that_both_know_are_the_same() -> None:
    assert layout._HEADER == HELPER.HEADER
    assert gates.KNOWN == HELPER._KNOWN
    marked = f"{HELPER.MARK} (checksum 0123456789abcdef). An edited file is left alone.\n"
    assert unit_files._MARKED.fullmatch(marked)


LINES = CERTIFICATE.splitlines(keepends=True)
CERTIFICATES = {
    "nothing": "",
    "the header alone": LINES[0],
    "another header": CERTIFICATE.replace("Written", "written"),
    "a directive more": f"{CERTIFICATE}load_module /tmp/evil.so;\n",
    "a directive before": f"access_log /run/renewer/log x;\n{CERTIFICATE}",
    "a directive in a line": CERTIFICATE.replace(".pem;", ".pem; include /etc/shadow;", 1),
    "a comment's end": CERTIFICATE.replace("lost.", "lost.\nerror_log /run/x;"),
    "a carriage return": CERTIFICATE.replace("lost.", "lost.\rerror_log /run/x;"),
    "another end of line": CERTIFICATE.replace(";\n", ";\u2028", 1),
    "a NUL": CERTIFICATE.replace(";\n", ";\0\n", 1),
    "no end": CERTIFICATE[:-1],
    "an include": CERTIFICATE.replace("ssl_certificate_key", "include            ", 1),
    "a path elsewhere, renewer's own": CERTIFICATE.replace(HOME, OWN),
    "a path elsewhere": CERTIFICATE.replace(HOME, "/run/renewer"),
    "another certificate": CERTIFICATE.replace("example.com", "example.org"),
    "a generation above": CERTIFICATE.replace("g000007", ".."),
    "a path in a generation": CERTIFICATE.replace("g000007", "g000007/../../x"),
    "a variable": CERTIFICATE.replace("g000007", "$ssl_server_name"),
    "a short generation": CERTIFICATE.replace("g000007", "g00007"),
    "two generations": CERTIFICATE.replace("g000007", "g000008", 1),
    "digits of another script": CERTIFICATE.replace("g000007", "g\u0660\u0660\u0660\u0660\u0660\u0667"),
    "an odd suffix": CERTIFICATE.replace("-rsa2048", "-../x"),
    "half a pair": "".join(LINES[:-1]),
    "an engine": CERTIFICATE.replace(f"{HOME}/g000007/privkey", "engine:pkcs11:privkey"),
    "a value in place": CERTIFICATE.replace(f"{HOME}/g000007/privkey.pem", "data:x"),
}


@pytest.mark.parametrize("what", CERTIFICATES)
def test_what_is_none_of_a_certificate_s_lines_is_refused(what: str) -> None:
    with pytest.raises(HELPER.Unfit, match=r"^line [0-9]+ "):
        HELPER.understood(STATE, "certificates", "example.com.conf", CERTIFICATES[what])


@pytest.mark.parametrize(
    "name", ["..conf", ".conf", "a b.conf", "example.com", "a\n.conf", "é.conf", "a/b.conf"]
)
def test_a_name_that_no_certificate_has_is_refused(name: str) -> None:
    with pytest.raises(HELPER.Unfit, match="name"):
        HELPER.understood(STATE, "certificates", name, CERTIFICATE)


KEY = "x" * 43
HTTPS = {
    "a directive": f"{HTTP}access_log /run/renewer/log x;\n",
    "a log format": HTTP.replace("log_format renewer '", "log_format renewer escape=none '"),
    "no default": HTTP.replace(f'    default "{CLOSED}";\n', "", 1),
    "another default": HTTP.replace(CLOSED, "00" * 32, 1),
    "an empty default": HTTP.replace(CLOSED, "", 1),
    "two defaults": HTTP.replace(f'    default "{CLOSED}";\n', f'    default "{CLOSED}";\n' * 2, 1),
    "an empty key": re.sub('"nodered.k1.phone" "[^"]+"', '"nodered.k1.phone" ""', HTTP),
    "a short key": re.sub('"nodered.k1.phone" "[^"]+"', '"nodered.k1.phone" "a"', HTTP),
    "no key in a session": re.sub('"nodered.phone" "[^"]+"', '"nodered.phone" ""', HTTP),
    "an include in a map": HTTP.replace('"nodered." "/ui/"', '"include" "/etc/shadow"'),
    "a bare include in a map": HTTP.replace('    "nodered." "/ui/";', "    include /etc/shadow;"),
    "a variable": HTTP.replace('"/ui/"', '"/$request_body"'),
    "another variable": HTTP.replace('"$rn_setcookie"', '"$http_x"'),
    "a quote": HTTP.replace('"/ui/"', '"/ui/" x "'),
    "a backslash": HTTP.replace('"/ui/"', '"/ui\\"'),
    "another host": HTTP.replace('"/ui/"', '"//evil.example/"'),
    "an expression": HTTP.replace('"nodered.k1.phone"', '"~^.*$"'),
    "a home that is none": HTTP.replace('"/ui/"', '"ui"'),
    "a map twice": HTTP + HTTP,
    "an entry in another map": HTTP.replace("map $secure_link", f'    "a.k.b" "{KEY}";\nmap $secure_link'),
}


@pytest.mark.parametrize("what", HTTPS)
def test_what_is_no_entry_of_a_map_is_refused(what: str) -> None:
    assert HTTPS[what] != HTTP
    with pytest.raises(HELPER.Unfit, match=r"^line [0-9]+ "):
        HELPER.understood(STATE, "secure_link", "http.conf", HTTPS[what])


@pytest.mark.parametrize(
    "text",
    [
        "",
        gates.texts(GUARD, CLOSED)["gate.conf"],
        HTTP.replace(CLOSED, ""),
        HTTP.replace(CLOSED, gates.KNOWN),
        HTTP.replace(CLOSED, "ab" * 31),
        HTTP.replace(CLOSED, "AB" * 32),
        HTTP.replace(CLOSED, "ab" * 33),
        HTTP.replace(CLOSED, "ab" * 31 + "$x"),
        HTTP.replace(f'    default "{CLOSED}";\n', ""),
    ],
    ids=["nothing", "another text", "empty", "known", "short", "upper", "long", "variable", "none"],
)
def test_what_gives_a_key_that_anybody_can_know_is_refused(text: str) -> None:
    with pytest.raises(HELPER.Unfit, match=r"64 .*digits"):
        HELPER.understood(STATE, "secure_link", "http.conf", text)


@pytest.mark.parametrize("name", ["enter.conf", "gate.conf", "gate-url.conf"])
def test_the_other_texts_are_root_s_own(name: str) -> None:
    text = gates.texts(GUARD, CLOSED)[name]
    with pytest.raises(HELPER.Unfit, match=r"^line [2-5] "):
        HELPER.understood(STATE, "secure_link", name, re.sub("\n.*;", "\nerror_log /run/x;", text, count=1))
    with pytest.raises(HELPER.Unfit, match="name"):
        HELPER.understood(STATE, "secure_link", f"x{name}", text)


ENTRY = re.compile(r'    "(?:ok:)?[a-z0-9.-]+" "(?:[A-Za-z0-9_./~-]+|\$rn_setcookie)";')
OWN = {*(gates._TEXTS / "http.conf").read_text().split("\n"), "}", f'    default "{CLOSED}";'}


@given(
    at=st.integers(0, len(HTTP)),
    cut=st.integers(0, 60),
    put=st.text(st.sampled_from('abk019.:-_/~$";{}\\\n @#') | st.characters(), max_size=40)
    | st.sampled_from(
        ['    "a.k1.b" "' + "y" * 43 + '";\n', '    "a." "/b";\n', "@keys@", "@closed@", "phone"]
    ),
)
def test_whatever_is_changed_only_entries_reach_nginx(at: int, cut: int, put: str) -> None:
    text = HTTP[:at] + put + HTTP[at + cut :]
    try:
        made = HELPER.understood(STATE, "secure_link", "http.conf", text).decode()
    except HELPER.Unfit:
        return
    assert all(
        line in OWN or ENTRY.fullmatch(line) or line.startswith('    default "') for line in made.split("\n")
    )
    assert made == text


# -- on disk ------------------------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Lay out a state folder in which somebody asks for a certificate's lines, while others are included."""
    state = tmp_path / "state"
    for folder in ("wanted/certificates", "wanted/secure_link", "nginx/certificates"):
        (state / folder).mkdir(parents=True)
    (state / "nginx" / "certificates" / "example.com.conf").write_text("former")
    want(state)
    return state


def want(state: Path, name: str = "example.com", folder: str = "g000007") -> str:
    own = state / "certificates" / name / folder
    own.mkdir(parents=True, exist_ok=True)
    for file in NAMES:
        (own / file).write_text(f"{name} {folder} {file}")
    text = include_text(Layout(state).copy(own), NAMES).decode()
    (state / "wanted" / "certificates" / f"{name}.conf").write_text(text)
    return text


def included(state: Path) -> dict[str, str]:
    return held(state / "nginx", "*/*.conf")


def copies(state: Path) -> dict[str, str]:
    return held(state / "nginx" / "copies" / "certificates", "*/*/*")


def held(folder: Path, pattern: str) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text() for path in folder.glob(pattern) if path.is_file()
    }


def carry_out(state: Path, nginx: str = "/bin/false", *, place_only: bool = True) -> tuple[str, str]:
    told: tuple[str, str] = HELPER.carry_out(
        nginx, "/etc/nginx/nginx.conf", str(state), place_only=place_only
    )
    return told


def test_what_is_wanted_is_put_in_place_and_read_by_the_group_alone(state: Path) -> None:
    texts = gates.texts(GUARD, CLOSED)
    for name, text in texts.items():
        (state / "wanted" / "secure_link" / name).write_text(text)
    assert carry_out(state) == ("ok", "")
    wanted = {f"secure_link/{name}": text for name, text in texts.items()}
    assert included(state) == wanted | {"certificates/example.com.conf": want(state)}
    http = (state / "nginx" / "secure_link" / "http.conf").stat()
    assert (http.st_mode & 0o777, http.st_gid) == (0o640, state.stat().st_gid)
    assert (state / "nginx" / "secure_link").stat().st_mode & 0o777 == 0o750


def test_what_nginx_refuses_is_taken_back(state: Path) -> None:
    want(state, "example.org")
    assert carry_out(state, place_only=False)[0] == "test-failed"
    assert included(state) == {"certificates/example.com.conf": "former"}


def test_what_can_be_put_in_place_only_in_part_is_taken_back(state: Path) -> None:
    want(state, "example.org")
    (state / "nginx" / "certificates" / "example.org.conf").mkdir()
    status, text = carry_out(state, place_only=False)
    assert (status, "example.org.conf" in text) == ("place-failed", True)
    assert included(state) == {"certificates/example.com.conf": "former"}


def test_a_file_that_holds_it_already_is_left_alone_unless_others_can_read_it(state: Path) -> None:
    assert carry_out(state) == ("ok", "")
    path = state / "nginx" / "certificates" / "example.com.conf"
    before = path.stat().st_ino
    assert carry_out(state) == ("ok", "")
    assert path.stat().st_ino == before
    path.chmod(0o644)
    assert carry_out(state) == ("ok", "")
    assert path.stat().st_mode & 0o777 == 0o640


def test_where_nothing_is_wanted_nothing_is_looked_at(state: Path) -> None:
    for folder in (state / "wanted", Path("/nowhere")):
        (state / "wanted" / "certificates" / "example.com.conf").unlink(missing_ok=True)
        assert carry_out(folder.parent if folder.name == "wanted" else folder) == ("ok", "")
    assert included(state) == {"certificates/example.com.conf": "former"}


def odd(make: Callable[[Path, Path], object]) -> Callable[[Path, Path], object]:
    """Return a step that puts something else in place of what is wanted."""

    def step(wanted: Path, outside: Path) -> None:
        wanted.rename(outside)
        make(wanted, outside)

    return step


HOSTILE: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a link": (odd(lambda wanted, outside: wanted.symlink_to(outside)), "cannot be opened"),
    "a second name": (odd(lambda wanted, outside: os.link(outside, wanted)), "no plain file"),
    "a pipe": (odd(lambda wanted, _: os.mkfifo(wanted)), "no plain file"),
    "a folder": (odd(lambda wanted, _: wanted.mkdir()), "no plain file"),
    "a large file": (lambda wanted, _: os.truncate(wanted, 100 << 20), "too long"),
    "many files": (
        lambda wanted, _: [(wanted.parent / f"{number}.conf").touch() for number in range(HELPER.MOST)],
        "more than 64 files",
    ),
    "a name with a line in it": (
        lambda wanted, _: wanted.rename(wanted.with_name("a\nb.conf")),
        r"a\nb.conf: no",
    ),
    "a file beside it": (lambda wanted, _: (wanted.parent / ".tmp-x").touch(), ".tmp-x: no certificate can"),
    "a link above": (
        lambda wanted, outside: (wanted.parent.rename(outside), wanted.parent.symlink_to(outside)),
        "Not a directory",
    ),
    "bytes": (lambda wanted, _: wanted.write_bytes(b"\xff\xfe\x00"), "line 1 is not"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_plain_wish_changes_nothing(state: Path, what: str) -> None:
    make, told = HOSTILE[what]
    (state / "wanted" / "secure_link" / "gate.conf").write_text(gates.texts(GUARD, CLOSED)["gate.conf"])
    make(state / "wanted" / "certificates" / "example.com.conf", state.parent / "outside")
    status, text = carry_out(state, place_only=False)
    assert (status, told in text, "\n" in text) == ("bad-request", True, False), text
    assert included(state) == {"certificates/example.com.conf": "former"}


def test_it_writes_only_into_folders_of_root_s(state: Path) -> None:
    state.chmod(0o775)
    assert carry_out(state)[0] == "place-failed"
    state.chmod(0o1775)
    assert carry_out(state)[0] == "ok"
    (state / "nginx").rename(state / "away")
    (state / "nginx").symlink_to("away")
    assert carry_out(state)[0] == "place-failed"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives folders away")
@pytest.mark.parametrize("folder", [".", "nginx", "nginx/certificates"])
def test_a_folder_that_is_another_s_is_not_written_to(state: Path, folder: str) -> None:
    os.chown(state / folder, 54321, 0)
    status, text = carry_out(state)
    assert (status, "is not root's" in text) == ("place-failed", True)
    assert included(state) == {"certificates/example.com.conf": "former"}


def test_a_leftover_of_a_helper_that_died_is_in_nobody_s_way(state: Path) -> None:
    (state / "nginx" / "certificates" / ".new").symlink_to("/etc/passwd")
    assert carry_out(state) == ("ok", "")
    assert list(included(state)) == ["certificates/example.com.conf"]


@pytest.mark.parametrize(
    ("request_", "taken"),
    [
        ("0123456789abcdef", ("0123456789abcdef", "")),
        ("0123456789abcdef\n", ("0123456789abcdef", "")),
        ("0123456789abcdef place", ("0123456789abcdef", " place")),
        ("0123456789abcdef stop", ("", "")),
        ("0123456789abcdef place place", ("", "")),
        ("0123456789ABCDEF", ("", "")),
        ("", ("", "")),
        (None, None),
    ],
)
def test_a_request_is_digits_and_perhaps_a_word(
    tmp_path: Path, request_: str | None, taken: tuple[str, str] | None
) -> None:
    helper = loaded()
    helper.REQUEST, helper.ANSWERS = tmp_path / "reload.request", tmp_path / "answers"
    if request_ is not None:
        helper.REQUEST.write_text(request_)
    assert helper.take() == taken
    assert list(tmp_path.iterdir()) == []

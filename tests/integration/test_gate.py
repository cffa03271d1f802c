"""Attacks on secure links before a real nginx: known keys, foreign pages, caches, disguised paths."""

import socket
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
from support.gated import FILES, HOST, OTHER, Site, forged, md5_of
from support.nginx_master import free_port
from support.visitor import Answer
from support.world import NAME, World, careless, table

from renewer.nginx.secure_link.gates import KNOWN

DOWNLOAD, CACHED = "download.example.com", "cached.example.com"


@pytest.fixture
def site(world: World) -> Site:
    found = Site(world, world.renewer)
    assert world.renew().code == 0
    return found


@dataclass
class Fronted(Site):
    """A site with something behind nginx, a shared cache before it, and a server alone on its port."""

    cache: int = field(default_factory=free_port)
    alone: int = field(default_factory=free_port)

    def at(self, port: int) -> Site:
        """Return it as it is reached at another port."""
        found = copy(self)
        found.world = copy(self.world)
        found.world.port = port
        return found


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    """A site for tests that change nothing."""
    with World(tmp_path_factory.mktemp("standing")) as world, TemporaryDirectory() as kept:
        Path(kept).chmod(0o755)  # nginx's workers keep what the cache has
        found = Fronted(world, world.renewer)
        found.more = behind(found, free_port(), Path(kept))
        found.listen()
        assert world.renew().code == 0
        yield found


def behind(site: Fronted, back: int, kept: Path) -> str:
    """Return servers that go on to another one, and a shared cache before them; all are nginx."""
    certificate = f"include {site.world.state}/nginx/certificates/{NAME}.conf;"

    def server(name: str, port: int, body: str) -> str:
        return f"server {{ listen 127.0.0.1:{port} ssl; server_name {name}; {certificate} {body} }}\n"

    # It tells which path it was asked for, and would have everything kept by every cache.
    backend = (
        f"server {{ listen 127.0.0.1:{back}; add_header X-Path $request_uri;"
        ' location / { add_header X-Path $request_uri; add_header Cache-Control "public, max-age=3600";'
        " return 200 secret; } location /silent/ { return 200 secret; } }\n"
    )
    proxied = f"proxy_pass http://127.0.0.1:{back};"
    session, url = (f"include {{links}}/{name}.conf; {proxied}" for name in ("gate", "gate-url"))
    upload = f' location /upload/ {{ set $rn_methods "GET HEAD PUT"; {url} }}'
    shared = (
        f"proxy_pass https://127.0.0.1:{site.world.port}; proxy_set_header Host $http_x_host;"
        " proxy_cache shared; proxy_cache_key $http_x_host$request_uri; proxy_cache_valid 200 1h;"
        " add_header X-Cache $upstream_cache_status always;"
    )
    return "".join(
        (
            f"proxy_cache_path {kept}/cache keys_zone=shared:1m use_temp_path=off;\n",
            backend,
            server(CACHED, site.world.port, f"set $rn_scope nodered; location / {{ {session} }}"),
            server(DOWNLOAD, site.world.port, f"set $rn_scope files; location / {{ {url} }}{upload}"),
            server("open.example.com", site.world.port, f"location / {{ {proxied} }}"),
            server("shared.example.com", site.cache, f"location / {{ {shared} }}"),
            server(
                HOST,
                site.alone,
                "set $rn_scope nodered; location / { include {links}/gate.conf; return 200; }",
            ),
        )
    )


def open_again(site: Site, edit: Callable[[str], str]) -> None:
    """Let nginx work with what an earlier version might have written into its maps."""
    http = site.world.state / "nginx" / "secure_link" / "http.conf"
    http.write_text(edit(http.read_text()))
    reload(site)


def reload(site: Site) -> None:
    site.world.nginx.deployer().apply([])


def as_old(text: str) -> str:
    """Return the text with the closing key of an early version, which is the same on every machine."""
    old = closing(text)
    assert text.count(old) == 2
    return text.replace(old, KNOWN)


def closing(text: str) -> str:
    return text.partition('$rn_key {\n    default "')[2].partition('"')[0]


def with_what_everybody_knows(site: Site) -> dict[str, int]:
    """Return what a stranger gets who signs with the closing key of an early version."""
    end = "9999999999"
    signature = md5_of(f"{end}/secret.zip {KNOWN}")
    link = f"/.renewer/enter?t={forged(KNOWN, 'L', 'admin', 'zz')}"
    return {
        "session": site.visit(forged(KNOWN, "S", "admin", "zz")).status,
        "link": site.get(link).status,
        "signed URL": site.get(f"/secret.zip?k=zz&expires={end}&md5={signature}", FILES).status,
    }


OPEN = {"session": 200, "link": 303, "signed URL": 200}
SHUT = dict.fromkeys(OPEN, 403)


class TestClosingKey:
    def http(self, site: Site) -> str:
        return (site.world.state / "nginx" / "secure_link" / "http.conf").read_text()

    def test_without_a_site_in_the_configuration_nobody_forges_anything(self, site: Site) -> None:
        site.world.write(table(NAME))
        assert site.world.renew().code == 0
        assert with_what_everybody_knows(site) == SHUT
        assert closing(self.http(site)) not in {KNOWN, ""}

    @pytest.mark.parametrize("sites", ["all of them", "none"])
    def test_what_an_early_version_wrote_is_replaced_by_the_first_run(self, site: Site, sites: str) -> None:
        if sites == "none":
            site.world.write(table(NAME))
        assert site.world.renew().code == site.world.renew().code == 0
        open_again(site, as_old)
        assert with_what_everybody_knows(site) == OPEN
        assert any("closing" in one for one in checked(site))
        assert site.world.renew().code == 0
        assert with_what_everybody_knows(site) == SHUT
        assert not any("closing" in one for one in checked(site))
        before = self.http(site), site.world.nginx.reloads()
        assert site.world.renew().code == 0
        assert (self.http(site), site.world.nginx.reloads()) == before

    def test_what_is_written_anew_gets_a_new_one(self, site: Site) -> None:
        seen = {closing(self.http(site))}
        for arguments in (("rotate", "nodered"), ("rotate", "nodered", "--now")):
            assert site.world.renewer(*arguments).code == 0
            seen.add(closing(self.http(site)))
        assert len(seen) == 3

    def test_nginx_that_was_not_seen_to_take_it_up_is_asked_again(self, site: Site) -> None:
        site.world.write(table(NAME))
        assert site.world.renew().code == 0
        open_again(site, as_old)
        site.world.write(table(NAME), edit=lambda text: text + 'reload = "none"\n')
        for _ in range(2):
            done = site.world.renew()
            assert (done.code, "secure links" in done.answer["error"]) == (1, True)
            assert with_what_everybody_knows(site) == OPEN
        reload(site)
        assert with_what_everybody_knows(site) == SHUT
        assert site.world.renew().code == 0

    def test_gates_that_nginx_does_not_include_need_no_reload(self, site: Site) -> None:
        site.world.write(table(NAME))
        site.world.listen()
        assert site.world.renew().code == 0
        http = site.world.state / "nginx" / "secure_link" / "http.conf"
        http.write_text(as_old(http.read_text()))
        before = site.world.nginx.reloads()
        assert site.world.renew().code == 0
        assert (KNOWN in http.read_text(), site.world.nginx.reloads()) == (False, before)


def checked(site: Site) -> list[str]:
    """Return the errors that `check` finds about nginx."""
    found = site.world.renewer("check", "--json").answer["findings"]
    return [one["check"] for one in found if one["status"] == "error" and one["check"].startswith("nginx.")]


# -- pages of others ----------------------------------------------------------------------------------------

SAME, SIBLING, FOREIGN = "same-origin", "same-site", "cross-site"


def told(place: str, mode: str, dest: str) -> dict[str, str]:
    """Return what a browser says of a request (Fetch metadata)."""
    found = {"Sec-Fetch-Site": place, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    return {name: value for name, value in found.items() if value}


EMBEDDED = [
    ("no-cors", "image"),
    ("no-cors", "script"),
    ("no-cors", "empty"),
    ("cors", "empty"),
    ("navigate", "iframe"),
    ("navigate", "frame"),
    ("navigate", "embed"),
    ("navigate", "object"),
    ("nested-navigate", ""),
    ("websocket", "websocket"),
    ("", ""),
]
PATHS = ("/", "/.renewer/", "/.renewer/leave")


class TestPagesOfOthers:
    @pytest.fixture
    def session(self, standing: Fronted) -> dict[str, str]:
        return {"Cookie": f"__Host-rn-nodered={standing.session()}"}

    @pytest.mark.parametrize("place", [SIBLING, FOREIGN, "new-word"])
    def test_what_they_embed_or_fetch_is_refused(
        self, standing: Fronted, session: dict[str, str], place: str
    ) -> None:
        link = standing.link("nodered", "phone").partition("example.com")[2]
        for mode, dest in EMBEDDED:
            for path in (*PATHS, link):
                answer = standing.get(path, **session | told(place, mode, dest))
                assert (answer.status, answer.headers["Cache-Control"]) == (403, "no-store"), (path, mode)
                assert answer.headers["Set-Cookie"] is None

    @pytest.mark.parametrize("place", [SIBLING, FOREIGN])
    @pytest.mark.parametrize("dest", ["document", "empty", ""])
    def test_what_they_link_to_opens(
        self, standing: Fronted, session: dict[str, str], place: str, dest: str
    ) -> None:
        clicked = told(place, "navigate", dest)
        link = standing.link("nodered", "phone").partition("example.com")[2]
        assert standing.get(link, **clicked).status == 303
        assert standing.get("/.renewer/", **clicked).status == 200
        for method, status in (("GET", 200), ("HEAD", 200), ("POST", 403), ("PUT", 403), ("get", 405)):
            assert standing.get("/", method=method, **session | clicked).status in {status, 400}, method

    @pytest.mark.parametrize("place", [SAME, "none", ""])
    def test_the_site_s_own_pages_and_the_address_bar_may_do_everything(
        self, standing: Fronted, session: dict[str, str], place: str
    ) -> None:
        for mode, dest in EMBEDDED:
            for method in ("GET", "POST"):
                answer = standing.get("/", method=method, **session | told(place, mode, dest))
                assert answer.status == 200, (mode, dest, method)

    def test_a_foreign_origin_counts_whatever_else_is_said(
        self, standing: Fronted, session: dict[str, str]
    ) -> None:
        for place in (SAME, "none", FOREIGN, SIBLING):
            said = told(place, "navigate", "document") | {"Origin": f"https://{OTHER}"}
            assert standing.get("/", **session | said).status == 403

    def test_a_link_s_token_is_not_taken_from_their_pages(self, standing: Fronted) -> None:
        token = standing.link("nodered", "phone", "--fragment").partition("#")[2]
        said = {"X-Renewer-Link": token} | told(SIBLING, "no-cors", "empty")
        assert standing.get("/.renewer/enter-js", method="POST", **said).status == 403

    def test_no_page_of_theirs_may_frame_or_read_an_answer(
        self, standing: Fronted, session: dict[str, str]
    ) -> None:
        for path, more in (("/", session), ("/", {}), ("/.renewer/", {})):
            headers = standing.get(path, **more).headers
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert headers["Content-Security-Policy"] == "frame-ancestors 'self'"


class TestOrigin:
    def post(self, site: Site, origin: str, host: str = HOST) -> int:
        cookie = f"__Host-rn-nodered={site.session()}"
        return site.get("/", method="POST", Host=host, Origin=origin, Cookie=cookie).status

    def test_only_the_very_host_and_port_over_https_is_no_other(self, standing: Fronted) -> None:
        port = standing.world.port
        for origin, host in (
            (f"https://{HOST}", HOST),
            (f"https://{HOST}:{port}", f"{HOST}:{port}"),
            (f"https://{HOST}", HOST.upper()),
            (f"https://{HOST}.", f"{HOST}."),
        ):
            assert self.post(standing, origin, host) == 200, (origin, host)

    @pytest.mark.parametrize(
        "origin",
        [
            f"http://{HOST}",
            f"https://{HOST}:8443",
            f"https://{OTHER}",
            f"https://x.{HOST}",
            f"https://{HOST}.evil.example",
            f"https://evil.example/{HOST}",
            f"https://evil.example|{HOST}",
            f"https://{HOST}|{HOST}",
            f"https://{HOST}:443|{HOST}|{HOST}",
            f"https://{HOST}@evil.example",
            f"ws://{HOST}",
            f"wss://{HOST}",
            HOST,
            "null",
            "https://",
            "https://|",
            "|",
        ],
    )
    def test_every_other_is_foreign(self, standing: Fronted, origin: str) -> None:
        assert self.post(standing, origin) == 403

    def test_a_page_of_this_host_that_hides_where_it_is_may_post(self, standing: Fronted) -> None:
        cookie = f"__Host-rn-nodered={standing.session()}"
        own = {"Origin": "null", "Cookie": cookie}
        for site, status in (("same-origin", 200), ("same-site", 403), ("cross-site", 403), ("none", 403)):
            found = standing.get("/", method="POST", **own, **{"Sec-Fetch-Site": site})
            assert found.status == status, site

    def test_a_client_that_names_no_host_is_judged_by_the_server(self, standing: Fronted) -> None:
        for origin, status in ((f"https://{HOST}", 200), (f"https://{HOST}:7443", 200), ("https://a.b", 403)):
            cookie = f"Cookie: __Host-rn-nodered={standing.session()}"
            said = raw(
                standing.at(standing.alone),
                "POST / HTTP/1.0",
                cookie,
                f"Origin: {origin}",
                "Content-Length: 0",
            )
            assert f" {status} " in said.partition("\r\n")[0], (origin, said)

    def test_the_host_of_the_request_line_counts_and_both_must_agree(self, standing: Fronted) -> None:
        cookie = f"Cookie: __Host-rn-nodered={standing.session()}"
        line = f"POST https://{HOST}/ HTTP/1.1"
        for origin, host, status in (
            (f"https://{HOST}", HOST, 200),
            (f"https://{OTHER}", OTHER, 403),
            (f"https://{HOST}", OTHER, 403),
            (f"https://{OTHER}", HOST, 403),
        ):
            said = raw(standing, line, f"Host: {host}", cookie, f"Origin: {origin}", "Content-Length: 0")
            assert f" {status} " in said.partition("\r\n")[0], (origin, host, said)


def raw(site: Site, *lines: str) -> str:
    """Send a request as it stands to the server of the site, and return the answer."""
    with (
        socket.create_connection(("127.0.0.1", site.world.port), timeout=30) as plain,
        careless().wrap_socket(plain, server_hostname=HOST) as secure,
    ):
        secure.sendall(("\r\n".join((*lines, "Connection: close")) + "\r\n\r\n").encode())
        said = b""
        while chunk := secure.recv(65536):
            said += chunk
        return said.decode()


# -- caches -------------------------------------------------------------------------------------------------


class TestCaches:
    def through(self, site: Fronted, host: str, path: str, **headers: str) -> Answer:
        """Ask the shared cache."""
        return site.at(site.cache).get(path, "shared.example.com", **{"X-Host": host} | headers)

    @pytest.mark.parametrize("path", ["/", "/silent/"])
    def test_a_guarded_answer_is_not_kept_for_others(self, standing: Fronted, path: str) -> None:
        session = {"Cookie": f"__Host-rn-nodered={standing.session()}"}
        for _ in range(2):
            good = self.through(standing, CACHED, path, **session)
            assert (good.status, good.headers["X-Cache"]) == (200, "MISS")
            stranger = self.through(standing, CACHED, path)
            assert (stranger.status, stranger.headers["X-Cache"]) == (403, "MISS")

    @pytest.mark.parametrize("path", ["/a.zip", "/silent/a.zip"])
    def test_a_signed_url_is_not_kept_beyond_its_end(self, standing: Fronted, path: str) -> None:
        url = standing.link("files", "--uri", path).partition("example.com")[2]
        for _ in range(2):
            answer = self.through(standing, DOWNLOAD, url)
            assert (answer.status, answer.headers["X-Cache"]) == (200, "MISS")

    def test_it_would_keep_what_is_open(self, standing: Fronted) -> None:
        found = [self.through(standing, "open.example.com", "/").headers["X-Cache"] for _ in range(2)]
        assert found == ["MISS", "HIT"]

    def test_a_good_answer_is_private_and_a_fresh_session_for_nobody_to_keep(self, site: Site) -> None:
        session = site.session()
        assert site.visit(session).headers.get_all("Cache-Control") == ["private"]
        assert site.world.renewer("rotate", "nodered").code == 0
        refreshed = site.visit(session)
        assert refreshed.cookie
        assert refreshed.headers.get_all("Cache-Control") == ["private, no-store"]
        assert site.get("/").headers.get_all("Cache-Control") == ["no-store"]
        url = site.link("files", "--uri", "/a").partition("example.com")[2]
        assert site.get(url, FILES).headers.get_all("Cache-Control") == ["private"]
        assert site.get(url + "x", FILES).headers.get_all("Cache-Control") == ["no-store"]


# -- what a signature is for --------------------------------------------------------------------------------

PLAIN = "/public/file.zip"
DISGUISED = [
    "/admin/..%2fpublic/file.zip",
    "/admin/..%2Fpublic/file.zip",
    "/admin/%2e%2e/public/file.zip",
    "/admin/.%2E/public/file.zip",
    "/admin/../public/file.zip",
    "/./public/file.zip",
    "/public/./file.zip",
    "/public//file.zip",
    "//public/file.zip",
    "/public%2ffile.zip",
    "/public%2f/file.zip",
    "/public/%66ile.zip",
    "/public/file%2ezip",
    "/public/file.zip#/../../admin",
    "/public/x/..;/../file.zip/../file.zip",
]


class TestSignedUrls:
    def signed(self, site: Site, path: str = PLAIN) -> tuple[str, str]:
        """Return the path of a signed URL and its arguments."""
        url = site.link("files", "--uri", path).partition("example.com")[2]
        found, _, arguments = url.partition("?")
        return found, arguments

    def test_the_path_that_is_signed_is_what_the_back_end_reads(self, standing: Fronted) -> None:
        path, arguments = self.signed(standing)
        good = standing.get(f"{path}?{arguments}", DOWNLOAD)
        assert (good.status, good.headers["X-Path"]) == (200, f"{path}?{arguments}")

    @pytest.mark.parametrize("path", DISGUISED)
    def test_the_same_path_written_otherwise_is_refused(self, standing: Fronted, path: str) -> None:
        _, arguments = self.signed(standing)
        said = raw_for(standing, f"GET {path}?{arguments} HTTP/1.1")
        assert (" 403 " in said.partition("\r\n")[0], "X-Path" in said) == (True, False), said

    @pytest.mark.parametrize(
        "name",
        ["a b.zip", "ü ✓.zip", "100%.zip", "a%2fb.zip", "a%2520.zip", "a+b.zip", "~a.zip", "a\\b.zip",
         "..a", "a..", "...", ".a", '{a}|^`<>".zip', "[a].zip", "a?b#c", "*'()!$&,=:@-_.~"],
    )  # fmt: skip
    def test_an_honest_name_opens_however_its_bytes_are_encoded(self, standing: Fronted, name: str) -> None:
        written = quote(name, safe="")
        path, arguments = self.signed(standing, f"/{written}")
        for one in {path, quote(f"/{name}"), quote(f"/{name}", safe="/!$&'()*+,;=:@~")}:
            assert standing.get(f"{one}?{arguments}", DOWNLOAD).status == 200, one
        low = path.replace("%C3%BC", "%c3%bc")
        assert standing.get(f"{low}?{arguments}", DOWNLOAD).status == 200

    def test_only_get_and_head_are_signed_unless_the_location_says_others(self, standing: Fronted) -> None:
        path, arguments = self.signed(standing)
        into, more = self.signed(standing, "/upload/a.zip")
        for method, plain, opened in (
            ("GET", 200, 200),
            ("HEAD", 200, 200),
            ("PUT", 405, 200),
            ("POST", 405, 405),
            ("DELETE", 405, 405),
            ("OPTIONS", 405, 405),
            ("PU", 405, 405),
            ("EAD", 405, 405),
        ):
            answer = standing.get(f"{path}?{arguments}", DOWNLOAD, method)
            assert (answer.status, "X-Path" in answer.headers) == (plain, plain == 200), method
            assert standing.get(f"{into}?{more}", DOWNLOAD, method).status == opened, method
        assert standing.get(f"{path}?{arguments}", DOWNLOAD, "DELETE").headers["Cache-Control"] == "no-store"


def raw_for(site: Site, line: str) -> str:
    return raw(site, line, f"Host: {DOWNLOAD}")

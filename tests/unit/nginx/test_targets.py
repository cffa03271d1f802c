"""Which handshakes show what nginx serves, from configurations as people write them."""

from pathlib import Path

import pytest
from support.certs import spec
from support.facts import missing

from renewer.core.errors import ConfigError
from renewer.nginx.configuration import endpoint, read
from renewer.nginx.layout import Layout
from renewer.nginx.targets import ProbeTargets, Target, discover

EXAMPLE = spec("example.com", "*.example.com")
INCLUDE = "include {state}/nginx/certificates/example.com.conf;"


class Web:
    """A folder with nginx's configuration and the state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = Layout(folder / "state")
        self.config = folder / "nginx.conf"
        self.layout.include("example.com").parent.mkdir(parents=True)
        home = self.layout.home("example.com")
        self.layout.include("example.com").write_text(f"ssl_certificate {home}/g000001/fullchain.pem;\n")

    def write(self, text: str, name: str = "nginx.conf") -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("{include}", INCLUDE).replace("{state}", str(self.layout.state)))

    def found(self, probe: tuple[str, ...] | None = None) -> ProbeTargets:
        return discover(read(str(self.config)), self.layout, EXAMPLE, probe)

    def targets(self, probe: tuple[str, ...] | None = None) -> list[tuple[str, str]]:
        return [(target.address, target.name) for target in self.found(probe).targets]


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return Web(tmp_path)


@pytest.mark.parametrize(
    ("listen", "addresses"),
    [
        ("listen 443 ssl;", ["127.0.0.1:443"]),
        ("listen *:443 ssl http2;", ["127.0.0.1:443"]),
        ("listen 0.0.0.0:8443 ssl default_server;", ["127.0.0.1:8443"]),
        ("listen [::]:443 ssl ipv6only=on;", ["[::1]:443"]),
        ("listen 443 ssl; listen [::]:443 ssl;", ["127.0.0.1:443", "[::1]:443"]),
        ("listen 10.1.2.3:443 ssl;", ["10.1.2.3:443"]),
        ("listen [fd00::2]:443 ssl;", ["[fd00::2]:443"]),
        ("listen localhost:443 ssl;", ["localhost:443"]),
        ("listen 8443-8449 ssl;", ["127.0.0.1:8443"]),
        ("listen 80; listen 443 ssl;", ["127.0.0.1:443"]),
        ("listen 443; ssl on;", ["127.0.0.1:443"]),
        ("listen 443 quic reuseport; listen 443 ssl;", ["127.0.0.1:443"]),
        ("listen unix:/run/nginx.sock ssl; listen 443 ssl;", ["127.0.0.1:443"]),
        ("listen 443 ssl; listen *:443 ssl;", ["127.0.0.1:443"]),
    ],
)
def test_sockets(web: Web, listen: str, addresses: list[str]) -> None:
    web.write(f"http {{ server {{ {listen} server_name example.com; {{include}} }} }}")
    assert web.targets() == [(address, "example.com") for address in addresses]


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        ("example.com www.example.com", ["example.com", "www.example.com"]),
        ("Example.COM", ["example.com"]),
        ("www.example.com www.example.net", ["www.example.com"]),
        ("*.example.com", ["renewer-probe.example.com"]),
        (".example.com", ["example.com", "renewer-probe.example.com"]),
        ("_", ["example.com", "renewer-probe.example.com"]),
        ('""', ["example.com", "renewer-probe.example.com"]),
        (r"~^(?<user>.+)\.example\.com$", ["renewer-probe.example.com"]),
        (r"~^(www\.)?EXAMPLE\.com$", ["example.com"]),
        ("cloud.*", ["cloud.example.com"]),
        ("cloud.* www.example.com", ["cloud.example.com", "www.example.com"]),
        ("~^x www.example.com 192.0.2.1", ["www.example.com"]),
        ("intranet", ["intranet"]),
        ("$hostname", ["example.com", "renewer-probe.example.com"]),
    ],
)
def test_names(web: Web, names: str, asked: list[str]) -> None:
    web.write(f"http {{ server {{ listen 443 ssl; server_name {names}; {{include}} }} }}")
    assert web.targets() == [("127.0.0.1:443", name) for name in asked]


@pytest.mark.parametrize("names", [r"~^cloud\.example\.com$", "~^[[:alpha:]]+$", "~^(?>x)++$("])
def test_a_regular_expression_that_fits_no_name_leaves_none_to_ask_for(web: Web, names: str) -> None:
    web.write(f"http {{ server {{ listen 443 ssl; server_name {names}; {{include}} }} }}")
    include = web.layout.include("example.com")
    found = web.found()
    assert (found.targets, missing(found.detail, "name", include)) == ((), [])


@pytest.mark.parametrize(
    ("others", "addresses"),
    [
        ("listen 127.0.0.1:443 ssl;", ["127.0.0.2:443", "[::1]:443"]),
        ("listen 127.0.0.1:443 ssl; listen 127.0.0.2:443 ssl;", ["127.0.0.3:443", "[::1]:443"]),
        ("listen [::1]:443 ssl;", ["127.0.0.1:443"]),
        ("listen 127.0.0.1:8443 proxy_protocol; listen 10.0.0.1:443;", ["127.0.0.1:443", "[::1]:443"]),
    ],
)
def test_a_socket_for_every_address_is_looked_at_where_no_other_stands_before_it(
    web: Web, others: str, addresses: list[str]
) -> None:
    web.write(
        "http { server { listen 443 ssl; listen [::]:443 ssl; server_name example.com; {include} }"
        f" server {{ {others} server_name localhost; }} }}"
    )
    assert web.targets() == [(address, "example.com") for address in addresses]


@pytest.mark.parametrize(
    ("listen", "address"),
    [("listen 443 ssl; listen [::]:443 ssl;", "127.0.0.1:443"), ("listen [::]:443 ssl;", "[::1]:443")],
)
def test_where_ipv6_is_off_it_is_looked_at_by_ipv4_if_that_leads_there(
    web: Web, monkeypatch: pytest.MonkeyPatch, listen: str, address: str
) -> None:
    monkeypatch.setattr("renewer.nginx.targets._has_near6", lambda: False)
    web.write(f"http {{ server {{ {listen} server_name example.com; {{include}} }} }}")
    assert web.targets() == [(address, "example.com")]


@pytest.mark.parametrize("other", ["example.com", "example.*", r"~^example\.com$"])
def test_a_catch_all_is_not_asked_for_what_another_server_takes(web: Web, other: str) -> None:
    web.write(
        "http { server { listen 443 ssl default_server; server_name _; {include} }"
        f" server {{ listen 443 ssl; server_name {other}; ssl_certificate /etc/ssl/other.pem; }} }}"
    )
    assert web.targets() == [("127.0.0.1:443", "renewer-probe.example.com")]


def test_what_one_server_says_of_a_socket_holds_for_all_on_it(web: Web) -> None:
    web.write(
        "http { server { listen 443 ssl proxy_protocol; server_name other; }"
        " server { listen 443; server_name example.com; {include} } }"
    )
    assert web.found().targets == (Target("127.0.0.1", 443, "example.com", proxy_protocol=True),)


def test_includes_globs_and_links_are_followed(web: Web) -> None:
    (web.folder / "linked").symlink_to("state")
    web.write("http { include sites/*.conf; }")
    web.write("server { include listen.conf; server_name example.com; include tls/*.conf; }", "sites/a.conf")
    web.write("listen 443 ssl;", "listen.conf")
    web.write(f"include {web.folder}/linked/nginx/certificates/example.com.conf;", "tls/b.conf")
    assert web.targets() == [("127.0.0.1:443", "example.com")]


def test_a_certificate_is_known_by_its_path_and_inherited(web: Web) -> None:
    web.write(
        "http { ssl_certificate {state}/certificates/example.com/current/fullchain.pem;"
        " server { listen 443 ssl; server_name a.example.com; }"
        " server { listen 444 ssl; server_name b.example.com; ssl_certificate /etc/ssl/other.pem; } }"
    )
    assert web.targets() == [("127.0.0.1:443", "a.example.com")]


def test_a_missing_include_is_still_known_by_its_name(web: Web) -> None:
    web.layout.include("example.com").unlink()
    web.write("http { server { listen 443 ssl; server_name example.com; {include} } }")
    assert web.targets() == [("127.0.0.1:443", "example.com")]


def test_a_stream_is_a_server_too(web: Web) -> None:
    web.write("stream { server { listen 853 ssl; {include} } server { listen 53 udp; } }")
    assert web.targets() == [("127.0.0.1:853", "example.com"), ("127.0.0.1:853", "renewer-probe.example.com")]


def test_files_that_include_each_other_end(web: Web) -> None:
    web.write("http { include a.conf; server { listen 443 ssl; server_name example.com; {include} } }")
    web.write("include b.conf;", "a.conf")
    web.write("include a.conf;", "b.conf")
    assert web.targets() == [("127.0.0.1:443", "example.com")]


def test_where_there_is_nowhere_to_look_it_is_said_why(web: Web) -> None:
    include = web.layout.include("example.com")
    web.write("http { server { listen 443 ssl; ssl_certificate /etc/ssl/other.pem; } }")
    found = web.found()
    assert (found.targets, missing(found.detail, "no server", include)) == ((), [])
    web.write("http { server { listen unix:/run/nginx.sock ssl; {include} } }")
    found = web.found()
    assert (found.targets, missing(found.detail, include, "TCP", "ssl")) == ((), [])
    assert "off" in web.found(probe=()).detail


@pytest.mark.parametrize(
    "text", ["http { server { listen 443 ssl; ", "http } {", "include /no/such/file.conf;"]
)
def test_a_configuration_that_cannot_be_read_is_a_reason_not_an_error(web: Web, text: str) -> None:
    web.write(text)
    found = web.found()
    assert found.targets == ()
    assert str(web.config) in found.detail
    web.config.unlink()
    assert "No such file" in web.found().detail


def test_probe_replaces_addresses_and_keeps_names(web: Web) -> None:
    web.write("http { server { listen 443 ssl proxy_protocol; server_name www.example.com; {include} } }")
    assert web.targets(("[::1]:8443", "localhost")) == [
        ("[::1]:8443", "www.example.com"),
        ("localhost:443", "www.example.com"),
    ]
    assert web.found(("127.0.0.1:443",)).targets[0].proxy_protocol
    web.config.unlink()
    assert web.targets(("10.0.0.1:443",))[0] == ("10.0.0.1:443", "example.com")
    with pytest.raises(ConfigError, match=r"nginx\.probe"):
        web.found(("unix:/run/nginx.sock",))


def test_pid_and_error_log_are_told(web: Web) -> None:
    web.write("include more.conf; error_log stderr; error_log syslog:server=unix:/dev/log; events {}")
    web.write("pid /run/my.pid; error_log /var/log/my.log warn;", "more.conf")
    configuration = read(str(web.config))
    assert (configuration.pid, configuration.error_log) == ("/run/my.pid", "/var/log/my.log")
    assert configuration.problem == ""


@pytest.mark.parametrize("text", ["unix:/x", "host:$port", "[::1]:http", "65536"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert endpoint(text) is None


def test_what_the_configuration_is_read_from_is_told_with_the_folders_that_are_looked_through(
    tmp_path: Path,
) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "one.conf").write_text("server { include snippets/*/tls.conf; }")
    config = tmp_path / "nginx.conf"
    config.write_text("http { include conf.d/*.conf; include mime.types; }")
    (tmp_path / "mime.types").touch()
    files = ("conf.d/", "conf.d/one.conf", "mime.types", "nginx.conf", "snippets/")
    assert read(str(config)).sources == tuple(f"{tmp_path}/{name}" for name in files)

"""The configuration: what it may hold, and what is told about the rest."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from support.configuration import (
    EVERYTHING,
    LETSENCRYPT,
    NO_ADDRESS,
    NO_DURATION,
    NOT_A_URL,
    NOT_ABSOLUTE,
    NOT_HTTPS,
    SIX_LINES,
    STAGING,
    only,
)
from support.facts import missing

from renewer.config import acme, load, reader, schema
from renewer.core import rate_limits
from renewer.core.errors import ConfigError
from renewer.core.model import CertSpec, KeyKind
from renewer.dns.cloudflare.settings import Settings


def test_six_lines_are_enough() -> None:
    loaded = load.parse(SIX_LINES, "renewer.toml")
    assert loaded.specs == (CertSpec("example.com", ("example.com", "*.example.com"), LETSENCRYPT),)
    assert loaded.state == Path("/var/lib/renewer")
    assert loaded.acme == acme.Acme()
    assert loaded.propagation == schema.Propagation(None, timedelta(minutes=5))
    assert loaded.nginx == schema.Nginx(
        Path("/usr/sbin/nginx"), Path("/etc/nginx/nginx.conf"), reload="auto", probe="auto"
    )
    assert (loaded.sites, loaded.hooks.commands, loaded.dns.zone_ids) == ({}, (), {})


def test_every_key_of_the_contract_is_read() -> None:
    loaded = load.parse(EVERYTHING, "renewer.toml")
    assert loaded.state == Path("/srv/renewer")
    assert loaded.acme == acme.Acme(
        server="letsencrypt-staging",
        email="ops@example.com",
        accept_terms=False,
        profile="classic",
        ca_bundle=Path("/etc/ssl/pebble.pem"),
        eab_kid="kid-1",
        eab_hmac_key_file=Path("/etc/renewer/eab"),
    )
    assert loaded.dns == Settings(
        token_file=Path("/etc/renewer/cloudflare.token"),
        base_url="http://127.0.0.1:8080/client/v4",
        zone_ids={"example.com": "023e105f4ecef8ad9ca31a8372d0c353"},
    )
    assert loaded.propagation == schema.Propagation("127.0.0.1:8053", timedelta(seconds=90))
    assert loaded.nginx == schema.Nginx(
        binary=Path("/opt/nginx"),
        config=Path("/opt/nginx.conf"),
        reload=("systemctl", "reload", "nginx"),
        probe=("127.0.0.1:443", "[::1]:443"),
    )
    assert loaded.sites["nodered"] == schema.Site(
        host="https://nodered.example.com",
        home="/ui/",
        people=("phone", "laptop"),
        rotate=timedelta(days=30),
        sliding=False,
    )
    assert loaded.sites["downloads"] == schema.Site(
        host="https://files.example.com:8443",
        mode="url",
        signer_file=Path("/run/renewer/downloads.json"),
    )
    assert loaded.metrics == schema.Metrics(Path("/srv/node-exporter/renewer.prom"))
    assert loaded.notify == schema.Notify(Path("/etc/renewer/notify.urls"), 0.2, "https://hc.example/uuid")
    assert loaded.hooks.commands == (
        schema.Command(("/usr/bin/systemctl", "reload", "postfix"), timedelta(seconds=30)),
        schema.Command(("true",), timedelta(minutes=15)),
    )


def test_specs_fall_back_on_the_profile_of_the_ca() -> None:
    keys = (KeyKind.EC256, KeyKind.RSA2048)
    assert load.parse(EVERYTHING, "f").specs == (
        CertSpec("example.com", ("example.com", "*.example.com"), STAGING, keys, "shortlived"),
        CertSpec("other", ("other.example.net",), STAGING, (KeyKind.EC256,), "classic"),
    )


def test_the_limits_of_a_ca_are_those_known_with_the_configured_ones_in_their_place() -> None:
    table = '[acme]\nrehearse = "letsencrypt-staging"\nlimits.orders = "7/1h"\n'
    other = '[[acme.fallback]]\nserver = "https://b.example/dir"\n'
    acme = load.parse(SIX_LINES + table + other, "f").acme
    found = {limit.rule: (limit.count, limit.period) for limit in acme.limits_at(LETSENCRYPT)}
    assert found[rate_limits.ORDERS] == (7, timedelta(hours=1))
    assert found[rate_limits.PER_SET] == (5, timedelta(days=7))
    assert acme.limits_at(STAGING) == rate_limits.BUILT_IN[STAGING]
    assert acme.limits_at("https://b.example/dir") == ()
    assert acme.rehearsal == STAGING


def test_each_ca_is_trusted_by_its_own_roots_or_the_first_ones_and_a_public_one_by_the_systems() -> None:
    private, second, third = "https://ca.home.arpa/dir", "https://b.example/dir", "https://c.example/dir"
    text = f'[acme]\nserver = "{private}"\nca_bundle = "/etc/home.pem"\nrehearse = "letsencrypt-staging"\n'
    others = f'[[acme.fallback]]\nserver = "letsencrypt"\n[[acme.fallback]]\nserver = "{second}"\n'
    whole = f'{SIX_LINES}{text}{others}ca_bundle = "/etc/b.pem"\n'
    acme = load.parse(f'{whole}[[acme.fallback]]\nserver = "{third}"\n', "f").acme
    assert acme.bundle_at(private) == Path("/etc/home.pem")
    assert acme.bundle_at(second) == Path("/etc/b.pem")
    assert acme.bundle_at(third) == Path("/etc/home.pem")
    assert acme.bundle_at(LETSENCRYPT) is acme.bundle_at(STAGING) is None
    own = load.parse(f'{SIX_LINES}{text}rehearse_ca_bundle = "/etc/test.pem"\n', "f").acme
    assert own.bundle_at(STAGING) == Path("/etc/test.pem")


def test_every_leaf_that_is_to_be_read_by_a_function_has_one() -> None:
    # A field of a function's own name would hide it from its annotation.
    for table in (
        acme.Acme,
        Settings,
        schema.Nginx,
        schema.Site,
        schema.Notify,
        schema.Config,
    ):
        for field in msgspec.structs.fields(table):
            for arm in reader._arms(field.type):
                note = reader._parted(arm)[1]
                assert note is None or callable(note) or isinstance(note, reader.Together | reader.OneOf), (
                    field.name
                )


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("letsencrypt", LETSENCRYPT),
        ("letsencrypt-staging", STAGING),
        ("https://localhost:14000/dir", "https://localhost:14000/dir"),
    ],
)
def test_a_ca_goes_by_name_or_by_url(server: str, url: str) -> None:
    loaded = load.parse(f'{SIX_LINES}[acme]\nserver = "{server}"', "f")
    assert loaded.acme.directory == loaded.specs[0].directory_url == url


@pytest.mark.parametrize(
    ("table", "key", "value", "fact"),
    [
        ("acme", "server", "zerossl", "letsencrypt-staging"),
        ("acme", "server", "http://ca.example/dir", NOT_HTTPS),
        ("acme", "server", "http://127.0.0.1:14000/dir", NOT_HTTPS),
        ("acme", "server", "https://", NOT_A_URL),
        ("acme", "server", "https://[::1/dir", NOT_A_URL),
        ("acme", "server", "https://ca.example:0/dir", NOT_A_URL),
        ("acme", "server", "https://ca.example:99999/dir", NOT_A_URL),
        ("acme", "server", "https://ca example/dir", NOT_A_URL),
        ("acme", "server", "https://ca.example/dir#x", NOT_A_URL),
        ("acme", "server", "https://me:secret@ca.example/dir", "user"),
        ("acme", "email", "mailto:a@example.com", "mailto:"),
        ("acme", "email", "a@b@c", "address"),
        ("acme", "email", "a@b.de,c@d.de", "address"),
        ("acme", "email", "ops", "address"),
        ("acme", "profile", "", "one word"),
        ("acme", "ca_bundle", "pebble.pem", NOT_ABSOLUTE),
        ("cloudflare", "token_file", "v4lid-T0ken", NOT_ABSOLUTE),
        ("cloudflare", "token_file", "/a\\u0000b", "character"),
        ("cloudflare", "base_url", "http://api.cloudflare.com", "https://"),
        ("cloudflare", "base_url", "ftp://localhost/", NOT_HTTPS),
        ("propagation", "resolver", "1.2.3.4.5", "IP address"),
        ("propagation", "resolver", "[::1", NO_ADDRESS),
        ("propagation", "resolver", "[1.2.3]:53", NO_ADDRESS),
        ("propagation", "resolver", "", NO_ADDRESS),
        ("propagation", "resolver", "127.0.0.1:0", "65535"),
        ("propagation", "resolver", "127.0.0.1:65536", "65535"),
        ("propagation", "resolver", "dns_1:53", "underscore"),
        ("propagation", "timeout", "5", NO_DURATION),
        ("propagation", "timeout", "-5m", NO_DURATION),
        ("propagation", "timeout", "1h30m", NO_DURATION),
        ("propagation", "timeout", "٣m", NO_DURATION),
        ("propagation", "timeout", "0s", "longer"),
        ("propagation", "timeout", "3651d", "ten years"),
        ("propagation", "timeout", "999999999d", "ten years"),
        ("nginx", "binary", "nginx", NOT_ABSOLUTE),
        ("nginx", "config", "nginx.conf", NOT_ABSOLUTE),
        ("metrics", "textfile", "renewer.prom", NOT_ABSOLUTE),
        ("metrics", "textfile", "/srv/renewer.txt", ".prom"),
        ("notify", "expiring", "25", "1% to 33%"),
        ("notify", "expiring", "0%", "1% to 33%"),
        ("notify", "expiring", "34%", "1% to 33%"),
        ("notify", "ping", "http://hc.example/x", "https://"),
        ("notify", "urls_file", "notify.urls", NOT_ABSOLUTE),
        ("nginx", "reload", "systemctl", "auto, signal, systemd, request, none"),
        ("nginx", "probe", "127.0.0.1:443", "auto"),
    ],
)
def test_one_wrong_value(table: str, key: str, value: str, fact: str) -> None:
    quoted = value.replace("\\", "\\\\").replace("\\\\u", "\\u")
    fault = only(f'[{table}]\n{key} = "{quoted}"')
    assert (fault.place, missing(fault.message, fact)) == (f"{table}.{key}", [])


@pytest.mark.parametrize(
    "resolver", ["::1", "[::1]:53", "9.9.9.9", "dns.example:5353", "localhost", "[fe80::1]"]
)
def test_addresses(resolver: str) -> None:
    loaded = load.parse(f'{SIX_LINES}[propagation]\nresolver = "{resolver}"', "f")
    assert loaded.propagation.resolver == resolver


@pytest.mark.parametrize(
    ("text", "place", "facts"),
    [
        ("state = 3", "state", ["number", "text"]),
        ('state = "/var/lib/re newer"', "state", ["letters, digits and _ . / -", "nginx"]),
        ('state = "state"', "state", [NOT_ABSOLUTE]),
        ("[nginx]\nreload = []", "nginx.reload", ["at least one"]),
        ('[nginx]\nreload = [""]', "nginx.reload[0]", ["empty", "program"]),
        ('[nginx]\nreload = ["a", "\\u0000"]', "nginx.reload[1]", ["zero byte"]),
        ("[nginx]\nreload = true", "nginx.reload", ["true or false", "or a list"]),
        ('[nginx]\nprobe = ["x", "y:"]', "nginx.probe[1]", [NO_ADDRESS]),
        ('[acme]\neab_kid = "k"', "acme.eab_hmac_key_file", ["missing", "eab_kid"]),
        ('[acme]\neab_hmac_key_file = "/k"', "acme.eab_kid", ["missing", "eab_hmac_key_file"]),
        ('[acme]\nlimits.orders = "300"', "acme.limits.orders", ["300/3h or 50/7d"]),
        ('[acme]\nlimits.orders = "0/3h"', "acme.limits.orders", ["300/3h or 50/7d"]),
        ('[acme]\nlimits.orders = "9/8d"', "acme.limits.orders", ["7d"]),
        ('[[acme.fallback]]\nafter = "1h"', "acme.fallback[0].server", ["missing"]),
        ('[[acme.fallback]]\nserver = "letsencrypt"', "acme.fallback", ["already"]),
        ('[acme]\nrehearse = "letsencrypt"', "acme.rehearse", ["letsencrypt-staging"]),
        (
            '[cloudflare]\nzone_ids = { "example.com" = "example" }',
            'cloudflare.zone_ids."example.com"',
            ["32", "0-9", "a-f"],
        ),
        (
            '[cloudflare]\nzone_ids = { "*.example.com" = "023e105f4ecef8ad9ca31a8372d0c353" }',
            'cloudflare.zone_ids."*.example.com"',
            ["wildcard"],
        ),
        ('[cloudflare]\ntoken = "v4lid"', "cloudflare.token", ["did you mean token_file?"]),
        ('[notify]\nping = "https://hc.example/x"\nping_file = "/p"', "notify.ping_file", ["ping"]),
        ("[[hook.command]]\n", "hook.command[0].argv", ["missing"]),
        ("[hook.command]\n", "hook.command", ["table", "list"]),
        ('[cloudfare]\ntoken_file = "/t"', "cloudfare", ["did you mean cloudflare?"]),
    ],
)
def test_one_fault(text: str, place: str, facts: list[str]) -> None:
    fault = only(text)
    assert (fault.place, missing(fault.message, *facts)) == (place, [])


def test_an_empty_list_of_addresses_switches_the_probe_off() -> None:
    assert load.parse(f"{SIX_LINES}[nginx]\nprobe = []", "f").nginx.probe == ()


@pytest.mark.parametrize(
    "text", ["", "[certificate]\n[site]\n", "certificate = {}", 'state = "/var/lib/renewer"']
)
def test_nothing_to_do_is_a_fault(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        load.parse(text, "f")
    (fault,) = error.value.faults
    assert (fault.place, missing(fault.message, "missing", "certificate", "site")) == ("certificate", [])


def test_a_site_alone_is_enough() -> None:
    assert load.parse('[site.a]\nhost = "https://a.example"', "f").specs == ()

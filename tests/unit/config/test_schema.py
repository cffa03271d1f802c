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

from renewer.config import acme, load, reader, schema
from renewer.core import rate_limits
from renewer.core.errors import ConfigError
from renewer.core.model import CertSpec, KeyKind


def test_six_lines_are_enough() -> None:
    loaded = load.parse(SIX_LINES, "renewer.toml")
    assert loaded.specs == (CertSpec("example.com", ("example.com", "*.example.com"), LETSENCRYPT),)
    assert loaded.state == Path("/var/lib/renewer")
    assert loaded.acme == acme.Acme()
    assert loaded.propagation == schema.Propagation(None, timedelta(minutes=5))
    assert loaded.nginx == schema.Nginx(
        Path("/usr/sbin/nginx"), Path("/etc/nginx/nginx.conf"), reload="auto", probe="auto"
    )
    assert (loaded.sites, loaded.hooks.commands, loaded.cloudflare.zone_ids) == ({}, (), {})


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
    assert loaded.cloudflare == schema.Cloudflare(
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
        schema.Cloudflare,
        schema.Nginx,
        schema.Site,
        schema.Notify,
        schema.Config,
    ):
        for field in msgspec.structs.fields(table):
            for arm in reader._arms(field.type):
                note = reader._parted(arm)[1]
                assert note is None or callable(note) or isinstance(note, reader.Together), field.name


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
    ("table", "key", "value", "sentence"),
    [
        (
            "acme",
            "server",
            "zerossl",
            "is neither letsencrypt nor letsencrypt-staging nor the https URL of an",
        ),
        ("acme", "server", "http://ca.example/dir", NOT_HTTPS),
        ("acme", "server", "http://127.0.0.1:14000/dir", NOT_HTTPS),
        ("acme", "server", "https://", NOT_A_URL),
        ("acme", "server", "https://[::1/dir", NOT_A_URL),
        ("acme", "server", "https://ca.example:0/dir", NOT_A_URL),
        ("acme", "server", "https://ca.example:99999/dir", NOT_A_URL),
        ("acme", "server", "https://ca example/dir", NOT_A_URL),
        ("acme", "server", "https://ca.example/dir#x", NOT_A_URL),
        ("acme", "server", "https://me:secret@ca.example/dir", "has a user's name in it; leave that out"),
        ("acme", "email", "mailto:a@example.com", "has to be the bare address, without mailto:"),
        ("acme", "email", "a@b@c", "is not the mail address of one person"),
        ("acme", "email", "a@b.de,c@d.de", "is not the mail address of one person"),
        ("acme", "email", "ops", "is not the mail address of one person"),
        ("acme", "profile", "", "has to be one word, as the CA's directory names it"),
        ("acme", "ca_bundle", "pebble.pem", NOT_ABSOLUTE),
        ("cloudflare", "token_file", "v4lid-T0ken", NOT_ABSOLUTE),
        ("cloudflare", "token_file", "/a\\u0000b", "has a character that belongs into no path"),
        (
            "cloudflare",
            "base_url",
            "http://api.cloudflare.com",
            "has to begin with https://; http:// would show",
        ),
        ("cloudflare", "base_url", "ftp://localhost/", NOT_HTTPS),
        ("propagation", "resolver", "1.2.3.4.5", "is neither an IP address nor the name of a host"),
        ("propagation", "resolver", "[::1", NO_ADDRESS),
        ("propagation", "resolver", "[1.2.3]:53", NO_ADDRESS),
        ("propagation", "resolver", "", NO_ADDRESS),
        ("propagation", "resolver", "127.0.0.1:0", "has a port outside 1 to 65535"),
        ("propagation", "resolver", "127.0.0.1:65536", "has a port outside 1 to 65535"),
        ("propagation", "resolver", "dns_1:53", "has an underscore, which no host name has"),
        ("propagation", "timeout", "5", NO_DURATION),
        ("propagation", "timeout", "-5m", NO_DURATION),
        ("propagation", "timeout", "1h30m", NO_DURATION),
        ("propagation", "timeout", "٣m", NO_DURATION),
        ("propagation", "timeout", "0s", "is a duration of nothing; it has to be longer"),
        ("propagation", "timeout", "3651d", "is longer than ten years"),
        ("propagation", "timeout", "999999999d", "is longer than ten years"),
        ("nginx", "binary", "nginx", NOT_ABSOLUTE),
        ("nginx", "config", "nginx.conf", NOT_ABSOLUTE),
        ("metrics", "textfile", "renewer.prom", NOT_ABSOLUTE),
        ("metrics", "textfile", "/srv/renewer.txt", "has to end in .prom, or node_exporter does not read it"),
        ("notify", "expiring", "25", "has to be a share of the life such as 25%, from 1% to 33%"),
        ("notify", "expiring", "0%", "has to be a share of the life such as 25%, from 1% to 33%"),
        ("notify", "expiring", "34%", "has to be a share of the life such as 25%, from 1% to 33%"),
        ("notify", "ping", "http://hc.example/x", "has to begin with https://; http:// would show"),
        ("notify", "urls_file", "notify.urls", NOT_ABSOLUTE),
        ("nginx", "reload", "systemctl", "is none of auto, signal, systemd, request, none"),
        ("nginx", "probe", "127.0.0.1:443", "is none of auto"),
    ],
)
def test_one_wrong_value(table: str, key: str, value: str, sentence: str) -> None:
    quoted = value.replace("\\", "\\\\").replace("\\\\u", "\\u")
    assert only(f'[{table}]\n{key} = "{quoted}"').startswith(f"{table}.{key}: {sentence}")


@pytest.mark.parametrize(
    "resolver", ["::1", "[::1]:53", "9.9.9.9", "dns.example:5353", "localhost", "[fe80::1]"]
)
def test_addresses(resolver: str) -> None:
    loaded = load.parse(f'{SIX_LINES}[propagation]\nresolver = "{resolver}"', "f")
    assert loaded.propagation.resolver == resolver


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("state = 3", "state: is a number, but text is expected"),
        (
            'state = "/var/lib/re newer"',
            "state: may only have letters, digits and _ . / - because nginx reads it",
        ),
        ('state = "state"', f"state: {NOT_ABSOLUTE}"),
        ("[nginx]\nreload = []", "nginx.reload: needs at least one entry"),
        ('[nginx]\nreload = [""]', "nginx.reload[0]: is empty, but a program is expected"),
        (
            '[nginx]\nreload = ["a", "\\u0000"]',
            "nginx.reload[1]: has a zero byte, which no program can be given",
        ),
        ("[nginx]\nreload = true", "nginx.reload: is true or false, but text or a list is expected"),
        ('[nginx]\nprobe = ["x", "y:"]', f"nginx.probe[1]: {NO_ADDRESS}"),
        (
            '[acme]\neab_kid = "k"',
            "acme.eab_hmac_key_file: is missing, but eab_kid is there; the CA gives the two together",
        ),
        (
            '[acme]\neab_hmac_key_file = "/k"',
            "acme.eab_kid: is missing, but eab_hmac_key_file is there; the CA gives the two together",
        ),
        ('[acme]\nlimits.orders = "300"', "acme.limits.orders: is no limit; write it like 300/3h or 50/7d"),
        ('[acme]\nlimits.orders = "0/3h"', "acme.limits.orders: is no limit; write it like 300/3h or 50/7d"),
        (
            '[acme]\nlimits.orders = "9/8d"',
            "acme.limits.orders: is for longer than 7d, for which nothing is kept",
        ),
        ('[[acme.fallback]]\nafter = "1h"', "acme.fallback[0].server: is missing"),
        (
            '[[acme.fallback]]\nserver = "letsencrypt"',
            "acme.fallback: names a CA that is there already; leave it out",
        ),
        (
            '[acme]\nrehearse = "letsencrypt"',
            "acme.rehearse: is the CA itself; name one for tests, such as letsencrypt-staging",
        ),
        (
            '[cloudflare]\nzone_ids = { "example.com" = "example" }',
            'cloudflare.zone_ids."example.com": is no zone id, which has 32 of 0-9 and a-f',
        ),
        (
            '[cloudflare]\nzone_ids = { "*.example.com" = "023e105f4ecef8ad9ca31a8372d0c353" }',
            'cloudflare.zone_ids."*.example.com": is a wildcard, but a name without a star is expected',
        ),
        ('[cloudflare]\ntoken = "v4lid"', "cloudflare.token: is not known here; did you mean token_file?"),
        (
            '[notify]\nping = "https://hc.example/x"\nping_file = "/p"',
            "notify.ping_file: is there beside ping; leave one of the two out",
        ),
        ("[[hook.command]]\n", "hook.command[0].argv: is missing"),
        ("[hook.command]\n", "hook.command: is a table, but a list is expected"),
        ('[cloudfare]\ntoken_file = "/t"', "cloudfare: is not known here; did you mean cloudflare?"),
    ],
)
def test_one_fault(text: str, fault: str) -> None:
    assert only(text) == fault


def test_an_empty_list_of_addresses_switches_the_probe_off() -> None:
    assert load.parse(f"{SIX_LINES}[nginx]\nprobe = []", "f").nginx.probe == ()


@pytest.mark.parametrize(
    "text", ["", "[certificate]\n[site]\n", "certificate = {}", 'state = "/var/lib/renewer"']
)
def test_nothing_to_do_is_a_fault(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^certificate: is missing: at least one certificate or site"):
        load.parse(text, "f")


def test_a_site_alone_is_enough() -> None:
    assert load.parse('[site.a]\nhost = "https://a.example"', "f").specs == ()

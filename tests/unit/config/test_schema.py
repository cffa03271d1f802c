"""The configuration: what it may hold, and what is told about the rest."""

import errno
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renewer.config import acme, fields, load, reader, schema
from renewer.core import domains, rate_limits
from renewer.core.errors import ConfigError
from renewer.core.model import CertSpec, KeyKind

LETSENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"

SIX_LINES = """\
[cloudflare]
token_file = "/etc/renewer/cloudflare.token"

[certificate."example.com"]
domains = ["example.com", "*.example.com"]
"""

EVERYTHING = """\
state = "/srv/renewer"

[acme]
server = "letsencrypt-staging"
email = "ops@example.com"
accept_terms = false
profile = "classic"
ca_bundle = "/etc/ssl/pebble.pem"
eab_kid = "kid-1"
eab_hmac_key_file = "/etc/renewer/eab"

[cloudflare]
token_file = "/etc/renewer/cloudflare.token"
base_url = "http://127.0.0.1:8080/client/v4"
zone_ids = { "Example.com" = "023e105f4ecef8ad9ca31a8372d0c353" }

[propagation]
resolver = "127.0.0.1:8053"
timeout = "90s"

[certificate."example.com"]
domains = ["Example.com", "*.example.com"]
keys = ["ec256", "rsa2048"]
profile = "shortlived"

[certificate.other]
domains = ["other.example.net"]

[nginx]
binary = "/opt/nginx"
config = "/opt/nginx.conf"
reload = ["systemctl", "reload", "nginx"]
probe = ["127.0.0.1:443", "[::1]:443"]

[site.nodered]
host = "https://nodered.example.com"
home = "/ui/"
people = ["phone", "laptop"]
rotate = "30d"
grace = "7d"
session = "60d"
sliding = false

[site.downloads]
mode = "url"
host = "https://files.example.com:8443/"
rotate = "renewal"
signer_file = "/run/renewer/downloads.json"

[metrics]
textfile = "/srv/node-exporter/renewer.prom"

[notify]
urls_file = "/etc/renewer/notify.urls"
expiring = "20%"
ping = "https://hc.example/uuid"

[[hook.command]]
argv = ["/usr/bin/systemctl", "reload", "postfix"]

[[hook.command]]
argv = ["true"]
timeout = "15m"
"""


def faults(text: str) -> list[str]:
    """Return what is told about a configuration that is otherwise complete."""
    if "[certificate" not in text:
        text += '\n[certificate.c]\ndomains = ["c.example"]\n'
    with pytest.raises(ConfigError) as error:
        load.parse(text, "renewer.toml")
    assert error.value.hint == "correct renewer.toml; nothing was touched"
    return [str(fault) for fault in error.value.faults]


def only(text: str) -> str:
    (fault,) = faults(text)
    return fault


def listed(*names: str) -> str:
    return f"[certificate.c]\ndomains = {list(names)!r}\n"


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


NOT_A_URL = "is not a complete URL such as https://host/path"
NOT_HTTPS = "must be a URL that begins with https://"
NOT_ABSOLUTE = "must be an absolute path, beginning with /"
NO_ADDRESS = "is not an address; write it like 127.0.0.1:443, [::1]:443 or name:443"
NO_DURATION = "is not a duration; write it like 90s, 15m, 12h or 30d"


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
        ("acme", "server", "https://me:secret@ca.example/dir", "contains a user name"),
        ("acme", "email", "mailto:a@example.com", "must be the bare address, without mailto:"),
        ("acme", "email", "a@b@c", "is not a single e-mail address"),
        ("acme", "email", "a@b.de,c@d.de", "is not a single e-mail address"),
        ("acme", "email", "ops", "is not a single e-mail address"),
        ("acme", "profile", "", "must be one word"),
        ("acme", "ca_bundle", "pebble.pem", NOT_ABSOLUTE),
        ("cloudflare", "token_file", "v4lid-T0ken", NOT_ABSOLUTE),
        ("cloudflare", "token_file", "/a\\u0000b", "has a character that is not allowed in a path"),
        (
            "cloudflare",
            "base_url",
            "http://api.cloudflare.com",
            "must begin with https://",
        ),
        ("cloudflare", "base_url", "ftp://localhost/", NOT_HTTPS),
        ("propagation", "resolver", "1.2.3.4.5", "is neither an IP address nor a host name"),
        ("propagation", "resolver", "[::1", NO_ADDRESS),
        ("propagation", "resolver", "[1.2.3]:53", NO_ADDRESS),
        ("propagation", "resolver", "", NO_ADDRESS),
        ("propagation", "resolver", "127.0.0.1:0", "has a port that is not between 1 and 65535"),
        ("propagation", "resolver", "127.0.0.1:65536", "has a port that is not between 1 and 65535"),
        ("propagation", "resolver", "dns_1:53", "has an underscore"),
        ("propagation", "timeout", "5", NO_DURATION),
        ("propagation", "timeout", "-5m", NO_DURATION),
        ("propagation", "timeout", "1h30m", NO_DURATION),
        ("propagation", "timeout", "٣m", NO_DURATION),
        ("propagation", "timeout", "0s", "must be longer than zero"),
        ("propagation", "timeout", "3651d", "is longer than ten years"),
        ("propagation", "timeout", "999999999d", "is longer than ten years"),
        ("nginx", "binary", "nginx", NOT_ABSOLUTE),
        ("nginx", "config", "nginx.conf", NOT_ABSOLUTE),
        ("metrics", "textfile", "renewer.prom", NOT_ABSOLUTE),
        ("metrics", "textfile", "/srv/renewer.txt", "must end in .prom"),
        ("notify", "expiring", "25", "must be a share of the lifetime such as 25%, from 1% to 33%"),
        ("notify", "expiring", "0%", "must be a share of the lifetime such as 25%, from 1% to 33%"),
        ("notify", "expiring", "34%", "must be a share of the lifetime such as 25%, from 1% to 33%"),
        ("notify", "ping", "http://hc.example/x", "must begin with https://"),
        ("notify", "urls_file", "notify.urls", NOT_ABSOLUTE),
        ("nginx", "reload", "systemctl", "must be one of auto, signal, systemd, request, none"),
        ("nginx", "probe", "127.0.0.1:443", "must be one of auto"),
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
        ("state = 3", "state: is a number; write text in quotes"),
        (
            'state = "/var/lib/re newer"',
            "state: may contain only letters, digits and _ . / - because nginx reads it",
        ),
        ('state = "state"', f"state: {NOT_ABSOLUTE}"),
        ("[nginx]\nreload = []", "nginx.reload: needs at least one entry"),
        ('[nginx]\nreload = [""]', "nginx.reload[0]: must be a program, but is empty"),
        (
            '[nginx]\nreload = ["a", "\\u0000"]',
            "nginx.reload[1]: contains a zero byte, which cannot be passed to a program",
        ),
        ("[nginx]\nreload = true", "nginx.reload: is true or false; write text in quotes or a list"),
        ('[nginx]\nprobe = ["x", "y:"]', f"nginx.probe[1]: {NO_ADDRESS}"),
        (
            '[acme]\neab_kid = "k"',
            "acme.eab_hmac_key_file: is missing, but eab_kid is set; the CA issues both together",
        ),
        (
            '[acme]\neab_hmac_key_file = "/k"',
            "acme.eab_kid: is missing, but eab_hmac_key_file is set; the CA issues both together",
        ),
        (
            '[acme]\nlimits.orders = "300"',
            "acme.limits.orders: is not a limit; write it like 300/3h or 50/7d",
        ),
        (
            '[acme]\nlimits.orders = "0/3h"',
            "acme.limits.orders: is not a limit; write it like 300/3h or 50/7d",
        ),
        (
            '[acme]\nlimits.orders = "9/8d"',
            "acme.limits.orders: has a period of more than 7d, the longest that renewer keeps track of",
        ),
        ('[[acme.fallback]]\nafter = "1h"', "acme.fallback[0].server: is missing"),
        (
            '[[acme.fallback]]\nserver = "letsencrypt"',
            "acme.fallback: names a CA that is already configured; remove it",
        ),
        (
            '[acme]\nrehearse = "letsencrypt"',
            "acme.rehearse: is the main CA; name a staging CA, such as letsencrypt-staging",
        ),
        (
            '[cloudflare]\nzone_ids = { "example.com" = "example" }',
            'cloudflare.zone_ids."example.com": is not a zone id, which has 32 of 0-9 and a-f',
        ),
        (
            '[cloudflare]\nzone_ids = { "*.example.com" = "023e105f4ecef8ad9ca31a8372d0c353" }',
            'cloudflare.zone_ids."*.example.com": is a wildcard; write it without the star',
        ),
        ('[cloudflare]\ntoken = "v4lid"', "cloudflare.token: is not a known key; did you mean token_file?"),
        (
            '[notify]\nping = "https://hc.example/x"\nping_file = "/p"',
            "notify.ping_file: is set as well as ping; remove one of the two",
        ),
        ("[[hook.command]]\n", "hook.command[0].argv: is missing"),
        ("[hook.command]\n", "hook.command: is a table; write a list"),
        ('[cloudfare]\ntoken_file = "/t"', "cloudfare: is not a known key; did you mean cloudflare?"),
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


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "is empty"),
        ("https://example.com", "is a URL or a path; write only the host name"),
        ("example.com/path", "is a URL or a path; write only the host name"),
        ("example.com:443", "has a port; remove it"),
        ("192.0.2.1", "is an IP address, which cannot be validated"),
        ("2001:db8::1", "is an IP address, which cannot be validated"),
        ("[2001:db8::1]", "is an IP address, which cannot be validated"),
        ("example.com.", "ends with a dot; remove it"),
        ("bücher.example", "write it in its ASCII form, xn--bcher-kva.example"),
        ("*.BÜCHER.example", "write it in its ASCII form, *.xn--bcher-kva.example"),
        ("straße.example", "write it in its ASCII form (xn--…)"),
        ("ä" * 64 + ".example", "has letters outside ASCII"),
        (
            "www.*.example.com",
            "has a star in the middle; it must be the whole first label, as in *.",
        ),
        ("*foo.example.com", "has a star among other characters; it must be the whole first label"),
        ("foo*.example.com", "has a star among other characters; it must be the whole first label"),
        ("*.*.example.com", "has a second star; a wildcard stands for one label only"),
        ("*", "has a star among other characters"),
        ("*.com", "needs at least two labels"),
        ("localhost", "needs at least two labels"),
        ("a..example.com", "has an empty label: two dots in a row, or one at an end"),
        (".example.com", "has an empty label: two dots in a row, or one at an end"),
        ("a_b.example.com", "has an underscore"),
        ("a b.example.com", "has characters other than letters, digits, hyphens and dots"),
        ("a@example.com", "has characters other than letters, digits, hyphens and dots"),
        ("-a.example.com", "has a label that begins or ends with a hyphen"),
        ("a-.example.com", "has a label that begins or ends with a hyphen"),
        ("a" * 64 + ".example", "has a label longer than 63 characters"),
        (".".join(["a" * 60] * 5), "is longer than 253 characters"),
        ("example.123", "ends in a label of digits only"),
    ],
)
def test_what_is_no_domain_is_told_apart(name: str, sentence: str) -> None:
    assert only(listed("good.example", name)).startswith(f"certificate.c.domains[1]: {sentence}")


@pytest.mark.parametrize(
    "name",
    [
        "example.com",
        "*.example.com",
        "xn--bcher-kva.example",
        "1.2.example",
        "a--b.example",
        "a" * 63 + ".example",
    ],
)
def test_domains(name: str) -> None:
    assert load.parse(listed(name.upper()), "f").specs[0].domains == (name,)


def test_domains_have_to_go_together() -> None:
    names = [
        "a.example.com",
        "*.Example.com",
        "example.com",
        "a.b.example.com",
        "EXAMPLE.com",
        "*.example.com",
    ]
    assert faults(listed(*names)) == [
        "certificate.c.domains[0]: *.example.com already covers a.example.com; remove a.example.com",
        "certificate.c.domains[4]: example.com is there twice; remove one of them",
        "certificate.c.domains[5]: *.example.com is there twice; remove one of them",
    ]


def test_a_certificate_has_one_to_a_hundred_domains() -> None:
    hundred = [f"h{n}.example.com" for n in range(100)]
    assert len(load.parse(listed(*hundred), "f").specs[0].domains) == 100
    assert only(listed(*hundred, "one.more")).startswith("certificate.c.domains: has 101 domains, but")
    assert only(listed()) == "certificate.c.domains: needs at least one entry"


@pytest.mark.parametrize("name", ["a", "example.com", "a-b.c--d", "a" * 200])
def test_names_of_certificates(name: str) -> None:
    assert load.parse(f'[certificate."{name}"]\ndomains = ["a.example"]', "f").specs[0].name == name


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("*.example.com", "must not contain a star; the wildcard belongs under domains"),
        ("Example.com", "must be in lower case"),
        ("a" * 201, "is longer than 200 characters"),
        ("a..b", "may contain only letters, digits, single dots and hyphens, and not begin or end"),
        ("../etc", "may contain only"),
        ("a/b", "may contain only"),
        (".a", "may contain only"),
        ("a-", "may contain only"),
        ("", "may contain only"),
        ("a b", "may contain only"),
        ("ä", "may contain only"),
    ],
)
def test_what_names_no_certificate(name: str, sentence: str) -> None:
    written = name if re.fullmatch("[a-z0-9-]+", name) else f'"{name}"'
    fault = only(f'[certificate."{name}"]\ndomains = ["a.example"]')
    assert fault.startswith(f"certificate.{written}: {sentence}")


def certificate(name: str, *names: str) -> str:
    return f'[certificate."{name}"]\ndomains = {list(names)!r}\n'


def test_two_certificates_of_one_name_are_told_by_their_line() -> None:
    twice = certificate("a.b", "a.b") + "\n" + certificate("a.b", "a.c")
    assert only(twice) == 'line 4: [certificate."a.b"] is there for the second time; merge the two'


def test_names_that_differ_in_case_are_one() -> None:
    assert only(certificate("example", "a.b") + certificate("EXAMPLE", "a.c")) == (
        "certificate.EXAMPLE: differs from example only in case; the two count as one name"
    )


def test_the_same_set_is_not_ordered_twice() -> None:
    text = certificate("one", "a.b", "A.c") + certificate("two", "a.c", "a.b") + certificate("three", "a.b")
    assert only(text).startswith("certificate.two: has the same domains as one;")


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("[]", "keys: needs at least one entry"),
        ('["ec256", "ec256"]', "keys[1]: ec256 is there twice; remove one of them"),
        ('["rsa1024"]', "keys[0]: must be one of ec256, ec384, rsa2048, rsa3072, rsa4096"),
        ('"ec256"', "keys: is text; write a list"),
    ],
)
def test_kinds_of_keys(keys: str, fault: str) -> None:
    assert only(f"{listed('a.b')}keys = {keys}") == f"certificate.c.{fault}"


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ('host = "http://a.example"', f"host: {NOT_HTTPS}"),
        ('host = "https://a.example/ui/"', "host: must end after the host name (or its port)"),
        ('host = "https://a.example?"', "host: must end after the host name (or its port)"),
        ('host = "a.example"', f"host: {NOT_A_URL}"),
        ("", "host: is missing"),
        ('home = "//evil.example"', "home: must be a path such as /ui/, of letters, digits and _ . / - ~"),
        ('home = "ui"', "home: must be a path such as /ui/, of letters, digits and _ . / - ~"),
        ('home = "/$uri"', "home: must be a path such as /ui/, of letters, digits and _ . / - ~"),
        ('mode = "cookie"', "mode: must be one of session, url"),
        ('people = ["a", "Phone"]', "people[1]: must be 1 to 16 of a-z, 0-9 and -"),
        ('people = ["a", "a"]', "people[1]: a is there twice; remove one of them"),
        ('people = ["a"]\nmode = "url"', 'people: is only for mode = "session"'),
        ('signer_file = "/s"', 'signer_file: is only for mode = "url"'),
        ('rotate = "weekly"', f"rotate: {NO_DURATION}; or write renewal"),
        ('rotate = "54d"', "session: must not be shorter than rotate and grace together"),
        ('session = "36d"\nrotate = "30d"', "session: must not be shorter than rotate and grace together"),
    ],
)
def test_sites(lines: str, fault: str) -> None:
    host = "" if "host" in fault else 'host = "https://a.example"\n'
    assert only(f"[site.a]\n{host}{lines}") == f"site.a.{fault}"


@pytest.mark.parametrize(
    "lines", ['rotate = "53d"', 'rotate = "renewal"\nsession = "8d"', 'mode = "url"\nrotate = "90d"']
)
def test_sites_whose_durations_fit(lines: str) -> None:
    load.parse(f'[site.a]\nhost = "https://a.example"\n{lines}', "f")


@pytest.mark.parametrize("name", ["Nodered", "node-red", "a" * 13, ""])
def test_what_names_no_site(name: str) -> None:
    fault = only(f'[site."{name}"]\nhost = "https://a.example"')
    assert fault.endswith("must be 1 to 12 of a-z and 0-9")


def test_all_faults_are_told_at_once() -> None:
    text = """
    state = "here"
    [acme]
    server = "http://ca.example"
    eab_kid = "k"
    [certificate."*.example.com"]
    domains = ["a_b.example", "c.example", "c.example"]
    [certificate.d]
    profil = "x"
    [site.s]
    rotate = "never"
    session = "1d"
    """
    assert [fault.partition(": ")[0] for fault in faults(text)] == [
        "state",
        "acme.server",
        "acme.eab_hmac_key_file",
        'certificate."*.example.com"',
        'certificate."*.example.com".domains[0]',
        'certificate."*.example.com".domains[2]',
        "certificate.d.profil",
        "certificate.d.domains",
        "site.s.rotate",
        "site.s.host",
    ]


def test_no_fault_shows_a_value() -> None:
    secret = "s3cret"
    tables = {
        "acme": ["server", "email", "ca_bundle", "eab_hmac_key_file"],
        "cloudflare": ["token_file", "base_url", "token", "zone_ids"],
        "propagation": ["resolver", "timeout"],
        "nginx": ["binary", "config", "reload", "probe"],
        "site.s": ["host", "home", "mode", "people", "rotate", "signer_file"],
    }
    lines = [
        f"[{table}]\n" + "".join(f'{key} = "{secret}"\n' for key in keys) for table, keys in tables.items()
    ]
    said = faults("\n".join(lines))
    assert len(said) == sum(map(len, tables.values())) - 1  # a resolver may have such a name
    assert secret not in str(said)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "renewer.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SIX_LINES.replace("\n", "\r\n").encode())
    assert load.load(path) == load.load(str(path)) == load.parse(SIX_LINES, "f")


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SIX_LINES.encode())))
    assert load.load("-") == load.parse(SIX_LINES, "f")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x = 1")))
    with pytest.raises(ConfigError) as error:
        load.load("-")
    assert error.value.hint == "correct the configuration on standard input; nothing was touched"


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, sentence in [
        (tmp_path / "missing.toml", "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
        (Path("a\0b"), "contains a zero byte"),
    ]:
        with pytest.raises(ConfigError, match=sentence):
            load.load(path)


def test_what_is_no_utf8_is_told_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "renewer.toml"
    path.write_bytes(b"# one\n# two\n# b\xfccher\n")
    with pytest.raises(ConfigError, match=r"^line 3: has bytes that are not UTF-8$") as error:
        load.load(path)
    assert error.value.hint == f"save {path} as UTF-8"


def test_reading_it_loads_nothing_heavy() -> None:
    program = "import sys; from renewer.config import schema, secrets; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(ran.stdout.split())
    assert "renewer.config.schema" in loaded
    assert not loaded & {"cryptography", "acme", "josepy", "cloudflare", "requests", "rich", "click", "ssl"}


KEYS = re.findall(r"^([a-z_]+) =|^\[+([a-z]+)", EVERYTHING, re.MULTILINE)
words = st.sampled_from(sorted({a or b for a, b in KEYS})) | st.text(max_size=8)
texts = st.text(max_size=12) | st.from_regex(r"[*a-z0-9./:\[\]@-]{0,20}", fullmatch=True)
values = st.recursive(
    texts | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.dictionaries(words, values, max_size=5))
def test_any_document_is_a_configuration_or_has_faults(document: dict[str, object]) -> None:
    loaded, said = reader.read(schema.Config, document)
    assert (loaded is None) == bool(said)


@given(st.text())
def test_any_text_is_a_configuration_or_a_configuration_error(text: str) -> None:
    with suppress(ConfigError):
        load.parse(text, "f")


readers: list[Callable[[str], object]] = [
    domains.domain,
    fields.duration,
    fields.path,
    fields.nginx_path,
    fields.address,
    fields.https_or_local_url,
    fields.origin,
    fields.home,
    fields.email,
    fields.certificate_name,
    acme.server,
    schema.rotation,
]


@pytest.mark.parametrize("reader", readers)
@settings(max_examples=25)
@given(text=texts | st.text(alphabet=st.characters(exclude_categories=()), max_size=8))
def test_any_value_is_read_or_a_configuration_error(reader: Callable[[str], object], text: str) -> None:
    with suppress(ConfigError):
        reader(text)


@given(st.integers(1, 3650), st.sampled_from("smhd"))
def test_durations(figure: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert fields.duration(f"{figure}{unit}") == timedelta(seconds=figure * seconds)


labels = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@settings(max_examples=40)
@given(st.lists(labels, min_size=2, max_size=8), st.booleans())
def test_any_ldh_name_is_a_domain_and_stays_one(parts: list[str], wildcard: bool) -> None:  # noqa: FBT001
    name = "*." * wildcard + ".".join(parts)
    assert domains.domain(name.upper()) == domains.domain(name) == name


@given(texts)
def test_a_domain_is_fit_for_the_wire(text: str) -> None:
    with suppress(ConfigError):
        name = domains.domain(text)
        assert re.fullmatch(r"(\*\.)?([a-z0-9-]{1,63}\.)+[a-z0-9-]{1,63}", name)
        assert len(name) <= 253


@pytest.mark.parametrize(
    ("user", "hint"),
    [(110, "give the service's group access: chgrp "), (1000, "run it as root: sudo"), (0, "run it as root")],
)
def test_who_may_not_read_it_is_told_what_helps_there(
    user: int, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied") as caught:
        load.read(tmp_path / "renewer.toml")
    assert caught.value.hint.startswith(hint)

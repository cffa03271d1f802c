"""`renewer check` against typical mistakes, each really made."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

import pytest
from support.checked import SUB, Bench, kept, named, problems
from support.mistakes import (
    CAA,
    CLOSED,
    STREAM,
    Mistake,
    added,
    certbot,
    compromised,
    config,
    empty_key,
    file,
    folder_in_place_of_a_file,
    having,
    homes,
    in_future,
    known_key,
    left_alone,
    left_over_include,
    mounted,
    nginx,
    nothing,
    of_the_wrong_zone,
    open_to_others,
    record,
    server,
    stopped,
    stored,
    token,
    told_outside,
    without,
    without_include,
    without_site,
    zone,
)
from support.world import NAME, table


@dataclass(frozen=True)
class Row:
    """A mistake with the check that has to find it, how bad that is, and words of what a person is told."""

    check: str
    status: str
    words: tuple[str, ...]
    made: Mistake


TABLE: dict[str, list[Row]] = {
    "a gate without a site": [
        Row("nginx.site", "error", ("set $rn_scope nodered", "[site.nodered]"), without_site),
        Row("nginx.closing", "error", ("http.conf", "renewer renew"), known_key),
    ],
    "a gate of no site": [
        Row(
            "nginx.site",
            "error",
            ("enter.conf, gate.conf", "set $rn_scope NAME"),
            nginx(" set $rn_scope nodered;", ""),
        ),
        Row("nginx.guard", "error", ("set $rn_scope nodered",), nothing),
        Row("nginx.closing", "error", ("http.conf",), empty_key),
    ],
    "a location without a gate": [
        Row(
            "nginx.open",
            "error",
            ("location /files/", "allow all;"),
            nginx(
                " location / {", " location /files/ { root /srv; } location /up { allow all; }\n location / {"
            ),
        ),
        Row(
            "nginx.unclear",
            "warning",
            ("post_action /up", "is not understood", "without a link"),
            nginx("set $rn_home", "post_action /up; set $rn_home"),
        ),
        Row(
            "nginx.site",
            "warning",
            ("is for several sites: $other, nodered", "a server of its own"),
            nginx("set $rn_home", "set $other 1; set $rn_scope $other; set $rn_home"),
        ),
    ],
    "the token is quoted": [
        Row("token.shape", "error", ("quotes", "remove the quotes"), token(f'"{named("good")}"')),
        Row(
            "nginx.include",
            "warning",
            ("certificates/example.com.conf", "include"),
            without_include,
        ),
        Row("others.include", "warning", ("fullchain.pem",), nothing),
    ],
    "the token is a header": [
        Row("token.shape", "error", ("Bearer",), token(f"Bearer {named('good')}")),
        Row(
            "nginx.stapling",
            "warning",
            ("ssl_stapling on", "OCSP"),
            nginx("set $rn_scope", "ssl_stapling on; set $rn_scope"),
        ),
        Row(
            "nginx.shutdown",
            "warning",
            ("worker_shutdown_timeout", "websocket"),
            nginx("worker_shutdown_timeout 1h;", ""),
        ),
    ],
    "the token file is empty": [
        Row("token.shape", "error", ("empty",), token("\n")),
        Row("nginx.test", "error", ("nginx -t",), nothing),
        Row(
            "nginx.guard",
            "error",
            ("secure_link/http.conf", "renewer nginx"),
            nginx("http.conf;", "http.conf*x;"),
        ),
    ],
    "the token is a Global API Key": [
        Row("token.shape", "error", ("Global API Key",), token("0123456789abcdef0123456789abcdef01234")),
        Row("nginx.guard", "error", ("includes", "enter.conf"), nginx("enter.conf;", "enter.conf*x;")),
    ],
    "the token has a blank in it": [
        Row("token.shape", "error", ("space",), token("the token has blanks in it")),
        Row(
            "nginx.variable",
            "warning",
            ("ssl_certificate",),
            nginx(
                "set $rn_scope",
                "ssl_certificate /etc/$host.pem; ssl_certificate_key /etc/$host.key; set $rn_scope",
            ),
        ),
    ],
    "others can read the token": [
        Row(
            "token.shape",
            "error",
            ("0644", "chmod 600"),
            token(named("good"), 0o644),
        ),
        Row(
            "nginx.test",
            "error",
            ("nginx -t", "nonsense"),
            nginx("location /", "nonsense on; location /"),
        ),
    ],
    "the token is not known": [
        Row(
            "token.verify",
            "error",
            ("Invalid API Token", "API token"),
            token(named("never-given-out")),
        ),
        Row(
            "nginx.served",
            "error",
            ("127.0.0.1", "refused", "ss -tlnp"),
            nginx("listen 127.0.0.1:", f"listen 127.0.0.1:{CLOSED} ssl; #"),
        ),
    ],
    "the token has expired": [
        Row("token.verify", "error", ("2026-01-01", "roll it"), token(named("expired"))),
        Row(
            "nginx.there",
            "error",
            ("/usr/sbin/nginks", "install nginx"),
            config("[nginx]", '[nginx]\nbinary = "/usr/sbin/nginks"'),
        ),
    ],
    "the token is disabled": [
        Row("token.verify", "error", ("disabled", "enable it"), token(named("disabled"))),
        Row(
            "nginx.reload",
            "warning",
            ("reload",),
            config("[nginx]", '[nginx]\nreload = "none"'),
        ),
    ],
    "the token is not valid yet": [
        Row("token.verify", "error", ("2099-01-01",), token(named("later"))),
        Row(
            "configuration.twice",
            "warning",
            ("example.com",),
            added(table("www.example.com", "www.example.com")),
        ),
        Row("nginx.include", "warning", ("www.example.com",), nothing),
    ],
    "the token ends soon": [
        Row("token.expiry", "warning", ("expires on", "later end"), token(named("ending"))),
        Row("outside.addresses", "error", ("line 3", "apprise"), told_outside),
        Row("outside.ping", "warning", ("Connection refused",), nothing),
        Row("outside.textfile", "error", ("/no/folder",), nothing),
        Row("zones.paused", "warning", ("example.com",), zone(paused=True)),
        Row("dns.tcp", "warning", ("TCP",), server(udp_only=True)),
    ],
    "the token is for another zone": [
        Row(
            "zones.missing",
            "error",
            ("other.example",),
            token(named("foreign")),
        ),
        Row(
            "nginx.left",
            "warning",
            ("left.example", "remove that line"),
            left_over_include,
        ),
    ],
    "Zone:Read is missing": [
        Row("zones.missing", "error", ("zone", "Zone:Read", "zone_ids"), token(named("blind"))),
    ],
    "DNS:Edit is missing": [
        Row("zones.edit", "error", ("Authentication error", "DNS"), token(named("reader"))),
    ],
    "a zone id is wrong": [
        Row(
            "zones.id",
            "error",
            ("identifier", "Zone ID"),
            config("base_url", 'zone_ids = {"example.com" = "0123456789abcdef0123456789abcdef"}\nbase_url'),
        ),
    ],
    "zone ids are mixed up": [
        Row("zones.id", "error", ("Zone ID", "Zone ID"), of_the_wrong_zone),
        Row("zones.id", "error", ("Zone ID",), token(named("blind-wide"))),
    ],
    "the domain still is with the registrar's name servers": [
        Row(
            "zones.status",
            "error",
            ("pending", "ada.ns.cloudflare.com and bob.ns.cloudflare.com"),
            zone(status="pending", name_servers=("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")),
        ),
        Row(
            "dns.delegation",
            "error",
            ("ns1.sandbox.test", "Cloudflare", "registrar"),
            nothing,
        ),
        Row(
            "dns.server",
            "error",
            ("ns2.sandbox.test (127.0.0.3)", "UDP"),
            server(silent=True),
        ),
        Row("renewal.trigger", "warning", ("renewer install-service",), without("cron.d/renewer")),
    ],
    "a part of the zone is delegated away": [
        Row(
            "dns.delegation",
            "error",
            ("sub.example.com",),
            added(table(SUB, SUB)),
        ),
        Row("nginx.include", "warning", ("sub.example.com",), nothing),
        Row("configuration.twice", "warning", ("sub.example.com",), nothing),
        Row("zones.shown", "warning", ("name server",), server(hide=5)),
    ],
    "the token is wider than needed": [
        Row("zones.wide", "warning", ("other.example",), token(named("wide"))),
        Row(
            "dns.caa",
            "warning",
            ("CAA",),
            record(NAME, "CAA", '0 issue "digicert.com"'),
        ),
        Row(
            "ca.profile",
            "warning",
            ("shortlived", "profiles"),
            config("accept_terms", 'profile = "shortlived"\naccept_terms'),
        ),
        Row(
            "renewal.trigger",
            "warning",
            ("cron", "cron (/etc/crontab); cron (/etc/cron.d/renewer)"),
            file("crontab", "5 5 * * * root renewer -c /etc/renewer/renewer.toml renew\n"),
        ),
    ],
    "the CA cannot be reached, and CAA forbids it": [
        Row(
            "ca.reach",
            "error",
            ("letsencrypt.org/directory",),
            config('server = "https://127.0.0.1', 'server = "letsencrypt" #'),
        ),
        Row(
            "dns.caa",
            "error",
            ("letsencrypt.org", "digicert.com", CAA),
            record(NAME, "CAA", '0 issue "digicert.com; account=1"'),
        ),
        Row(
            "state.file",
            "warning",
            ("store/certificate/example.com.json", "next run"),
            stored(f"certificate/{NAME}", lambda text: text[:100]),
        ),
        Row("nginx.served", "warning", ("no certificate",), nothing),
    ],
    "CAA forbids wildcards and binds to another account": [
        Row(
            "ca.reach",
            "error",
            ("directory",),
            config('server = "https://127.0.0.1', 'server = "letsencrypt" #'),
        ),
        Row(
            "dns.caa",
            "error",
            ("*.example.com", "nobody", "0 issuewild"),
            record(NAME, "CAA", '0 issuewild ";"'),
        ),
        Row(
            "dns.caa",
            "error",
            ("https://x/1",),
            record(NAME, "CAA", '0 issue "letsencrypt.org; accounturi=https://x/1"'),
        ),
    ],
    "the CA is not trusted": [
        Row("ca.reach", "error", ("trusted", "ca_bundle"), config("ca_bundle", "# ca_bundle")),
        Row(
            "clock.past",
            "error",
            ("clock", "2099-01-01", "timedatectl"),
            stored(f"certificate/{NAME}", in_future),
        ),
        Row(
            "state.file",
            "error",
            ("account", "backup"),
            stored("account/*", lambda _: "{}"),
        ),
    ],
    "the CA's root is no certificate": [
        Row(
            "configuration.bundle",
            "error",
            ("acme.ca_bundle", "/etc/hostname", "PEM"),
            config("ca_bundle = ", 'ca_bundle = "/etc/hostname" # '),
        ),
        Row("ca.reach", "error", ("/dir",), nothing),
    ],
    "the clock is days off": [
        Row(
            "clock.ca",
            "error",
            ("clock", "timedatectl"),
            having(lambda bench: bench, shift=timedelta(days=3)),
        ),
        Row("state.folder", "error", ("other users", "chmod go-w"), open_to_others),
    ],
    "the clock is minutes off": [
        Row(
            "clock.ca",
            "warning",
            ("20 minutes behind",),
            having(lambda bench: bench, shift=-timedelta(minutes=20)),
        ),
        Row("state.file", "error", ("store", "failure/example.com.json"), folder_in_place_of_a_file),
        Row("nginx.running", "error", ("running", "systemctl start nginx"), stopped),
    ],
    "the terms are not accepted": [
        Row(
            "ca.terms",
            "error",
            ("accept_terms", "Do%20what%20thou%20wilt"),
            config("accept_terms = true", "accept_terms = false"),
        ),
        Row(
            "state.room",
            "error",
            ("1 MB",),
            mounted("mount -t tmpfs -o size=1500k,mode=700 tmpfs {state}"),
        ),
        Row("nginx.test", "error", ("nginx -t",), nothing),
        Row("nginx.served", "warning", ("no certificate",), nothing),
        Row("nginx.guard", "error", ("nginx.conf",), nothing),
    ],
    "the disk is read-only": [
        Row(
            "state.writable",
            "error",
            ("read-only", "dmesg"),
            mounted("mount --bind {state} {state} && mount -o remount,bind,ro {state}"),
        ),
        Row(
            "renewal.limits",
            "warning",
            ("2099-01-01", "the CA"),
            stored("limits/*", left_alone),
        ),
        Row(
            "renewal.revoked",
            "error",
            ("keyCompromise", "renewer renew"),
            stored("provenance/example.com", compromised),
        ),
        Row(
            "configuration.hook",
            "error",
            ("hook.command[1]", "/bin/tru"),
            added('[[hook.command]]\nargv = ["/bin/true"]\n[[hook.command]]\nargv = ["/bin/tru"]'),
        ),
    ],
    "other clients are at work": [
        Row(
            "others.rival",
            "warning",
            (
                "certbot",
                "cron: /etc/cron.d/certbot",
                "certbot delete",
            ),
            certbot,
        ),
        Row(
            "others.rival",
            "warning",
            ("acme.sh",),
            homes,
        ),
        Row("others.rival", "warning", ("lego",), nothing),
        Row(
            "others.include",
            "warning",
            ("/etc/letsencrypt/live/example.com/fullchain.pem",),
            nginx(
                "worker_shutdown_timeout 1h;\n",
                f"worker_shutdown_timeout 1h;\n{STREAM}",
            ),
        ),
        Row("nginx.test", "error", ("nginx -t",), nothing),
    ],
}

FOLLOWS = {
    "token.shape": {"zones.look"},
    "token.verify": {"zones.look"},
    "nginx.test": {"nginx.unclear"},
}
"""What else is told where a check finds something."""


@pytest.mark.parametrize("mistake", TABLE)
def test_a_mistake_is_found_and_nothing_else(bench: Bench, mistake: str) -> None:
    rows = TABLE[mistake]
    with ExitStack() as stack:
        for row in rows:
            stack.enter_context(row.made(bench))
        bench.write()
        files = kept(bench)
        done = bench.run("check", "--json")
        assert kept(bench) == files
    found = problems(done)
    for row in rows:
        told = [one for one in found if (one["check"], one["status"]) == (row.check, row.status)]
        assert any(all(word in " ".join(one.values()) for word in row.words) for one in told), (row, found)
        assert all(one["what"] and one["why"] and one["hint"] for one in told), told
    expected = {row.check for row in rows} | set().union(*(FOLLOWS.get(row.check, set()) for row in rows))
    assert {one["check"] for one in found} <= expected, found
    assert done.code == done.answer["exit"] == int(any(one["status"] == "error" for one in found))
    assert done.err == ""
    assert bench.world.box.records() == []
    assert all(secret not in done.out for secret in bench.world.box.tokens)

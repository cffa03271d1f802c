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
        Row("nginx.site", "error", ("says set $rn_scope nodered", "[site.nodered]"), without_site),
        Row("nginx.closing", "error", ("anybody can know", "renewer renew"), known_key),
    ],
    "a gate of no site": [
        Row(
            "nginx.site",
            "error",
            ("includes enter.conf, gate.conf", "set $rn_scope NAME"),
            nginx(" set $rn_scope nodered;", ""),
        ),
        Row("nginx.guard", "error", ("no server of nginx says: set $rn_scope nodered",), nothing),
        Row("nginx.closing", "error", ("anybody can know",), empty_key),
    ],
    "a location without a gate": [
        Row(
            "nginx.open",
            "error",
            ("location /files/ of the guarded server", "allow all;"),
            nginx(
                " location / {", " location /files/ { root /srv; } location /up { allow all; }\n location / {"
            ),
        ),
    ],
    "the token is quoted": [
        Row(
            "token.shape", "error", ("stands in quotes", "take the quotes away"), token(f'"{named("good")}"')
        ),
        Row(
            "nginx.include",
            "warning",
            ("no server in nginx's configuration includes", "put this into"),
            without_include,
        ),
        Row("others.include", "warning", ("which is not renewer's",), nothing),
    ],
    "the token is a header": [
        Row("token.shape", "error", ("begins with the word Bearer",), token(f"Bearer {named('good')}")),
        Row(
            "nginx.stapling",
            "warning",
            ("ssl_stapling on", "ended OCSP"),
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
        Row("token.shape", "error", ("is empty",), token("\n")),
        Row("nginx.test", "error", ("it refuses its configuration",), nothing),
        Row(
            "nginx.guard",
            "error",
            ("nothing is guarded: nginx does not include", "renewer nginx"),
            nginx("http.conf;", "http.conf*x;"),
        ),
    ],
    "the token is a Global API Key": [
        Row("token.shape", "error", ("Global API Key",), token("0123456789abcdef0123456789abcdef01234")),
        Row(
            "nginx.guard", "error", ("includes", "enter.conf nowhere"), nginx("enter.conf;", "enter.conf*x;")
        ),
    ],
    "the token has a blank in it": [
        Row("token.shape", "error", ("has a blank",), token("the token has blanks in it")),
        Row(
            "nginx.variable",
            "warning",
            ("variable in ssl_certificate",),
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
            ("can be read or written by others (mode 0644)", "chmod 600"),
            token(named("good"), 0o644),
        ),
        Row(
            "nginx.test",
            "error",
            ("it refuses its configuration", "nonsense"),
            nginx("location /", "nonsense on; location /"),
        ),
    ],
    "the token is not known": [
        Row(
            "token.verify",
            "error",
            ("Invalid API Token", "make an API token"),
            token(named("never-given-out")),
        ),
        Row(
            "nginx.served",
            "error",
            ("shows no certificate", "refused", "ss -tlnp"),
            nginx("listen 127.0.0.1:", f"listen 127.0.0.1:{CLOSED} ssl; #"),
        ),
    ],
    "the token has expired": [
        Row("token.verify", "error", ("expired on 2026-01-01", "roll it"), token(named("expired"))),
        Row(
            "nginx.there",
            "error",
            ("/usr/sbin/nginks cannot be run", "install nginx"),
            config("[nginx]", '[nginx]\nbinary = "/usr/sbin/nginks"'),
        ),
    ],
    "the token is disabled": [
        Row("token.verify", "error", ("disabled", "enable it"), token(named("disabled"))),
        Row(
            "nginx.reload",
            "warning",
            ("does not reload nginx",),
            config("[nginx]", '[nginx]\nreload = "none"'),
        ),
    ],
    "the token is not valid yet": [
        Row("token.verify", "error", ("not valid before 2099-01-01",), token(named("later"))),
        Row(
            "configuration.twice",
            "warning",
            ("is in example.com as well",),
            added(table("www.example.com", "www.example.com")),
        ),
        Row("nginx.include", "warning", ("www.example.com: no server",), nothing),
    ],
    "the token ends soon": [
        Row("token.expiry", "warning", ("expires on", "later end"), token(named("ending"))),
        Row("outside.addresses", "error", ("line 3 of", "no address that apprise knows"), told_outside),
        Row("outside.ping", "warning", ("cannot be reached: Connection refused",), nothing),
        Row("outside.textfile", "error", ("/no/folder, the folder for metrics, is not there",), nothing),
        Row("zones.paused", "warning", ("is paused",), zone(paused=True)),
        Row("dns.tcp", "warning", ("does not answer over TCP",), server(udp_only=True)),
    ],
    "the token is for another zone": [
        Row(
            "zones.missing",
            "error",
            ("no zone for example.com; it sees only other.example",),
            token(named("foreign")),
        ),
        Row(
            "nginx.left",
            "warning",
            ("gives nginx the certificate left.example, which", "take that line out"),
            left_over_include,
        ),
    ],
    "Zone:Read is missing": [
        Row(
            "zones.missing", "error", ("sees no zone at all", "Zone:Read", "zone_ids"), token(named("blind"))
        ),
    ],
    "DNS:Edit is missing": [
        Row("zones.edit", "error", ("Authentication error", "may not edit the DNS"), token(named("reader"))),
    ],
    "a zone id is wrong": [
        Row(
            "zones.id",
            "error",
            ("no zone with the identifier", "copy the Zone ID"),
            config("base_url", 'zone_ids = {"example.com" = "0123456789abcdef0123456789abcdef"}\nbase_url'),
        ),
    ],
    "zone ids are mixed up": [
        Row("zones.id", "error", ("turns up elsewhere", "copy the Zone ID"), of_the_wrong_zone),
        Row("zones.id", "error", ("turns up elsewhere",), token(named("blind-wide"))),
    ],
    "the domain still is with the registrar's name servers": [
        Row(
            "zones.status",
            "error",
            ("pending at Cloudflare", "ada.ns.cloudflare.com and bob.ns.cloudflare.com"),
            zone(status="pending", name_servers=("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")),
        ),
        Row(
            "dns.delegation",
            "error",
            ("delegated to ns1.sandbox.test", "not to Cloudflare's", "at your registrar"),
            nothing,
        ),
        Row(
            "dns.server",
            "error",
            ("ns2.sandbox.test (127.0.0.3)", "does not answer over UDP"),
            server(silent=True),
        ),
        Row("renewal.trigger", "warning", ("nothing sets a renewal off",), without("cron.d/renewer")),
    ],
    "a part of the zone is delegated away": [
        Row(
            "dns.delegation",
            "error",
            ("sub.example.com is delegated away from example.com",),
            added(table(SUB, SUB)),
        ),
        Row("nginx.include", "warning", ("sub.example.com: no server",), nothing),
        Row("configuration.twice", "warning", ("every name of sub.example.com",), nothing),
        Row("zones.shown", "warning", ("not every name server shows",), server(hide=5)),
    ],
    "the token is wider than needed": [
        Row("zones.wide", "warning", ("also sees other.example",), token(named("wide"))),
        Row(
            "dns.caa",
            "warning",
            ("does not tell what it is called",),
            record(NAME, "CAA", '0 issue "digicert.com"'),
        ),
        Row(
            "ca.profile",
            "warning",
            ("wants the profile shortlived", "lists no profiles"),
            config("accept_terms", 'profile = "shortlived"\naccept_terms'),
        ),
        Row(
            "renewal.trigger",
            "warning",
            ("several things", "cron (/etc/crontab); cron (/etc/cron.d/renewer)"),
            file("crontab", "5 5 * * * root renewer -c /etc/renewer/renewer.toml renew\n"),
        ),
    ],
    "the CA cannot be reached, and CAA forbids it": [
        Row(
            "ca.reach",
            "error",
            ("letsencrypt.org/directory cannot be reached",),
            config('server = "https://127.0.0.1', 'server = "letsencrypt" #'),
        ),
        Row(
            "dns.caa",
            "error",
            ("forbid letsencrypt.org", "only digicert.com", CAA),
            record(NAME, "CAA", '0 issue "digicert.com; account=1"'),
        ),
        Row(
            "state.file",
            "warning",
            ("store/certificate/example.com.json", "is ordered by the next run"),
            stored(f"certificate/{NAME}", lambda text: text[:100]),
        ),
        Row("nginx.served", "warning", ("there is no certificate yet",), nothing),
    ],
    "CAA forbids wildcards and binds to another account": [
        Row(
            "ca.reach",
            "error",
            ("cannot be reached",),
            config('server = "https://127.0.0.1', 'server = "letsencrypt" #'),
        ),
        Row(
            "dns.caa",
            "error",
            ("forbid letsencrypt.org to issue for *.example.com", "let nobody issue", "0 issuewild"),
            record(NAME, "CAA", '0 issuewild ";"'),
        ),
        Row(
            "dns.caa",
            "error",
            ("issue for example.com: they let letsencrypt.org issue only for the account https://x/1",),
            record(NAME, "CAA", '0 issue "letsencrypt.org; accounturi=https://x/1"'),
        ),
    ],
    "the CA is not trusted": [
        Row("ca.reach", "error", ("is not trusted", "ca_bundle"), config("ca_bundle", "# ca_bundle")),
        Row(
            "clock.past",
            "error",
            ("clock is wrong", "obtained at 2099-01-01", "timedatectl"),
            stored(f"certificate/{NAME}", in_future),
        ),
        Row(
            "state.file",
            "error",
            ("the account at the CA", "from a backup"),
            stored("account/*", lambda _: "{}"),
        ),
    ],
    "the CA's root is no certificate": [
        Row(
            "configuration.bundle",
            "error",
            ("acme.ca_bundle", "/etc/hostname holds no certificate", "in PEM"),
            config("ca_bundle = ", 'ca_bundle = "/etc/hostname" # '),
        ),
        Row("ca.reach", "error", ("/dir",), nothing),
    ],
    "the clock is days off": [
        Row(
            "clock.ca",
            "error",
            ("clock is wrong", "timedatectl"),
            having(lambda bench: bench, shift=timedelta(days=3)),
        ),
        Row("state.folder", "error", ("can be written by others", "chmod go-w"), open_to_others),
    ],
    "the clock is minutes off": [
        Row(
            "clock.ca",
            "warning",
            ("it is 20 minutes behind the CA's",),
            having(lambda bench: bench, shift=-timedelta(minutes=20)),
        ),
        Row("state.file", "error", ("cannot read", "failure/example.com.json"), folder_in_place_of_a_file),
        Row("nginx.running", "error", ("nginx is not running", "systemctl start nginx"), stopped),
    ],
    "the terms are not accepted": [
        Row(
            "ca.terms",
            "error",
            ("accept_terms is false", "Do%20what%20thou%20wilt"),
            config("accept_terms = true", "accept_terms = false"),
        ),
        Row(
            "state.room",
            "error",
            ("is full: 1 MB left",),
            mounted("mount -t tmpfs -o size=1500k,mode=700 tmpfs {state}"),
        ),
        Row("nginx.test", "error", ("it refuses",), nothing),
        Row("nginx.served", "warning", ("there is no certificate yet",), nothing),
        Row("nginx.guard", "error", ("cannot be read whole",), nothing),
    ],
    "the disk is read-only": [
        Row(
            "state.writable",
            "error",
            ("mounted read-only", "dmesg"),
            mounted("mount --bind {state} {state} && mount -o remount,bind,ro {state}"),
        ),
        Row(
            "renewal.limits",
            "warning",
            ("no order for example.com is sent before", "asked to be left alone"),
            stored("limits/*", left_alone),
        ),
        Row(
            "renewal.revoked",
            "error",
            ("example.com is revoked (keyCompromise)", "renewer renew"),
            stored("provenance/example.com", compromised),
        ),
        Row(
            "configuration.hook",
            "error",
            ("hook.command[1]: /bin/tru is not there", "install it"),
            added('[[hook.command]]\nargv = ["/bin/true"]\n[[hook.command]]\nargv = ["/bin/tru"]'),
        ),
    ],
    "other clients are at work": [
        Row(
            "others.rival",
            "warning",
            (
                "certbot has a certificate for example.com, *.example.com too",
                "cron: /etc/cron.d/certbot",
                "certbot delete",
            ),
            certbot,
        ),
        Row(
            "others.rival",
            "warning",
            ("acme.sh has a certificate for example.com, *.example.com too",),
            homes,
        ),
        Row("others.rival", "warning", ("lego has a certificate for *.example.com too",), nothing),
        Row(
            "others.include",
            "warning",
            ("gives nginx /etc/letsencrypt/live/example.com/fullchain.pem",),
            nginx(
                "worker_shutdown_timeout 1h;\n",
                f"worker_shutdown_timeout 1h;\n{STREAM}",
            ),
        ),
        Row("nginx.test", "error", ("it refuses",), nothing),
    ],
}

FOLLOWS = {"token.shape": {"zones.look"}, "token.verify": {"zones.look"}}
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

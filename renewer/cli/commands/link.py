"""`renewer link`: print a link that opens a site."""

import click

from renewer import app
from renewer.cli.commands.context import Call
from renewer.cli.commands.help import examples, people, sites
from renewer.cli.commands.output import echo, raw
from renewer.cli.render import qr_code
from renewer.secure_links import links
from renewer.system.clock import SystemClock


@click.command(
    short_help="Print a link that opens a site.",
    epilog=examples(
        "renewer link nodered phone --qr                       # for a phone",
        "renewer link nodered phone --fragment --expires 1h",
        "renewer link downloads --uri /file.zip --expires 1d   # a signed URL",
    ),
)
@click.argument("site", shell_complete=sites)
@click.argument("person", required=False, shell_complete=people)
@click.option("--uri", metavar="PATH", help="Path to sign, for a site in url mode.")
@click.option("--expires", metavar="DURATION", help="Lifetime of the link [default: 15m; with --uri 1d].")
@click.option("--fragment", is_flag=True, help="Put the token after the #, so that it is in no access log.")
@click.option("--qr", is_flag=True, help="Also print a QR code, to scan with a phone.")
@click.pass_obj
def link(  # noqa: PLR0913 - one for each option
    call: Call,
    site: str,
    person: str | None,
    uri: str | None,
    expires: str | None,
    *,
    fragment: bool,
    qr: bool,
) -> int:
    """Print a link that opens a session for PERSON, or with --uri a signed URL.

    Anyone who has the link gets in until it expires, and keeps access for the length of a session.
    """
    settings = call.load()
    life = links.life(expires, uri)
    with call.report() as report:
        vault = app.vault(settings, report, call.follower(settings, report))
        found = links.find(settings.site_specs, site)
        kept = vault.site(found.name)
        wanted = links.Wanted(person, uri, SystemClock().now() + life, fragment=fragment)
        address = links.made(found, kept, wanted)
        if expires and life > found.grace:
            report.problem(site, "a rotation may end the link early", f"the grace is shorter than {expires}")
    echo(address)
    if qr:
        raw(qr_code.qr(address), color=True)
    return 0

"""`renewer init`: a first configuration, asked for on a terminal or made of options."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from renewer import app
from renewer.cli import prompts
from renewer.cli.commands import setup
from renewer.cli.commands.context import Call
from renewer.cli.commands.help import examples
from renewer.cli.commands.output import ask, echo
from renewer.config import fields, secrets
from renewer.config.schema import Config
from renewer.config.template import DEFAULT, Draft, Planned
from renewer.core.errors import ConfigError, Refused, Transient
from renewer.system.clock import SystemClock
from renewer.system.console import Quiet

if TYPE_CHECKING:
    from renewer.dns.cloudflare.token import Token

Answer = TypeVar("Answer")

TOKEN_PAGE = "https://dash.cloudflare.com/profile/api-tokens"  # noqa: S105 - where one is made


@dataclass(frozen=True)
class Wishes:
    """What is known so far; `token` was typed in, and goes into `token_file`."""

    domains: tuple[str, ...]
    email: str | None
    server: str
    token_file: Path
    token: str = ""


@click.command(
    short_help="Write a first configuration.",
    epilog=examples(
        "renewer init    # asks for all of it",
        "renewer init --domain example.com --domain '*.example.com' --staging",
    ),
)
@click.option(
    "--domain", "domains", multiple=True, metavar="NAME", help="A name in the certificate; again for more."
)
@click.option("--email", metavar="ADDRESS", help="Where the CA may write to.")
@click.option(
    "--token-file", metavar="FILE", help="The file with the Cloudflare token, there already or to be."
)
@click.option("--staging", is_flag=True, help="Order at Let's Encrypt's CA for tests.")
@click.option("--server", metavar="URL", help="Order at another CA, by the URL of its directory.")
@click.option(
    "--base-url", metavar="URL", default=DEFAULT.cloudflare.base_url, help="Where Cloudflare's API is."
)
@click.option(
    "--state", metavar="FOLDER", default=str(DEFAULT.state), help="Where certificates and keys are kept."
)
@click.option(
    "--nginx-config", metavar="FILE", help="nginx's main configuration, where it is not the usual one."
)
@click.pass_obj
def init(  # noqa: PLR0913, PLR0917 - one for each option
    call: Call,
    domains: Sequence[str],
    email: str | None,
    token_file: str | None,
    server: str | None,
    base_url: str,
    state: str,
    nginx_config: str | None,
    *,
    staging: bool,
) -> int:
    """Write a first configuration to the FILE of -c, asking for what the options leave open.

    Nothing that is there already is changed.
    """
    if staging and server:
        raise click.UsageError("--staging and --server name two CAs: leave one of them out")
    file = setup.free(call.file)
    token = Path(token_file).absolute() if token_file else setup.token_file(file)
    authority = server or ("letsencrypt-staging" if staging else DEFAULT.acme.server)
    wishes = Wishes(prompts.domains(domains), email, authority, token)
    if setup.on_terminal():
        wishes = _asked(wishes, file, certain=bool(staging or server))
    elif not wishes.domains:
        raise ConfigError(
            "there is no terminal to ask on, so --domain is needed", hint="see: renewer init --help"
        )
    draft = Draft(
        certificates=[Planned(wishes.domains[0].removeprefix("*."), wishes.domains)],
        token_file=wishes.token_file,
        server=wishes.server,
        email=wishes.email or None,
        state=Path(state),
        base_url=base_url,
        **setup.nginx(nginx_config, echo),
    )
    settings = draft.parsed(f"what {file} would hold")
    echo(f"certificate: {draft.certificates[0].name} for {', '.join(wishes.domains)}")
    wishes = _with_token(call, wishes, settings)
    if wishes.token:
        setup.write(wishes.token_file, f"{wishes.token}\n", 0o600)
    setup.write(file, draft.text, 0o644)
    echo("", "Next:", *setup.next_steps(call.file, wishes.token_file))
    return 0


def _asked(wishes: Wishes, file: Path, *, certain: bool) -> Wishes:
    """Return the wishes with what was missing in them; raises `Refused` for who leaves in the middle."""
    echo(f"This writes {file}. Until the last answer nothing is written; Ctrl-C ends it.", "", err=True)
    with _leaving():
        domains = wishes.domains or _domains()
        email = wishes.email if wishes.email is not None else _email()
        token = "" if wishes.token_file.exists() else _token(wishes.token_file)
        server = wishes.server if certain else _server()
    echo("", err=True)
    return Wishes(domains, email, server, wishes.token_file, token)


@contextmanager
def _leaving() -> Iterator[None]:
    """Raise `Refused` for who leaves in the middle of a question."""
    try:
        yield
    except click.Abort:
        echo("", err=True)
        raise Refused("stopped; nothing was written") from None


def _domains() -> tuple[str, ...]:
    def some(told: str) -> tuple[str, ...]:
        if not (names := prompts.domains([told])):
            raise ConfigError("at least one is needed", hint="Ctrl-C ends it")
        return names

    found = _ask("Domains for the certificate, with blanks between them", some, "")
    (only, *more), both = found, (*found, f"*.{found[0]}")
    bare = not more and not only.startswith("*.") and only.count(".") == 1
    if bare and ask(f"Also *.{only}, for all names one level below?", default=True):
        return both
    return found


def _email() -> str:
    return _ask("Mail address for the CA (Enter leaves it out)", lambda told: told and fields.email(told), "")


def _token(place: Path) -> str:
    echo(
        "",
        f"The Cloudflare API token, as made at {TOKEN_PAGE} with",
        "Zone: DNS: Edit and Zone: Zone: Read. It is not shown, and goes into",
        f"{place}, which only its owner can read.",
        err=True,
    )

    return _typed_token()


def _typed_token() -> str:
    def fit(told: str) -> str:
        return secrets.fit(told.strip(), "") if told.strip() else ""

    return _ask("Token (Enter leaves it for later)", fit, "", hide=True)


def _server() -> str:
    staging = ask("\nTry it at Let's Encrypt's CA for tests first, which no browser trusts?", default=False)
    return "letsencrypt-staging" if staging else DEFAULT.acme.server


def _ask(question: str, read: Callable[[str], Answer], default: str | None, *, hide: bool = False) -> Answer:
    """Ask until the answer can be read."""

    def answer(told: str) -> Answer:
        try:
            return read(told)
        except ConfigError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise click.BadParameter(f"{error}{hint}") from None

    found: Answer = click.prompt(
        question, default=default, show_default=False, hide_input=hide, value_proc=answer, err=True
    )
    return found


def _with_token(call: Call, wishes: Wishes, settings: Config) -> Wishes:
    """Return the wishes with a token that Cloudflare does not refuse, or with none yet.

    One that was typed in is asked for again; raises `Refused` where it is in a file, or for who leaves.
    """
    while True:
        try:
            _try_token(call, wishes, settings)
        except Refused as refused:
            if not wishes.token:
                raise Refused(f"{refused}; nothing was written", hint=_better(wishes, refused)) from None
            Quiet().problem("token", f"it is not taken: {refused}", refused.hint)
        else:
            return wishes
        with _leaving():
            wishes = replace(wishes, token=_typed_token())


def _better(wishes: Wishes, refused: Refused) -> str:
    what = refused.hint or f"make another at {TOKEN_PAGE}"
    return f"{what}; it goes into {wishes.token_file}, or name another file with --token-file"


def _try_token(call: Call, wishes: Wishes, settings: Config) -> None:
    """Print what the token may do.

    Raises `ConfigError` for one that cannot be right, and `Refused` for one that Cloudflare does not take.
    """
    place = wishes.token_file
    if not wishes.token and not place.exists():
        echo(f"token: there is none yet; it goes into {place}")
        return
    secret, clock = wishes.token or secrets.token(settings, {}), SystemClock()
    with call.report() as report:
        report.doing("token", "asking Cloudflare what it may do")
        try:
            token = app.token(secret, settings, clock, report)
            verdict = token.verdict(())
            zones = _zones(token)
        except Transient as error:
            report.problem("token", str(error), error.hint)
            return
    if not verdict.good(clock.now()):
        state = "not valid at this time" if verdict.status == "active" else verdict.status
        raise Refused(f"Cloudflare says that the token is {state}")
    seen = ", ".join(zones) or "no zone: it lacks Zone: Zone: Read, or has no zones"
    echo(f"token: {verdict.status}; it sees {seen}")
    for name in dict.fromkeys(domain.removeprefix("*.") for domain in wishes.domains):
        if zones and not any(name == zone or name.endswith(f".{zone}") for zone in zones):
            echo(f"token: none of these is the zone of {name}", err=True)


def _zones(token: "Token") -> list[str]:
    try:
        return [zone.name for zone in token.zones()]
    except Refused:  # a good token without Zone:Read
        return []

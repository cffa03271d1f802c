"""`renewer init`: write a first configuration, from answers on a terminal or from options."""

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

TOKEN_PAGE = "https://dash.cloudflare.com/profile/api-tokens"  # noqa: S105 - the page that creates tokens


@dataclass(frozen=True)
class Wishes:
    """What is known so far; `token` was typed in and will be written to `token_file`."""

    domains: tuple[str, ...]
    email: str | None
    server: str
    token_file: Path
    token: str = ""


@click.command(
    short_help="Write a first configuration.",
    epilog=examples(
        "renewer init    # asks for everything",
        "renewer init --domain example.com --domain '*.example.com' --staging",
    ),
)
@click.option(
    "--domain",
    "domains",
    multiple=True,
    metavar="NAME",
    help="Domain name for the certificate (may be repeated).",
)
@click.option("--email", metavar="ADDRESS", help="Contact e-mail address for the CA.")
@click.option(
    "--token-file",
    metavar="FILE",
    help="Cloudflare token file; created if missing.",
)
@click.option("--staging", is_flag=True, help="Use Let's Encrypt's staging CA.")
@click.option("--server", metavar="URL", help="Use another CA (ACME directory URL).")
@click.option(
    "--base-url", metavar="URL", default=DEFAULT.cloudflare.base_url, help="Base URL of Cloudflare's API."
)
@click.option(
    "--state", metavar="FOLDER", default=str(DEFAULT.state), help="State folder, for certificates and keys."
)
@click.option("--nginx-config", metavar="FILE", help="nginx's main configuration file, if not the default.")
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
    """Write a first configuration to the FILE of -c; asks for what the options leave open.

    Existing files are never changed.
    """
    if staging and server:
        raise click.UsageError("--staging and --server each choose a CA: use only one of them")
    file = setup.free(call.file)
    token = Path(token_file).absolute() if token_file else setup.token_file(file)
    authority = server or ("letsencrypt-staging" if staging else DEFAULT.acme.server)
    wishes = Wishes(prompts.domains(domains), email, authority, token)
    if setup.on_terminal():
        wishes = _asked(wishes, file, certain=bool(staging or server))
    elif not wishes.domains:
        raise ConfigError("no terminal to ask on: --domain is required", hint="see: renewer init --help")
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
    echo(f'certificate "{draft.certificates[0].name}": {", ".join(wishes.domains)}')
    wishes = _with_token(call, wishes, settings)
    if wishes.token:
        setup.write(wishes.token_file, f"{wishes.token}\n", 0o600)
    setup.write(file, draft.text, 0o644)
    echo("", "Next:", *setup.next_steps(call.file, wishes.token_file))
    return 0


def _asked(wishes: Wishes, file: Path, *, certain: bool) -> Wishes:
    """Return the wishes, completed by asking; raises `Refused` on Ctrl-C."""
    echo(f"This writes {file}, after the last question. Ctrl-C stops without writing anything.", "", err=True)
    with _leaving():
        domains = wishes.domains or _domains()
        email = wishes.email if wishes.email is not None else _email()
        token = "" if wishes.token_file.exists() else _token(wishes.token_file)
        server = wishes.server if certain else _server()
    echo("", err=True)
    return Wishes(domains, email, server, wishes.token_file, token)


@contextmanager
def _leaving() -> Iterator[None]:
    """Turn Ctrl-C at a question into `Refused`."""
    try:
        yield
    except click.Abort:
        echo("", err=True)
        raise Refused("stopped; nothing was written") from None


def _domains() -> tuple[str, ...]:
    def some(text: str) -> tuple[str, ...]:
        if not (names := prompts.domains([text])):
            raise ConfigError("enter at least one domain", hint="Ctrl-C to stop")
        return names

    found = _ask("Domains for the certificate, separated by spaces", some, "")
    (only, *more), both = found, (*found, f"*.{found[0]}")
    bare = not more and not only.startswith("*.") and only.count(".") == 1
    if bare and ask(f"Also *.{only}, for all its subdomains?", default=True):
        return both
    return found


def _email() -> str:
    return _ask(
        "E-mail address for the CA (press Enter to skip)", lambda text: text and fields.email(text), ""
    )


def _token(place: Path) -> str:
    echo(
        "",
        f"Cloudflare API token: create it at {TOKEN_PAGE}",
        "with Zone: DNS: Edit and Zone: Zone: Read. It is not shown as you type, and is saved in",
        f"{place}, which only its owner can read.",
        err=True,
    )

    return _typed_token()


def _typed_token() -> str:
    def fit(text: str) -> str:
        return secrets.fit(text.strip(), "") if text.strip() else ""

    return _ask("Token (press Enter to add it later)", fit, "", hide=True)


def _server() -> str:
    staging = ask(
        "\nUse Let's Encrypt's staging CA first? (Browsers won't trust its certificates.)", default=False
    )
    return "letsencrypt-staging" if staging else DEFAULT.acme.server


def _ask(question: str, read: Callable[[str], Answer], default: str | None, *, hide: bool = False) -> Answer:
    """Ask until the answer is valid."""

    def answer(text: str) -> Answer:
        try:
            return read(text)
        except ConfigError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise click.BadParameter(f"{error}{hint}") from None

    found: Answer = click.prompt(
        question, default=default, show_default=False, hide_input=hide, value_proc=answer, err=True
    )
    return found


def _with_token(call: Call, wishes: Wishes, settings: Config) -> Wishes:
    """Return the wishes with a token that Cloudflare accepts, or with none yet.

    A typed token that is rejected is asked for again. Raises `Refused` for one in a file, and on Ctrl-C.
    """
    while True:
        try:
            _try_token(call, wishes, settings)
        except Refused as refused:
            if not wishes.token:
                raise Refused(f"{refused}; nothing was written", hint=_better(wishes, refused)) from None
            Quiet().problem("token", f"rejected: {refused}", refused.hint)
        else:
            return wishes
        with _leaving():
            wishes = replace(wishes, token=_typed_token())


def _better(wishes: Wishes, refused: Refused) -> str:
    what = refused.hint or f"create another at {TOKEN_PAGE}"
    return f"{what}; save it in {wishes.token_file}, or name another file with --token-file"


def _try_token(call: Call, wishes: Wishes, settings: Config) -> None:
    """Print the token's status and zones.

    Raises `ConfigError` for a malformed token, and `Refused` for one that Cloudflare rejects.
    """
    place = wishes.token_file
    if not wishes.token and not place.exists():
        echo(f"token: none yet; save it in {place}")
        return
    secret, clock = wishes.token or secrets.token(settings, {}), SystemClock()
    with call.report() as report:
        report.doing("token", "checking it at Cloudflare")
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
    echo(f"token: {verdict.status}; it can read {seen}")
    for name in dict.fromkeys(domain.removeprefix("*.") for domain in wishes.domains):
        if zones and not any(name == zone or name.endswith(f".{zone}") for zone in zones):
            echo(f"token: none of these zones contains {name}", err=True)


def _zones(token: "Token") -> list[str]:
    try:
        return [zone.name for zone in token.zones()]
    except Refused:  # a valid token without Zone:Read
        return []

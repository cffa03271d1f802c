"""`renewer init`: write a first configuration, from answers on a terminal or from options."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from renewer.cli import prompts
from renewer.cli.commands import setup
from renewer.cli.commands.context import Call
from renewer.cli.commands.help import examples
from renewer.cli.commands.output import ask, echo
from renewer.config import fields
from renewer.config.template import DEFAULT, Draft, Planned
from renewer.core.errors import ConfigError, Refused
from renewer.core.interfaces import Report
from renewer.dns import provider
from renewer.dns.provider import Setup
from renewer.system.clock import SystemClock
from renewer.system.console import Quiet

Answer = TypeVar("Answer")
Function = TypeVar("Function", bound=Callable[..., Any])

DNS = provider.usual()


@dataclass(frozen=True)
class Wishes:
    """What is known so far."""

    domains: tuple[str, ...]
    email: str | None
    server: str


class Person:
    """Who sits at the terminal, for a provider to ask; see `dns.provider.Terminal`."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def say(self, *lines: str) -> None:
        """Print lines of the result."""
        echo(*lines)

    def note(self, *lines: str) -> None:
        """Print lines that are not part of the result."""
        echo(*lines, err=True)

    def problem(self, subject: str, what: str, hint: str) -> None:
        """Report what is wrong with an answer."""
        Quiet().problem(subject, what, hint)

    def ask(self, question: str, read: Callable[[str], Answer], *, hide: bool = False) -> Answer:
        """Ask until the answer can be read; raises `Refused` for who leaves."""
        with _leaving():
            return _ask(question, read, hide=hide)

    def report(self) -> AbstractContextManager[Report]:
        """Return where waiting is reported."""
        return self._call.report()


def _options_of_the_provider(function: Function) -> Function:
    for one in reversed(DNS.options):
        option = click.option(one.name, metavar=one.metavar, default=one.default, help=one.help)
        function = option(function)
    return function


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
@_options_of_the_provider
@click.option("--staging", is_flag=True, help="Use Let's Encrypt's staging CA.")
@click.option("--server", metavar="URL", help="Use another CA (ACME directory URL).")
@click.option(
    "--state", metavar="FOLDER", default=str(DEFAULT.state), help="State folder, for certificates and keys."
)
@click.option("--nginx-config", metavar="FILE", help="nginx's main configuration file, if not the default.")
@click.pass_obj
def init(  # noqa: PLR0913, PLR0917 - one for each option
    call: Call,
    /,
    domains: Sequence[str],
    email: str | None,
    server: str | None,
    state: str,
    nginx_config: str | None,
    *,
    staging: bool,
    **for_dns: str | None,
) -> int:
    """Write a first configuration to the FILE of -c; asks for what the options leave open.

    Existing files are never changed.
    """
    if staging and server:
        raise click.UsageError("--staging and --server each choose a CA: use only one of them")
    file = setup.free(call.file)
    authority = server or ("letsencrypt-staging" if staging else DEFAULT.acme.server)
    wishes, person = Wishes(prompts.domains(domains), email, authority), Person(call)
    assert DNS.setup is not None  # noqa: S101 - the usual provider has one
    dns = DNS.setup(file, for_dns)
    if setup.on_terminal():
        wishes = _asked(wishes, file, dns, person, certain=bool(staging or server))
    elif not wishes.domains:
        raise ConfigError("no terminal to ask on: --domain is required", hint="see: renewer init --help")
    draft = Draft(
        certificates=[Planned(wishes.domains[0].removeprefix("*."), wishes.domains)],
        dns=dns.table,
        server=wishes.server,
        email=wishes.email or None,
        state=Path(state),
        **setup.nginx(nginx_config, echo),
    )
    settings = draft.parsed(f"what {file} would hold")
    echo(f'certificate "{draft.certificates[0].name}": {", ".join(wishes.domains)}')
    dns.test(person, settings.dns, wishes.domains, SystemClock())
    for place, secret in dns.secrets.items():
        setup.write(place, f"{secret}\n", 0o600)
    setup.write(file, draft.text, 0o644)
    echo("", "Next:", *setup.next_steps(call.file, settings.dns.credentials))
    return 0


def _asked(wishes: Wishes, file: Path, dns: Setup, person: Person, *, certain: bool) -> Wishes:
    """Return the wishes, completed by asking; raises `Refused` on Ctrl-C."""
    echo(f"This writes {file}, after the last question. Ctrl-C stops without writing anything.", "", err=True)
    with _leaving():
        domains = wishes.domains or _domains()
        email = wishes.email if wishes.email is not None else _email()
        dns.ask(person)
        server = wishes.server if certain else _server()
    echo("", err=True)
    return Wishes(domains, email, server)


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

    found = _ask("Domains for the certificate, separated by spaces", some)
    (only, *more), both = found, (*found, f"*.{found[0]}")
    bare = not more and not only.startswith("*.") and only.count(".") == 1
    if bare and ask(f"Also *.{only}, for all its subdomains?", default=True):
        return both
    return found


def _email() -> str:
    return _ask("E-mail address for the CA (press Enter to skip)", lambda told: told and fields.email(told))


def _server() -> str:
    staging = ask(
        "\nUse Let's Encrypt's staging CA first? (Browsers won't trust its certificates.)", default=False
    )
    return "letsencrypt-staging" if staging else DEFAULT.acme.server


def _ask(question: str, read: Callable[[str], Answer], *, hide: bool = False) -> Answer:
    """Ask until the answer is valid; it may be empty."""

    def answer(text: str) -> Answer:
        try:
            return read(text)
        except ConfigError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise click.BadParameter(f"{error}{hint}") from None

    found: Answer = click.prompt(
        question, default="", show_default=False, hide_input=hide, value_proc=answer, err=True
    )
    return found

"""`renewer import`: take over what another ACME client has, so that nothing fresh is ordered anew."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click

from renewer import app
from renewer.cli.commands import setup
from renewer.cli.commands.context import Answering, Call
from renewer.cli.commands.help import examples
from renewer.cli.commands.output import ask, echo, raw
from renewer.config.acme import DIRECTORIES
from renewer.config.schema import Config
from renewer.config.template import DEFAULT, Draft, table
from renewer.core.errors import ConfigError, Refused
from renewer.core.followed import View
from renewer.core.printable import document
from renewer.dns import provider
from renewer.dns.provider import Provider
from renewer.migrate import folder
from renewer.migrate import plan as heritage
from renewer.migrate.model import Estate, Secret
from renewer.migrate.plan import Fate, Imported, Plan, Planner
from renewer.system import files, privileges
from renewer.system.clock import SystemClock
from renewer.system.console import Quiet

CLIENTS = {"certbot": "certbot", "acme.sh": "acme_sh", "lego": "lego"}
"""The clients, and the file in `renewer/migrate/` that knows each."""


Say = Callable[..., None]
"""Prints lines, or nothing where JSON is wanted."""


@dataclass(frozen=True)
class Destination:
    """Where it all goes: a configuration that is there already, or the text of a new one."""

    file: Path
    settings: Config
    draft: Draft | None = None

    @property
    def dns(self) -> Provider:
        """The DNS provider."""
        return provider.chosen(self.settings.dns)

    @property
    def token_file(self) -> Path | None:
        """The file that the token comes from, for the provider whose tokens other clients have."""
        table = self.settings.dns
        return table.credentials[0].file if table.provider == Secret.provider else None


@click.command(
    "import",
    cls=Answering,
    empty=("accounts", "certificates"),
    short_help="Take over what certbot, acme.sh or lego has.",
    epilog=examples(
        "renewer import certbot /etc/letsencrypt --dry-run    # what would be done",
        "renewer import acme.sh ~/.acme.sh --token            # and the token",
        "renewer import lego .lego",
    ),
)
@click.argument("client", type=click.Choice(list(CLIENTS)), metavar="CLIENT")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--server", metavar="URL", help="The directory of the CA, where the folder does not tell it.")
@click.option(
    "--token/--no-token", default=None, help="Take the Cloudflare token over too; asked on a terminal."
)
@click.option(
    "--state", metavar="FOLDER", help="Where certificates and keys are kept, in a new configuration."
)
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_obj
def import_(  # noqa: PLR0913 - one for each option
    call: Call,
    client: str,
    path: Path,
    server: str | None,
    state: str | None,
    *,
    token: bool | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Take over accounts, certificates and keys from the folder PATH of certbot, acme.sh or lego.

    Nothing there is changed. Without a configuration one is written; to one that is there nothing is added,
    and the tables that it lacks are printed.
    """
    module = import_module(f"renewer.migrate.{CLIENTS[client]}")
    estate = _read(module, path, DIRECTORIES.get(server or "", server or ""))
    there = os.path.lexists(call.file)
    settings = call.load() if there else None
    _refuse_another(state, settings, call.file)
    plan = Planner(estate, settings, SystemClock().now()).plan()
    target = (
        Destination(Path(call.file), settings)
        if settings
        else _target(call, plan, state or str(DEFAULT.state))
    )
    plan = _carried_out(call, plan, target, dry_run=dry_run)
    if not as_json:
        _tell(plan, ahead=dry_run)
    if token is None and (dry_run or as_json or not setup.on_terminal()):
        token = False
    say: Say = (lambda *_: None) if as_json else echo
    taken = _token(estate.token, target, say, wanted=token and not dry_run)
    written = _configure(target, plan, say, dry_run=dry_run)
    if as_json:
        raw(document(_record(plan, target, written=written, token=taken)))
    elif not dry_run and any(heir.fate is not Fate.FAILED for heir in plan.heirs):
        _remind(call, target, module, client)
    return 1 if plan.failed else 0


def _refuse_another(state: str | None, settings: Config | None, file: str) -> None:
    """Raise `ConfigError` for another state folder than that of the configuration, which stays as it is."""
    if state and settings and Path(state).absolute() != settings.state:
        raise ConfigError(
            f"--state is for a new configuration, but {file} is there, with {settings.state} as its state",
            hint="leave --state out, or name a new configuration with -c FILE",
        )


def _read(module: ModuleType, path: Path, server: str) -> Estate:
    """Read the folder; raises `ConfigError` for one that is not the client's."""
    place = folder.opened(path)
    if not place.has(module.MARK):
        client = module.__name__.rpartition(".")[2].replace("_", ".")
        raise ConfigError(
            f"{path} has no {module.MARK}, so it is no folder of {client}", hint="name the right one"
        )
    estate: Estate = module.read(place, server)
    if not estate.lineages and not estate.troubles:
        raise Refused(f"{path} has no certificates", hint="a new configuration is written by: renewer init")
    return estate


def _target(call: Call, plan: Plan, state: str) -> Destination:
    """Return a new configuration for what is taken; raises `Refused` where there would be nothing in it."""
    file = setup.free(call.file)
    named = [heir for heir in plan.heirs if heir.domains and heir.fate is not Fate.KEPT]
    draft = Draft(
        certificates=[heir.planned for heir in named],
        dns=_table(file),
        server=plan.directory_urls[0],
        others=plan.directory_urls[1:],
        email=plan.email,
        state=Path(state),
        **setup.nginx(None, lambda _: None),
    )
    if not any(heir.fate is Fate.IMPORTED for heir in plan.heirs):
        for heir in plan.heirs:
            Quiet().problem(heir.lineage, heir.why, heir.hint)
        raise Refused("there is nothing that can be taken over; nothing was written")
    return Destination(file, draft.parsed(f"what {file} would hold"), draft)


def _table(file: Path) -> Sequence[str]:
    """Return the lines of the usual DNS provider's table for a new configuration."""
    dns = provider.usual()
    return dns.setup(file, {}).table if dns.setup else ()


def _carried_out(call: Call, plan: Plan, target: Destination, *, dry_run: bool) -> Plan:
    settings, clock = target.settings, SystemClock()
    text = target.draft.text if target.draft else call.view.text
    view = View(text, clock.now(), target.file.absolute())
    # Only root may read what the other client has, and write the configuration afterwards.
    with call.report() as report, privileges.as_owner(settings.state) as owner:
        if owner is not None:
            privileges.require_program(owner, settings.state)  # who goes on with what is taken over
        vault = app.vault(settings, report, app.follower(settings, view, clock, report))
        settled = heritage.settle(plan, vault)
        return settled if dry_run else heritage.keep(settled, vault)


def _tell(plan: Plan, *, ahead: bool) -> None:
    """Print what became of everything; what was not taken goes to standard error."""
    word = "to be imported" if ahead else "imported"
    for access in plan.accesses:
        if access.fate is Fate.FAILED:
            Quiet().problem(f"account at {access.directory_url}", access.why, access.hint)
        else:
            echo(f"account at {access.directory_url}: {access.why or word}")
    for heir in plan.heirs:
        if heir.fate is Fate.FAILED:
            Quiet().problem(heir.lineage, f"not imported: {heir.why}", heir.hint)
        else:
            echo(f"{heir.lineage}: {_line(heir, word)}")


def _line(heir: Imported, word: str) -> str:
    if heir.fate is Fate.KEPT or heir.material is None:
        return f"left alone: {heir.why}"
    ends = f"{heir.material.not_after:%Y-%m-%d %H:%M:%S} UTC"
    return f"{word} as {heir.name} ({', '.join(heir.domains)}), ends {ends}"


def _token(secret: Secret | None, target: Destination, say: Say, *, wanted: bool | None) -> str:
    """Take the token over where that is wanted; return what became of it."""
    place, fit = target.token_file, target.dns.fit
    if secret is None or place is None or fit is None:
        return "none"
    if place.exists():
        say(f"token: {place} is there already, and is left as it is")
        return "kept"
    refused, value = secret.refused, secret.value
    try:
        value = refused or fit(value, secret.place)
    except ConfigError as error:
        refused = error.faults[0].message
    if refused:
        hint = f"put an API token into {place}; see: renewer init --help"
        Quiet().problem("token", f"the one in {secret.place} is not taken: {refused}", hint)
        return "refused"
    question = f"Copy the Cloudflare token of {secret.place} to {place}?"
    if not (ask(question, default=True) if wanted is None else wanted):
        say(f"token: there is one in {secret.place}; --token copies it to {place}")
        return "offered"
    files.folder(place.parent, 0o755)
    files.create(place, f"{value}\n".encode())
    say(f"wrote {place}, which only its owner can read")
    return "imported"


def _configure(target: Destination, plan: Plan, say: Say, *, dry_run: bool) -> bool:
    """Write the new configuration, or print what the one that is there lacks; tell if it was written."""
    if target.draft and not dry_run:
        files.folder(target.file.parent, 0o755)
        files.create(target.file, target.draft.text.encode(), 0o644)
        say(f"wrote {target.file}")
        return True
    if target.draft is None and (lacking := _lacking(plan)):
        told = f"{target.file} is left as it is. To have these renewed, put into it:"
        say("", told, "", *lacking.split("\n"))
    return False


def _lacking(plan: Plan) -> str:
    heirs = [
        heir for heir in plan.heirs if heir.fate is not Fate.FAILED and heir.material and not heir.listed
    ]
    return "\n\n".join(table(heir.planned) for heir in heirs)


def _remind(call: Call, target: Destination, module: ModuleType, client: str) -> None:
    echo(
        "",
        "Next:",
        *setup.next_steps(call.file, target.settings.dns.credentials),
        "",
        f"Then switch {client} off, so that the two do not order the same certificates:",
        *(f"  {line}" for line in module.OFF),
        f"Revoke nothing with {client}, and delete no account there: they are in use here now.",
        f"renewer proves names through the DNS: their zones have to be at {target.dns.title}, or"
        " _acme-challenge delegated there.",
    )


def _record(plan: Plan, target: Destination, *, written: bool, token: str) -> dict[str, object]:
    return {
        "accounts": [
            {"server": one.directory_url, "action": one.fate, "error": one.why or None}
            for one in plan.accesses
        ],
        "certificates": [
            {
                "name": heir.name,
                "lineage": heir.lineage,
                "action": heir.fate,
                "domains": list(heir.domains),
                "server": heir.directory_url or None,
                "not_after": f"{heir.material.not_after:%Y-%m-%dT%H:%M:%SZ}" if heir.material else None,
                "error": heir.why or None,
            }
            for heir in plan.heirs
        ],
        "token": token,
        "configuration": {"file": str(target.file), "written": written},
        "tables": "" if target.draft else _lacking(plan),
        "exit": 1 if plan.failed else 0,
    }

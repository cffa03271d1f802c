"""`renewer import`: take over another ACME client's certificates without reissuing any that is not due."""

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
from renewer.core.timefmt import exactly
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
"""The clients, each with its module in `renewer/migrate/`."""


Say = Callable[..., None]
"""Prints lines, or nothing if JSON is asked for."""


@dataclass(frozen=True)
class Destination:
    """Where the certificates go: an existing configuration, or the text of a new one."""

    file: Path
    settings: Config
    draft: Draft | None = None

    @property
    def dns(self) -> Provider:
        """The DNS provider."""
        return provider.chosen(self.settings.dns)

    @property
    def token_file(self) -> Path | None:
        """The token file of the configuration, if its provider is the one whose tokens other clients have."""
        table = self.settings.dns
        return table.credentials[0].file if table.provider == Secret.provider else None


@click.command(
    "import",
    cls=Answering,
    empty=("accounts", "certificates"),
    short_help="Import from certbot, acme.sh or lego.",
    epilog=examples(
        "renewer import certbot /etc/letsencrypt --dry-run    # only print the steps",
        "renewer import acme.sh ~/.acme.sh --token            # with the token",
        "renewer import lego .lego",
    ),
)
@click.argument("client", type=click.Choice(list(CLIENTS)), metavar="CLIENT")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--server", metavar="URL", help="ACME directory URL of the CA, if PATH does not name it.")
@click.option("--token/--no-token", default=None, help="Also copy the Cloudflare token; asked on a terminal.")
@click.option("--state", metavar="FOLDER", help="State folder of a new configuration.")
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
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
    """Import accounts, certificates and keys from PATH, the folder of certbot, acme.sh or lego.

    Nothing in PATH is changed. A new configuration is written if there is none; an existing one is left as it
    is, and the tables it lacks are printed.
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
    """Raise `ConfigError` if --state contradicts the existing configuration, which is never changed."""
    if state and settings and Path(state).absolute() != settings.state:
        raise ConfigError(
            f"--state is only for a new configuration: {file} exists and has state = {settings.state}",
            hint="omit --state, or name a new configuration with -c FILE",
        )


def _read(module: ModuleType, path: Path, server: str) -> Estate:
    """Read the folder; raises `ConfigError` if it is not the client's."""
    place = folder.opened(path)
    if not place.has(module.MARK):
        client = module.__name__.rpartition(".")[2].replace("_", ".")
        raise ConfigError(
            f"{path} has no {module.MARK}, so it is not a folder of {client}", hint="name the right folder"
        )
    estate: Estate = module.read(place, server)
    if not estate.lineages and not estate.troubles:
        raise Refused(f"{path} has no certificates", hint="to write a new configuration: renewer init")
    return estate


def _target(call: Call, plan: Plan, state: str) -> Destination:
    """Return a new configuration for what is imported; raises `Refused` if it would be empty."""
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
        raise Refused("nothing can be imported; nothing was written")
    return Destination(file, draft.parsed(f"what {file} would hold"), draft)


def _table(file: Path) -> Sequence[str]:
    """Return the lines of the usual DNS provider's table for a new configuration."""
    dns = provider.usual()
    return dns.setup(file, {}).table if dns.setup else ()


def _carried_out(call: Call, plan: Plan, target: Destination, *, dry_run: bool) -> Plan:
    settings, clock = target.settings, SystemClock()
    text = target.draft.text if target.draft else call.view.text
    view = View(text, clock.now(), target.file.absolute())
    # Only root can read the other client's folder, and write the configuration afterwards.
    with call.report() as report, privileges.as_owner(settings.state) as owner:
        if owner is not None:
            privileges.require_program(owner, settings.state)  # this user will renew the certificates
        vault = app.vault(settings, report, app.follower(settings, view, clock, report))
        settled = heritage.settle(plan, vault)
        return settled if dry_run else heritage.keep(settled, vault)


def _tell(plan: Plan, *, ahead: bool) -> None:
    """Print what was done with everything; what was not imported goes to standard error."""
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
        return f"skipped: {heir.why}"
    ends = exactly(heir.material.not_after)
    return f"{word} as {heir.name} ({', '.join(heir.domains)}), expires {ends}"


def _token(secret: Secret | None, target: Destination, say: Say, *, wanted: bool | None) -> str:
    """Copy the token if asked to; return the result for JSON."""
    place, fit = target.token_file, target.dns.fit
    if secret is None or place is None or fit is None:
        return "none"
    if place.exists():
        say(f"token: {place} exists and is left as it is")
        return "kept"
    refused, value = secret.refused, secret.value
    try:
        value = refused or fit(value, secret.place)
    except ConfigError as error:
        refused = error.faults[0].message
    if refused:
        hint = f"save an API token in {place}; see: renewer init --help"
        Quiet().problem("token", f"the one in {secret.place} is not imported: {refused}", hint)
        return "refused"
    question = f"Copy the Cloudflare token from {secret.place} to {place}?"
    if not (ask(question, default=True) if wanted is None else wanted):
        say(f"token: found in {secret.place}; copy it to {place} with --token")
        return "offered"
    files.folder(place.parent, 0o755)
    files.create(place, f"{value}\n".encode())
    say(f"wrote {place}, which only its owner can read")
    return "imported"


def _configure(target: Destination, plan: Plan, say: Say, *, dry_run: bool) -> bool:
    """Write the new configuration, or print what an existing one lacks; return whether it was written."""
    if target.draft and not dry_run:
        files.folder(target.file.parent, 0o755)
        files.create(target.file, target.draft.text.encode(), 0o644)
        say(f"wrote {target.file}")
        return True
    if target.draft is None and (lacking := _lacking(plan)):
        intro = f"{target.file} is left as it is. To have these certificates renewed, add to it:"
        say("", intro, "", *lacking.split("\n"))
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
        f"Then switch off {client}, so that the two do not order the same certificates:",
        *(f"  {line}" for line in module.OFF),
        f"Do not revoke certificates or delete the account with {client}: renewer uses them now.",
        f"renewer validates domains through the DNS: their zones have to be at {target.dns.title}, or"
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

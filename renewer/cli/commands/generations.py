"""`renewer list-generations` and `renewer restore`: earlier certificates, and how to go back to one."""

import click

from renewer.cli.commands.context import Answering, Call, conclude
from renewer.cli.commands.help import certificates, examples
from renewer.cli.commands.output import echo, raw
from renewer.cli.render import tables
from renewer.core.model import Outcome
from renewer.core.printable import document
from renewer.engine.cycle import Engine
from renewer.nginx.archive import Archive


@click.command(
    "list-generations",
    cls=Answering,
    empty=("generations",),
    short_help="List the certificates on disk.",
    epilog=examples("renewer list-generations example.com"),
)
@click.argument("name", shell_complete=certificates)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_generations(call: Call, name: str, *, as_json: bool) -> int:
    """List the generations of the certificate NAME that are on disk, newest first.

    The last three are kept, and those in use. To go back to one: renewer restore NAME GENERATION
    """
    state = call.load().state
    with call.report() as report:
        engine = call.engine(report)
        (spec,) = engine.chosen([name])
        stored, known, now = (
            engine.state.material(spec.name),
            engine.state.known(spec.name),
            engine.clock.now(),
        )
    found = Archive(state).generations(spec.name)
    if as_json:
        raw(document(tables.generations_record(found, stored, known)))
    else:
        echo(*tables.generations(found, stored, known, now, tables.width()), styled=True)
    return 0


@click.command(
    cls=Answering,
    short_help="Go back to an earlier certificate.",
    epilog=examples("renewer restore example.com g000003    # shown by list-generations"),
)
@click.argument("name", shell_complete=certificates)
@click.argument("generation")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, as renew does.")
@click.pass_obj
def restore(call: Call, name: str, generation: str, *, as_json: bool) -> int:
    """Go back to a GENERATION of the certificate NAME: store it, and have nginx serve it.

    The certificate stored now is kept as a generation. The restored one is renewed like any other: when it is
    due, or at once if it is from a CA that is not configured, or if the configuration now asks for other
    domains or keys. A certificate that renewer has revoked is refused.
    """
    archive = Archive(call.load().state)

    def go_back(engine: Engine) -> Outcome:
        (spec,) = engine.chosen([name])
        return engine.restore(spec.name, archive.find(spec.name, generation).pairs, archive.hold)

    with call.report() as report:
        outcome = call.cycle(report, go_back)
    return conclude(call, outcome, as_json=as_json)

"""`renewer completion`: what makes a shell complete commands, options and names."""

import click
from click.shell_completion import get_completion_class

from renewer.cli.commands.help import examples
from renewer.cli.commands.output import raw

SHELLS = ("bash", "fish", "zsh")

PROGRAM = "renewer"
VARIABLE = "_RENEWER_COMPLETE"
"""By what is in it, the program knows that a shell asks it, and for what (click's own scheme)."""


@click.command(
    short_help="Print what makes a shell complete commands and names.",
    epilog=examples(
        "renewer completion bash | sudo tee /etc/bash_completion.d/renewer",
        "renewer completion zsh >~/.zfunc/_renewer        # a folder of $fpath",
        "renewer completion fish >~/.config/fish/completions/renewer.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that makes a shell complete commands, options and the names in the configuration.

    Names are completed for those who may read the configuration.
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    raw(found(context.find_root().command, {}, PROGRAM, VARIABLE).source())
    return 0

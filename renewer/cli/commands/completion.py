"""`renewer completion`: the shell completion script."""

import click
from click.shell_completion import get_completion_class

from renewer.cli.commands.help import examples
from renewer.cli.commands.output import raw

SHELLS = ("bash", "fish", "zsh")

PROGRAM = "renewer"
VARIABLE = "_RENEWER_COMPLETE"
"""The variable in which a shell asks the program for completions (click's own scheme)."""


@click.command(
    short_help="Print the shell completion script.",
    epilog=examples(
        "renewer completion bash | sudo tee /etc/bash_completion.d/renewer",
        "renewer completion zsh >~/.zfunc/_renewer        # a folder of $fpath",
        "renewer completion fish >~/.config/fish/completions/renewer.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that lets a shell complete commands, options and names from the configuration.

    Names are completed only for users who can read the configuration.
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    raw(found(context.find_root().command, {}, PROGRAM, VARIABLE).source())
    return 0

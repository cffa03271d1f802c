"""The program's beginning: where everything is at rest, a run is over before the rest of it is loaded."""

from __future__ import annotations

import os
import sys

from renewer.engine.idle import index

TYPE_CHECKING = False  # that of `typing` would have to be loaded
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Answer at once if nothing has changed and nothing is due; else be the command line."""
    said = index.answer(sys.argv[1:])
    if said is None:
        from renewer.cli import main as cli  # noqa: PLC0415 - the late import is the point

        cli.main()
    try:
        if said and sys.stdout is not None:
            sys.stdout.buffer.write(said + b"\n")
            sys.stdout.flush()
    except OSError:
        os._exit(1)  # nobody reads it: there is nobody to tell either
    sys.exit(0)


if __name__ == "__main__":
    main()

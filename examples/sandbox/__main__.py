"""Run the sandbox in the foreground until SIGTERM or SIGINT: `python examples/sandbox FOLDER`."""

import argparse
import json
import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

if not __package__:
    # Started as a folder: Python then looks for modules inside it, while they are those of the package.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from sandbox.box import Sandbox


def main() -> None:
    """Start everything, write down where it is, and wait for the end."""
    options = _options().parse_args()
    os.umask(0o022)  # renewer takes no configuration that others could change
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _sandbox(options) as sandbox:
        _write(sandbox.folder / "sandbox.toml", sandbox.toml(sandbox.folder / "state"))
        _write(sandbox.folder / "sandbox.json", json.dumps(_facts(sandbox), indent=2) + "\n")
        print(f"sandbox: ready, see {sandbox.folder / 'sandbox.toml'}", flush=True)
        stop.wait()


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sandbox", description="A stand-in for Cloudflare, and a local CA.")
    parser.add_argument("folder", type=Path, help="where all files go")
    parser.add_argument("--zone", action="append", help="a zone, may be repeated (default: example.com)")
    parser.add_argument(
        "--delays", default="0,0", help="the lag of each name server in seconds, such as 1.0,2.5"
    )
    parser.add_argument("--latency", type=float, default=0.0, help="how long an API call takes, in seconds")
    parser.add_argument("--validity", type=float, help="how long a certificate is valid, in seconds")
    parser.add_argument(
        "--nonce-reject", type=int, default=5, help="how many good nonces pebble refuses, in percent"
    )
    parser.add_argument(
        "--authz-reuse", type=int, help="how many valid authorizations pebble reuses, in percent"
    )
    return parser


def _sandbox(options: argparse.Namespace) -> Sandbox:
    (options.folder / "sandbox.json").unlink(missing_ok=True)
    return Sandbox(
        options.folder,
        zones=options.zone or ["example.com"],
        delays=[float(delay) for delay in options.delays.split(",")],
        latency=options.latency,
        validity=None if options.validity is None else timedelta(seconds=options.validity),
        nonce_reject=options.nonce_reject,
        authz_reuse=options.authz_reuse,
    )


def _facts(sandbox: Sandbox) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "api_url": sandbox.api_url,
        "token_file": str(sandbox.token_file),
        "zones": {name: zone.id for name, zone in sandbox.zones.items()},
        "resolver": sandbox.resolver,
        "nameservers": [server.address for server in sandbox.nameservers],
        "directory": sandbox.directory,
        "ca_bundle": str(sandbox.ca_bundle),
        "roots": str(sandbox.roots),
    }


def _write(path: Path, text: str) -> None:
    """Write a file so that whoever waits for it sees it whole."""
    draft = path.with_suffix(path.suffix + ".new")
    draft.write_text(text)
    draft.replace(path)


if __name__ == "__main__":
    main()

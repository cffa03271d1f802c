"""What is outside of a machine, and reached through its network: a CA, Cloudflare's stand-in, name servers."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from machine import Machine, wait

ROOT = Path(__file__).parents[2]
NAME = "example.com"

TRUST = "/etc/ssl/certs/ca-of-the-test.pem"
"""Where the machine has what to trust for talking to the CA."""

ROOTS = "/share/outside/pebble/roots.pem"
"""Where the machine has what to trust for what the CA issues."""

_SHOWN = (
    f"openssl s_client -connect 127.0.0.1:443 -servername www.{NAME} -verify_hostname www.{NAME}"
    f" -verify_return_error -CAfile {ROOTS} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256"
)


class Outside:
    """The sandbox beside a machine; it ends with the machine's `with`."""

    def __init__(self, machine: Machine, *options: str) -> None:
        self._machine = machine
        folder = machine.share / "outside"
        machine.beside(sys.executable, str(ROOT / "examples" / "sandbox"), str(folder), *options)
        wait((folder / "sandbox.json").exists, what="the sandbox")
        self.facts: Mapping[str, Any] = json.loads((folder / "sandbox.json").read_text())
        machine.write(TRUST, Path(self.facts["ca_bundle"]).read_text())

    @property
    def token(self) -> str:
        """The token for Cloudflare's stand-in."""
        return Path(self.facts["token_file"]).read_text().strip()

    def shown(self) -> str:
        """Return the fingerprint that a client of nginx is shown, empty if it trusts not what it sees."""
        done = self._machine.run(_SHOWN, check=False)
        return done.out.strip().rpartition("=")[2].replace(":", "").lower()

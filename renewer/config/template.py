"""The text of a new configuration, with a comment on each line for a person to go on from."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from renewer.config import load
from renewer.config.acme import DIRECTORIES
from renewer.config.schema import Config
from renewer.core.model import KeyKind
from renewer.core.printable import printable

DEFAULT = Config()
"""The values of omitted keys."""


@dataclass(frozen=True)
class Planned:
    """The table of a certificate; with `remark` it is commented out, and the remark says why."""

    name: str
    domains: tuple[str, ...]
    keys: tuple[KeyKind, ...] = (KeyKind.EC256,)
    remark: str = ""


@dataclass(frozen=True)
class Draft:
    """The contents of a new configuration.

    `dns` are the lines of the DNS provider's table; `others` are CAs (directory URLs) of existing
    certificates.
    """

    certificates: Sequence[Planned]
    dns: Sequence[str]
    server: str = "letsencrypt"
    others: Sequence[str] = ()
    email: str | None = None
    state: Path = DEFAULT.state
    nginx: Path = DEFAULT.nginx.binary
    nginx_config: Path = DEFAULT.nginx.config

    @property
    def text(self) -> str:
        """The whole file."""
        parts = (self._head(), self._acme(), self.dns, *map(self._certificate, self.certificates))
        return "\n\n".join("\n".join(part) for part in (*parts, self._nginx())) + "\n"

    def parsed(self, source: str) -> Config:
        """Return the text as a configuration; raises `ConfigError` as for any other."""
        return load.parse(self.text, source)

    def _head(self) -> Iterator[str]:
        yield "# The configuration of renewer. Lines that are commented out show the default, or an example."
        yield "# After a change, `renewer check` says whether it is correct and works."
        if self.state != DEFAULT.state:
            yield "\n# The state folder, for certificates, keys and accounts."
            yield f"state = {quoted(self.state)}"

    def _acme(self) -> Iterator[str]:
        yield "[acme]"
        yield "# The CA: letsencrypt; letsencrypt-staging for testing (browsers do not trust it); or a URL."
        yield f"server = {quoted(called(self.server))}"
        yield "# Contact e-mail address for the CA; optional."
        yield f"email = {quoted(self.email)}" if self.email else '# email = "ops@example.com"'
        yield "# Agree to the CA's terms of service."
        yield "accept_terms = true"
        for other in self.others:
            yield "\n# Certificates from this CA are kept until they are due; then the main CA is used."
            yield "# This CA is used only if the main CA has failed for this long, or shortly before expiry."
            yield f'[[acme.fallback]]\nserver = {quoted(called(other))}\nafter = "30d"'

    def _certificate(self, planned: Planned) -> Iterator[str]:
        if planned.remark:
            yield f"# {printable(planned.remark)}"
            yield "# To order a new certificate, remove the # from these lines:"
            yield from (f"# {line}" for line in table(planned).splitlines())
            return
        include = self.state / "nginx" / "certificates" / f"{planned.name}.conf"
        yield printable(f"# A certificate; in nginx: include {include};")
        yield table(planned, explained=True)

    def _nginx(self) -> Iterator[str]:
        yield "[nginx]"
        yield "# The program, and its main configuration file."
        for key, value, usual in (
            ("binary", self.nginx, DEFAULT.nginx.binary),
            ("config", self.nginx_config, DEFAULT.nginx.config),
        ):
            yield f"{'' if value != usual else '# '}{key} = {quoted(value)}"
        yield "# How to reload it: auto, signal, systemd, none, or a command as a list."
        yield '# reload = "auto"'


def table(planned: Planned, *, explained: bool = False) -> str:
    """Return the table of one certificate, without a newline at its end."""
    lines = [f"[certificate.{quoted(planned.name)}]"]
    if explained:
        lines.append("# Its domains; a star stands for one label.")
    lines.append(f"domains = [{', '.join(map(quoted, planned.domains))}]")
    usual = planned.keys == (KeyKind.EC256,)
    if explained:
        lines.append('# The kinds of keys; ["ec256", "rsa2048"] also serves very old clients.')
    if explained or not usual:
        lines.append(f"{'# ' if usual else ''}keys = {json.dumps(planned.keys)}")
    return "\n".join(lines)


def called(server: str) -> str:
    """Return the configuration's name for a CA, given by its name or its directory URL."""
    return next((name for name, url in DIRECTORIES.items() if url == server), server)


def quoted(value: object) -> str:
    """Return a TOML string: as in JSON, with escapes for what TOML forbids or nobody could see."""
    text = json.dumps(str(value), ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in text)

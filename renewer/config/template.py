"""The text of a new configuration, for a person to read on: what is asked for, and a comment on each line."""

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
"""What a key left out means."""


@dataclass(frozen=True)
class Planned:
    """A table for a certificate; with `remark` it is written down but commented out, for that reason."""

    name: str
    domains: tuple[str, ...]
    keys: tuple[KeyKind, ...] = (KeyKind.EC256,)
    remark: str = ""


@dataclass(frozen=True)
class Draft:
    """What goes into the file.

    `dns` are the lines of the DNS provider's table; `others` are CAs (directories) that certificates still
    come from.
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
        """Return what the program reads in the text; raises `ConfigError` as for any configuration."""
        return load.parse(self.text, source)

    def _head(self) -> Iterator[str]:
        yield "# The configuration of renewer. What is commented out is the default, or an example."
        yield "# After a change `renewer check` says whether it is right, and works."
        if self.state != DEFAULT.state:
            yield "\n# Where certificates, keys and accounts are kept."
            yield f"state = {quoted(self.state)}"

    def _acme(self) -> Iterator[str]:
        yield "[acme]"
        yield "# The CA: letsencrypt; letsencrypt-staging to try things out (no browser trusts it); or a URL."
        yield f"server = {quoted(called(self.server))}"
        yield "# Where the CA may write to; it may be left out."
        yield f"email = {quoted(self.email)}" if self.email else '# email = "ops@example.com"'
        yield "# The CA's terms of service have to be agreed to."
        yield "accept_terms = true"
        for other in self.others:
            yield "\n# Certificates that this CA issued stay until they are due; then the first one is asked."
            yield "# It is asked only when the first has failed for this long, or an end is near."
            yield f'[[acme.fallback]]\nserver = {quoted(called(other))}\nafter = "30d"'

    def _certificate(self, planned: Planned) -> Iterator[str]:
        if planned.remark:
            yield f"# {printable(planned.remark)}"
            yield "# With the # taken out of the lines below, a new certificate is ordered:"
            yield from (f"# {line}" for line in table(planned).splitlines())
            return
        include = self.state / "nginx" / "certificates" / f"{planned.name}.conf"
        yield printable(f"# A certificate, for nginx: include {include};")
        yield table(planned, explained=True)

    def _nginx(self) -> Iterator[str]:
        yield "[nginx]"
        yield "# The program, and its main configuration."
        for key, value, usual in (
            ("binary", self.nginx, DEFAULT.nginx.binary),
            ("config", self.nginx_config, DEFAULT.nginx.config),
        ):
            yield f"{'' if value != usual else '# '}{key} = {quoted(value)}"
        yield "# How it is reloaded: auto, signal, systemd, none, or a command as a list."
        yield '# reload = "auto"'


def table(planned: Planned, *, explained: bool = False) -> str:
    """Return the table of one certificate, without a newline at its end."""
    lines = [f"[certificate.{quoted(planned.name)}]"]
    if explained:
        lines.append("# The names in it; a star stands for one label.")
    lines.append(f"domains = [{', '.join(map(quoted, planned.domains))}]")
    usual = planned.keys == (KeyKind.EC256,)
    if explained:
        lines.append('# The kinds of keys; ["ec256", "rsa2048"] serves very old clients too.')
    if explained or not usual:
        lines.append(f"{'# ' if usual else ''}keys = {json.dumps(planned.keys)}")
    return "\n".join(lines)


def called(server: str) -> str:
    """Return the name of a CA in the configuration, for its name or the URL of its directory."""
    return next((name for name, url in DIRECTORIES.items() if url == server), server)


def quoted(value: object) -> str:
    """Return a TOML string: as JSON has it, but for what only TOML wants escaped, or nobody could see."""
    text = json.dumps(str(value), ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in text)

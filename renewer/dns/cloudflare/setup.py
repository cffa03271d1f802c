"""Cloudflare's part of `renewer init` and `import`: the token is asked for, tried, and kept in a file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from renewer.config.providers import DnsTable
from renewer.config.template import quoted
from renewer.core.domains import within
from renewer.core.errors import Refused, Transient
from renewer.core.interfaces import Clock
from renewer.dns.cloudflare.client import Api, client
from renewer.dns.cloudflare.settings import TOKEN_PAGE, Settings, fit, token
from renewer.dns.cloudflare.token import Token
from renewer.dns.provider import Terminal

DEFAULT = Settings()


class TokenSetup:
    """The `Setup` for a configuration in `file`; the token goes beside it, or into `token_file`."""

    def __init__(self, file: Path, token_file: str | None = None, base_url: str | None = None) -> None:
        self._file = Path(token_file).absolute() if token_file else file.with_name("cloudflare.token")
        self._base_url = base_url or DEFAULT.base_url
        self._typed = ""

    @property
    def table(self) -> Sequence[str]:
        """See `Setup`."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        yield "[cloudflare]"
        yield "# The file with the API token (Zone:DNS:Edit and Zone:Zone:Read), on one line, with mode 0600."
        yield f"token_file = {quoted(self._file)}"
        if self._base_url != DEFAULT.base_url:
            yield "# Base URL of Cloudflare's API."
            yield f"base_url = {quoted(self._base_url)}"

    @property
    def secrets(self) -> Mapping[Path, str]:
        """See `Setup`."""
        return {self._file: self._typed} if self._typed else {}

    def ask(self, terminal: Terminal) -> None:
        """Ask for the token, unless its file is there."""
        if self._file.exists():
            return
        terminal.note(
            "",
            f"Cloudflare API token: create it at {TOKEN_PAGE}",
            "with Zone: DNS: Edit and Zone: Zone: Read. It is not shown as you type, and is saved in",
            f"{self._file}, which only its owner can read.",
        )
        self._typed = _typed(terminal)

    def test(self, terminal: Terminal, settings: DnsTable, domains: Sequence[str], clock: Clock) -> None:
        """Print the token's status and zones.

        A typed token that is rejected is asked for again. Raises `Refused` for one in a file, and on Ctrl-C.
        """
        while True:
            try:
                return self._try(terminal, cast("Settings", settings), domains, clock)
            except Refused as refused:
                if not self._typed:
                    raise Refused(f"{refused}; nothing was written", hint=self._better(refused)) from None
                terminal.problem("token", f"rejected: {refused}", refused.hint)
            self._typed = _typed(terminal)

    def _better(self, refused: Refused) -> str:
        what = refused.hint or f"create another at {TOKEN_PAGE}"
        return f"{what}; save it in {self._file}, or name another file with --token-file"

    def _try(self, terminal: Terminal, settings: Settings, domains: Sequence[str], clock: Clock) -> None:
        """Print the token's status and zones.

        Raises `ConfigError` for a malformed token, and `Refused` for one that Cloudflare rejects.
        """
        if not self._typed and not self._file.exists():
            terminal.say(f"token: none yet; save it in {self._file}")
            return
        secret = self._typed or token(settings, {})
        with terminal.report() as report:
            report.doing("token", "checking it at Cloudflare")
            asked = Token(Api(lambda: client(secret, settings.base_url), clock, report))
            try:
                verdict = asked.verdict(())
                zones = _zones(asked)
            except Transient as error:
                report.problem("token", str(error), error.hint)
                return
        if not verdict.good(clock.now()):
            state = "not valid at this time" if verdict.status == "active" else verdict.status
            raise Refused(f"Cloudflare says that the token is {state}")
        seen = ", ".join(zones) or "no zone: it lacks Zone: Zone: Read, or has no zones"
        terminal.say(f"token: {verdict.status}; it can read {seen}")
        for name in dict.fromkeys(domain.removeprefix("*.") for domain in domains):
            if zones and not any(within(name, zone) for zone in zones):
                terminal.note(f"token: none of these zones contains {name}")


def _typed(terminal: Terminal) -> str:
    def read(told: str) -> str:
        return fit(told.strip(), "") if told.strip() else ""

    return terminal.ask("Token (press Enter to add it later)", read, hide=True)


def _zones(asked: Token) -> list[str]:
    try:
        return [zone.name for zone in asked.zones()]
    except Refused:  # a valid token without Zone:Read
        return []

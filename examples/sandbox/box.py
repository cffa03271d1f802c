"""The whole sandbox in one context manager: a stand-in for Cloudflare, name servers, and an ACME server."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.cloudflare import Api, Token
from sandbox.listener import ApiServer, Call
from sandbox.nameserver import Dns, Nameserver, Resolver
from sandbox.pebble import Habits, Pebble
from sandbox.zones import Record, Zones

TOKEN = "sandbox-token-that-may-edit-all-the-zones"  # noqa: S105  # opens nothing but this sandbox


class Sandbox:
    """Everything that a renewal talks to, on the loopback, from `with` until its end.

    Each of `delays` makes one name server. `validity`, `nonce_reject`, `authz_reuse` and `eab` are pebble's;
    without `ca` there is no pebble. `tokens` replaces the one token that may do everything. While it runs,
    `api` plans faults, `zones` holds the records, and `nameservers` and `recursor` can be made to misbehave.
    """

    def __init__(  # noqa: PLR0913  # each is one knob of the sandbox, all but two by name
        self,
        folder: Path,
        zones: Sequence[str] = ("example.com",),
        *,
        delays: Sequence[float] = (0.0, 0.0),
        latency: float = 0.0,
        validity: timedelta | None = None,
        nonce_reject: int | None = 5,
        authz_reuse: int | None = None,
        eab: Mapping[str, str] | None = None,
        tokens: Mapping[str, Token] | None = None,
        ca: bool = True,
    ) -> None:
        self.folder = folder.resolve()
        self.zones = Zones(zones)
        self.tokens = dict(tokens or {TOKEN: Token(tuple(zones))})
        self.token = next(iter(self.tokens))
        self.token_file = self.folder / "cloudflare.token"
        self._dns = Dns(self.zones, delays)
        self.api = ApiServer(Api(self.zones, self.tokens, self._dns.names).answer, latency=latency)
        self._habits = Habits(validity, nonce_reject, authz_reuse, eab) if ca else None
        self._pebble: Pebble | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(self._dns)
            stack.enter_context(self.api)
            if self._habits is not None:
                self._pebble = stack.enter_context(
                    Pebble(self.folder / "pebble", self.resolver, self._habits)
                )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def api_url(self) -> str:
        """The base URL of the stand-in for Cloudflare."""
        return self.api.url

    @property
    def nameservers(self) -> tuple[Nameserver, ...]:
        """The authoritative name servers."""
        return self._dns.servers

    @property
    def recursor(self) -> Resolver:
        """The resolver that pebble asks, and that the product asks for the zone's name servers."""
        return self._dns.resolver

    @property
    def resolver(self) -> str:
        """The resolver's address and port, as a configuration names it."""
        return f"{self.recursor.address}:{self._dns.port}"

    @property
    def pebble(self) -> Pebble:
        """The ACME server."""
        if self._pebble is None:
            raise LookupError("this sandbox has no CA")
        return self._pebble

    @property
    def directory(self) -> str:
        """The URL of the ACME directory."""
        return self.pebble.directory

    @property
    def ca_bundle(self) -> Path:
        """What to trust for talking to the ACME server."""
        return self.pebble.ca_bundle

    @property
    def roots(self) -> Path:
        """What to trust for the certificates that the ACME server issues."""
        return self.pebble.roots

    def records(self) -> list[Record]:
        """Return the TXT records that are left in the zones."""
        return [
            record
            for zone in self.zones.values()
            for record in zone.now.records.values()
            if record.type == "TXT"
        ]

    def calls(self) -> list[Call]:
        """Return the calls to the stand-in for Cloudflare so far."""
        return list(self.api.calls)

    def toml(
        self, state: Path, *, token: str | None = None, zone_ids: bool = False, timeout: str = "30s"
    ) -> str:
        """Return the head of a configuration that uses the sandbox: `state`, a table for each service.

        The token goes into a file of mode 0600, which the configuration names. With `zone_ids` it names the
        ids of the zones too, so that the token needs no Zone:Read.
        """
        _write_secret(self.token_file, token or self.token)
        lines = [f"state = {_quoted(state)}", "", *self._acme(), "[cloudflare]"]
        lines += [f"token_file = {_quoted(self.token_file)}", f"base_url = {_quoted(self.api_url)}"]
        if zone_ids:
            pairs = ", ".join(f"{_quoted(name)} = {_quoted(zone.id)}" for name, zone in self.zones.items())
            lines.append(f"zone_ids = {{ {pairs} }}")
        lines += [
            "",
            "[propagation]",
            f"resolver = {_quoted(self.resolver)}",
            f"timeout = {_quoted(timeout)}",
        ]
        return "\n".join(lines) + "\n"

    def _acme(self) -> list[str]:
        if self._pebble is None:
            return []
        server, bundle = _quoted(self.directory), _quoted(self.ca_bundle)
        return ["[acme]", f"server = {server}", "accept_terms = true", f"ca_bundle = {bundle}", ""]


def _quoted(value: object) -> str:
    """Return a TOML string; JSON's is one as long as it leaves letters beyond ASCII alone."""
    return json.dumps(str(value), ensure_ascii=False)


def _write_secret(path: Path, secret: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(f"{secret}\n")

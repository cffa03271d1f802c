"""The configuration: its tables and keys.

The structs are the contract: their fields are the keys, and their defaults apply to omitted keys. `load` and
`parse` either return the whole configuration or raise one `ConfigError` that lists every fault with its
place. They change nothing and read no secret.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from renewer.config import fields, providers
from renewer.config.acme import Acme, Profile
from renewer.config.fields import AbsolutePath, Duration
from renewer.config.providers import DnsTable
from renewer.config.reader import OneOf, Table, Together
from renewer.core.domains import clashes, covers, domain
from renewer.core.errors import ConfigError
from renewer.core.model import CertSpec, Fallback, KeyKind
from renewer.core.site import Mode, Signer, SiteSpec


def rotation(text: str) -> timedelta | None:
    """Return how often a site's key is replaced; `None` means with every renewed certificate."""
    if text == "renewal":
        return None
    try:
        return fields.duration(text)
    except ConfigError as error:
        raise ConfigError(f"{error}; or write renewal") from None


def distinct(items: Mapping[int, str]) -> Iterator[tuple[int | None, str]]:
    """Yield the entries of a list that repeat an earlier one."""
    first: dict[str, int] = {}
    for index, item in items.items():
        if first.setdefault(item, index) != index:
            yield index, f"{item} is there twice; remove one of them"


def own_domains(certificates: Mapping[str, "Certificate"]) -> Iterator[tuple[str, str]]:
    """Yield the certificates with exactly the domains of another one."""
    first: dict[frozenset[str], str] = {}
    for name, certificate in certificates.items():
        other = first.setdefault(frozenset(certificate.domains), name)
        if other != name:
            yield (
                name,
                f"has the same domains as {other}; one certificate is enough, include it several times",
            )


def runnable(argv: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Yield why a list of arguments cannot be run."""
    if not argv.get(0, "-"):
        yield 0, "must be a program, but is empty"
    for index, argument in argv.items():
        if "\0" in argument:
            yield index, "contains a zero byte, which cannot be passed to a program"


def whole_path(argv: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Yield why a list of arguments is not a hook; its program may not depend on the working directory."""
    yield from runnable(argv)
    if "/" in argv.get(0, "").lstrip("/") and not argv[0].startswith("/"):
        yield 0, "must be the full path of a program, beginning with /, or its bare name"


Address = Annotated[str, fields.address]
Argv = Annotated[tuple[str, ...], Together(runnable, least=1)]
HookArgv = Annotated[tuple[str, ...], Together(whole_path, least=1)]
CertificateName = Annotated[str, fields.certificate_name]
Domain = Annotated[str, domain]
Owner = Annotated[
    str, fields.matching(r"[A-Za-z0-9._-]+(:[A-Za-z0-9._-]+)?", "must be a user, or user:group")
]
Person = Annotated[str, fields.matching(r"[a-z0-9-]{1,16}", "must be 1 to 16 of a-z, 0-9 and -")]
Rotation = Annotated[timedelta | None, rotation]
SiteName = Annotated[str, fields.matching(r"[a-z0-9]{1,12}", "must be 1 to 12 of a-z and 0-9")]


class Propagation(Table, frozen=True):
    """`[propagation]`: the resolver that finds a zone's name servers, and how long to wait for them."""

    resolver: Address | None = None
    timeout: Duration = timedelta(minutes=5)


class Certificate(Table, frozen=True):
    """`[certificate.NAME]`."""

    domains: Annotated[tuple[Domain, ...], Together(clashes, least=1)]
    keys: Annotated[tuple[KeyKind, ...], Together(distinct, least=1)] = (KeyKind.EC256,)
    profile: Profile | None = None


class Nginx(Table, frozen=True):
    """`[nginx]`: how to test, reload and probe it."""

    binary: AbsolutePath = Path("/usr/sbin/nginx")
    config: AbsolutePath = Path("/etc/nginx/nginx.conf")
    reload: Literal["auto", "signal", "systemd", "request", "none"] | Argv = "auto"
    probe: Literal["auto"] | tuple[Address, ...] = "auto"


class Site(Table, frozen=True):
    """`[site.NAME]`: a site behind secure links; `rotate = None` means with every renewed certificate."""

    host: Annotated[str, fields.origin]
    mode: Mode = Mode.SESSION
    home: Annotated[str, fields.home] = "/"
    people: Annotated[tuple[Person, ...], Together(distinct)] = ()
    rotate: Rotation = None
    grace: Duration = timedelta(days=7)
    session: Duration = timedelta(days=60)
    sliding: bool = True
    signer_file: AbsolutePath | None = None
    signer_owner: Owner | None = None
    signer_mode: Annotated[int, fields.file_mode] = 0o600

    def conflicts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield contradictions: a session is fixed when its key becomes current, and must outlast the key."""
        if self.rotate is None and self.session <= self.grace:
            yield ("session", "rotate", "grace"), "must be longer than grace"
        if self.mode is Mode.SESSION:
            if self.rotate and self.session < self.rotate + self.grace:
                yield (
                    ("session", "mode", "rotate", "grace"),
                    "must not be shorter than rotate and grace together",
                )
            if self.signer_file:
                yield ("signer_file", "mode"), 'is only for mode = "url"'
        if self.mode is Mode.URL and self.people:
            yield ("people", "mode"), 'is only for mode = "session"'

    @property
    def signer(self) -> Signer | None:
        """The file with the key for another program that signs URLs."""
        return Signer(self.signer_file, self.signer_owner, self.signer_mode) if self.signer_file else None


class Command(Table, frozen=True):
    """`[[hook.command]]`: a program to run after nginx serves the new files."""

    argv: HookArgv
    timeout: Duration = timedelta(seconds=30)


class Hooks(Table, frozen=True):
    """`[hook]`."""

    commands: tuple[Command, ...] = msgspec.field(default=(), name="command")


class Metrics(Table, frozen=True):
    """`[metrics]`: metrics for Prometheus, in a file that node_exporter reads."""

    textfile: Annotated[Path | None, fields.textfile] = None


class Notify(Table, frozen=True):
    """`[notify]`: notifications about cycles.

    `expiring` is the remaining share of a certificate's lifetime at which its expiry is first notified. The
    addresses in `urls_file` and `ping` are secrets, because anyone who has them can use them.
    """

    urls_file: AbsolutePath | None = None
    expiring: Annotated[float, fields.share_of_life] = 0.25
    ping: Annotated[str | None, fields.https_or_local_url] = None
    ping_file: AbsolutePath | None = None

    def conflicts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield that the ping address is configured twice."""
        if self.ping and self.ping_file:
            yield ("ping_file", "ping"), "is set as well as ping; remove one of the two"

    def __repr__(self) -> str:
        return "Notify()"


class Config(Table, frozen=True):
    """The whole configuration; `dns` is the table of a DNS provider, whose key is the provider's name."""

    state: Annotated[Path, fields.nginx_path] = Path("/var/lib/renewer")
    acme: Acme = Acme()
    dns: Annotated[DnsTable, OneOf(providers.table, providers.names)] = msgspec.field(
        default_factory=providers.usual
    )
    propagation: Propagation = Propagation()
    certificates: Annotated[Mapping[CertificateName, Certificate], Together(own_domains)] = msgspec.field(
        default_factory=dict, name="certificate"
    )
    nginx: Nginx = Nginx()
    sites: Mapping[SiteName, Site] = msgspec.field(default_factory=dict, name="site")
    hooks: Hooks = msgspec.field(default=Hooks(), name="hook")
    metrics: Metrics = Metrics()
    notify: Notify = Notify()

    @property
    def specs(self) -> tuple[CertSpec, ...]:
        """The certificates for the engine, in the order of the file."""
        return tuple(
            CertSpec(
                name=name,
                domains=certificate.domains,
                directory_url=self.acme.directory,
                keys=certificate.keys,
                profile=certificate.profile or self.acme.profile,
                fallbacks=tuple(Fallback(other.directory, other.after) for other in self.acme.fallbacks),
                rehearse=self.acme.rehearsal,
            )
            for name, certificate in self.certificates.items()
        )

    @property
    def site_specs(self) -> tuple[SiteSpec, ...]:
        """The sites for their hook, in the order of the file."""
        return tuple(
            SiteSpec(
                name=name,
                host=site.host,
                mode=site.mode,
                home=site.home,
                people=site.people,
                rotate=site.rotate,
                follows=self._followed(site),
                grace=site.grace,
                session=site.session,
                sliding=site.sliding,
                signer=site.signer,
            )
            for name, site in self.sites.items()
        )

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """The files that hold secrets of other services."""
        named = (
            *(credential.file for credential in self.dns.credentials),
            self.notify.urls_file,
            self.notify.ping_file,
            *(one.eab_hmac_key_file for one in (self.acme, *self.acme.fallbacks)),
        )
        return tuple(path for path in named if path)

    def _followed(self, site: Site) -> tuple[str, ...]:
        """Return the certificates whose renewal rotates a site's key: those for its host, or else all."""
        host = urlsplit(site.host).hostname or ""
        own = tuple(name for name, one in self.certificates.items() if covers(one.domains, host))
        return own or tuple(self.certificates)

    def conflicts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield that there is neither a certificate nor a site."""
        if not self.certificates and not self.sites:
            yield ("certificate", "site"), "is missing: at least one certificate or site is needed"

"""The configuration: what it may hold, and how it is read.

The structs are the contract: their fields are the keys, their defaults what a key left out means. `load` and
`parse` either return all of it or raise one `ConfigError` that lists every fault with its place. Nothing is
touched, and no secret read.
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
    """Return how often a site's key is replaced; `None` is with every renewed certificate."""
    if text == "renewal":
        return None
    try:
        return fields.duration(text)
    except ConfigError as error:
        raise ConfigError(f"{error}; or write renewal") from None


def distinct(items: Mapping[int, str]) -> Iterator[tuple[int | None, str]]:
    """Yield those entries of a list that were there before."""
    first: dict[str, int] = {}
    for index, item in items.items():
        if first.setdefault(item, index) != index:
            yield index, f"{item} is there twice; leave one of them out"


def own_domains(certificates: Mapping[str, "Certificate"]) -> Iterator[tuple[str, str]]:
    """Yield those certificates that would order exactly what another one orders already."""
    first: dict[frozenset[str], str] = {}
    for name, certificate in certificates.items():
        other = first.setdefault(frozenset(certificate.domains), name)
        if other != name:
            yield name, f"has the very domains of {other}; one certificate is enough for all who include it"


def runnable(argv: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Yield why a list of arguments cannot be run."""
    if not argv.get(0, "-"):
        yield 0, "is empty, but a program is expected"
    for index, argument in argv.items():
        if "\0" in argument:
            yield index, "has a zero byte, which no program can be given"


def whole_path(argv: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Yield why a list of arguments is no hook: its program must not depend on where this one was started."""
    yield from runnable(argv)
    if "/" in argv.get(0, "").lstrip("/") and not argv[0].startswith("/"):
        yield 0, "has to be the whole path of a program, one that begins with /, or its bare name"


Address = Annotated[str, fields.address]
Argv = Annotated[tuple[str, ...], Together(runnable, least=1)]
HookArgv = Annotated[tuple[str, ...], Together(whole_path, least=1)]
CertificateName = Annotated[str, fields.certificate_name]
Domain = Annotated[str, domain]
Owner = Annotated[
    str, fields.matching(r"[A-Za-z0-9._-]+(:[A-Za-z0-9._-]+)?", "has to be a user, or user:group")
]
Person = Annotated[str, fields.matching(r"[a-z0-9-]{1,16}", "has to be 1 to 16 of a-z, 0-9 and -")]
Rotation = Annotated[timedelta | None, rotation]
SiteName = Annotated[str, fields.matching(r"[a-z0-9]{1,12}", "the name has to be 1 to 12 of a-z and 0-9")]


class Propagation(Table, frozen=True):
    """`[propagation]`: who is asked for the name servers of a zone, and how long they may take."""

    resolver: Address | None = None
    timeout: Duration = timedelta(minutes=5)


class Certificate(Table, frozen=True):
    """`[certificate.NAME]`."""

    domains: Annotated[tuple[Domain, ...], Together(clashes, least=1)]
    keys: Annotated[tuple[KeyKind, ...], Together(distinct, least=1)] = (KeyKind.EC256,)
    profile: Profile | None = None


class Nginx(Table, frozen=True):
    """`[nginx]`: how it is tested, reloaded and looked at."""

    binary: AbsolutePath = Path("/usr/sbin/nginx")
    config: AbsolutePath = Path("/etc/nginx/nginx.conf")
    reload: Literal["auto", "signal", "systemd", "request", "none"] | Argv = "auto"
    probe: Literal["auto"] | tuple[Address, ...] = "auto"


class Site(Table, frozen=True):
    """`[site.NAME]`: a site behind secure links; `rotate` is `None` for "with every renewed certificate"."""

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
        """Yield what does not fit: a session is fixed when its key becomes current and has to outlast it."""
        if self.rotate is None and self.session <= self.grace:
            yield ("session", "rotate", "grace"), "has to be longer than grace"
        if self.mode is Mode.SESSION:
            if self.rotate and self.session < self.rotate + self.grace:
                yield ("session", "mode", "rotate", "grace"), "is shorter than rotate and grace together"
            if self.signer_file:
                yield ("signer_file", "mode"), 'belongs to mode = "url"'
        if self.mode is Mode.URL and self.people:
            yield ("people", "mode"), 'belongs to mode = "session"'

    @property
    def signer(self) -> Signer | None:
        """The file that another signing program reads."""
        return Signer(self.signer_file, self.signer_owner, self.signer_mode) if self.signer_file else None


class Command(Table, frozen=True):
    """`[[hook.command]]`: run after nginx serves what changed."""

    argv: HookArgv
    timeout: Duration = timedelta(seconds=30)


class Hooks(Table, frozen=True):
    """`[hook]`."""

    commands: tuple[Command, ...] = msgspec.field(default=(), name="command")


class Metrics(Table, frozen=True):
    """`[metrics]`: figures for Prometheus, in a file that node_exporter reads."""

    textfile: Annotated[Path | None, fields.textfile] = None


class Notify(Table, frozen=True):
    """`[notify]`: who is told what becomes of cycles.

    `expiring` is the share of a certificate's life that is left when its end is first told. The
    addresses of `urls_file` and `ping` are secrets, as whoever has them can use them.
    """

    urls_file: AbsolutePath | None = None
    expiring: Annotated[float, fields.share_of_life] = 0.25
    ping: Annotated[str | None, fields.https_or_local_url] = None
    ping_file: AbsolutePath | None = None

    def conflicts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield that the address to ping is there twice."""
        if self.ping and self.ping_file:
            yield ("ping_file", "ping"), "is there beside ping; leave one of the two out"

    def __repr__(self) -> str:
        return "Notify()"


class Config(Table, frozen=True):
    """The whole of it; `dns` is the table of a DNS provider, whose key is the provider's name."""

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
        """The certificates as the engine wants them, in the order of the file."""
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
        """The sites as the hook wants them, in the order of the file."""
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
        """The files that hold secrets from outside."""
        named = (
            *(credential.file for credential in self.dns.credentials),
            self.notify.urls_file,
            self.notify.ping_file,
            *(one.eab_hmac_key_file for one in (self.acme, *self.acme.fallbacks)),
        )
        return tuple(path for path in named if path)

    def _followed(self, site: Site) -> tuple[str, ...]:
        """Return the certificates whose renewal rotates a site's key: those for its host, else all."""
        host = urlsplit(site.host).hostname or ""
        own = tuple(name for name, one in self.certificates.items() if covers(one.domains, host))
        return own or tuple(self.certificates)

    def conflicts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield that there is nothing to do, without a certificate or a site."""
        if not self.certificates and not self.sites:
            yield ("certificate", "site"), "is missing: at least one certificate or site is needed"

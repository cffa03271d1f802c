"""The contents of another ACME client's folder: accounts, certificates with keys, a token for the DNS."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from renewer.core.errors import RenewerError


@dataclass(frozen=True)
class Login:
    """An account at the CA with this directory: private key (PEM), and URL and e-mail address if known."""

    directory_url: str
    key: str = field(repr=False)
    url: str | None = None
    email: str | None = None


@dataclass(frozen=True)
class Lineage:
    """A certificate under the other client's name for it; key and chain are PEM, leaf first.

    `directory_url` is the directory of the CA that issued it; empty if unknown.
    """

    name: str
    key: str = field(repr=False)
    chain: str = field(repr=False)
    directory_url: str


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be read, and why; the others are imported anyway."""

    subject: str
    error: RenewerError


@dataclass(frozen=True)
class Secret:
    """A token for a DNS provider and the file that it stands in; `refused` says why it is none that we take.

    Of other clients' keys only Cloudflare's are read.
    """

    provider: ClassVar[str] = "cloudflare"

    place: str
    value: str = field(default="", repr=False)
    refused: str = ""


@dataclass(frozen=True)
class Estate:
    """Everything found in the folder."""

    lineages: Sequence[Lineage] = ()
    logins: Sequence[Login] = ()
    troubles: Sequence[Unreadable] = ()
    token: Secret | None = None

"""The folder of lego (.lego), as lego 4 and 5 write it.

lego 4 keeps an account's key in a folder of its own and does not record the CA's directory; both keep a
certificate in `certificates/NAME.{crt,key,json}` and the chain separately in `NAME.issuer.crt`.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from renewer.config.acme import DIRECTORIES
from renewer.core import x509
from renewer.core.errors import Refused
from renewer.migrate import folder
from renewer.migrate import keys as inherited
from renewer.migrate.folder import Folder
from renewer.migrate.model import Estate, Lineage, Login, Unreadable

MARK = "certificates"
"""The folder by which its folder is recognised."""

OFF = ("crontab -e   # remove the line with lego renew, or disable the timer that runs it",)
"""The commands that switch it off."""

KNOWN = {
    **{folder.host(url): url for url in DIRECTORIES.values()},
    "acme.zerossl.com": "https://acme.zerossl.com/v2/DV90",
    "dv.acme-v02.api.pki.goog": "https://dv.acme-v02.api.pki.goog/directory",
    "dv.acme-v02.test-api.pki.goog": "https://dv.acme-v02.test-api.pki.goog/directory",
}
"""The directory URL by host, for CAs that have only one there."""


def read(place: Folder, directory_url: str) -> Estate:
    """Return the folder's contents; `directory_url` is the CA's, which lego 4 does not record."""
    directories = {**KNOWN, **({folder.host(directory_url): directory_url} if directory_url else {})}
    lineages, troubles = [], []
    logins = dict[str, Login]()
    for host, account in _accounts(place):
        try:
            found = _login(place, host, account, directories)
            logins.setdefault(found.directory_url, found)
        except Refused as error:
            troubles.append(Unreadable(f"account {account} at {host}", error))
    directories |= {folder.host(url): url for url in logins}
    for file in place.names(MARK):
        name = file.removesuffix(".key")
        try:
            if file.endswith(".key"):
                lineages.append(_lineage(place, name, directories))
        except Refused as error:
            troubles.append(Unreadable(name, error))
    return Estate(lineages, list(logins.values()), troubles)


def _accounts(place: Folder) -> Iterator[tuple[str, str]]:
    for host in place.names("accounts"):
        for account in place.names("accounts", host):
            if place.has("accounts", host, account, "account.json"):
                yield host, account


def _login(place: Folder, host: str, account: str, directories: Mapping[str, str]) -> Login:
    home = ("accounts", host, account)
    told = place.table(*home, "account.json")
    registration = told.get("registration")
    known = registration if isinstance(registration, dict) else {}
    url, email = known.get("accountURL") or known.get("uri"), told.get("email")
    directory_url = told.get("server") or directories.get(folder.host(str(url))) or directories.get(host)
    if not directory_url:
        raise Refused(
            f"the CA at {folder.host(str(url)) or host} is known, but not its directory URL",
            hint="name it: --server URL",
        )
    older = place.has(*home, "keys", f"{account}.key")
    key = place.text(*home, *(("keys",) if older else ()), f"{account}.key")
    return Login(
        str(directory_url),
        inherited.account_key(key),
        str(url) if url else None,
        str(email) if email else None,
    )


def _lineage(place: Folder, name: str, directories: Mapping[str, str]) -> Lineage:
    chain = place.text(MARK, f"{name}.crt")
    if chain.count(x509.BEGIN) == 1 and place.has(MARK, f"{name}.issuer.crt"):  # issued with --no-bundle
        chain = f"{chain.rstrip()}\n{place.text(MARK, f'{name}.issuer.crt')}"
    origin = ""
    with suppress(Refused):
        origin = folder.host(str(place.table(MARK, f"{name}.json").get("certUrl")))
    only = next(iter(directories.values())) if len(directories) == 1 else ""
    return Lineage(name, place.text(MARK, f"{name}.key"), chain, directories.get(origin) or only)

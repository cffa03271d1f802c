"""The folder of lego (.lego), as lego 4 and 5 write it.

lego 4 keeps an account's key in a folder of its own and does not say which directory the account is at; both
keep a certificate in `certificates/NAME.{crt,key,json}` and the chain once more in `NAME.issuer.crt`.
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
"""What tells its folder from others."""

OFF = ("crontab -e   # take the line with lego renew out, or disable the timer that runs it",)
"""How it is switched off."""

KNOWN = {
    **{folder.host(url): url for url in DIRECTORIES.values()},
    "acme.zerossl.com": "https://acme.zerossl.com/v2/DV90",
    "dv.acme-v02.api.pki.goog": "https://dv.acme-v02.api.pki.goog/directory",
    "dv.acme-v02.test-api.pki.goog": "https://dv.acme-v02.test-api.pki.goog/directory",
}
"""The directories of CAs that have only one at their host."""


def read(place: Folder, directory_url: str) -> Estate:
    """Return what is there; `directory_url` is that of the CA at its host, which lego 4 does not keep."""
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
            f"nothing tells which directory at {folder.host(str(url)) or host} it is for",
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
    if chain.count(x509.BEGIN) == 1 and place.has(MARK, f"{name}.issuer.crt"):  # made with --no-bundle
        chain = f"{chain.rstrip()}\n{place.text(MARK, f'{name}.issuer.crt')}"
    origin = ""
    with suppress(Refused):
        origin = folder.host(str(place.table(MARK, f"{name}.json").get("certUrl")))
    only = next(iter(directories.values())) if len(directories) == 1 else ""
    return Lineage(name, place.text(MARK, f"{name}.key"), chain, directories.get(origin) or only)

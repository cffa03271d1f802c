"""The home of acme.sh (~/.acme.sh), as acme.sh 2.8 to 3.1 write it."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from contextlib import suppress

from renewer.core.errors import Refused
from renewer.migrate import folder, keys
from renewer.migrate.folder import Folder
from renewer.migrate.model import Estate, Lineage, Login, Secret, Unreadable

MARK = "account.conf"
"""The file by which its folder is recognised."""

OFF = ("acme.sh --uninstall-cronjob",)
"""The commands that switch it off."""

_ECC = "_ecc"
"""The end of a folder's name if its key is on an elliptic curve."""

_BEGIN, _END = "__ACME_BASE64__START_", "__ACME_BASE64__END_"


def read(place: Folder, directory_url: str) -> Estate:
    """Return the folder's contents; `directory_url` is used for certificates whose settings name no CA."""
    lineages, troubles, confs = [], [], [_conf(place, MARK)]
    for home in place.names():
        name = home.removesuffix(_ECC)
        try:
            if not place.has(home, f"{name}.conf"):
                continue
            confs.append(_conf(place, home, f"{name}.conf"))
            lineages.append(_lineage(place, home, confs[-1].get("Le_API") or directory_url))
        except Refused as error:
            troubles.append(Unreadable(home, error))
    logins, lost = _logins(
        place, list(dict.fromkeys(one.directory_url for one in lineages if one.directory_url))
    )
    return Estate(lineages, logins, [*troubles, *lost], _token(place, confs))


def _lineage(place: Folder, home: str, directory_url: str) -> Lineage:
    key = place.text(home, f"{home.removesuffix(_ECC)}.key")
    return Lineage(home, key, place.text(home, "fullchain.cer"), directory_url)


def _conf(place: Folder, *parts: str) -> Mapping[str, str]:
    if not place.has(*parts):
        return {}
    return {name: _plain(value) for name, value in folder.settings(place.text(*parts)).items()}


def _plain(value: str) -> str:
    """Return a value, decoded if it is in base64."""
    if not (value.startswith(_BEGIN) and value.endswith(_END)):
        return value
    try:
        return base64.b64decode(value.removeprefix(_BEGIN).removesuffix(_END)).decode()
    except (binascii.Error, ValueError):
        return ""


def _logins(place: Folder, directory_urls: Sequence[str]) -> tuple[list[Login], list[Unreadable]]:
    logins, troubles = [], []
    for directory_url in directory_urls:
        try:
            logins.append(_login(place, directory_url))
        except Refused as error:
            troubles.append(Unreadable(f"account at {directory_url}", error))
    return logins, troubles


def _login(place: Folder, directory_url: str) -> Login:
    """Read an account; its folder is named after the CA's host, without the port, and the URL's path."""
    host, _, path = directory_url.removeprefix("https://").partition("/")
    home: tuple[str, ...] = ("ca", host.partition(":")[0], *filter(None, path.split("/")))
    if not place.has(*home, "account.key"):
        home = home[:2]  # before 2.9 there was one account per host
    key = keys.account_key(place.text(*home, "account.key"))
    told: Mapping[str, str] = {}
    with suppress(Refused):  # optional: the CA can find the account by its key
        told = _conf(place, *home, "ca.conf")
    return Login(directory_url, key, told.get("ACCOUNT_URL") or None, told.get("CA_EMAIL") or None)


def _token(place: Folder, confs: Sequence[Mapping[str, str]]) -> Secret | None:
    """Return the token, which is kept with the account, or with a certificate whose zone has its own."""
    where = str(place.root / MARK)
    for conf in confs:
        if token := conf.get("SAVED_CF_Token") or conf.get("CF_Token"):
            return Secret(where, token)
    if any(conf.get("SAVED_CF_Key") or conf.get("CF_Key") for conf in confs):
        return Secret(where, refused="it is a Global API Key, which gives access to the whole account")
    return None

"""certbot's configuration folder (/etc/letsencrypt), as certbot 1 to 5 write it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from renewer.config.acme import DIRECTORIES
from renewer.core.errors import Refused
from renewer.migrate import folder, keys
from renewer.migrate.folder import Folder
from renewer.migrate.model import Estate, Lineage, Login, Secret, Unreadable

MARK = "renewal"
"""The folder by which its folder is recognised."""

OFF = (
    "systemctl disable --now certbot.timer",
    "rm /etc/cron.d/certbot   # if there is no such timer",
)
"""The commands that switch it off."""


def read(place: Folder, directory_url: str) -> Estate:
    """Return the folder's contents; `directory_url` is used for certificates whose settings name no CA."""
    lineages, troubles = [], []
    renewals: dict[str, Mapping[str, str]] = {}
    for name in [file.removesuffix(".conf") for file in place.names(MARK) if file.endswith(".conf")]:
        try:
            renewals[name] = folder.settings(place.text(MARK, f"{name}.conf"))
            lineages.append(_lineage(place, name, renewals[name], directory_url))
        except Refused as error:
            troubles.append(Unreadable(name, error))
    logins, lost = _logins(place, list(renewals.values()), directory_url)
    token = next(_secrets(place, list(renewals.values())), None)
    return Estate(lineages, logins, [*troubles, *lost], token)


def _lineage(place: Folder, name: str, renewal: Mapping[str, str], directory_url: str) -> Lineage:
    key, chain = (place.text("live", name, file) for file in ("privkey.pem", "fullchain.pem"))
    return Lineage(name, key, chain, _server(renewal, directory_url))


def _server(renewal: Mapping[str, str], directory_url: str) -> str:
    return renewal.get("server") or directory_url or DIRECTORIES["letsencrypt"]


def _logins(
    place: Folder, renewals: Sequence[Mapping[str, str]], directory_url: str
) -> tuple[list[Login], list[Unreadable]]:
    """Return an account for each CA: the one that most of its certificates use."""
    used = Counter((_server(one, directory_url), one.get("account", "")) for one in renewals)
    logins: dict[str, Login] = {}
    troubles = []
    for (url, account), _ in used.most_common():
        if url in logins:
            continue
        try:
            logins[url] = _login(place, url, account)
        except Refused as error:
            troubles.append(Unreadable(f"account at {url}", error))
    return list(logins.values()), troubles


def _login(place: Folder, directory_url: str, account: str) -> Login:
    home = ("accounts", *directory_url.removeprefix("https://").split("/"), account)
    key = keys.account_key_of_jwk(place.table(*home, "private_key.json"))
    url = None
    with suppress(Refused):  # optional: the CA can find the account by its key
        url = place.table(*home, "regr.json").get("uri")
    return Login(directory_url, key, url if isinstance(url, str) else None)


def _secrets(place: Folder, renewals: Sequence[Mapping[str, str]]) -> Iterator[Secret]:
    """Yield the tokens in the credentials files of certbot-dns-cloudflare, which may be anywhere."""
    for file in dict.fromkeys(one.get("dns_cloudflare_credentials", "") for one in renewals):
        if not file:
            continue
        try:
            found = folder.settings(place.elsewhere(Path(file)))
        except Refused as error:
            yield Secret(file, refused=str(error))
            continue
        if token := found.get("dns_cloudflare_api_token"):
            yield Secret(file, token)
        elif "dns_cloudflare_api_key" in found:
            yield Secret(file, refused="it is a Global API Key, which gives access to the whole account")

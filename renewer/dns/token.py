"""What Cloudflare tells of a token before anything is done with it."""

from renewer.dns.cloudflare import PER_PAGE, CloudflareDns
from renewer.errors import Refused


def zones(api: CloudflareDns) -> tuple[str, ...]:
    """Return the zones that the token sees, the first page of them; `Refused` for one that is not valid.

    A token that belongs to an account is known only there: it is good as soon as it sees a zone.
    """
    try:
        api.ask("/user/tokens/verify")
    except Refused:
        try:
            found = _seen(api)
        except Refused:
            found = ()
        if not found:
            raise
        return found
    return _seen(api)


def _seen(api: CloudflareDns) -> tuple[str, ...]:
    listed = api.ask("/zones", per_page=PER_PAGE).get("result")
    rows = listed if isinstance(listed, list) else []
    return tuple(str(row["name"]).lower() for row in rows if isinstance(row, dict) and "name" in row)

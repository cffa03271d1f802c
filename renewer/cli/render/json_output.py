"""Outcomes as JSON on standard output."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from renewer.cli.render.text import exit_code
from renewer.core.errors import RenewerError
from renewer.core.hook import HookOutcome
from renewer.core.model import CertOutcome, Outcome
from renewer.core.printable import document
from renewer.core.site import SiteOutcome


def as_json(outcome: Outcome) -> str:
    """Return the outcome in the JSON of the contract; sites have additional fields about their keys.

    `hooks` is present if any are configured, `error` if a problem affected the whole cycle.
    """
    hooks = {"hooks": [_hook_record(one) for one in outcome.hooks]} if outcome.hooks else {}
    return document(
        {
            "certificates": [_certificate_record(one) for one in outcome.certificates],
            "sites": [_site_record(one) for one in outcome.sites],
            **hooks,
            **({"error": outcome.error} if outcome.error else {}),
            "exit": exit_code(outcome),
        }
    )


def error_as_json(error: RenewerError, empty: Sequence[str]) -> str:
    """Return the JSON for an error that came before there was an outcome.

    `empty` names the lists the outcome would have had.
    """
    return document({**{name: [] for name in empty}, "error": str(error), "exit": error.exit_code})


def _certificate_record(outcome: CertOutcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "action": outcome.action,
        "not_after": _rfc3339(outcome.not_after),
        "fingerprint": outcome.fingerprint,
        "served": outcome.served,
        "next": _rfc3339(outcome.next),
        "error": outcome.error,
    }


def _site_record(outcome: SiteOutcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "action": outcome.action,
        "error": outcome.error,
        "next": _rfc3339(outcome.next),
        "current_since": _rfc3339(outcome.since),
        "rotation": _rfc3339(outcome.rotation),
        "honoured_until": _rfc3339(outcome.honoured_until),
        "people": list(outcome.people),
    }


def _hook_record(outcome: HookOutcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "action": outcome.action,
        "error": outcome.error,
        "next": _rfc3339(outcome.next),
    }


def _rfc3339(when: datetime | None) -> str | None:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if when else None

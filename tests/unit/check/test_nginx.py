"""What `check` finds of root's reload helper."""

import pytest

from renewer.check import (
    nginx,
)


@pytest.mark.parametrize(
    ("active", "enabled", "status", "hint"),
    [
        ("active", "enabled", "ok", ""),
        ("active", "enabled-runtime", "ok", ""),
        ("active", "disabled", "warning", "systemctl enable --now renewer-reload.path"),
        ("inactive", "enabled", "error", "systemctl enable --now renewer-reload.path"),
        ("failed", "enabled", "error", "systemctl enable --now renewer-reload.path"),
        (
            "inactive",
            "masked",
            "error",
            "systemctl unmask renewer-reload.path && systemctl enable --now",
        ),
        ("inactive", "not-found", "error", "renewer install-service"),
    ],
)
def test_a_reload_helper_that_hears_nothing(active: str, enabled: str, status: str, hint: str) -> None:
    found = nginx.helper(active, enabled)
    assert (found.check, found.status, hint in found.hint) == ("nginx.helper", status, True)
    assert status == "ok" or enabled in found.what

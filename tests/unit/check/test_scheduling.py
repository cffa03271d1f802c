"""What sets renewals off on this machine."""

from pathlib import Path

import pytest
from support.facts import missing
from support.scene import put, scene

from renewer.check import (
    scheduling,
)


@pytest.mark.parametrize(
    ("path", "text", "way"),
    [
        (
            "etc/cron.d/renewer",
            "17 * * * * root /usr/bin/renewer renew\n",
            "cron (/etc/cron.d/renewer)",
        ),
        (
            "var/spool/cron/crontabs/root",
            "@daily renewer -c /etc/renewer/x.toml -v renew example.com\n",
            "cron (/var/spool/cron/crontabs/root)",
        ),
        ("etc/cron.daily/renewer", "#!/bin/sh\nexec renewer renew\n", "cron (/etc/cron.daily/renewer)"),
        (
            "etc/systemd/system/timers.target.wants/renewer-renew.timer",
            "",
            "renewer-renew.timer",
        ),
    ],
)
def test_what_sets_renewals_off(tmp_path: Path, path: str, text: str, way: str) -> None:
    put(tmp_path / path, text)
    found = next(scheduling.trigger(scene(tmp_path)))
    assert (found.status, missing(found.what, way)) == ("ok", [])


def test_a_service_that_does_not_run_renews_nothing(tmp_path: Path) -> None:
    put(tmp_path / "etc/systemd/system/multi-user.target.wants/renewer.service")
    found = next(scheduling.trigger(scene(tmp_path)))
    assert (found.check, found.status) == ("renewal.trigger", "warning")
    assert "daemon" in found.what
    assert "systemctl status renewer" in found.hint


@pytest.mark.parametrize("line", ["# 0 0 * * * root renewer renew", "0 0 * * * root renewer status", ""])
def test_what_sets_nothing_off(tmp_path: Path, line: str) -> None:
    put(tmp_path / "etc/crontab", line)
    found = next(scheduling.trigger(scene(tmp_path)))
    assert (found.check, found.status) == ("renewal.trigger", "warning")
    assert "renewer install-service" in found.hint

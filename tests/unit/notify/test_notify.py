"""What is written and asked for outside: the textfile, addresses, the example for Prometheus."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.fakes import DAY, NOW

from renewer import __version__
from renewer.core.errors import RenewerError
from renewer.core.metrics import CertificateReading, Readings
from renewer.notify import healthcheck
from renewer.notify.prometheus import Textfile

ROOT = Path(__file__).parents[3]
FULL = CertificateReading(NOW - DAY, NOW + 89 * DAY, NOW + 59 * DAY, True, 2, NOW)  # noqa: FBT003 - served
READINGS = Readings(
    NOW, 75, {"a.example": FULL, 'odd"\\\n': CertificateReading()}, {"nodered": NOW - 3 * DAY}
)


@pytest.fixture
def narrow() -> Iterator[None]:
    """The umask of the service."""
    former = os.umask(0o077)
    yield
    os.umask(former)


def samples(path: Path) -> dict[str, dict[str, float]]:
    """Return the figures by name, then by what they are about."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[next(iter(sample.labels.values()), "")] = sample.value
    return found


@pytest.mark.usefixtures("narrow")
def test_the_textfile_has_every_figure_and_anybody_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "renewer.prom"
    Textfile(path).show(READINGS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    at = NOW.timestamp()
    day = DAY.total_seconds()
    assert samples(path) == {
        "renewer_certificate_not_before_timestamp_seconds": {"a.example": at - day},
        "renewer_certificate_expiration_timestamp_seconds": {"a.example": at + 89 * day},
        "renewer_certificate_renewal_timestamp_seconds": {"a.example": at + 59 * day},
        "renewer_certificate_served": {"a.example": 1},
        "renewer_certificate_failures": {"a.example": 2, 'odd"\\\n': 0},
        "renewer_certificate_last_success_timestamp_seconds": {"a.example": at},
        "renewer_site_key_created_timestamp_seconds": {"nodered": at - 3 * day},
        "renewer_last_cycle_timestamp_seconds": {"": at},
        "renewer_last_cycle_exit_code": {"": 75},
        "renewer_build_info": {__version__: 1},
    }


def test_the_textfile_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "renewer.prom"
    path.write_text("renewer_of_yore 1\n")
    before = path.stat().st_ino
    Textfile(path).show(READINGS)
    assert path.stat().st_ino != before
    assert [one.name for one in tmp_path.iterdir()] == ["renewer.prom"]


@pytest.mark.parametrize("place", ["none/renewer.prom", "file/renewer.prom", "link.prom/x.prom"])
def test_a_textfile_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link.prom").symlink_to(tmp_path)
    with pytest.raises(RenewerError, match=re.escape(str(tmp_path / place))) as caught:
        Textfile(tmp_path / place).show(READINGS)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("address", "failed"),
    [
        ("https://hc.example/uuid", "https://hc.example/uuid/fail"),
        ("https://hc.example/uuid/", "https://hc.example/uuid/fail"),
        ("https://hc.example/key/slug?create=1", "https://hc.example/key/slug/fail?create=1"),
    ],
)
def test_the_address_for_a_failure(address: str, failed: str) -> None:
    assert healthcheck.failed(address) == failed


def test_the_rules_for_prometheus_are_about_figures_that_there_are(tmp_path: Path) -> None:
    path = tmp_path / "renewer.prom"
    Textfile(path).show(READINGS)
    (group,) = yaml.safe_load((ROOT / "examples/prometheus/renewer.rules.yml").read_text())["groups"]
    used: set[str] = set()
    for rule in group["rules"]:
        assert rule.keys() >= {"alert", "expr", "labels", "annotations"}
        assert rule["annotations"].keys() == {"summary", "description"}
        used |= set(re.findall(r"renewer_\w+", rule["expr"]))
    assert used
    assert used <= set(samples(path))


def test_no_process_of_the_same_user_looks_into_the_courier() -> None:
    dumpable = "ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)"  # PR_GET_DUMPABLE
    script = (
        "import ctypes, os, sys\nfrom renewer.notify import apprise_worker\n"
        f"class Errand:\n    read = lambda self: os._exit(10 + {dumpable})\n"
        "sys.stdin = Errand()\napprise_worker.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 10, "11: it can be looked into while it reads the addresses"

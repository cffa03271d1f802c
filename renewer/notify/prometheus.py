"""Figures for node_exporter's textfile collector, by `prometheus_client`; named after those of cert-manager.

https://github.com/prometheus/node_exporter#textfile-collector: the file has to appear by a rename; what does
not end in .prom is not read.
"""

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from renewer import __version__
from renewer.core.metrics import CertificateReading, Readings
from renewer.system import files

READABLE = 0o644
"""The mode of the file: node_exporter is another user."""

CERTIFICATE = {
    "not_before_timestamp_seconds": "Since when the certificate is valid.",
    "expiration_timestamp_seconds": "When the certificate ends.",
    "renewal_timestamp_seconds": "When the certificate is due to be renewed.",
    "served": "Whether nginx was seen to serve it: 1 or 0; absent where there is nowhere to look.",
    "failures": "How many attempts in a row have failed.",
    "last_success_timestamp_seconds": "When a cycle last found nothing wrong with it.",
}
"""What is said of a certificate: the end of the name, and the help."""


class Textfile:
    """The file at `path`, replaced as a whole by each cycle."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def show(self, readings: Readings) -> None:
        """See `interfaces.Gauges`."""
        registry = CollectorRegistry()
        registry.register(_Once(tuple(families(readings))))
        files.write(self._path, generate_latest(registry), READABLE, owner=(os.geteuid(), os.getegid()))


class _Once:
    """A collector of what is known already."""

    def __init__(self, found: tuple[Metric, ...]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        return self._found


def families(readings: Readings) -> Iterator[Metric]:
    """Yield the figures as Prometheus has them: times in seconds since 1970, no line for what is unknown."""
    for ending, told in CERTIFICATE.items():
        family = GaugeMetricFamily(f"renewer_certificate_{ending}", told, labels=["name"])
        for name, reading in readings.certificates.items():
            if (value := _figure(reading, ending)) is not None:
                family.add_metric([name], value)
        yield family
    keys = GaugeMetricFamily(
        "renewer_site_key_created_timestamp_seconds", "When a site got its key.", labels=["site"]
    )
    for name, since in readings.keys.items():
        keys.add_metric([name], since.timestamp())
    yield keys
    at = readings.at.timestamp()
    yield GaugeMetricFamily("renewer_last_cycle_timestamp_seconds", "When the last cycle ended.", value=at)
    yield GaugeMetricFamily(
        "renewer_last_cycle_exit_code", "The exit code of the last cycle.", value=readings.exit_code
    )
    yield InfoMetricFamily("renewer_build", "The program.", value={"version": __version__})


def _figure(reading: CertificateReading, ending: str) -> float | None:
    found: dict[str, datetime | float | None] = {
        "not_before_timestamp_seconds": reading.begin,
        "expiration_timestamp_seconds": reading.end,
        "renewal_timestamp_seconds": reading.renewal,
        "served": reading.served,
        "failures": reading.failures,
        "last_success_timestamp_seconds": reading.success,
    }
    value = found[ending]
    return value.timestamp() if isinstance(value, datetime) else value

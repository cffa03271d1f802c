"""Metrics for node_exporter's textfile collector, by `prometheus_client`; named after those of cert-manager.

https://github.com/prometheus/node_exporter#textfile-collector: the file has to be replaced by a rename, and
its name has to end in .prom.
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
"""The mode of the file: node_exporter runs as another user."""

CERTIFICATE = {
    "not_before_timestamp_seconds": "Start of the certificate's validity.",
    "expiration_timestamp_seconds": "Expiry of the certificate.",
    "renewal_timestamp_seconds": "Time when the certificate is due for renewal.",
    "served": "Whether nginx serves the certificate: 1 or 0; absent if it is not checked.",
    "failures": "Failed attempts in a row.",
    "last_success_timestamp_seconds": "End of the last cycle without an error for the certificate.",
}
"""The metrics of a certificate: the end of the name, and the help text."""


class Textfile:
    """The file at `path`, replaced as a whole in each cycle."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def show(self, readings: Readings) -> None:
        """See `interfaces.Gauges`."""
        registry = CollectorRegistry()
        registry.register(_Once(tuple(families(readings))))
        files.write(self._path, generate_latest(registry), READABLE, owner=(os.geteuid(), os.getegid()))


class _Once:
    """A collector of values that are known already."""

    def __init__(self, found: tuple[Metric, ...]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        return self._found


def families(readings: Readings) -> Iterator[Metric]:
    """Yield the metrics: times in seconds since 1970, no sample for an unknown value."""
    for ending, told in CERTIFICATE.items():
        family = GaugeMetricFamily(f"renewer_certificate_{ending}", told, labels=["name"])
        for name, reading in readings.certificates.items():
            if (value := _figure(reading, ending)) is not None:
                family.add_metric([name], value)
        yield family
    keys = GaugeMetricFamily(
        "renewer_site_key_created_timestamp_seconds", "Time when a site got its key.", labels=["site"]
    )
    for name, since in readings.keys.items():
        keys.add_metric([name], since.timestamp())
    yield keys
    at = readings.at.timestamp()
    yield GaugeMetricFamily("renewer_last_cycle_timestamp_seconds", "End of the last cycle.", value=at)
    yield GaugeMetricFamily(
        "renewer_last_cycle_exit_code", "Exit code of the last cycle.", value=readings.exit_code
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

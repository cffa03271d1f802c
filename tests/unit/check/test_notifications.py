"""What `check` finds where people, monitors and metrics are told."""

from pathlib import Path

import pytest
from support.facts import missing
from support.scene import as_root, by_nobody, heard, put, scene, served, told

from renewer.check import (
    notifications,
)
from renewer.config.schema import Metrics, Notify
from renewer.core.finding import Status


def test_where_nobody_is_told_that_is_no_fault(tmp_path: Path) -> None:
    assert told(notifications.look(scene(tmp_path))) == [("outside.none", "ok")]


def test_the_folder_for_metrics(tmp_path: Path) -> None:
    textfile = tmp_path / "metrics" / "renewer.prom"
    (found,) = heard(scene(tmp_path), metrics=Metrics(textfile))
    assert (found.status, str(textfile.parent) in found.hint) == (Status.ERROR, True)
    textfile.mkdir(parents=True)
    (found,) = heard(scene(tmp_path), metrics=Metrics(textfile))
    assert (found.status, missing(found.what, textfile, "folder")) == (Status.ERROR, [])
    textfile.rmdir()
    assert heard(scene(tmp_path), metrics=Metrics(textfile))[0].status is Status.OK
    textfile.parent.chmod(0o1777)
    (found,) = heard(scene(tmp_path), metrics=Metrics(textfile))
    assert (found.status, f"chmod o-w {textfile.parent}" in found.hint) == (Status.ERROR, True)


@pytest.mark.parametrize(
    ("writable", "shut"),
    [("", True), ("/var/lib /srv/metrics", False), ("-/srv", False), ("/srv/metrics/x /srv/met", True)],
)
def test_a_folder_that_the_service_may_not_write_to(writable: str, *, shut: bool) -> None:
    assert notifications.shut(writable, Path("/srv/metrics")) is shut


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("", 0o600, "no address"),
        ("json://a.example", 0o644, "other users"),
        ("no address", 0o600, "line 1"),
    ],
)
def test_a_file_of_addresses_that_is_no_good(tmp_path: Path, text: str, mode: int, words: str) -> None:
    urls = put(tmp_path / "urls", text)
    urls.chmod(mode)
    (found,) = heard(scene(tmp_path), notify=Notify(urls_file=urls))
    assert (found.check, found.status, words in found.what) == ("outside.addresses", Status.ERROR, True)
    (found,) = heard(scene(tmp_path), notify=Notify(ping_file=tmp_path / "none"))
    assert (found.check, found.status, str(tmp_path / "none") in found.what) == (
        "outside.ping",
        Status.ERROR,
        True,
    )


@as_root
def test_a_file_of_addresses_that_the_service_may_not_read(shared: Path) -> None:
    looked, urls = served(shared), put(shared / "secrets/urls", "json://a.example")
    urls.chmod(0o600)
    (found,) = by_nobody(lambda: heard(looked, notify=Notify(urls_file=urls))).values()
    assert missing(found[1], "renewer.service", urls) == []
    assert found[2].endswith(f" {urls} && chmod 640 {urls}")
    urls.parent.chmod(0o700)
    (found,) = by_nobody(lambda: heard(looked, notify=Notify(urls_file=urls))).values()
    assert found[2].endswith("secrets")
    metrics = Metrics(urls.parent / "x" / "renewer.prom")
    assert by_nobody(lambda: heard(looked, metrics=metrics))["outside.textfile"][0] == "error"

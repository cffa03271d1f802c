"""Those outside are told how cycles end: real cycles, and a real server that takes notices and pings."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.fakes import Notes
from support.service import CHECK, PASSWORD, Service
from support.world import NAME, Done, Run, World, children, eventually, table

from renewer.core.errors import RenewerError
from renewer.core.notice import Message
from renewer.notify import apprise_worker, healthcheck, messages

KILLED_ONCE_TOLD = """
import os, signal, sys
from renewer.cli import main as cli
from renewer.core import notice
notice.Record.told = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
cli.main()
"""

OTHER = "second.example"


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


def secret(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


def listen(world: World, service: Service, *names: str, token: str | None = None) -> Path:
    """Configure all who may listen; return the textfile. With `token` Cloudflare refuses the program."""
    textfile = world.folder / "renewer.prom"
    urls = secret(world.folder / "urls", f"# the hook\n{service.urls}\n")
    check = secret(world.folder / "check", service.ping + "\n")
    tables = (
        *(table(name) for name in names or world.names),
        f'[metrics]\ntextfile = "{textfile}"\n',
        f'[notify]\nurls_file = "{urls}"\nping_file = "{check}"\n',
    )
    world.write(*tables, token=token)
    return textfile


def figures(textfile: Path) -> dict[tuple[str, str], float]:
    return {
        (sample.name.removeprefix("renewer_"), sample.labels.get("name", "")): sample.value
        for family in text_string_to_metric_families(textfile.read_text())
        for sample in family.samples
    }


def silent_about_addresses(world: World, *runs: Done) -> None:
    """See that no address is in what was printed or written, but for the files that hold it."""
    said = "".join(done.out + done.err for done in runs)
    kept = b"".join(content for _, content in world.files().values())
    for word in (PASSWORD, CHECK):
        assert word not in said
        assert word.encode() not in kept


WRONG = "a-made-up-token-of-forty-characters-abcd"


def test_a_failure_is_told_once_and_its_end_once(world: World, service: Service) -> None:
    textfile = listen(world, service, token=WRONG)
    runs = [world.renew(), world.renew()]
    assert [done.code for done in runs] == [1, 1], runs
    assert service.titles == [f"{NAME} failed"]
    body = service.notices[0]["message"]
    assert str(runs[0].one["error"]) in body
    assert all(hint.removeprefix("  -> ") in body for hint in runs[0].hints)
    assert service.pings == ["/CHECK/fail", "/CHECK/fail"]
    failed = figures(textfile)
    assert failed["certificate_failures", NAME] == 2
    assert failed["last_cycle_exit_code", ""] == 1

    listen(world, service)
    runs += [world.renew(), world.renew()]
    assert [done.one["action"] for done in runs[2:]] == ["issued", "fresh"]
    assert service.titles == [f"{NAME} failed", f"{NAME} has recovered"]
    assert service.pings[2:] == ["/CHECK", "/CHECK"]
    well = figures(textfile)
    assert well["certificate_failures", NAME] == 0
    assert well["certificate_served", NAME] == 1
    assert well["certificate_expiration_timestamp_seconds", NAME] > well["last_cycle_timestamp_seconds", ""]
    assert textfile.stat().st_mode & 0o777 == 0o644
    runs.append(world.renew("--dry-run"))
    assert len(service.pings) == 4
    runs.append(world.renewer("revoke", NAME))
    assert service.pings[4:] == ["/CHECK"]
    silent_about_addresses(world, *runs)


def test_try_later_is_no_failure_yet(world: World, service: Service) -> None:
    textfile = listen(world, service)
    world.box.pebble.stop()
    assert world.renew().code == 75
    assert (service.titles, service.pings) == ([], [])
    assert figures(textfile)["last_cycle_exit_code", ""] == 75


def test_a_service_that_hangs_or_refuses_fails_no_cycle_and_is_told_again(
    world: World, service: Service
) -> None:
    listen(world, service, token=WRONG)
    secret(world.folder / "urls", service.urls.replace("rto=60", "rto=1"))
    service.hangs = "POST"
    hung = world.renew()
    service.hangs, service.code = "", 302
    refused = world.renew()
    service.code = 200
    secret(world.folder / "urls", f"{service.urls}\nnonsense://me:{PASSWORD}@a.example/\n")
    taken = world.renew()
    for done in (hung, refused, taken):
        assert (done.code, done.one["action"]) == (1, "failed")
    assert "notices: line 1 of " in hung.err
    assert f"{apprise_worker.REFUSED}\n" in refused.err
    assert "ping: the monitor could not be pinged: it answers 302" in refused.err
    assert f"line 2 of {world.folder}/urls: {apprise_worker.UNKNOWN}" in taken.err
    assert service.titles == [f"{NAME} failed"]
    silent_about_addresses(world, hung, refused, taken)


def test_where_nobody_is_there_a_certificate_is_still_obtained(world: World, service: Service) -> None:
    listen(world, service)
    text = world.config.read_text().replace("renewer.prom", "none/renewer.prom")
    world.config.write_text(text)
    service.close()
    (world.folder / "urls").unlink()
    done = world.renew()
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True)
    assert "metrics: cannot write" in done.err
    assert "notices: notify.urls_file:" in done.err
    assert "ping: the monitor could not be pinged: Connection refused" in done.err
    silent_about_addresses(world, done)


def test_killed_between_told_and_written_down_it_tells_once_more_and_no_more(
    world: World, service: Service
) -> None:
    listen(world, service, token=WRONG)
    died = subprocess.run(
        [sys.executable, "-c", KILLED_ONCE_TOLD, "-c", str(world.config), "renew"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    for _ in range(2):
        assert world.renew().code == 1
    assert service.titles == [f"{NAME} failed"] * 2


def test_a_cycle_for_one_certificate_keeps_the_lines_of_the_others(make: Any, service: Service) -> None:
    world = make(NAME, OTHER)
    textfile = listen(world, service)
    assert world.renew().code == 0
    before = figures(textfile)
    assert world.renew("--force", NAME).code == 0
    after = figures(textfile)
    assert before.keys() == after.keys()
    changed = {name for (_, name), value in after.items() if before[_, name] != value}
    assert changed == {NAME, ""}
    assert service.pings == ["/CHECK", "/CHECK"]


def test_what_ends_a_cycle_before_it_began_is_told(world: World, service: Service) -> None:
    listen(world, service)
    text = world.config.read_text()
    world.config.write_text(text.replace("[nginx]", '[nginx]\nbinary = "/no/nginx"'))
    for _ in range(2):
        assert world.renewer("renew").code == 78
    assert world.renewer("renew", "of-no-such-name").code == 78
    world.config.write_text(text)
    assert world.renewer("renew", "of-no-such-name").code == 78  # a person's slip is nobody else's business
    assert service.titles == ["renewer failed"]
    assert "nginx.binary: /no/nginx cannot be run" in service.notices[0]["message"]
    assert service.pings == ["/CHECK/fail"] * 3
    assert world.renewer("renew").code == 0
    assert service.titles[1:] == ["renewer has recovered"]


def test_the_daemon_tells_that_its_worker_was_killed(world: World, service: Service) -> None:
    listen(world, service)
    world.box.nameservers[1].silent = True
    daemon = world.start("run")
    eventually(world.waits_for_dns)
    (worker,) = children(daemon.pid)
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: service.pings)
    assert service.titles == ["renewer failed"]
    assert "killed before it could finish" in service.notices[0]["message"]
    assert service.pings == ["/CHECK/fail"]
    world.box.nameservers[1].silent = False
    eventually(lambda: len(service.pings) > 1)
    assert service.titles[1:] == ["renewer has recovered"]
    assert service.pings[1:] == ["/CHECK"]
    silent_about_addresses(world, ended(daemon))


def ended(daemon: Run) -> Done:
    daemon.send(signal.SIGTERM)
    return daemon.wait()


# -- bounds, in this process --------------------------------------------------------------------------------


def test_a_service_that_hangs_is_left_after_a_while_and_holds_up_nobody(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "PATIENCE", 5.0)
    other = Service()
    service.hangs = "POST"
    path, notes = secret(tmp_path / "urls", f"{service.urls}\n{other.urls}\n"), Notes()
    addresses = messages.Addresses(path, "notify.urls_file", notes)
    first, second = addresses.known()
    message = Message("title", "body", good=True)
    assert addresses.deliver({first: message, second: message}) == [second]
    assert other.notices[0]["type"] == "success"
    ((subject, said),) = notes.of("problem")
    assert (subject, f"line 1 of {path}: {apprise_worker.SLOW}" in said) == ("notices", True)
    other.close()


def test_a_courier_that_does_not_even_end_is_ended(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "COURIER", (sys.executable, "-c", "import time; time.sleep(600)"))
    monkeypatch.setattr(messages, "PATIENCE", 0.5)
    monkeypatch.setattr(messages, "SPARE", 0.5)
    path, notes = secret(tmp_path / "urls", service.urls), Notes()
    addresses = messages.Addresses(path, "notify.urls_file", notes)
    (me,) = addresses.known()
    assert addresses.deliver({me: Message("title", "body", good=False)}) == []
    assert len(notes.of("problem")) == 1


@pytest.mark.parametrize("code", [302, 404, 500])
def test_a_monitor_that_refuses_is_an_error_without_its_address(service: Service, code: int) -> None:
    service.code = code
    with pytest.raises(RenewerError, match=f"it answers {code}") as caught:
        healthcheck.Ping(lambda: service.ping).beat(good=True)
    assert CHECK not in f"{caught.value!r} {caught.value.hint}"
    assert caught.value.__context__ is None


def test_a_monitor_that_hangs_is_left_after_a_while(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healthcheck, "PATIENCE", 0.5)
    service.hangs = "GET"
    with pytest.raises(RenewerError, match=r"did not answer within 0\.5 s|timed out|TimeoutError"):
        healthcheck.Ping(lambda: service.ping).beat(good=True)


def test_a_monitor_whose_certificate_nobody_vouches_for_is_not_told(world: World) -> None:
    with pytest.raises(RenewerError, match="could not be pinged") as caught:
        healthcheck.Ping(lambda: f"https://127.0.0.1:{world.port}/{CHECK}").beat(good=True)
    assert CHECK not in str(caught.value)

"""The looks of `check` that need no server: side by side, certificates, this machine's files."""

import grp
import json
import os
import pwd
import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from support.fakes import DAY, NOW, FakeClock, FakeProvider, MemJournal, material, spec

from renewer.acme.directory import Directory
from renewer.check import (
    ca,
    certificates,
    nginx,
    notifications,
    other_clients,
    registry,
    scheduling,
    state_folder,
    zones,
)
from renewer.check.context import Scene
from renewer.check.finding import Finding, Group, Status, Topic, exit_code
from renewer.check.runner import Look, around
from renewer.config.acme import DIRECTORIES, Acme, FallbackCa
from renewer.config.schema import Certificate, Config, Metrics, Notify
from renewer.core.errors import ConfigError, Refused, Stopped, Transient
from renewer.core.failure import Failure, Stage
from renewer.core.journal import Handle, TxtRecord
from renewer.core.model import Reason
from renewer.core.provenance import Provenance
from renewer.core.rate_limits import ORDERS, Event, EventKind, History, Limit
from renewer.system import privileges
from renewer.system.clock import SystemClock
from renewer.system.console import Silent

NAME = "example.com"
LETS_ENCRYPT = DIRECTORIES["letsencrypt"]


def told(findings: Iterator[Finding]) -> list[tuple[str, str]]:
    return [(one.check, one.status) for one in findings]


class Heard(Silent):
    """A report that keeps the bugs."""

    def __init__(self) -> None:
        super().__init__()
        self.bugs: list[Exception] = []

    def bug(self, subject: str, error: Exception) -> None:
        del subject
        self.bugs.append(error)


# -- side by side -------------------------------------------------------------------------------------------


def fine() -> Iterator[Finding]:
    yield Topic(Group.NGINX).ok("test", "fine")


def broken() -> Iterator[Finding]:
    yield Topic(Group.CA).ok("reach", "found before it broke")
    raise KeyError("a bug")


def refused() -> Iterator[Finding]:
    raise Refused("no", hint="do this")
    yield


def test_a_look_that_breaks_hides_no_other() -> None:
    report = Heard()
    looks = [Look(Group.NGINX, fine), Look(Group.CA, broken), Look(Group.DNS, refused)]
    found = around(looks, SystemClock(), report)
    assert told(iter(found)) == [
        ("dns.look", "error"),
        ("ca.reach", "ok"),
        ("ca.bug", "error"),
        ("nginx.test", "ok"),
    ]
    assert "KeyError('a bug')" in found[2].what
    assert [type(bug) for bug in report.bugs] == [KeyError]
    assert (found[0].what, found[0].hint) == ("no", "do this")


def test_a_look_that_hangs_holds_up_no_other() -> None:
    forever = threading.Event()

    def hanging() -> Iterator[Finding]:
        yield Topic(Group.CA).ok("reach", "found before it hung")
        forever.wait()

    found = around([Look(Group.CA, hanging, limit=0.05), Look(Group.NGINX, fine)], SystemClock(), Heard())
    forever.set()
    assert told(iter(found)) == [("ca.reach", "ok"), ("ca.time", "error"), ("nginx.test", "ok")]


def test_who_cleans_up_is_waited_for_when_asked_to_end() -> None:
    clock, cleaned = SystemClock(), threading.Event()

    def cleaning() -> Iterator[Finding]:
        yield Topic(Group.ZONES).ok("edit", "created")
        clock.stop()
        threading.Event().wait(0.1)
        cleaned.set()

    with pytest.raises(Stopped):
        around([Look(Group.ZONES, cleaning, tidies=True)], clock, Heard())
    assert cleaned.is_set()


def test_the_exit_code_is_that_of_the_worst() -> None:
    topic = Topic(Group.CA)
    warning, error = topic.warning("x", "", "", ""), topic.error("x", "", "", "")
    unread = Topic(Group.CONFIGURATION).error("file", "", "", "")
    assert exit_code([]) == exit_code([topic.ok("x", ""), warning]) == 0
    assert exit_code([warning, error]) == 1
    assert exit_code([unread]) == 78


# -- the certificates ---------------------------------------------------------------------------------------


def test_more_names_than_the_profile_takes() -> None:
    many = [f"n{number}.example.com" for number in range(26)]
    short = replace(spec(NAME, *many), directory_url=LETS_ENCRYPT, profile="shortlived")
    (found,) = certificates.too_many([short])
    assert "26 domains, but profile shortlived allows only 25" in found.what
    assert (
        list(
            certificates.too_many([replace(short, profile=None), replace(short, directory_url="https://x/")])
        )
        == []
    )
    assert list(certificates.too_many([replace(short, domains=tuple(many[:25]))])) == []


def test_a_certificate_that_another_one_makes_needless() -> None:
    wild, www = spec("w", "example.com", "*.example.com"), spec("www", "www.example.com")
    deep = spec("deep", "a.b.example.com")
    assert ["www" in one.what for one in certificates.needless([wild, www, deep])] == [True]
    assert list(certificates.needless([wild, deep])) == []
    assert list(certificates.needless([www, spec("some", "www.example.com", "x.example")])) != []


def test_a_limit_of_the_ca_that_is_reached() -> None:
    one = spec(NAME)
    history = History((Event(NOW, EventKind.ORDER, (NAME,)),))
    limits = [Limit(ORDERS, 1, timedelta(hours=3))]
    (found,) = certificates.held(one, history, limits, None, NOW)
    assert (found.status, "before 2026-11-23 15:00 UTC: 1 of 1 orders" in found.what) == (Status.ERROR, True)
    assert list(certificates.held(one, history, limits, material(one), NOW)) == []  # a renewal does not count
    assert list(certificates.held(one, history, limits, None, NOW + DAY)) == []


def test_a_certificate_that_has_ended_or_is_revoked_and_a_try_that_failed() -> None:
    failure = Failure(Stage.ISSUE, 3, NOW, NOW + DAY, "the CA is on fire", "put it out")
    kept = material(spec(NAME), life=2 * DAY)
    known = Provenance().noted(kept)
    assert list(certificates.ending(spec(NAME), kept, known, None, NOW)) == []
    revoked = known.noted(kept, Reason.KEY_COMPROMISE)
    assert told(certificates.ending(spec(NAME), kept, revoked, failure, NOW + 2 * DAY)) == [
        ("renewal.ended", "error"),
        ("renewal.revoked", "error"),
        ("renewal.failure", "warning"),
    ]


# -- the CA -------------------------------------------------------------------------------------------------


def scene(folder: Path, acme: Acme | None = None, profile: str | None = None) -> Scene:
    certificate = Certificate((NAME, f"*.{NAME}"), profile=profile)
    config = Config(state=folder / "state", acme=acme or Acme(), certificates={NAME: certificate})
    return Scene(config, "renewer.toml", FakeClock(), folder)


def known(scene: Scene, **more: object) -> Scene:
    """Return the scene with a CA that tells this of itself."""
    usual = {"profiles": (), "caa_identities": (), "customers_only": False, "behind": timedelta(0)}
    answer = Directory(directory_url=LETS_ENCRYPT, terms="https://terms", **(usual | more))  # type: ignore[arg-type]
    object.__setattr__(scene, "directory", lambda _: answer)
    return scene


def test_a_profile_that_the_ca_does_not_offer(tmp_path: Path) -> None:
    offered = {"profiles": ("classic", "shortlived")}
    assert told(ca.look(known(scene(tmp_path, profile="shortlived"), **offered))) == [("ca.reach", "ok")]
    (found,) = ca.look(known(scene(tmp_path, profile="shortlivd"), **offered))
    assert (found.check, found.status) == ("ca.profile", "error")
    assert "set profile to one of classic, shortlived" in found.hint


def test_an_account_that_only_customers_get(tmp_path: Path) -> None:
    (found,) = ca.look(known(scene(tmp_path), customers_only=True))
    assert (found.check, found.status) == ("ca.binding", "error")
    assert "eab_kid" in found.hint
    acme = Acme(eab_kid="kid", eab_hmac_key_file=tmp_path / "missing")
    (found,) = ca.look(known(scene(tmp_path, acme), customers_only=True))
    assert "missing cannot be read" in found.what


def test_a_ca_that_only_steps_in_may_bite_at_most(tmp_path: Path) -> None:
    second = "https://ca.example/directory"
    looked = known(scene(tmp_path, Acme(fallbacks=(FallbackCa(second),))))
    first = looked.directory

    def answer(server: str) -> Directory:
        if server == second:
            raise Transient("no answer")
        return first(server)

    object.__setattr__(looked, "directory", answer)
    assert told(ca.look(looked)) == [("ca.reach", "ok"), ("ca.reach", "warning")]


def test_a_ca_for_trials(tmp_path: Path) -> None:
    found = ca.look(known(scene(tmp_path, Acme(server="letsencrypt-staging"))))
    assert told(found) == [("ca.reach", "ok"), ("ca.staging", "warning")]


@pytest.mark.parametrize(
    ("behind", "status", "words"),
    [
        (timedelta(minutes=4), "ok", "agrees with"),
        (timedelta(minutes=6), "warning", "6 minutes behind the CA's"),
        (timedelta(minutes=-90), "warning", "90 minutes ahead of the CA's"),
        (None, "ok", "not available to compare"),
    ],
)
def test_a_clock_that_is_a_little_off(
    tmp_path: Path, behind: timedelta | None, status: str, words: str
) -> None:
    (found,) = ca.clock(known(scene(tmp_path), behind=behind))
    assert (found.status, words in found.what) == (status, True)


# -- the zones ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "value", "left"),
    [
        (zones.ABANDONED + timedelta(seconds=1), None, True),
        (zones.ABANDONED, None, False),
        (timedelta(0), None, False),
        (DAY, "somebody else's", False),
        (DAY, "1764000000.too-short", False),
    ],
)
def test_a_record_of_a_check_that_was_killed(age: timedelta, value: str | None, *, left: bool) -> None:
    record = zones.trial(NAME, NOW - age)
    assert record.name == f"_renewer-check.{NAME}"
    assert zones.abandoned(replace(record, value=value) if value else record, NOW) is left


class SlowDns(FakeProvider):
    """A DNS in which every record takes 4 seconds."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock

    def present(self, records: Sequence[TxtRecord]) -> Sequence[Handle]:
        self.clock.sleep(4)
        return super().present(records)

    def named(self, name: str) -> Sequence[Handle]:
        return self.find([one for one in self.standing.values() if one.name == name])


def test_no_record_is_created_that_there_may_be_no_time_to_remove() -> None:
    clock, journal, right = FakeClock(), MemJournal(), list[TxtRecord]()
    dns = SlowDns(clock)
    every = {f"z{number:02}.example": f"id{number}" for number in range(20)}
    found = list(zones._created(dns, journal, every, right, clock))  # type: ignore[arg-type]
    assert [one.status for one in found] == [Status.OK] * 5 + [Status.WARNING]
    assert "in z05.example, z06.example, z07.example, z08.example, z09.example and 10 more" in found[-1].what
    assert journal.load().records == tuple(right) == tuple(dns.standing.values())


# -- those outside ------------------------------------------------------------------------------------------


def heard(scene: Scene, **tables: Metrics | Notify) -> list[Finding]:
    object.__setattr__(scene, "config", msgspec.structs.replace(scene.config, **tables))
    return list(notifications.look(scene))


def test_where_nobody_is_told_that_is_no_fault(tmp_path: Path) -> None:
    assert told(notifications.look(scene(tmp_path))) == [("outside.none", "ok")]


def test_the_folder_for_metrics(tmp_path: Path) -> None:
    textfile = tmp_path / "metrics" / "renewer.prom"
    (found,) = heard(scene(tmp_path), metrics=Metrics(textfile))
    assert (found.status, found.hint.startswith("create it ")) == (Status.ERROR, True)
    textfile.mkdir(parents=True)
    (found,) = heard(scene(tmp_path), metrics=Metrics(textfile))
    assert (found.status, found.what) == (Status.ERROR, f"{textfile} is a folder")
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
        ("", 0o600, "contains no address"),
        ("json://a.example", 0o644, "mode 0644"),
        ("no address", 0o600, "line 1 of"),
    ],
)
def test_a_file_of_addresses_that_is_no_good(tmp_path: Path, text: str, mode: int, words: str) -> None:
    urls = put(tmp_path / "urls", text)
    urls.chmod(mode)
    (found,) = heard(scene(tmp_path), notify=Notify(urls_file=urls))
    assert (found.check, found.status, words in found.what) == ("outside.addresses", Status.ERROR, True)
    (found,) = heard(scene(tmp_path), notify=Notify(ping_file=tmp_path / "none"))
    assert (found.check, found.status, "cannot be read" in found.what) == ("outside.ping", Status.ERROR, True)


# -- this machine -------------------------------------------------------------------------------------------


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


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
    assert (found.status, found.what) == ("ok", f"renewals are triggered by {way}")


def test_a_service_that_does_not_run_renews_nothing(tmp_path: Path) -> None:
    put(tmp_path / "etc/systemd/system/multi-user.target.wants/renewer.service")
    found = next(scheduling.trigger(scene(tmp_path)))
    assert (found.check, found.status) == ("renewal.trigger", "warning")
    assert "no daemon runs" in found.what
    assert found.hint == "find out why: systemctl status renewer"


@pytest.mark.parametrize(
    ("active", "enabled", "status", "hint"),
    [
        ("active", "enabled", "ok", ""),
        ("active", "enabled-runtime", "ok", ""),
        ("active", "disabled", "warning", "run: systemctl enable --now renewer-reload.path"),
        ("inactive", "enabled", "error", "run: systemctl enable --now renewer-reload.path"),
        ("failed", "enabled", "error", "run: systemctl enable --now renewer-reload.path"),
        (
            "inactive",
            "masked",
            "error",
            "run: systemctl unmask renewer-reload.path && systemctl enable --now",
        ),
        ("inactive", "not-found", "error", "install it: renewer install-service"),
    ],
)
def test_a_reload_helper_that_hears_nothing(active: str, enabled: str, status: str, hint: str) -> None:
    found = nginx.helper(active, enabled)
    assert (found.check, found.status, found.hint.startswith(hint)) == ("nginx.helper", status, True)
    assert status == "ok" or enabled in found.what


@pytest.mark.parametrize("line", ["# 0 0 * * * root renewer renew", "0 0 * * * root renewer status", ""])
def test_what_sets_nothing_off(tmp_path: Path, line: str) -> None:
    put(tmp_path / "etc/crontab", line)
    found = next(scheduling.trigger(scene(tmp_path)))
    assert (found.check, found.status) == ("renewal.trigger", "warning")
    assert found.hint.startswith("run: renewer install-service; or ")


@pytest.mark.parametrize(
    ("path", "text", "client"),
    [
        ("etc/letsencrypt/renewal/example.com.conf", "cert = /nowhere/cert.pem\n", "certbot"),
        (
            "root/.acme.sh/x_ecc/x.conf",
            "Le_Domain='x.example'\nLe_Alt='*.example.com,y'\n",
            "acme.sh",
        ),
        ("home/me/.lego/certificates/x.json", json.dumps({"domain": "www.example.com"}), "lego"),
        ("data/letsencrypt/renewal/example.com.conf", "", "Nginx Proxy Manager"),
    ],
)
def test_another_client_with_the_same_names(tmp_path: Path, path: str, text: str, client: str) -> None:
    put(tmp_path / path, text)
    (found,) = other_clients.look(scene(tmp_path))
    assert found.what.startswith(f"{client} has a certificate for ")
    assert f"(/{path})" in found.what
    assert "nothing found here renews it" in found.why
    units = {"certbot": "certbot.timer", "lego": "lego.timer"}
    if client in units:
        put(tmp_path / "etc/systemd/system/timers.target.wants" / units[client])
        (found,) = other_clients.look(scene(tmp_path))
        assert units[client] in found.why


def test_a_foreign_name_that_is_no_domain_is_in_no_command(tmp_path: Path) -> None:
    put(
        tmp_path / "root/.acme.sh/x/x.conf",
        "Le_Domain='$(touch pwned;).example.com'\nLe_Alt='*.example.com'\n",
    )
    (found,) = other_clients.look(scene(tmp_path))
    assert shlex.split(found.hint)[:4] == ["acme.sh", "--remove", "-d", "example.com;"]
    assert "pwned" not in f"{found}"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/letsencrypt/renewal/other.example.conf", ""),
        ("root/.acme.sh/x/x.conf", "Le_Domain='notexample.com'\nLe_Alt='no'\n"),
        ("root/.lego/certificates/x.json", "no json"),
        ("root/.lego/certificates/x.json", "[]"),
        ("etc/dehydrated/certs/example.com/cert.pem", "no certificate"),
    ],
)
def test_another_client_with_other_names_is_no_rival(tmp_path: Path, path: str, text: str) -> None:
    put(tmp_path / path, text)
    assert told(other_clients.look(scene(tmp_path))) == [("others.rival", "ok")]


def test_a_state_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert told(state_folder.look(scene(tmp_path))) == [("state.folder", "ok"), ("state.room", "ok")]
    assert list(tmp_path.iterdir()) == []


# -- root beside a service ----------------------------------------------------------------------------------


NOBODY = pwd.getpwnam("nobody")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user's rights, which takes root")


def by_nobody(look: Callable[[], Iterable[Finding]]) -> dict[str, list[str]]:
    """Look with the rights of nobody, in a process of its own; return status, words and hints by check."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(NOBODY.pw_gid, NOBODY.pw_gid, NOBODY.pw_gid)
        os.setresuid(NOBODY.pw_uid, NOBODY.pw_uid, NOBODY.pw_uid)
        found = {one.check: [one.status, one.what, one.hint] for one in look()}
        os.write(writer, json.dumps(found).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as said:
        answer: dict[str, list[str]] = json.load(said)
    return answer


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A folder that everybody may enter, with a state folder of nobody's in it."""
    for folder in (tmp_path, *tmp_path.parents):
        if "pytest-of-" in str(folder):
            folder.chmod(0o755)
    (tmp_path / "state").mkdir(mode=0o700)
    os.chown(tmp_path / "state", NOBODY.pw_uid, NOBODY.pw_gid)
    yield tmp_path
    (tmp_path / "state").chmod(0o700)


def served(folder: Path) -> Scene:
    """Return the scene with a service in place that is enabled for its configuration."""
    looked = replace(scene(folder), file=str(put(folder / "conf/renewer.toml")))
    unit = put(folder / "etc/systemd/system/renewer.service", f"ExecStart=renewer -c {looked.file} run\n")
    assert looked.unit == ""
    put(unit.parent / "multi-user.target.wants" / unit.name)
    assert looked.unit == unit.name
    return looked


@as_root
@pytest.mark.parametrize("mode", [0o000, 0o555])
def test_a_state_folder_that_its_owner_may_not_use(shared: Path, mode: int) -> None:
    folder = shared / "state"
    folder.chmod(mode)
    found = by_nobody(lambda: state_folder.look(scene(shared)))
    what = f"the user nobody may not write to {folder}"
    assert found["state.writable"] == ["error", what, f"run: chmod 700 {folder}"]
    assert ("state.file" in found) == (mode == 0o555)


@as_root
def test_a_state_folder_that_root_has_left_something_in(shared: Path) -> None:
    left = put(shared / "state/store/failure/example.com.json", "{}").parent.parent
    found = by_nobody(lambda: state_folder.look(scene(shared)))
    assert found["state.writable"][1] == f"the user nobody may not change {left}"
    assert found["state.writable"][2].endswith(f"chown -Rh nobody: {left} && chmod -R u+rwX {left}")


@as_root
def test_a_state_folder_that_root_took_from_the_service(shared: Path) -> None:
    os.chown(shared / "state", 0, 0)
    assert "state.owner" not in [one.check for one in state_folder.look(scene(shared))]
    (found,) = [one for one in state_folder.look(served(shared)) if one.check == "state.owner"]
    assert (found.status, found.hint) == ("error", "run: renewer install-service, which corrects the owner")
    assert "renewer.service runs as the user renewer" in found.what


@as_root
def test_a_configuration_that_the_service_may_not_read(shared: Path) -> None:
    looked = served(shared)
    Path(looked.file).chmod(0o600)
    found = by_nobody(lambda: registry.configuration(looked))["configuration.readable"]
    cure = f"give the service's group access: chgrp {{}} {looked.file} && chmod 640 {looked.file}"
    group = grp.getgrgid(NOBODY.pw_gid).gr_name
    words = f"the service (renewer.service) may not read {looked.file}"
    assert found == ["error", words, cure.format(group)]
    assert "configuration.readable" not in [one.check for one in registry.configuration(looked)]
    (shared / "conf").chmod(0o700)
    hint = by_nobody(lambda: registry.configuration(looked))["configuration.readable"][2]
    assert hint.endswith(f"chgrp {group} {shared}/conf && chmod 750 {shared}/conf")


@as_root
def test_a_file_of_addresses_that_the_service_may_not_read(shared: Path) -> None:
    looked, urls = served(shared), put(shared / "secrets/urls", "json://a.example")
    urls.chmod(0o600)
    (found,) = by_nobody(lambda: heard(looked, notify=Notify(urls_file=urls))).values()
    assert found[1] == f"the service (renewer.service) may not read {urls}"
    assert found[2].endswith(f" {urls} && chmod 640 {urls}")
    urls.parent.chmod(0o700)
    (found,) = by_nobody(lambda: heard(looked, notify=Notify(urls_file=urls))).values()
    assert found[2].endswith("secrets")
    metrics = Metrics(urls.parent / "x" / "renewer.prom")
    assert by_nobody(lambda: heard(looked, metrics=metrics))["outside.textfile"][0] == "error"


def test_root_looks_at_what_only_root_may_see_and_then_becomes_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def seen(name: str) -> Callable[[Scene], Iterator[Finding]]:
        return lambda _: iter([order.append(name) or Topic(Group.NGINX).ok(name, "")])

    def shut_out(*_: object) -> None:
        order.append("settled")
        raise ConfigError("nobody may not read the program", hint="install it for all")

    for room, name in ((nginx, "program"), (scheduling, "trigger"), (other_clients, "look")):
        monkeypatch.setattr(room, name, seen(room.__name__))
    monkeypatch.setattr(privileges, "owner_to_become", lambda _: NOBODY)
    monkeypatch.setattr(privileges, "settle", shut_out)
    found = registry.look(replace(scene(tmp_path), clock=SystemClock()), Heard())
    assert (order[-1], len(order)) == ("settled", 4)
    assert (found[0].check, found[0].status, found[0].hint) == ("state.owner", "error", "install it for all")

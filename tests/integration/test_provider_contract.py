"""What every DNS provider holds to, found by its table and entry point; name servers say what came of it."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from support.fakes import FakeClock, MemStore, Notes
from support.world import NAME, World

from renewer import app
from renewer.config import load, providers
from renewer.core.errors import ConfigError, Refused
from renewer.core.interfaces import DnsProvider
from renewer.core.journal import Handle, TxtRecord
from renewer.dns import provider as dns_provider
from renewer.dns.cloudflare import PROVIDER as CLOUDFLARE
from renewer.dns.propagation import NameServer
from renewer.dns.resolver import _values
from renewer.store.state import State
from sandbox import Sandbox
from sandbox.zones import Record, Zone
from sandbox.zones import State as ZoneState

TESTS = Path(__file__).parents[1]
ZONES = ("example.com", "sub.example.com", "example.net")
CHALLENGE = "_acme-challenge.example.com"
ONE, TWO = TxtRecord(CHALLENGE, "one"), TxtRecord(CHALLENGE, "two")
DEEP = TxtRecord("_acme-challenge.www.sub.example.com", "deep")
NET = TxtRecord("_acme-challenge.example.net", "net")
OUTSIDE = "_acme-challenge.example.org"
CERTIFICATE = f'[certificate."{NAME}"]\ndomains = ["{NAME}"]\n'


def install(folder: Path) -> Path:
    """Put the entry point of the example where that of an installed package would be; return the folder."""
    information = folder / "zone_file-1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: zone-file\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        f"[{providers.GROUP}]\nzone_file = support.zone_file:PROVIDER\n"
    )
    return folder


class FileZone(Zone):
    """A zone of the sandbox that holds what its zone file says."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(name)
        self._file = folder / f"{name}.zone"
        self._file.touch()

    def at(self, moment: float) -> ZoneState:
        lines = [line.split(" ") for line in self._file.read_text().splitlines()]
        records = [Record.plain(line[0].rstrip("."), line[3], line[4], int(line[1])) for line in lines]
        return ZoneState(moment, 1, {record.id: record for record in records})


def serve(box: Sandbox, folder: Path) -> None:
    """Have the name servers of the sandbox serve zone files."""
    folder.mkdir(exist_ok=True)
    for server in (*box.nameservers, box.recursor):
        server._zones |= {name: FileZone(folder, name) for name in box.zones}  # type: ignore[operator]


class Case(ABC):
    """A provider as its table configures it, and the name servers behind it."""

    def __init__(self, box: Sandbox, folder: Path) -> None:
        self.box, self.folder = box, folder
        self.memory = State(MemStore(), Notes())

    @property
    @abstractmethod
    def table(self) -> str:
        """The provider's table in the configuration."""

    @abstractmethod
    def foreign(self, record: TxtRecord) -> None:
        """Put a record there as another program would."""

    def provider(self) -> DnsProvider:
        """Return the provider of the next run."""
        config = load.parse(f"{self.table}\n{CERTIFICATE}", "a test")
        return app.dns(config, self.memory, FakeClock(), Notes())

    def shown(self, name: str) -> set[str]:
        """Return the values that every name server shows."""
        port = self.box._dns.port
        seen = [_values(NameServer("", one.address, (port,)), name) for one in self.box.nameservers]
        assert all(one == seen[0] for one in seen)
        return seen[0]


class CloudflareCase(Case):
    @property
    def table(self) -> str:
        return f'[cloudflare]\ntoken_file = "{self.box.token_file}"\nbase_url = "{self.box.api_url}"\n'

    def foreign(self, record: TxtRecord) -> None:
        self.box.zones["example.com"].add(record.name, "TXT", f'"{record.value}"')


class ZoneFileCase(Case):
    def __init__(self, box: Sandbox, folder: Path) -> None:
        super().__init__(box, folder)
        serve(box, folder)

    @property
    def table(self) -> str:
        return f'[zone_file]\nfolder = "{self.folder}"\n'

    def foreign(self, record: TxtRecord) -> None:
        with (self.folder / "example.com.zone").open("a") as file:
            file.write(f'{record.name}. 60 IN TXT "{record.value}"\n')


CASES: dict[str, Callable[[Sandbox, Path], Case]] = {"cloudflare": CloudflareCase, "zone_file": ZoneFileCase}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    monkeypatch.syspath_prepend(install(tmp_path / "installed"))
    with Sandbox(tmp_path / "box", ZONES, ca=False, delays=(0.0, 0.0)) as box:
        box.toml(tmp_path)  # writes the token
        yield CASES[request.param](box, tmp_path / "zones")


def values(handles: Sequence[Handle]) -> list[str]:
    return sorted(handle.record.value for handle in handles)


class TestEveryProvider:
    def test_what_is_created_is_shown_and_what_is_removed_is_not(self, case: Case) -> None:
        dns = case.provider()
        dns.begin()
        dns.check([CHALLENGE])
        handles = dns.present([ONE])
        assert (case.shown(CHALLENGE), [handle.record for handle in handles]) == ({"one"}, [ONE])
        case.provider().remove(handles)
        assert case.shown(CHALLENGE) == set()

    def test_several_values_stand_at_one_name(self, case: Case) -> None:
        dns = case.provider()
        handles = dns.present([ONE, TWO])
        assert case.shown(CHALLENGE) == {"one", "two"}
        dns.remove([one for one in handles if one.record == ONE])
        assert case.shown(CHALLENGE) == {"two"}

    def test_what_is_there_is_adopted(self, case: Case) -> None:
        first = case.provider().present([ONE])
        dns = case.provider()
        handles = dns.present([ONE, TWO])
        assert values(handles) == ["one", "two"]
        assert first[0] in handles
        assert values(dns.named(CHALLENGE)) == ["one", "two"]
        dns.remove(handles)
        assert (case.shown(CHALLENGE), list(dns.named(CHALLENGE))) == (set(), [])

    def test_what_is_gone_counts_as_removed(self, case: Case) -> None:
        dns = case.provider()
        handles = dns.present([ONE, TWO])
        dns.remove(handles[:1])
        dns.remove(handles)
        dns.remove(handles)
        dns.remove([])
        assert case.shown(CHALLENGE) == set()

    def test_what_an_earlier_run_left_is_found(self, case: Case) -> None:
        case.provider().present([ONE])
        dns = case.provider()
        assert [handle.record for handle in dns.find([ONE, TWO, NET])] == [ONE]
        dns.remove(dns.find([ONE]))
        assert case.shown(CHALLENGE) == set()

    def test_the_records_of_others_stay(self, case: Case) -> None:
        foreign = TxtRecord(CHALLENGE, "of-another-program")
        case.foreign(foreign)
        dns = case.provider()
        handles = dns.present([ONE])
        assert case.shown(CHALLENGE) == {"one", foreign.value}
        assert foreign in {handle.record for handle in dns.named(CHALLENGE)}
        assert list(dns.find([TWO])) == []
        dns.remove(handles)
        assert case.shown(CHALLENGE) == {foreign.value}

    def test_the_zone_with_the_longest_name_is_taken(self, case: Case) -> None:
        dns = case.provider()
        assert dns.zone(DEEP.name) == dns.zone("sub.example.com") != dns.zone(CHALLENGE)
        handles = dns.present([DEEP, NET, ONE])
        assert [case.shown(one.name) for one in (DEEP, NET, ONE)] == [{"deep"}, {"net"}, {"one"}]
        assert {handle.record: handle.zone for handle in handles}[DEEP] == dns.zone(DEEP.name)
        dns.remove(handles)
        assert [case.shown(one.name) for one in (DEEP, NET, ONE)] == [set(), set(), set()]

    @pytest.mark.parametrize("name", [OUTSIDE, "_acme-challenge.notexample.com", "_acme-challenge.com"])
    def test_a_name_in_no_zone_is_refused(self, case: Case, name: str) -> None:
        dns = case.provider()
        assert dns.zone(name) is None
        for ask in (lambda: dns.check([name]), lambda: dns.present([TxtRecord(name, "one")])):
            with pytest.raises(Refused) as caught:
                ask()
            assert name.removeprefix("_acme-challenge.") in str(caught.value)
            assert caught.value.hint

    def test_nothing_is_created_if_one_name_is_in_no_zone(self, case: Case) -> None:
        with pytest.raises(Refused):
            case.provider().present([ONE, TxtRecord(OUTSIDE, "one")])
        assert case.shown(CHALLENGE) == set()

    def test_threads_share_it(self, case: Case) -> None:
        dns = case.provider()
        records = [TxtRecord(CHALLENGE, f"value-{number}") for number in range(12)]
        with ThreadPoolExecutor(len(records)) as pool:
            handles = [pool.submit(dns.present, [record]) for record in records]
            assert values([one for done in handles for one in done.result(20)]) == sorted(
                record.value for record in records
            )
            assert case.shown(CHALLENGE) == {record.value for record in records}
            for done in handles:
                pool.submit(dns.remove, done.result()).result(20)
        assert case.shown(CHALLENGE) == set()


class TestTheChoice:
    def test_every_entry_point_has_the_name_of_its_table(self, case: Case) -> None:
        config = load.parse(f"{case.table}\n{CERTIFICATE}", "a test")
        chosen = dns_provider.chosen(config.dns)
        assert providers.find(config.dns.provider) is chosen
        assert (chosen.settings, bool(chosen.title)) == (type(config.dns), True)

    def test_the_usual_one_is_what_its_entry_point_says(self) -> None:
        (entry,) = entry_points(group=providers.GROUP, name=providers.USUAL)
        assert entry.load() is providers.find(providers.USUAL) is CLOUDFLARE

    def test_without_a_table_it_is_the_usual_one(self) -> None:
        assert load.parse(CERTIFICATE, "a test").dns == CLOUDFLARE.settings()

    @pytest.mark.usefixtures("case")
    def test_two_tables_are_refused(self) -> None:
        text = f'[cloudflare]\ntoken_file = "/t"\n[zone_file]\nfolder = "/zones"\n{CERTIFICATE}'
        with pytest.raises(ConfigError) as caught:
            load.parse(text, "a test")
        (fault,) = caught.value.faults
        assert (fault.place, "cloudflare" in fault.message) == ("zone_file", True)

    @pytest.mark.usefixtures("case")
    def test_the_faults_of_a_table_are_told_with_their_places(self) -> None:
        text = f'[zone_file]\nfolder = "zones"\nfile = "x"\n{CERTIFICATE}'
        with pytest.raises(ConfigError) as caught:
            load.parse(text, "a test")
        assert {fault.place for fault in caught.value.faults} == {"zone_file.folder", "zone_file.file"}

    def test_one_that_is_not_installed_is_not_known(self) -> None:
        with pytest.raises(ConfigError) as caught:
            load.parse(f'[zone_file]\nfolder = "/zones"\n{CERTIFICATE}', "a test")
        assert [fault.place for fault in caught.value.faults] == ["zone_file"]

    def test_one_that_cannot_be_loaded_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        points = install(tmp_path) / "zone_file-1.dist-info" / "entry_points.txt"
        points.write_text(f"[{providers.GROUP}]\nzone_file = no_such_package:PROVIDER\n")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ConfigError, match="zone_file") as caught:
            load.parse(f'[zone_file]\nfolder = "/zones"\n{CERTIFICATE}', "a test")
        assert caught.value.hint


def test_a_certificate_through_a_provider_of_somebody_else(world: World, tmp_path: Path) -> None:
    """The whole program: `check`, then `renew`, and nothing is left in the zone."""
    zones = tmp_path / "zones"
    serve(world.box, zones)
    installed = os.pathsep.join(map(str, (install(tmp_path / "installed"), TESTS)))
    table = f'[zone_file]\nfolder = "{zones}"\n'
    world.write(
        f'[certificate."{NAME}"]\ndomains = ["{NAME}", "*.{NAME}"]\n',
        edit=lambda text: text.replace(text[text.index("[cloudflare]") : text.index("[propagation]")], table),
    )
    checked = world.renewer("check", "--json", PYTHONPATH=installed)
    looks = {one["check"]: one["status"] for one in checked.answer["findings"]}
    assert (looks["zones.edit"], looks["zones.shown"]) == ("ok", "ok"), checked
    done = world.renewer("renew", "--json", PYTHONPATH=installed)
    assert (done.code, done.one["action"], done.one["served"]) == (0, "issued", True), done
    assert (zones / f"{NAME}.zone").read_text() == ""
    assert world.box.calls() == []

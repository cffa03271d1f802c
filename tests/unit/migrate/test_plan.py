"""What becomes of another client's certificates: taken over, left alone, or told why not."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from support import certs
from support.facts import missing
from support.fakes import MemStore, Notes

from renewer.config.acme import DIRECTORIES
from renewer.config.load import parse
from renewer.config.schema import Config
from renewer.config.template import Draft, table
from renewer.core import x509
from renewer.core.model import CertSpec, KeyKind, Observation, Reason, Revocation, Snapshot
from renewer.core.policy import Issue, decide
from renewer.migrate import plan as takeover
from renewer.migrate.model import Estate, Lineage, Login
from renewer.migrate.plan import STAGING, Fate, Imported, Plan, Planner
from renewer.store.state import State

LE = DIRECTORIES["letsencrypt"]
ZERO = "https://acme.zerossl.com/v2/DV90"
DAY = timedelta(days=1)
NOW = certs.NOW
KEYS = {kind: x509.generate(kind) for kind in (KeyKind.EC256, KeyKind.RSA2048)}


def lineage(
    *domains: str, name: str = "", days: int = 60, directory_url: str = LE, kind: KeyKind = KeyKind.EC256
) -> Lineage:
    key, chain = certs.CA.issue(domains, NOW - 30 * DAY, NOW + days * DAY, KEYS[kind])
    return Lineage(name or domains[0], key, chain, directory_url)


def login(directory_url: str = LE) -> Login:
    return Login(directory_url, KEYS[KeyKind.EC256], f"{directory_url}/1", "a@b.de")


def plan(*lineages: Lineage, logins: Sequence[Login] = (login(),), settings: Config | None = None) -> Plan:
    return Planner(Estate(lineages, logins), settings, NOW).plan()


def configured(*tables: str) -> Config:
    return parse("\n".join(tables), "a test")


def vault() -> State:
    return State(MemStore(), Notes())


def written(found: Plan) -> Config:
    """Return the configuration that would be written for it."""
    planned = [heir.planned for heir in found.heirs if heir.domains and heir.fate is not Fate.KEPT]
    return Draft(planned, (), found.directory_urls[0], found.directory_urls[1:]).parsed("a draft")


def fates(found: Plan) -> dict[str, Fate]:
    return {heir.lineage: heir.fate for heir in found.heirs}


def the(found: Plan) -> Imported:
    (only,) = found.heirs
    return only


def orders(spec: CertSpec, memory: State) -> bool:
    sight = Observation(published=True, served=True)
    return isinstance(decide(Snapshot(spec, sight, memory.material(spec.name)), NOW), Issue)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (lineage("example.com", "*.example.com"), "example.com"),
        (lineage("example.com", name="example.com-0001"), "example.com-0001"),
        (lineage("example.com", name="example.com_ecc"), "example.com"),
        (lineage("*.example.com", name="*.example.com_ecc"), "example.com"),
        (lineage("*.example.com", name="_.example.com"), "example.com"),
        (lineage("example.com", name="My Certificate"), "example.com"),
        (lineage("example.com", kind=KeyKind.RSA2048), "example.com"),
    ],
)
def test_what_is_taken_over_is_not_ordered(made: Lineage, name: str) -> None:
    found, memory = plan(made), vault()
    assert (the(found).name, the(found).fate, found.failed) == (name, Fate.IMPORTED, False)
    assert takeover.keep(takeover.settle(found, memory), memory) == found
    (spec,) = written(found).specs
    assert spec.name == name
    assert not orders(spec, memory)
    account = memory.account(LE)
    assert account is not None
    assert (account.key, account.url) == (login().key, login().url)
    assert found.email == "a@b.de"


def test_importing_twice_is_harmless() -> None:
    store = MemStore()
    memory, made = State(store, Notes()), lineage("example.com")
    takeover.keep(takeover.settle(plan(made), memory), memory)
    before = dict(store.values)
    again = takeover.keep(takeover.settle(plan(made), memory), memory)
    assert [the(again).fate, again.accesses[0].fate] == [Fate.KEPT, Fate.KEPT]
    assert store.values == before


def test_nothing_goes_back_to_a_certificate_that_ends_earlier() -> None:
    memory = vault()
    for days, fate in ((60, Fate.IMPORTED), (50, Fate.KEPT), (70, Fate.IMPORTED)):
        found = takeover.keep(takeover.settle(plan(lineage("example.com", days=days)), memory), memory)
        assert the(found).fate is fate
    material = memory.material("example.com")
    assert material is not None
    assert material.not_after == NOW + 70 * DAY


def test_what_renewer_has_revoked_does_not_come_back() -> None:
    memory, made = vault(), lineage("a.example")
    taken = takeover.keep(takeover.settle(plan(made), memory), memory)
    material = the(taken).material
    assert material is not None
    with memory.certificate("a.example") as ledger:
        ledger.revoked(Revocation(material, Reason.KEY_COMPROMISE))
    again = the(takeover.settle(plan(made), memory))
    assert (again.fate, missing(again.why, "revoked", "keyCompromise")) == (Fate.FAILED, [])
    assert again.hint


def test_another_account_that_renewer_has_stays() -> None:
    memory = vault()
    other = Login(LE, x509.account_key())
    takeover.keep(plan(lineage("example.com"), logins=[other]), memory)
    found = takeover.settle(plan(lineage("example.com")), memory)
    assert (found.accesses[0].fate, missing(found.accesses[0].why, "renewer", "own")) == (Fate.KEPT, [])


def test_two_kinds_of_keys_for_the_same_names_are_one_certificate() -> None:
    names = ("example.com", "www.example.com")
    found = plan(lineage(*names, name="example.com_ecc"), lineage(*names, kind=KeyKind.RSA2048, days=50))
    assert the(found).material is not None
    assert written(found).specs[0].keys == (KeyKind.EC256, KeyKind.RSA2048)


def test_of_two_alike_the_one_that_ends_later_is_taken() -> None:
    found = plan(lineage("example.com"), lineage("example.com", name="example.com-0001", days=70))
    assert fates(found) == {"example.com-0001": Fate.IMPORTED, "example.com": Fate.KEPT}
    assert not found.failed


def test_two_lineages_do_not_get_one_name() -> None:
    found = plan(lineage("a.example", name="x y"), lineage("*.a.example", name="x z"))
    assert [heir.name for heir in found.heirs] == ["a.example", "a.example-2"]
    assert len(written(found).specs) == 2


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (lineage("bad.example", days=-1), f"{NOW - DAY:%Y-%m-%d}"),
        (lineage("bad.example", directory_url=""), "which CA"),
        (lineage("bad.example", directory_url="http://x\x1b/"), "CA"),
        (lineage("bad.example", directory_url=STAGING), "staging CA"),
        (lineage("bad.example", directory_url=ZERO), ZERO),
        (lineage("bad_host.example"), "underscore"),
        (lineage("bad.example", "*.bad.example", "a.bad.example"), "a.bad.example"),
        (Lineage("bad.example", KEYS[KeyKind.RSA2048], lineage("bad.example").chain, LE), "do not match"),
    ],
)
def test_one_that_is_not_taken_is_told_and_no_other_is_held_up(bad: Lineage, why: str) -> None:
    found = plan(lineage("good.example"), bad)
    assert fates(found) == {"good.example": Fate.IMPORTED, bad.name: Fate.FAILED}
    (lost,) = [heir for heir in found.heirs if heir.fate is Fate.FAILED]
    assert why in lost.why
    assert found.failed
    assert [spec.name for spec in written(found).specs] == ["good.example"]


def test_a_certificate_of_a_second_ca_stays_if_there_is_an_account() -> None:
    made = [lineage("a.example"), lineage("b.example"), lineage("c.example", directory_url=ZERO)]
    found, memory = plan(*made, logins=[login(), login(ZERO)]), vault()
    assert found.directory_urls == (LE, ZERO)
    takeover.keep(found, memory)
    assert [orders(spec, memory) for spec in written(found).specs] == [False] * 3


def test_where_all_is_from_the_ca_for_tests_it_stays_there() -> None:
    assert plan(lineage("a.example", directory_url=STAGING)).directory_urls == (STAGING,)


def test_a_configuration_that_names_it_gives_it_the_name() -> None:
    settings = configured('[certificate."own"]\ndomains = ["*.example.com", "example.com"]')
    found = plan(lineage("example.com", "*.example.com"), lineage("other.example"), settings=settings)
    assert [(heir.name, heir.listed) for heir in found.heirs] == [("own", True), ("other.example", False)]
    assert table(found.heirs[1].planned) == '[certificate."other.example"]\ndomains = ["other.example"]'


def test_a_configuration_that_has_the_name_for_others_keeps_it() -> None:
    settings = configured('[certificate."example.com"]\ndomains = ["www.example.com"]')
    assert the(plan(lineage("example.com"), settings=settings)).name == "example.com-2"


def test_a_configuration_that_wants_another_key_or_ca_is_told() -> None:
    listed = '[certificate."example.com"]\ndomains = ["example.com"]'
    rsa = the(plan(lineage("example.com", kind=KeyKind.RSA2048), settings=configured(listed)))
    assert (rsa.fate, missing(rsa.hint, 'keys = ["rsa2048"]', "import")) == (Fate.FAILED, [])
    elsewhere = configured(f'[acme]\nserver = "{ZERO}"\n{listed}')
    other = the(plan(lineage("example.com"), settings=elsewhere))
    assert other.fate is Fate.FAILED
    assert missing(other.hint, "[[acme.fallback]]", 'server = "letsencrypt"') == []


def test_a_vault_that_is_busy_is_told() -> None:
    memory = vault()
    with memory.certificate("a.example"):
        found = takeover.keep(plan(lineage("a.example"), lineage("b.example")), memory)
    assert fates(found) == {"a.example": Fate.FAILED, "b.example": Fate.IMPORTED}
    assert memory.material("b.example")

"""An engine over an issuer, an nginx and a store that are fakes, and what the tests of it share."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from support.fakes import DAY, NOW, FakeClock, FakeDeployer, FakeIssuer, MemStore, Notes, material, spec

from renewer import app
from renewer.core.errors import RenewerError
from renewer.core.journal import Handle, Progress, TxtRecord
from renewer.core.model import Action, CertOutcome, CertSpec, Material
from renewer.core.site import Proposal, SiteContext, SiteSpec
from renewer.engine.cycle import Engine
from renewer.store.following import ALONE
from renewer.store.state import State

A, B, C = "a.example", "b.example", "c.example"
MINUTE = timedelta(minutes=1)


class NoSites:
    """A configuration without a site, and nothing kept of one."""

    specs: Sequence[SiteSpec] = ()

    def outsiders(self) -> bool:
        return False

    def plan(self, _: SiteContext) -> Proposal:
        return Proposal(None, ())

    propose = plan

    def settle(self, _: Proposal) -> Mapping[str, RenewerError]:
        return {}


def engine(*specs: CertSpec, **given: Any) -> Engine:
    """Return the engine as the program builds it, over the adapters that are given and fakes for the rest."""
    report = given.get("report", Notes())
    usual = {
        "state": State(MemStore(), report),
        "issuer": FakeIssuer(),
        "deployer": FakeDeployer(),
        "sites": NoSites(),
        "hooks": (),
        "follower": ALONE,
        "clock": FakeClock(),
        "report": report,
    }
    return app.engine(specs, app.Parts(**(usual | given)))


class FakeWorld:
    """An engine for these certificates, and all that is around it."""

    def __init__(self, *names: str) -> None:
        self.specs = tuple(spec(name) for name in names or (A,))
        self.store, self.clock, self.notes = MemStore(), FakeClock(), Notes()
        self.issuer, self.nginx = FakeIssuer(), FakeDeployer()
        self.vault = State(self.store, self.notes)
        self.more: dict[str, Any] = {}

    @property
    def engine(self) -> Engine:
        adapters = {
            "state": self.vault,
            "issuer": self.issuer,
            "deployer": self.nginx,
            "clock": self.clock,
            "report": self.notes,
        }
        return engine(*self.specs, **(adapters | self.more))

    def run(self, *names: str, force: bool = False, dry_run: bool = False) -> dict[str, CertOutcome]:
        return {one.name: one for one in self.engine.run(names, force=force, dry_run=dry_run).certificates}

    def keep(self, name: str, kept: Material | None = None, *, served: bool = True) -> Material:
        """Let a certificate be stored, and perhaps served."""
        kept = kept or material(spec(name))
        with self.vault.certificate(name) as ledger:
            ledger.keep(kept)
        if served:
            self.nginx.shown[name] = kept.fingerprints
        return kept

    def leave(self, name: str) -> None:
        """Leave a record of an earlier attempt in the journal."""
        handle = Handle("zone", "id", TxtRecord(f"_acme-challenge.{name}", "value"))
        with self.vault.certificate(name) as ledger:
            ledger.save(Progress(handles=(handle,)))

    @property
    def orders(self) -> list[str]:
        return sorted(name for name, _ in self.issuer.orders)


def actions(outcomes: dict[str, CertOutcome]) -> list[Action]:
    return [outcome.action for outcome in outcomes.values()]


def due(name: str, ari: str = "") -> Material:
    return material(spec(name), begin=NOW - 70 * DAY, ari=ari)

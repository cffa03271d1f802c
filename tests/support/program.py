"""A home for the program in this process: a configuration, a state folder, an nginx that nobody reloads."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support import certs
from support.done import Done
from support.fakes import FakeClock, Notes

from renewer.config.acme import DIRECTORIES
from renewer.core.failure import Deploys
from renewer.core.model import CertSpec, KeyKind, Material, Suggestion
from renewer.nginx.deployer import NginxDeployer
from renewer.store.files import FileStore
from renewer.store.state import State

ROOT = Path(__file__).parents[2]
NAME = "example.com"
SPEC = CertSpec(NAME, (NAME, f"*.{NAME}"), DIRECTORIES["letsencrypt"], (KeyKind.EC256,))
FAR = datetime(2100, 1, 1, tzinfo=UTC)


Program = Callable[..., Done]


@dataclass(frozen=True)
class Home:
    """A configuration, a state folder, and an nginx that is neither reloaded nor looked at."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "renewer.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def textfile(self) -> Path:
        return self.folder / "renewer.prom"

    @property
    def vault(self) -> State:
        return State(FileStore(self.state), Notes())

    def configure(self, text: str = "") -> None:
        (self.folder / "nginx.conf").write_text("events {}\n")
        self.file.write_text(
            f'state = "{self.state}"\n{text}\n[certificate."{NAME}"]\n'
            f'domains = ["{NAME}", "*.{NAME}"]\n'
            f'[nginx]\nbinary = "/bin/true"\nconfig = "{self.folder}/nginx.conf"\n'
            'reload = "none"\nprobe = []\n'
        )

    def keep(self, material: Material, *, deployed: bool = True) -> None:
        with self.vault.certificate(NAME) as ledger:
            ledger.keep(material)
            soon = datetime.now(UTC) + timedelta(hours=23)
            ledger.suggest(Suggestion(material.pairs[0].ari, ask_again=soon))
            ledger.deployed(Deploys(material.fingerprints[0]))
        if deployed:
            conf = str(self.folder / "nginx.conf")
            deployer = NginxDeployer(self.state, "/bin/true", conf, "none", (), FakeClock(certs.NOW), Notes())
            deployer.prepare([SPEC])
            deployer._generations.publish(NAME, material)

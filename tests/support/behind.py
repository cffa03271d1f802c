"""A world in which the program speaks to the CA through a proxy that can go wrong; see `acme_proxy`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from support.acme_proxy import AcmeProxy
from support.forks import Ended, Meddling
from support.holds import Faulty
from support.world import NAME, World, table


class Behind(World):
    """A `World` whose configuration names the proxy; a look at the DNS takes two seconds at most."""

    proxy: AcmeProxy | None = None

    def write(self, *tables: str, edit: Callable[[str], str] = str, **toml: Any) -> Path:
        if self.proxy is None:
            self.proxy = AcmeProxy(self.box.pebble).__enter__()
        place = self.proxy.directory
        wanted = {"timeout": "5s"} | toml
        return super().write(
            *tables, edit=lambda text: edit(text.replace(self.box.directory, place)), **wanted
        )

    def _end(self) -> None:
        super()._end()
        if self.proxy:
            self.proxy.__exit__()


@dataclass
class Staged(Faulty):
    """What can go wrong in such a world; `later` is by how much the clocks of all are ahead."""

    later: timedelta = timedelta(0)

    @property
    def proxy(self) -> AcmeProxy:
        found = self.world.proxy  # type: ignore[attr-defined] # a `Behind`
        assert isinstance(found, AcmeProxy)
        return found

    @property
    def orders(self) -> int:
        return self.world.ca.orders

    def run(self, *argv: str, meddling: Meddling | None = None) -> Ended:
        meddling = meddling or Meddling()
        ahead = self.later.total_seconds()
        return super().run(*argv, meddling=replace(meddling, shift=meddling.shift + ahead))

    def wait(self, time: timedelta) -> None:
        """Let time pass, for the program and for the CA."""
        self.later += time
        self.proxy.shift = self.later

    def heal(self) -> None:
        """Let everything around the program be as it should be; the time goes on being what it is."""
        self.proxy.heal()
        self.proxy.window = None
        box = self.world.box
        box.api.heal()
        box.tokens.setdefault(box.token, self._token)
        for server in (*box.nameservers, box.recursor):
            server.silent = server.servfail = server.tcp_only = False
            server.hide = 0
            server.delay = 0.0

    def __post_init__(self) -> None:
        self._token = self.world.box.tokens[self.world.box.token]

    @contextmanager
    def unharmed(self, orders: int | None = 1) -> Iterator[None]:
        """Hold that a fault inside leaves nginx as it was, and that all is well after it is over.

        `orders` is how many the CA has made in the end for what was needed.
        """
        before, shown = self.orders, self.world.glimpse()
        kept = self.kept()
        try:
            yield
            self.serves()
            self.whole()
            if self.kept() == kept:
                assert self.world.glimpse() == shown
        finally:
            self.heal()
        self.calm()
        if orders is not None:
            assert self.orders - before == orders

    def recover(self) -> None:
        """Leave no trace of a test, one that failed included, to the next."""
        self.heal()
        if self.renew().code or list((self.world.state / "store" / "journal").glob("*")):
            self.wait(timedelta(days=3))
            self.renew("--force")

    def settle(self) -> None:
        """Have a certificate that is served, and nothing due."""
        self.world.write(table(NAME))
        self.needs = 0
        self.calm()


@contextmanager
def staged(folder: Path, forks: Any, **habits: Any) -> Iterator[Staged]:
    """A world with a certificate that is served."""
    with Behind(folder, **{"nonce_reject": 0} | habits) as world:
        found = Staged(world, forks)
        found.settle()
        yield found

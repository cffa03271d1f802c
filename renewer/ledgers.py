"""What may be written about sites and hooks while they are held alone."""

from dataclasses import dataclass

from renewer.deployed import Memory
from renewer.documents import encode
from renewer.ports import Fence, Store
from renewer.sites import Kept


@dataclass(frozen=True)
class SiteLedger:
    """What may be written about sites while their lease is held."""

    store: Store
    fence: Fence

    def keep(self, name: str, kept: Kept) -> None:
        """Keep a site's keys, in one write."""
        self.store.put(site_key(name), encode(kept), self.fence)

    def drop(self, name: str) -> None:
        """Forget the keys of a site that is no more."""
        self.store.delete(site_key(name), self.fence)


@dataclass(frozen=True)
class HookLedger:
    """What may be written about deploy hooks while their lease is held."""

    store: Store
    fence: Fence

    def keep(self, key: str, memory: Memory) -> None:
        """Keep what a hook was told of, and whether it failed."""
        self.store.put(hook_key(key), encode(memory), self.fence)

    def drop(self, key: str) -> None:
        """Forget a hook that is no more."""
        self.store.delete(hook_key(key), self.fence)


def site_key(name: str) -> str:
    """Return where a site's keys are kept."""
    return f"site/{name}"


def hook_key(key: str) -> str:
    """Return where is kept what a deploy hook was told of."""
    return f"hook/{key}"

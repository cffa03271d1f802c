"""What an issuance does not load: each of these would cost more than all of its own computing."""

import subprocess
import sys

LOAD = """
import sys
from renewer.dns.cloudflare import provider
from renewer.dns import resolver
from renewer.dns.cloudflare.client import client
from renewer.acme import issuer
client("x" * 40, "http://127.0.0.1:1")
print(*sys.modules)
"""

READ = """
import sys
from renewer.config import load
load.parse('[cloudflare]\\nzone_ids = {}\\n[certificate.a]\\ndomains = ["a.example"]', "a test")
print(*sys.modules)
"""

NEEDLESS = ("rich", "pygments", "cloudflare.resources.", "cloudflare.types.dns", "apscheduler", "segno")


def test_an_issuance_loads_nothing_needless() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True).stdout
    assert "cloudflare" in loaded.split()
    assert [module for module in loaded.split() if module.startswith(NEEDLESS)] == []


def test_a_configuration_is_read_without_what_its_provider_works_with() -> None:
    loaded = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, check=True).stdout
    assert {name for name in loaded.split() if name.startswith("renewer.dns")} == {
        "renewer.dns",
        "renewer.dns.cloudflare",
        "renewer.dns.cloudflare.settings",
        "renewer.dns.provider",
    }
    assert not {"cloudflare", "httpx", "dns", "importlib.metadata"} & set(loaded.split())

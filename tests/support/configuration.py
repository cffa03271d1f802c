"""Configurations that are in order, and what is said of one that is not."""

import pytest

from renewer.config import load
from renewer.core.errors import ConfigError, Fault

LETSENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"

SIX_LINES = """\
[cloudflare]
token_file = "/etc/renewer/cloudflare.token"

[certificate."example.com"]
domains = ["example.com", "*.example.com"]
"""

EVERYTHING = """\
state = "/srv/renewer"

[acme]
server = "letsencrypt-staging"
email = "ops@example.com"
accept_terms = false
profile = "classic"
ca_bundle = "/etc/ssl/pebble.pem"
eab_kid = "kid-1"
eab_hmac_key_file = "/etc/renewer/eab"

[cloudflare]
token_file = "/etc/renewer/cloudflare.token"
base_url = "http://127.0.0.1:8080/client/v4"
zone_ids = { "Example.com" = "023e105f4ecef8ad9ca31a8372d0c353" }

[propagation]
resolver = "127.0.0.1:8053"
timeout = "90s"

[certificate."example.com"]
domains = ["Example.com", "*.example.com"]
keys = ["ec256", "rsa2048"]
profile = "shortlived"

[certificate.other]
domains = ["other.example.net"]

[nginx]
binary = "/opt/nginx"
config = "/opt/nginx.conf"
reload = ["systemctl", "reload", "nginx"]
probe = ["127.0.0.1:443", "[::1]:443"]

[site.nodered]
host = "https://nodered.example.com"
home = "/ui/"
people = ["phone", "laptop"]
rotate = "30d"
grace = "7d"
session = "60d"
sliding = false

[site.downloads]
mode = "url"
host = "https://files.example.com:8443/"
rotate = "renewal"
signer_file = "/run/renewer/downloads.json"

[metrics]
textfile = "/srv/node-exporter/renewer.prom"

[notify]
urls_file = "/etc/renewer/notify.urls"
expiring = "20%"
ping = "https://hc.example/uuid"

[[hook.command]]
argv = ["/usr/bin/systemctl", "reload", "postfix"]

[[hook.command]]
argv = ["true"]
timeout = "15m"
"""


def faults(text: str) -> tuple[Fault, ...]:
    """Return what is wrong with a configuration that is otherwise complete."""
    if "[certificate" not in text:
        text += '\n[certificate.c]\ndomains = ["c.example"]\n'
    with pytest.raises(ConfigError) as error:
        load.parse(text, "renewer.toml")
    assert "renewer.toml" in error.value.hint
    return error.value.faults


def only(text: str) -> Fault:
    (fault,) = faults(text)
    return fault


def listed(*names: str) -> str:
    return f"[certificate.c]\ndomains = {list(names)!r}\n"


NOT_A_URL = "https://host/path"
NOT_HTTPS = "https://"
NOT_ABSOLUTE = "absolute path"
NO_ADDRESS = "127.0.0.1:443, [::1]:443 or name:443"
NO_DURATION = "90s, 15m, 12h or 30d"
"""What a person is told to write, or what is wrong, by kinds of values."""

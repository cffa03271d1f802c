"""The lines for a person to add to nginx's own configuration."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from renewer.core.model import CertSpec
from renewer.core.site import Mode, SiteSpec
from renewer.nginx.layout import Layout

_EACH = (
    "# also into every other location of this server, and into each nested one, which inherits nothing;\n"
    "# for a location that everybody may open, write: allow all;\n"
)


def text(specs: Sequence[CertSpec], sites: Sequence[SiteSpec], state: Path) -> str:
    """Return the lines that include each certificate and guard each site."""
    layout = Layout(state)
    blocks = [_server(spec, layout.include(spec.name)) for spec in specs]
    if sites:
        http = f"# once in http {{ }}, before the servers\ninclude {layout.secure_link('http.conf')};\n"
        blocks += [http, *(_site(site, layout) for site in sites)]
    return "\n".join(blocks)


def _server(spec: CertSpec, include: Path) -> str:
    return (
        f"# {spec.name}: add the include to each server block that is to serve it\n"
        "server {\n"
        "    listen 443 ssl;\n"
        "    listen [::]:443 ssl;\n"
        f"    server_name {' '.join(spec.domains)};\n"
        f"    include {include};\n"
        "}\n"
    )


def _site(site: SiteSpec, layout: Layout) -> str:
    parts = urlsplit(site.host)
    name, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    head = f"# {site.name}: into the server block of {name}\nset $rn_scope {site.name};\n"
    if site.mode is Mode.URL:
        gate = layout.secure_link("gate-url.conf")
        return f"{head}location / {{\n    include {gate};\n    # root, as before\n}}\n{_EACH}"
    return (
        f"{head}"
        f"set $rn_home {site.home};\n"
        f"include {layout.secure_link('enter.conf')};\n"
        "location / {\n"
        f"    include {layout.secure_link('gate.conf')};\n"
        "    # proxy_pass and its headers, as before; for a websocket behind it:\n"
        "    proxy_http_version 1.1;\n"
        f"    proxy_set_header Host $host{port};\n"
        "    proxy_set_header Upgrade $http_upgrade;\n"
        "    proxy_set_header Connection $rn_conn;\n"
        f"}}\n{_EACH}"
    )

"""What a person puts into nginx's own configuration."""

from collections.abc import Sequence
from pathlib import Path

from renewer.model import CertSpec
from renewer.nginx.layout import Layout


def text(specs: Sequence[CertSpec], state: Path) -> str:
    """Return a `server` block for each certificate, with the line that includes it."""
    return "\n".join(_server(spec, Layout(state).snippet(spec.name)) for spec in specs)


def _server(spec: CertSpec, snippet: Path) -> str:
    return (
        f"# {spec.name}: put the include into each server block that is to serve it\n"
        "server {\n"
        "    listen 443 ssl;\n"
        "    listen [::]:443 ssl;\n"
        f"    server_name {' '.join(spec.domains)};\n"
        f"    include {snippet};\n"
        "}\n"
    )
